// Package registry is the embedded schema registry: which schemas exist, under
// which id, and as which version of which subject. It follows the model of
// Confluent's Schema Registry, so that clients of that one find ids, versions,
// subjects and error codes as they know them.
//
// A Schema is text of one Type with references to other schemas. An id belongs to
// one schema for ever, across all subjects. A subject is a list of versions that
// grows at its end; TopicNameStrategy calls the subjects of a topic <topic>-key
// and <topic>-value (Subject).
//
// A Registry is a state machine: Propose checks a change and says what it would
// be, as an Event that is plain data; Apply makes it so. Whoever owns the registry
// writes the event to a log between the two, and replays the log at start. What a
// schema means, and whether a reader of one can read what a writer of another
// wrote, is the business of the Checker that it is made with (package format).
//
// A Client is the other way to have a registry: it asks an external one over
// Confluent's HTTP protocol, which then decides what is valid and compatible.
// Schemas are kept by id; subjects, whose versions others may add, are not.
package registry
