// Package nexmark generates the Nexmark benchmark's events (auctions, bids and
// the people behind them) and runs its queries.
//
// The generator follows the public Nexmark suite (github.com/nexmark/nexmark,
// NexmarkConfiguration and generator/model): the same proportions, hot keys, price
// distribution, string lengths and quirks, with a seed so that runs are equal
// byte for byte. Of 50 consecutive events the first is a person, the next three
// are auctions and 46 are bids. Events go to three topics, person, auction and
// bid, as flat JSON objects with a null key.
package nexmark
