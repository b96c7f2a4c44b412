// Package txn holds what idempotent and transactional producers need: the
// producer window of a partition and the transaction coordinator's state
// machine. Both are plain data under the broker's lock: no goroutine, no clock,
// no file. The broker makes every change durable, in the frame that has its
// effects, before it answers.
//
// # Nouns
//
// Producers is the state of all producers on one partition: epoch and the last
// five batches of each. A Transaction is one transactional id. A Coordinator
// decides what a request does to it: a Decision, or a Kafka error.
//
// # States
//
//	          InitProducerId        AddPartitions, AddOffsets,
//	                                 Produce v12, TxnOffsetCommit v5
//	(absent) ----------------> Empty ----------------------------> Ongoing
//	                             ^                                    |
//	              InitProducerId |       EndTxn, time-out, fencing    |
//	                             |                                    v
//	                        CompleteCommit, CompleteAbort <-----------+
//	                             |                                    ^
//	                             +------------------------------------+
//	                                   AddPartitions, ...
//
// Kafka's PrepareCommit and PrepareAbort do not occur: the outcome, the markers
// of every partition and the group offsets are one frame of the write-ahead log,
// so a crash leaves all or nothing of them, and no request can come in between.
// An Ongoing transaction survives a restart and times out.
//
// # Transaction versions (KIP-890)
//
// A client that ends its transactions with EndTxn version 5 or higher has TV2: it
// never adds partitions itself and gets a new epoch with every transaction. Older
// clients add partitions first; a batch for a partition that was not added is
// refused, in the same critical section that assigns its offsets.
//
// # Sequences
//
// A producer's batches on a partition have sequences without a gap; one of the last
// five that comes again is not appended again. A marker of a later epoch begins them
// at 0; one of the same epoch, as those of older clients are, does not, but behind one
// that aborts sequences may come again, as new batches. Of a producer whose transaction has no data on the partition,
// nothing behind a batch that was refused is taken, so that of several batches in
// flight the first to be appended is the first that was sent. What is not known (any
// more) may begin anywhere, unless the client has TV2.
package txn
