// Command broker compares the broker with Apache Kafka: the same client, the same
// machine, the same run. It starts each server as a process of its own, loads it
// over loopback with franz-go, and reports records per second, records per second
// of the server's CPU time, and latency of acknowledged produces (acks=all).
//
//	go run ./bench/broker --kafka-libs DIR      DIR holds Apache Kafka's jars
//
// Servers are compared in one run, by medians over rounds that visit all of them
// in turn, since machines are noisy. CPU time is read from /proc: Linux only.
//
// The settings side by side:
//
//	millrace            acknowledged after fsync (the default)
//	millrace-memory     the same on a file system in memory, where fsync is free
//	kafka               Apache Kafka as it comes: from the page cache
//	kafka-flush         Apache Kafka with flush.messages=1
package main
