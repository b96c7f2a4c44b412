// Package group is the coordinator of consumer groups, of the classic protocol and
// of KIP-848: who is a member, which generation or epoch it is, and who was
// assigned what. Committed offsets are not here; package broker keeps them and
// asks CheckCommit.
//
// # Nouns
//
// A Coordinator holds the groups. A group has members, a generation and a state.
// Join and Sync answer through a callback, since they wait for other members;
// everything else answers at once. Errors are Kafka's own (package kerr).
//
// A group of KIP-848 (consumer.go) has epochs instead of generations and no
// states that wait: the coordinator assigns, and each member is brought to its
// target by its own heartbeats (reconcile.go), giving up before others get.
// ConsumerHeartbeat answers when what it says is durable.
//
// # States of a classic group
//
//	       first member joins          all have joined, or time is up
//	Empty ---------------------> PreparingRebalance -------------> CompletingRebalance
//	  ^                           |    ^         ^                      |
//	  |  no member is left        |    |         | member joins,        | the leader
//	  +---------------------------+    |         | leaves, changes      | has synced
//	                                   |         +----------------------+
//	                                   |  member joins, leaves, changes v
//	                                   +------------------------------ Stable
//
// A group is Dead when it is unknown. Members are durable at every generation:
// after a restart they go on with the sessions begun anew, and nothing is
// rebalanced.
package group
