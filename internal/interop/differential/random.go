package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// set is keys that have to do with one another and are drawn together.
type set struct {
	name string
	draw func(*dice) []step
	// finish ends what the next set would see.
	finish func(*dice) []step
}

// sets is every set, in the order in which they are drawn from. What is not drawn,
// and why; the script sends most of it once, where its answer is known:
//
//   - A second member of a classic group: its JoinGroup waits for the first, whom
//     nobody answers for. What members of KIP-848 are assigned is not compared,
//     since Kafka assigns in the background.
//   - Requests while a transaction is being ended: in Kafka markers are written
//     after the answer, here with it. Both sides are waited for.
//   - Time-outs of transactions, sessions and offsets, retention and compaction:
//     each broker looks at them in intervals of its own.
//   - Configurations that change what a fetch returns, and topics called like
//     Kafka's internal ones.
//   - Requests of two connections at once: their order is not the same on both
//     sides.
//   - Frames that are no request, and sizes near the limits: fuzz tests of package
//     broker send them.
var sets = []set{
	{"records", (*dice).records, nil}, {"groups", (*dice).groups, nil}, {"members", (*dice).members, nil},
	{"transactions", (*dice).transactions, (*dice).endTransactions}, {"topics", (*dice).topics, nil}, {"security", (*dice).security, (*dice).dropRules},
	{"cluster", (*dice).cluster, nil},
}

