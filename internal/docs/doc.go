// Package docs writes the reference pages under docs/ from the tables in code:
// functions, properties, formats, statements and arithmetic. Its tests fail when the committed
// pages are out of date, and run every example through an engine.
package docs
