// Package auth decides who a peer is and what it may do. It does no I/O and
// holds no state of the broker's: callers give it bytes, keys and rules.
//
// # Nouns
//
// A Mechanism is a SASL mechanism. A Credential is what is stored of a password:
// salt, iterations, StoredKey and ServerKey of RFC 5802, never the password. A
// Login is one exchange of a mechanism, step by step. A Rule is one line of an
// access control list, and Rules decides with all of them.
//
// # Invariants
//
//   - A wrong password, an unknown user and a user without a credential for the
//     mechanism take the same path: the same messages, the same work, the same
//     error. An unknown user gets a salt that is derived from its name, so that
//     it is the same every time. What cannot be hidden: a user whose credential
//     another tool made, with other iterations than DefaultIterations, a salt of
//     another size, or for SHA-256 alone.
//   - Secrets are compared in constant time, as hashes of equal length.
//   - Any DENY rule that matches wins over any ALLOW.
//   - Names, passwords, rules and principals are bytes: no Unicode normalisation
//     is applied. RFC 5802 wants SASLprep (RFC 4013) for SCRAM, but Kafka's
//     implementation of it (KIP-84) takes the UTF-8 bytes as they are on both
//     sides, and librdkafka the bytes that it is given: with SASLprep here a
//     password that it changes would never match.
//
// # Not here
//
// GSSAPI, delegation tokens, SCRAM channel binding, encrypted JWTs.
package auth
