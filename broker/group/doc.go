// Package group is the coordinator of classic consumer groups: who is a member,
// which generation it is, and who was assigned what. Committed offsets are not
// here; package broker keeps them and asks CheckCommit.
//
// # Nouns
//
// A Coordinator holds the groups. A group has members, a generation and a state.
// Join and Sync answer through a callback, since they wait for other members;
// everything else answers at once. Errors are Kafka's own (package kerr).
//
// # States
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
