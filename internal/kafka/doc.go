// Package kafka holds the nouns of the Kafka protocol that both sides of the
// log seam share: topic-partition, offset, timestamp, the record batch (magic
// 2) with its encoder and its walker, and the default partitioner.
//
// It is a leaf: it imports nothing of this module. The broker stores and serves
// batch bytes; the executor decodes and encodes them; neither knows the other.
//
// # Record batch, magic 2
//
//	 0        8            12                     16      17     21           23
//	+--------+------------+----------------------+-------+------+------------+
//	| base   | batch      | partition leader     | magic | CRC  | attributes |
//	| offset | length     | epoch                | (2)   | -32C |            |
//	+--------+------------+----------------------+-------+------+------------+
//	 23                27               35              43            51
//	+-----------------+----------------+---------------+-------------+
//	| last offset     | base timestamp | max timestamp | producer ID |
//	| delta           | (ms)           | (ms)          |             |
//	+-----------------+----------------+---------------+-------------+
//	 51                53              57              61
//	+-----------------+---------------+---------------+----------- ...
//	| producer epoch  | base sequence | record count  | records
//	+-----------------+---------------+---------------+----------- ...
//
// All integers are big-endian. The CRC covers everything from the attributes
// to the end, so base offset and leader epoch can be rewritten in place.
// Source: https://kafka.apache.org/documentation/#recordbatch.
package kafka
