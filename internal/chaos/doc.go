// Package chaos holds tests that kill the real process. A server runs with
// persistent queries while an ordinary Kafka client writes; it is killed at
// moments that a seed chooses, started again, and judged from outside: what was
// acknowledged is there, and every result counts once.
//
//	go test ./internal/chaos -chaos.rounds=500 -chaos.seed=7
package chaos
