// Command differential sends the same requests to Apache Kafka and to the server
// and compares the replies field by field.
//
// Both brokers are started here, on free ports and in a temporary folder: ours
// from the sources, Kafka from Maven Central (pom.xml has the version). A script
// of requests that build on one another, and then requests drawn at random, are
// sent at the lowest, a middle and the highest version of each key that both
// serve. A reply is flattened into lines
//
//	KEY PATH VALUE
//
// in which what must differ (ids, addresses, times) is replaced by whether it is
// there. Lists of named things are compared whatever their order. A line that
// differs is either in accepted.txt, with the reason, or a failure; a line of
// accepted.txt that met nothing is told, so that the list does not grow stale.
//
//	go run ./internal/interop/differential --seed 7 --random 3000
//
// The seed is printed; the same seed sends the same requests.
package main
