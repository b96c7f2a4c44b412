// Package log is one topic-partition: what a reader at an offset gets, from
// memory, from the write-ahead log, or from segments.
//
// # Nouns
//
// A Partition is an ordered run of record batches. Its newest part is a list of
// entries, one per log frame that held its batches; the newest of these still
// have their bytes in memory (the tail, bounded by log.tail.max.bytes over all
// partitions). Older ones are read from the log's files. When a log file
// retires, Archive copies its batches into segments. A Store is what the
// partitions of a data directory share: files, tail budget, open-file cache.
//
//	offset ->  log start          archived                   high watermark
//	           | segment | segment |  entry  entry ... entry |
//	                               |  WAL files       memory |
//
// # Segment
//
// topics/<topic id>/<partition>/<base offset, 20 digits>.log holds record
// batches as they were stored, nothing else; encrypted ones stay encrypted
// (seal.go). How many of its bytes count is
// written in the checkpoint; what stands behind them is an archive pass that a
// crash cut short, and is overwritten. A file that is shorter, or missing, is not
// gone on with (missing.go). <base offset>.index is derived and may be
// deleted:
//
//	+--------------+--------------+-----------------+--------+
//	| base offset  | position     | max timestamp   | CRC-32C|
//	| i64          | i64          | before it, i64  | u32    |
//	+--------------+--------------+-----------------+--------+
//
// one entry per index.interval.bytes, of a batch's first offset, its position,
// and the largest timestamp of all batches before it in the segment, which makes
// it the offset index and the time index at once.
//
// # Compacted segment
//
// <base offset>-<generation>.log was written by compaction. Its offsets have
// gaps, so that they do not show damage any more; a guard before every batch does:
//
//	+------------------------+--------------+
//	| CRC-32C of the batch's | record batch |
//	| first 21 bytes, u32    |              |
//	+------------------------+--------------+
//
// It covers what the batch's own checksum does not: base offset, length, leader
// epoch, magic. Positions in the index are those of guards.
//
// # Compaction
//
// A round (Compact) notes the newest offset of every key in the sealed segments
// from where the last round ended up to the last stable offset, a record that is
// too young, or a full table, and then rewrites the segments up to there, joined
// into groups of one new segment each:
//
//	segments   | 0-1 | 40-1 | 95 | 120 |      cleanedTo = 95
//	map                     |==========|      keys of [95, 150)
//	after      |    0-2     |   95-1   |      cleanedTo = 150
//
// A record goes when a newer one has its key; records without key stay. Offsets,
// the producer's fields, last offset deltas and the codec stay. A tombstone gets
// a delete horizon in its first round (KIP-534) and goes in one behind it. Data
// of aborted transactions goes; a marker goes behind its horizon when no data of
// its transaction is left, and takes its entry of the aborted index along. A
// batch that loses all records is kept empty when it is the last one of a
// producer that is remembered, of the files, or of what was looked at.
//
// A group is swapped when its new segment is durable. Until a checkpoint names
// it, a crash brings the old ones back, which are removed after the checkpoint;
// recovery removes files that the checkpoint does not name.
//
// # Repair
//
// A segment that lacks something (CheckFiles) or is damaged (FindDamage) can be
// written anew without that (Repair), as a compacted one: its offsets have gaps.
// Where the next batch begins behind a damaged one is known from the index and
// the checkpoint, never guessed (salvage.go). A segment of an old key is written
// anew the same way, every batch in its place (Reencrypt).
//
// # Invariants
//
//   - Offsets are contiguous but for compacted segments: an entry's base is its
//     predecessor's next offset, and so is a batch's within a segment. A batch's
//     checksum does not cover its base offset; that it fits is what shows that it
//     is right. Leader epochs are compared with those that the checkpoint has.
//
//   - Nothing is visible above the high watermark, which only the committer
//     moves, after the sync.
//
//   - Bytes from disk are checked (length, magic, CRC, offset order) before they
//     are handed out; bytes from memory were checked when they were appended.
//
//   - No encrypted batch leaves a Partition but for Archive, which copies it as it
//     is, and Inspect functions. Compaction reads decrypted batches and encrypts
//     what it writes, with the key and the nonce of now.
//
//   - The log start offset and the archived offset only grow.
//
//   - Segments change in one goroutine: archiving, retention and swaps.
//
//   - Segments are written in steps, each handed to the disk before the next and
//     begun when no commit is under way, unless the log is nearly full (step.go).
//
// # Not here
//
// A limit on the bytes per second that compaction reads and writes, tiered
// storage.
package log
