// Package server is HTTP to the engine: it streams rows and maps errors to JSON
// in the shapes of ksqlDB's REST API. It knows no SQL beyond sql.Error.
//
// A request has a session of its own: SET in a body holds for the statements
// behind it in the same body. A client that goes away ends its push query.
package server
