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
// batches as they were stored, nothing else. How many of its bytes count is
// written in the checkpoint; what stands behind them is an archive pass that a
// crash cut short, and is overwritten. <base offset>.index is derived and may be
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
// # Invariants
//
//   - Offsets are contiguous: an entry's base is its predecessor's next offset,
//     and so is a batch's within a segment. A batch's checksum does not cover its
//     base offset; that it fits is what shows that it is right.
//   - Nothing is visible above the high watermark, which only the committer
//     moves, after the sync.
//   - Bytes from disk are checked (length, magic, CRC, offset order) before they
//     are handed out; bytes from memory were checked when they were appended.
//   - The log start offset and the archived offset only grow.
//
// # Not here
//
// Compaction. It will rewrite segments below the last stable offset between two
// checkpoints, as Archive does, and must then mark segments whose offsets have
// gaps, since reads take a gap for damage.
package log
