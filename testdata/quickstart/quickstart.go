// Package quickstart holds the data and the statements that `millrace quickstart`
// loads and runs: a week of earthquakes as the United States Geological Survey
// published them (public domain), and a table of their regions.
package quickstart

import _ "embed"

// Earthquakes are JSON objects, one per line, in order of time.
//
//go:embed earthquakes.jsonl
var Earthquakes []byte

// Regions are JSON objects, one per line, one per region.
//
//go:embed regions.jsonl
var Regions []byte

// Statements make the streams, tables and queries.
//
//go:embed quickstart.sql
var Statements string

// Show are the queries whose answers the user sees first.
//
//go:embed show.sql
var Show string
