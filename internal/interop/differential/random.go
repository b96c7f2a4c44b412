package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// dice draws requests. Both sides see the same ones, so that their logs, groups
// and configurations stay the same.
type dice struct {
	*rand.Rand
	topic string
}

func newDice(seed uint64, topic string) *dice {
	return &dice{rand.New(rand.NewPCG(seed, seed)), topic}
}

const (
	randomTopics     = 3
	randomPartitions = 2
	randomGroups     = 4
	randomSequences  = 6
)

// setUp makes the topics and producers that random requests are about.
func (d *dice) setUp() []step {
	var topics []kmsg.CreateTopicsRequestTopic
	var names []string
	for i := range randomTopics {
		names = append(names, fmt.Sprint(d.topic, "-", i))
		topics = append(topics, newTopic(names[i], randomPartitions, 1))
	}
	all := []step{
		s("random create", create(false, topics...)),
		{name: "random metadata", build: metadata(false, names...), learn: learnIDs, until: known},
		initProducer(d.topic, nil, 60000),
	}
	for _, name := range names {
		all = append(all, ready(name, randomPartitions)...)
	}
	return all
}

// name draws a topic, seldom one that is not there.
func (d *dice) name() string { return fmt.Sprint(d.topic, "-", d.skewed(randomTopics)) }

// partition draws a partition, seldom one that is not there.
func (d *dice) partition() int32 { return int32(d.skewed(randomPartitions)) }

func (d *dice) group() string { return fmt.Sprint(d.topic, "-g", d.IntN(randomGroups)) }

// skewed draws below n, once in twelve n itself.
func (d *dice) skewed(n int) int {
	if d.IntN(12) == 0 {
		return n
	}
	return d.IntN(n)
}

func pick[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }

// step draws a request.
func (d *dice) step() step {
	topic, partition, group := d.name(), d.partition(), d.group()
	switch d.IntN(16) {
	case 0, 1:
		return s("random produce", produce(topic, partition, pick[int16](d, -1, -1, 1), nil, plain(1+d.IntN(4), d.IntN(100))))
	case 2:
		p := producer{name: d.topic, sequence: int32(d.IntN(randomSequences))}
		return s("random idempotent produce", produce(topic, partition, -1, nil, from(p, 1+d.IntN(2), d.IntN(100))))
	case 3:
		return d.broken(topic, partition)
	case 4, 5:
		return s("random fetch", fetch(topic, partition, d.offset(), int8(d.IntN(2)), pick[int32](d, 1, 200, 1<<20)))
	case 6:
		return s("random list", listOffsets(topic, partition, pick[int64](d, -1, -2, -3, -4, timeBase+d.Int64N(110_000)), int8(d.IntN(2))))
	case 7, 8:
		return s("random commit", offsetCommit(group, "", noGeneration, topic, partition, d.Int64N(50)))
	case 9, 10:
		return s("random offset fetch", offsetFetch(group, d.IntN(3) == 0, topic))
	case 11:
		return s("random metadata", metadata(false, topic, d.name()))
	case 12:
		return s("random alter", alterConfigs(topic, d.edit()))
	case 13:
		return s("random configs", describeConfigs(kmsg.ConfigResourceTypeTopic, topic, pick(d, "segment.ms", "max.message.bytes", "message.timestamp.type", "no.such")))
	case 14:
		return s("random delete records", deleteRecords(topic, partition, d.offset()))
	default:
		return s("random validate", create(true, newTopic(fmt.Sprint(d.topic, "-x", d.IntN(5)), int32(d.IntN(4)-1), pick[int16](d, -1, 1, 1, 0),
			pick(d, "segment.ms", "cleanup.policy", "retention.bytes", "no.such"), pick(d, "1", "compact", "delete,compact", "-1", "x", ""))))
	}
}

// offset draws one that is often near the end of a short log.
func (d *dice) offset() int64 { return pick(d, d.Int64N(20), d.Int64N(200), -1, -2, 1<<40) }

// edit draws a change of a configuration that does not change what records get.
func (d *dice) edit() kmsg.IncrementalAlterConfigsRequestResourceConfig {
	name := pick(d, "segment.ms", "max.message.bytes", "retention.bytes", "no.such", "delete.retention.ms")
	return edit(int8(d.IntN(4)), name, pick(d, "2000000", "1000000", "-2", "x", ""))
}

// broken draws a batch in which one byte is wrong.
func (d *dice) broken(topic string, partition int32) step {
	n, at, bit := 1+d.IntN(3), d.IntN(80), byte(1)<<d.IntN(8)
	return s(fmt.Sprint("random broken batch, byte ", at, " bit ", bit), produce(topic, partition, -1, nil, func(s *side) []byte {
		b := batch(s, n, 0, nil)
		b[at%len(b)] ^= bit
		return b
	}))
}
