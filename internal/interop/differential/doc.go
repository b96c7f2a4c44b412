// Command differential sends the same requests to Apache Kafka and to the server
// and compares the replies field by field.
//
// Both brokers are started by package brokers, with access rules and every
// listener. A script of requests that build on one another, and then requests
// drawn at random from sets of keys that belong together, are sent at the lowest,
// a middle and the highest version of each key that both serve: by a super user,
// by alice, whose rules vary, and by a stranger who has not logged in. A reply is
// flattened into lines
//
//	KEY PATH VALUE
//
// in which what must differ (ids, addresses, times, epochs) is replaced by whether
// it is there. Elements of lists are known by their names, whatever their order.
// What follows from a difference is none of its own: the fields of an element that
// only one side has, and those beside an error code that only one side has. A line
// that differs is either in accepted.txt, with the reason and how it is known, or
// a failure; a line of accepted.txt that met nothing is told, so that the list does
// not grow stale.
//
//	go run ./internal/interop/differential --seed 7 --random 3000
//
// The seed is printed; the same seed sends the same requests.
package main
