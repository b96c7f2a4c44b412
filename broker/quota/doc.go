// Package quota holds the limits that clients are given and measures what they
// use. It does no I/O and knows no time of its own.
//
// # Nouns
//
// An Entity is whom a limit is for: a user, a client id, both, or an address,
// where a default stands for all that have no limit of their own. A Table is the
// limits of all entities. A Meter counts what one entity uses.
//
// # Which limit holds
//
// The first of these that has a value for the key (KIP-55, KIP-124):
//
//	user, client id          user, default client id      user
//	default user, client id  default user, default client default user
//	client id                default client id
//
// Peers that share the limit's entity share its meter: a limit of a user is for
// all the user's connections together. A limit of a default is for each peer that
// it stands for.
//
// # Metering
//
// A meter is a bucket that fills at the limit's rate up to Burst seconds' worth.
// Work is never cut in two: it is done and may leave the bucket in debt, and the
// peer waits until the debt is paid. So the rate holds over time, whatever the
// size of one request.
package quota
