package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// warmUp waits until both sides have their internal topics.
func warmUp() []step {
	return []step{
		{name: "warm up", build: findCoordinator(0, "g"), until: found, quiet: true},
		{name: "warm up", build: findCoordinator(1, "t"), until: found, quiet: true},
	}
}

// oneSegment is the segment.ms of topics with transactions: markers have today's
// time, records that of timeBase, and with Kafka's week they would be in different
// segments, at whose ends Kafka's fetches end.
var oneSegment = strconv.FormatInt(math.MaxInt64, 10)

// s makes a step whose reply teaches nothing.
func s(name string, build func(*side) kmsg.Request) step { return step{name: name, build: build} }

// script is the requests that build on one another. Everything that it makes has
// a name that begins with t.
func script(t string) []step {
	var all []step
	for _, part := range []func(string) []step{topicSteps, recordSteps, configSteps, producerSteps, transactionSteps, sequenceSteps, stableSteps, markerSteps, groupSteps, clusterSteps, aclSteps, quotaSteps, scramSteps, loginSteps, endSteps} {
		all = append(all, part(t)...)
	}
	return all
}

// ready waits until a topic's partitions take requests.
func ready(topic string, partitions int32) []step {
	var all []step
	for p := range partitions {
		all = append(all, step{name: "ready", build: listOffsets(topic, p, -1, 0), quiet: true, until: func(resp kmsg.Response) bool {
			return resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode == 0
		}})
	}
	return all
}

func topicSteps(t string) []step {
	long := strings.Repeat("x", 250)
	return []step{
		s("create", create(false, newTopic(t, 2, 1), newTopic(t+"-c", 1, 1, "cleanup.policy", "compact", "retention.ms", "1000"))),
		s("create defaults", create(false, newTopic(t+"-d", -1, -1, "segment.ms", oneSegment))),
		s("create again", create(false, newTopic(t, 2, 1))),
		s("create twice in one", create(false, newTopic(t+"-x", 1, 1), newTopic(t+"-x", 1, 1))),
		s("create bad name", create(false, newTopic("a b", 1, 1))),
		s("create empty name", create(false, newTopic("", 1, 1))),
		s("create dot", create(false, newTopic(".", 1, 1))),
		s("create long name", create(false, newTopic(long, 1, 1))),
		s("create no partitions", create(false, newTopic(t+"-x", 0, 1))),
		s("create negative partitions", create(false, newTopic(t+"-x", -2, 1))),
		s("create no replicas", create(false, newTopic(t+"-x", 1, 0))),
		s("create three replicas", create(true, newTopic(t+"-x", 1, 3))),
		s("create unknown config", create(false, newTopic(t+"-x", 1, 1, "no.such", "1"))),
		s("create bad config", create(false, newTopic(t+"-x", 1, 1, "retention.ms", "soon"))),
		s("create bad policy", create(false, newTopic(t+"-x", 1, 1, "cleanup.policy", "keep"))),
		s("create small segments", create(true, newTopic(t+"-x", 1, 1, "segment.bytes", "2000"))),
		s("create without policy", create(true, newTopic(t+"-x", 1, 1, "cleanup.policy", ""))),
		s("validate", create(true, newTopic(t+"-x", 1, 1))),
		s("create internal", create(false, newTopic("__consumer_offsets", 1, 1))),
		{name: "metadata", build: metadata(false, t, t+"-c", t+"-d"), until: known},
		learnTopics(t, t+"-c", t+"-d"),
		s("metadata of validated", metadata(false, t+"-x")),
		s("metadata of bad name", metadata(false, "a b")),
		s("metadata of empty name", metadata(false, "")),
		{name: "metadata of nothing", build: metadata(false), least: 1},
		s("grow", grow(t+"-d", 3)),
		s("grow less", grow(t+"-d", 2)),
		s("grow same", grow(t+"-d", 3)),
		s("grow unknown", grow(t+"-no", 3)),
		s("grow negative", grow(t+"-d", -1)),
		s("grown", metadata(false, t+"-d")),
		s("describe partitions", describePartitions(2000, "", 0, t, t+"-d", t+"-no")),
		s("describe a page", describePartitions(2, "", 0, t+"-d")),
		s("describe the next page", describePartitions(2, t+"-d", 2, t, t+"-d")),
	}
}

