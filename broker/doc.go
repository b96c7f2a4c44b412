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
// stable offsets, committed group offsets) is what readers see. Staged state is
// never rolled back: a failed write or sync fences the whole directory.
//
// # Invariants
//
//   - An answer that promises durability is sent after the sync. High watermark
//     = synced offset.
//   - A frame is all or nothing, over any crash. So a transaction's outcome, its
//     markers and its offsets never part: PrepareCommit and CompleteCommit are
//     the same frame.
//   - The committer's callbacks never take Broker.mu or a group's mutex, and
//     nobody waits for the log while holding either.
//   - Lock order: group, Broker.mu, partition.
//
// # Not here
//
// Replication, more than one node, SASL, TLS, ACLs, quotas,
// share groups. Compaction has its place in package log but does not run yet:
// cleanup.policy=compact keeps every record.
package broker
