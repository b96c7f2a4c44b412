// Package seal encrypts what millrace keeps on disk: record batches, metadata
// events and the checkpoint as sealed blobs, the state store as sealed files. It
// has the user's keys and the algorithms; who seals what, and where sealed bytes
// are opened, is said in packages wal, log and broker.
//
// # Nouns
//
// Keys are what the user gives: 32 random bytes each, the first of which
// encrypts while all of them decrypt. A Sealer makes and opens blobs. Files is a
// file system whose files are encrypted.
//
// # Blob
//
//	 0         1        9       25        33
//	+---------+--------+-------+---------+------------+--------+
//	| version | key id | salt  | counter | ciphertext | tag    |
//	| 1       | 8      | 16    | u64     |            | 16     |
//	+---------+--------+-------+---------+------------+--------+
//
// AES-256-GCM. A key id is HKDF-SHA256 of the key, and tells nothing about it.
// The salt is random, one for every Sealer, which is one for every start of a
// process; HKDF-SHA256 (RFC 5869) makes the key of that run out of the user's key
// and the salt. The nonce is four zero bytes and the counter. The additional data
// is the version and what the caller binds a blob to.
//
// # File
//
//	 0          8         12       20      36       60       64
//	+----------+---------+--------+-------+--------+--------+-----------+
//	| MILLSEAL | version | key id | salt  | zeros  | CRC-32C| ciphertext|
//	+----------+---------+--------+-------+--------+--------+-----------+
//
// AES-256-CTR from block 0 on, with a key that HKDF-SHA256 makes out of the
// user's key and the file's own random salt. The CRC covers bytes 0 to 60.
//
// # No nonce comes twice
//
// With a run key: the counter is one 64-bit atomic of the Sealer and only grows,
// no blob is ever written with the run key of another Sealer, and two Sealers
// have the same run key only if 128 random bits are the same. So it does not
// matter that log files are recycled, that refused frames are written again, that
// a crash undoes a write or that a directory is restored from a backup and goes
// on twice: what is sealed after any of them has another salt, or another counter.
//
// With a file key: a file's bytes are written once, in order, behind a header
// with a salt of its own. A file cannot be opened for writing again, WriteAt does
// not exist, and to reuse a file is to remove it and make another.
//
// # What is protected
//
// Against who gets hold of files, a disk, a snapshot or a backup, but not of the
// key: keys, values and headers of records, names and configurations of topics,
// committed offsets, users' credentials, rules, quotas, schemas, statements, and
// the state of queries. Damage to a blob, a change of it, and a blob of another
// kind, topic or partition in its place are noticed.
//
// # What is not
//
//   - Memory, swap, core dumps, and the key itself, which is as safe as the file
//     or the environment that it comes from. A machine that is put back to a
//     snapshot of its memory, while it goes on elsewhere, uses its nonces twice.
//
//   - Numbers that recovery and indexes need in the clear: topic ids, how many
//     partitions, and of batches sizes, offsets, times, record counts, attributes
//     but the codec, producer ids, epochs and sequences; transaction markers;
//     frame headers and the kinds and sizes of events; which key sealed what. Sizes
//     of compressed batches tell something about their content.
//
//   - Who may write the files. Blobs are bound to their place only as far as said
//     above: whole files can be put back to an older state, batches moved within
//     their partition or left out, plain data and markers forged. Files of the
//     state store have no tag at all, only Pebble's checksums against damage.
//
//   - What was written before encryption began, until it is compacted, or deleted
//     and its blocks are overwritten.
package seal
