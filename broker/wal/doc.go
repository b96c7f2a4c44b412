// Package wal is the write-ahead log: one ordered sequence of frames over a set
// of recycled files, written by one committer goroutine with group commit.
//
// # Nouns
//
// A Frame is the unit of atomicity: a list of entries, each either record
// batches of one topic-partition or a metadata event. A Log appends frames and
// calls back, in frame order, when they are durable. A Checkpoint is the root of
// the data directory: it says which files are live and holds everything else
// that must survive. It stands in two files (copy.go).
//
// # Frame
//
//	 0       4     5     6          8        12       16       20
//	+-------+-----+-----+----------+--------+--------+--------+
//	| magic | ver | flg | reserved | length | CRC-32C| epoch  |
//	+-------+-----+-----+----------+--------+--------+--------+
//	 20          28          36         44
//	+-----------+-----------+----------+----------- ... +--------+
//	| file      | sequence  | synced   | payload        | zeros  |
//	+-----------+-----------+----------+----------- ... +--------+
//
// Integers are big-endian. length counts the payload. The CRC covers bytes 0 to
// 12, 16 to 44 and the payload. Frames start at multiples of 8. epoch is the
// incarnation of the broker that wrote the frame: it grows at every start. file
// is the number of the file. synced is a sequence: every frame below it was
// durable before this frame was written.
//
// # Entry
//
//	 0      1         4          8
//	+------+---------+----------+-----------------------------------+
//	| kind | flags   | length   | body                              |
//	+------+---------+----------+-----------------------------------+
//	body of kind 0 (record batches):
//	+--------------+----------------+------------------------------ +
//	| topic id 16  | partition i32  | record batches, magic 2       |
//	+--------------+----------------+------------------------------ +
//
// Bodies of other kinds belong to the caller. A batch's base offset is in its
// header. The first of the three flag bytes is 1 when the body of an event is
// encrypted: it is a blob of package seal, bound to the kind. The others are zero.
// Batches are encrypted by the caller. A directory with anything encrypted in it
// has a checkpoint of version 2, which programs that know nothing of it refuse.
//
// # Recovery
//
// A frame counts when magic, version, length and CRC hold, its file number is
// that of the file, its epoch is not lower than its predecessor's and its
// sequence is its predecessor's plus one. So the bytes of a recycled file's
// former life (lower file number), and frames that stand behind a torn one from
// an earlier incarnation (lower epoch, since an epoch is durable before it is
// used), are never taken for live ones.
//
// Where the frames end, the log ends, unless a later frame proves that what is
// missing had been durable: a later file that goes on with a higher sequence, a
// frame further on whose synced field is above the missing sequence, or the
// checkpoint's own synced sequence. Then it is corruption of acknowledged data:
// Open fails with ErrCorrupt and changes nothing.
//
// # Errors
//
// A failed sync, and a write that fails for another reason than a full disk, is
// never retried: the kernel may have dropped the dirty pages and marked them
// clean. The log is fenced: every append that is queued or comes later fails with
// ErrFenced, reads go on.
//
// A full disk refuses appends with ErrDiskFull until there is room again, see
// full.go. The file "spare" holds wal.spare.bytes of zeros: on a full disk it
// becomes the next log file, for urgent frames only, so that topics and records
// can be deleted.
package wal
