// Package registrytest serves a registry.Registry over the HTTP protocol of
// Confluent's Schema Registry, for tests of clients: the requests that millrace
// makes, with the protocol's status and error codes, and nothing durable.
package registrytest