func recordSteps(t string) []step {
	broken := func(at int) func(*side) []byte {
		return func(s *side) []byte {
			b := batch(s, 2, 0, nil)
			b[at] ^= 0x40
			return b
		}
	}
	two := func(s *side) []byte { return append(batch(s, 1, 0, nil), batch(s, 1, 1, nil)...) }
	null := func(*side) []byte { return nil }
	empty := func(*side) []byte { return []byte{} }
	return append(append(ready(t, 2), ready(t+"-c", 1)...), []step{
		s("produce", produce(t, 0, -1, nil, plain(3, 0))),
		s("produce acks 1", produce(t, 0, 1, nil, plain(2, 3))),
		s("produce acks 2", produce(t, 0, 2, nil, plain(2, 3))),
		s("produce unknown topic", produce(t+"-no", 0, -1, nil, plain(1, 0))),
		s("produce unknown partition", produce(t, 9, -1, nil, plain(1, 0))),
		s("produce bad crc", produce(t, 0, -1, nil, broken(70))),
		s("produce bad magic", produce(t, 0, -1, nil, broken(16))),
		s("produce two batches", produce(t, 0, -1, nil, two)),
		s("produce null", produce(t, 0, -1, nil, null)),
		s("produce empty", produce(t, 0, -1, nil, empty)),
		s("produce cut short", produce(t, 0, -1, nil, func(s *side) []byte { return batch(s, 2, 0, nil)[:70] })),
		s("produce transactional id alone", produce(t, 0, -1, kmsg.StringPtr(t+"-alone"), plain(1, 0))),
		s("fetch", fetch(t, 0, 0, 0, 1<<20)),
		s("fetch middle", fetch(t, 0, 4, 0, 1<<20)),
		s("fetch little", fetch(t, 0, 0, 0, 1)),
		s("fetch end", fetch(t, 0, 5, 0, 1<<20)),
		s("fetch behind end", fetch(t, 0, 6, 0, 1<<20)),
		s("fetch negative", fetch(t, 0, -1, 0, 1<<20)),
		s("fetch unknown topic", fetch(t+"-no", 0, 0, 0, 1<<20)),
		s("fetch unknown partition", fetch(t, 9, 0, 0, 1<<20)),
		s("fetch committed", fetch(t, 0, 0, 1, 1<<20)),
		s("list latest", listOffsets(t, 0, -1, 0)),
		s("list earliest", listOffsets(t, 0, -2, 0)),
		s("list max", listOffsets(t, 0, -3, 0)),
		s("list local", listOffsets(t, 0, -4, 0)),
		s("list tiered", listOffsets(t, 0, -5, 0)),
		s("list pending upload", listOffsets(t, 0, -6, 0)),
		s("list bad special", listOffsets(t, 0, -7, 0)),
		s("list at", listOffsets(t, 0, timeBase+1500, 0)),
		s("list before", listOffsets(t, 0, 0, 0)),
		s("list after", listOffsets(t, 0, timeBase+99000, 0)),
		s("list empty partition", listOffsets(t, 1, -3, 0)),
		s("list empty by time", listOffsets(t, 1, timeBase, 0)),
		s("list unknown topic", listOffsets(t+"-no", 0, -1, 0)),
		s("list unknown partition", listOffsets(t, 9, -1, 0)),
		s("delete records", deleteRecords(t, 0, 2)),
		s("delete records lower", deleteRecords(t, 0, 1)),
		s("delete records too high", deleteRecords(t, 0, 99)),
		s("delete records negative", deleteRecords(t, 0, -5)),
		s("delete records unknown", deleteRecords(t+"-no", 0, 1)),
		s("delete records of compacted", deleteRecords(t+"-c", 0, 0)),
		s("fetch deleted", fetch(t, 0, 1, 0, 1<<20)),
		s("fetch kept", fetch(t, 0, 2, 0, 1<<20)),
		s("list earliest after delete", listOffsets(t, 0, -2, 0)),
		s("list at deleted time", listOffsets(t, 0, timeBase, 0)),
		s("produce to compacted", produce(t+"-c", 0, -1, nil, plain(2, 0))),
		s("epoch", epochs(t, 0, 0)),
		s("epoch undefined", undefinedEpoch(t)),
		s("epoch too new", epochs(t, 0, 999)),
		s("epoch with current", epochs(t, 1, 0)),
		s("epoch current too new", epochs(t, 999, 0)),
		s("epoch unknown", epochs(t+"-no", 0, 0)),
	}...)
}

