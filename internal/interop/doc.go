// Command interop runs other people's Kafka clients against the server and
// checks, from the clients' side and on the wire, that they get what they get
// from Apache Kafka.
//
// A scenario is one thing that users do (a rebalance, a transaction, a login). A
// client is one library or tool, driven by a small program under clients/. The
// runner prepares what a scenario needs with a client of its own, runs the
// program, and verifies what is in the log afterwards by reading raw batches:
// that a client is content does not prove that it was gzip that went over the
// wire.
//
// Every program has the same command line:
//
//	CLIENT SCENARIO --bootstrap HOST:PORT --topic PREFIX
//	    [--protocol PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL] [--ca FILE]
//	    [--mechanism M --user U --password P]
//	    [--codecs a,b] [--keys FILE] [--expect N] [--until OFFSET]
//
// and the same exit codes: 0 passed, 3 the client cannot do this (the last line
// of standard error says why), anything else failed (the last lines say how).
//
// Versions of the clients are pinned in the manifest files beside the programs;
// they are installed into the user's cache directory by the clients' own package
// managers. Where one of those is missing, the client's lines say SKIP.
//
//	go run ./internal/interop                       # everything, against a server of its own
//	go run ./internal/interop --clients java,kcat --scenarios txn,codecs
//	go run ./internal/interop --kafka               # everything, against Apache Kafka, which tests the scenarios
//	go run ./internal/interop --server HOST:PORT    # against any broker, without logins and certificates
//	go run ./internal/interop --table README.md     # rewrite the table there
package main
