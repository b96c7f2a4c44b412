// Package broker is the embedded Kafka-protocol broker: topics with partitions
// in one data directory, served to Kafka clients over TCP and to the engine in
// process. It knows nothing of SQL.
//
// # Nouns
//
// A Broker owns one data directory. A Commit is a set of appends and consumed
// offsets that becomes durable and visible together. A Reader follows one
// topic-partition and sees committed data only.
//
// # One frame
//
// Everything durable ends in Broker.stage: a set of batches and metadata events
// is encoded as one frame of the write-ahead log (package wal), its offsets are
// assigned under Broker.mu, and after the frame is synced it is published, in
// frame order, by the log's committer goroutine. Produce from a socket, EndTxn
// from a socket, Commit and Apply in process differ only in what they put into
// the frame.
//
//	            Broker.mu                committer goroutine
//	validate -> assign offsets -> queue -> write, sync -> publish -> answer
//	            staged state                              published state
//
// Staged state (next offsets, producer windows, transactions, topics) is what
// the next frame is validated against. Published state (high watermarks, last
// stable offsets, committed group offsets) is what readers see. A failed write or
// sync fences the whole directory, and staged state stays as it is; only when the
// disk is full is it taken back, to what is published.
//
// # Who may do what
//
// A Listener says what its clients must show: nothing, a certificate, or a login
// (listener.go, tls.go, sasl.go). What they show makes a peer, whose principal
// every request carries. Handlers ask request.may before they look whether what a
// request names exists (authorize.go); the engine, in process, is not asked. Users
// and rules are durable (security.go), and so are quotas (quotas.go). Packages auth
// and quota decide without I/O.
//
//	accept -> TLS -> login -> admit -> walk the shape -> decode -> handler: may?
//	per address       10 s    by state   shape.go
//
// What a peer costs before its login: 32 KiB and ten seconds, and for a password
// one hash, a few at once over all peers. A request takes memory as its bytes
// arrive, a response as long as it is not read, both from budgets of all
// connections. Large requests leave a quarter of theirs to small ones, and what was
// half sent and does not come on is cut while others wait (budget.go).
//
// # Encryption
//
// With Config.Keys everything in the data directory is encrypted but transaction
// markers and the numbers in headers: batches by package log, events and the
// checkpoint by package wal, with package seal. encryption.go decides which keys a
// directory needs. MILLRACE_ENCRYPTED=1 runs this package's tests that way.
//
// # Invariants
//
//   - An answer that promises durability is sent after the sync. High watermark
//     = synced offset.
//
//   - A frame is all or nothing, over any crash. So a transaction's outcome, its
//     markers and its offsets never part: PrepareCommit and CompleteCommit are
//     the same frame.
//
//   - The committer's callbacks never take Broker.mu or a group's mutex, and
//     nobody waits for the log while holding either.
//
//   - Lock order: group, Broker.mu, partition.
//
//   - Whatever the disk says: a failed sync, or a write that fails for another
//     reason than a full disk, fences the directory. A full disk refuses frames
//     whole, and what they staged is undone (refused.go).
//
//   - Data is forgotten by a clock that does not jump (steady.go).
//
// # Tests
//
// Randomised tests print the seed that fails and how to replay it:
// MILLRACE_SEED=N. MILLRACE_TIER=N runs them many times as long, -short less.
// `make mutants` checks the tests (package internal/mutants). `make security`
// measures floods, dead readers and the time of refused logins, and prints them;
// nothing of that is judged by a clock in a usual run.
//
// # Not here
//
// Replication, more than one node, share groups.
package broker