func configSteps(t string) []step {
	topicType := kmsg.ConfigResourceTypeTopic
	return []step{
		s("describe configs", describeConfigs(topicType, t)),
		s("describe one config", describeConfigs(topicType, t+"-c", "cleanup.policy", "retention.ms")),
		s("describe unknown config", describeConfigs(topicType, t, "no.such")),
		s("describe configs of unknown", describeConfigs(topicType, t+"-no")),
		s("describe configs of bad name", describeConfigs(topicType, "a b")),
		s("describe configs of a broker", describeConfigs(kmsg.ConfigResourceTypeBroker, "x")),
		s("alter", alterConfigs(t, edit(0, "max.message.bytes", "2000"), edit(0, "segment.ms", "60000"))),
		s("altered", describeConfigs(topicType, t, "max.message.bytes", "segment.ms")),
		s("alter append", alterConfigs(t, edit(2, "cleanup.policy", "compact"))),
		s("alter append no list", alterConfigs(t, edit(2, "segment.ms", "1"))),
		s("alter subtract", alterConfigs(t, edit(3, "cleanup.policy", "compact"))),
		s("alter delete", alterConfigs(t, edit(1, "segment.ms", ""))),
		s("alter unknown", alterConfigs(t, edit(0, "no.such", "1"))),
		s("alter bad value", alterConfigs(t, edit(0, "segment.ms", "-1"))),
		s("alter twice", alterConfigs(t, edit(0, "segment.ms", "60000"), edit(1, "segment.ms", ""))),
		s("alter bad op", alterConfigs(t, edit(9, "segment.ms", "60000"))),
		s("alter unknown topic", alterConfigs(t+"-no", edit(0, "segment.ms", "60000"))),
		s("altered at last", describeConfigs(topicType, t, "max.message.bytes", "segment.ms", "cleanup.policy")),
		s("produce too large", produce(t, 0, -1, nil, plain(300, 0))),
		s("replace all", replaceConfigs(t, "segment.ms", "120000", false)),
		s("replaced", describeConfigs(topicType, t, "max.message.bytes", "segment.ms")),
	}
}

func producerSteps(t string) []step {
	p := func(sequence int32) producer { return producer{name: t + "-p", sequence: sequence} }
	return []step{
		initProducer(t+"-p", nil, 60000),
		s("idempotent", produce(t, 1, -1, nil, from(p(0), 3, 0))),
		s("idempotent next", produce(t, 1, -1, nil, from(p(3), 2, 3))),
		s("idempotent again", produce(t, 1, -1, nil, from(p(3), 2, 3))),
		s("idempotent first again", produce(t, 1, -1, nil, from(p(0), 3, 0))),
		s("idempotent overlap", produce(t, 1, -1, nil, from(p(4), 2, 3))),
		s("idempotent gap", produce(t, 1, -1, nil, from(p(9), 1, 9))),
		s("idempotent unknown start", produce(t, 0, -1, nil, from(p(7), 1, 9))),
		s("idempotent negative sequence", produce(t, 1, -1, nil, from(p(-1), 1, 9))),
		s("fetch idempotent", fetch(t, 1, 0, 0, 1<<20)),
		s("describe producers", describeProducers(t, 1)),
		s("describe producers of unknown", describeProducers(t+"-no", 1)),
		initProducer("zero timeout", kmsg.StringPtr(t+"-zero"), 0),
		initProducer("long timeout", kmsg.StringPtr(t+"-long"), 1<<30),
		initProducer("empty id", kmsg.StringPtr(""), 60000),
	}
}