// checkSets refuses the name of a set that is not there, of which nothing would be
// drawn and nothing differ.
func checkSets(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(sets, func(s set) bool { return s.name == name }) {
			var known []string
			for _, s := range sets {
				known = append(known, s.name)
			}
			return fmt.Errorf("no set is called %s; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

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
		// Markers have today's time, records that of timeBase: one segment for both.
		topics = append(topics, newTopic(names[i], randomPartitions, 1, "segment.ms", oneSegment))
	}
	all := []step{s("random create", create(false, topics...)), learnTopics(names...), initProducer(d.topic, nil, 60000)}
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

// one says yes once in n.
func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }

// only makes a list of one step.
func only(name string, build func(*side) kmsg.Request) []step { return []step{s(name, build)} }

// records draws requests about records and their offsets.
func (d *dice) records() []step {
	topic, partition := d.name(), d.partition()
	switch d.IntN(12) {
	case 0, 1:
		n, first := 1+d.IntN(4), d.IntN(100)
		return only(fmt.Sprintf("random produce to %s-%d, %d from %d", topic, partition, n, first), produce(topic, partition, pick[int16](d, -1, -1, 1), nil, plain(n, first)))
	case 2:
		p := producer{name: d.topic, sequence: int32(d.IntN(randomSequences))}
		return only("random idempotent produce", produce(topic, partition, -1, nil, from(p, 1+d.IntN(2), d.IntN(100))))
	case 3:
		return d.broken(topic, partition)
	case 4, 5:
		return only("random fetch", fetch(topic, partition, d.offset(), int8(d.IntN(2)), pick[int32](d, 1, 200, 1<<20)))
	case 6, 7:
		at, isolation := pick[int64](d, -1, -2, -3, -4, timeBase+d.Int64N(110_000)), int8(d.IntN(2))
		return only(fmt.Sprint("random list of ", topic, "-", partition, " at ", at), listOffsets(topic, partition, at, isolation))
	case 8:
		return only("random epoch", epochs(topic, int32(d.IntN(3)), int32(d.IntN(2))))
	case 9:
		return only("random producers", describeProducers(topic, partition))
	case 10:
		return only("random metadata", metadata(false, fmt.Sprint(d.topic, "-", d.IntN(randomTopics))))
	default:
		return d.deleted(topic, partition)
	}
}

func (d *dice) deleted(topic string, partition int32) []step {
	to := d.offset()
	return only(fmt.Sprint("random delete records of ", topic, "-", partition, " to ", to), deleteRecords(topic, partition, to))
}

// offset draws one that is often near the end of a short log.
func (d *dice) offset() int64 { return pick(d, d.Int64N(20), d.Int64N(200), -1, -2, 1<<40) }

// broken draws a batch in which one bit is wrong.
func (d *dice) broken(topic string, partition int32) []step {
	n, at, bit := 1+d.IntN(3), d.IntN(80), byte(1)<<d.IntN(8)
	return only(fmt.Sprintf("random broken batch, byte %d bit %d", at, bit), produce(topic, partition, -1, nil, func(s *side) []byte {
		b := batch(s, n, 0, nil)
		b[at%len(b)] ^= bit
		return b
	}))
}

// topics draws requests about topics and their configurations.
func (d *dice) topics() []step {
	topic := d.name()
	switch d.IntN(10) {
	case 0, 1:
		return only("random alter", alterConfigs(topic, d.edit()))
	case 2:
		return only("random alter of two", alterConfigs(topic, d.edit(), d.edit()))
	case 3:
		return only("random configs", describeConfigs(kmsg.ConfigResourceTypeTopic, topic))
	case 4:
		return only("random replace", replaceConfigs(topic, d.config(), d.value(), d.one(2)))
	case 5:
		limit, cursor, at, other := int32(d.IntN(6)), pick(d, "", "", topic, d.name()), d.partition(), fmt.Sprint(d.topic, "-", 1+d.IntN(randomTopics))
		return only(fmt.Sprintf("random %d partitions from %s-%d of %s", limit, cursor, at, other), describePartitions(limit, cursor, at, d.topic+"-0", other))
	case 6:
		return only("random grow", grow(d.topic+"-"+fmt.Sprint(d.skewed(randomTopics)), int32(d.IntN(6)-1)))
	case 7:
		return d.life()
	default:
		replicas, name, value := pick[int16](d, -1, 1, 1, 0), d.config(), d.value()
		return only(fmt.Sprintf("random validate of %s %s", name, value), create(true, newTopic(fmt.Sprint(d.topic, "-x", d.IntN(5)), int32(d.IntN(4)-1), replicas, name, value)))
	}
}

// life makes a topic and deletes it again, sometimes one of them only.
func (d *dice) life() []step {
	name := fmt.Sprint(d.topic, "-y", d.IntN(3))
	all := only("random create", create(false, newTopic(name, int32(1+d.IntN(3)), 1, d.config(), d.value())))
	// Old versions of Metadata make a topic that is not there, Kafka after its reply:
	// what is made or deleted next may then be there on one side only.
	look := func(name, topic string) step { return step{name: name, build: metadata(false, topic), newest: true} }
	if d.one(2) {
		all = append(all, look("random look", name))
	}
	if d.one(2) {
		return all
	}
	return append(all, s("random delete", deleteTopics(name)), look("random look at the deleted", name))
}

// config and value draw a configuration that does not change what records get.
func (d *dice) config() string {
	return pick(d, "segment.ms", "max.message.bytes", "no.such", "delete.retention.ms", "cleanup.policy", "min.cleanable.dirty.ratio",
		"preallocate", "flush.ms", "index.interval.bytes", "min.compaction.lag.ms", "message.timestamp.type", "compression.type",
		"unclean.leader.election.enable", "max.compaction.lag.ms", "message.timestamp.before.max.ms", "segment.jitter.ms", "file.delete.delay.ms")
}

func (d *dice) value() string {
	return pick(d, "2000000", "1000000", "-2", "-1", "0", "1", "x", "", "0.5", "true", "TRUE", "false", "delete", "compact", "compact,delete", "delete, compact",
		"compact,compact", "LogAppendTime", "CreateTime", "producer", "zstd", "gzip", " 1000000 ", "1e6", "9223372036854775807", "2147483648", "100MB", "1.5")
}

func (d *dice) edit() kmsg.IncrementalAlterConfigsRequestResourceConfig {
	return edit(int8(d.IntN(4)), d.config(), d.value())
}

// cluster draws requests about the one node and what is on it.
func (d *dice) cluster() []step {
	topic, partition := d.name(), d.partition()
	switch d.IntN(9) {
	case 0:
		return only("random reassign", reassign(topic, partition, pick(d, nil, []int32{1}, []int32{}, []int32{1, 1}, []int32{9}, []int32{-1})))
	case 1:
		return only("random reassignments", reassignments(topic))
	case 2:
		return only("random elect", elect(int8(d.IntN(2)), topic))
	case 3:
		return only("random move", move("/no/such", topic, partition))
	case 4:
		return only("random log directories", logDirs(topic))
	case 5:
		return []step{{name: "random feature", least: 1, build: updateFeature(pick(d, "group.version", "transaction.version", "no.such", ""), int16(d.IntN(5)-1), int8(d.IntN(5)))}}
	case 6:
		return only("random versions", versions(pick(d, "a", "-a", "a-", "a b", "a.b", "", "A_b", "ä"), pick(d, "1", "", "1.0-x", "-", "1+2")))
	case 7:
		return only("random config resources", listResources(pick(d, nil, []int8{2}, []int8{32}, []int8{2, 32}, []int8{99}, []int8{16})))
	default:
		return only("random coordinator", findCoordinator(int8(d.IntN(5)-1), pick(d, "a", "", d.topic)))
	}
}
