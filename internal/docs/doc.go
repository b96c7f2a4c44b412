// Package docs writes the reference pages under docs/ from the tables in code:
// functions, properties, formats and statements. Its tests fail when the committed
// pages are out of date, and run every example through an engine.
package docs
