package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// scenario is one thing that clients do.
type scenario struct {
	name, doc string
	// asks is the client's word for it, the name where empty.
	asks          string
	over          string // security protocol, PLAINTEXT where empty
	mechanism     string // of SASL
	wrongPassword bool
	// creates are the topics that the runner makes before.
	creates []topic
	// prepare may add arguments; verify reads what is in the log afterwards.
	prepare func(context.Context, *call) error
	verify  func(context.Context, *call) error
}

// topic is one to be created: its name is the call's, a dot and suffix.
type topic struct {
	suffix     string
	partitions int32
	configs    map[string]string
}

func (sc *scenario) action() string {
	if sc.asks != "" {
		return sc.asks
	}
	return sc.name
}

func (sc *scenario) protocol() string {
	if sc.over != "" {
		return sc.over
	}
	return "PLAINTEXT"
}

// topics returns what is to be created for a call: the codec scenario has one
// topic for each codec that the client knows.
func (sc *scenario) topics(c *call) []topic {
	if sc.name != "codecs" {
		return sc.creates
	}
	var list []topic
	for _, codec := range c.client.codecs {
		list = append(list, topic{suffix: codec, partitions: int32(len(acksByPartition))})
	}
	return list
}

// name returns a topic's full name.
func (c *call) name(suffix string) string {
	if suffix == "" {
		return c.topic
	}
	return c.topic + "." + suffix
}

// create makes a topic of one replica and waits until its partitions answer:
// Kafka's reply to CreateTopics does not wait for that.
func (c *call) create(ctx context.Context, t topic) error {
	configs := map[string]*string{}
	for k, v := range t.configs {
		configs[k] = &v
	}
	if _, err := c.admin.CreateTopic(ctx, t.partitions, 1, configs, c.name(t.suffix)); err != nil {
		return err
	}
	return c.await(ctx, "the topic's partitions", func() error {
		ends, err := c.admin.ListEndOffsets(ctx, c.name(t.suffix))
		if err == nil {
			err = ends.Error()
		}
		if err == nil && len(ends[c.name(t.suffix)]) != int(t.partitions) {
			err = fmt.Errorf("%d of %d partitions", len(ends[c.name(t.suffix)]), t.partitions)
		}
		return err
	})
}

// await asks again until ready succeeds.
func (c *call) await(ctx context.Context, what string, ready func() error) error {
	for {
		err := ready()
		if err == nil {
			return nil
		}
		t := clock.System.NewTimer(visiblePoll)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s: %w, %w", what, ctx.Err(), err)
		case <-t.C:
		}
	}
}

// visiblePoll is how often the runner looks whether what it made is there.
const visiblePoll = 50 * time.Millisecond

// acksByPartition is which acks the records of a partition of a codec's topic
// were sent with.
var acksByPartition = []string{"0", "1", "all"}

const (
	codecRecords       = 20
	partitionerParts   = 7
	largeBytes         = 10_000_000
	manyTopics         = 50
	manyPartitions     = 100
	compactedKeys      = 10
	idempotentRecords  = 100
	groupPartitions    = 4
	largeMessageConfig = "12000000"
)

// one is a topic of one partition with the call's own name.
var one = []topic{{"", 1, nil}}

// scenarios is every scenario, in the order in which they run.
var scenarios = []*scenario{
	{name: "codecs", doc: "every codec at acks 0, 1 and all", prepare: prepareCodecs, verify: verifyCodecs},
	{name: "partitioner", doc: "keys go to the partitions of Java's client", creates: []topic{{"", partitionerParts, nil}}, prepare: prepareKeys, verify: verifyPartitions},
	{name: "values", doc: "headers, nulls, tombstones, empty keys", creates: one, verify: verifyValues},
	{name: "seek-time", doc: "offsets by time", creates: one},
	{name: "large", doc: "a record of 10 MB", creates: []topic{{"", 1, map[string]string{"max.message.bytes": largeMessageConfig}}}, verify: verifyLarge},
	{name: "compacted", doc: "a compacted topic with holes", creates: []topic{{"", 1, compactedConfigs}}, prepare: prepareCompacted},
	{name: "idempotent", doc: "idempotent producer", creates: one, verify: verifyIdempotent},
	{name: "group-eager", doc: "two members join and leave, eager", asks: "group", creates: []topic{{"", groupPartitions, nil}}, prepare: protocolOf("eager"), verify: verifyCommitted},
	{name: "group-cooperative", doc: "the same, cooperative", asks: "group", creates: []topic{{"", groupPartitions, nil}}, prepare: protocolOf("cooperative"), verify: verifyCommitted},
	{name: "group-consumer", doc: "the same, group.protocol=consumer", asks: "group", creates: []topic{{"", groupPartitions, nil}}, prepare: protocolOf("consumer"), verify: verifyCommitted},
	{name: "group-static", doc: "static membership", creates: []topic{{"", groupPartitions, nil}}},
	{name: "txn", doc: "commit, abort, read_committed", creates: one, verify: verifyTransactions},
	{name: "txn-offsets", doc: "consume, transform, produce in transactions", creates: []topic{{"in", 1, nil}, {"out", 1, nil}}},
	{name: "txn-fence", doc: "a zombie is fenced", creates: one},
	{name: "admin-topics", doc: "topics, configurations, partitions, DeleteRecords"},
	{name: "admin-groups", doc: "groups and their offsets", creates: []topic{{"", 2, nil}}},
	{name: "admin-cluster", doc: "cluster, log directories, quorum, features"},
	{name: "admin-txns", doc: "producers and transactions", creates: one},
	{name: "admin-acls", doc: "ACLs"},
	{name: "admin-scram", doc: "SCRAM users"},
	{name: "admin-quotas", doc: "quotas"},
	{name: "many", doc: "5,000 topic-partitions"},
	{name: "sasl-plain", doc: "SASL PLAIN", asks: "simple", over: "SASL_PLAINTEXT", mechanism: "PLAIN", creates: one},
	{name: "sasl-scram-256", doc: "SASL SCRAM-SHA-256", asks: "simple", over: "SASL_PLAINTEXT", mechanism: "SCRAM-SHA-256", creates: one},
	{name: "sasl-scram-512", doc: "SASL SCRAM-SHA-512", asks: "simple", over: "SASL_PLAINTEXT", mechanism: "SCRAM-SHA-512", creates: one},
	{name: "tls", doc: "TLS", asks: "simple", over: "SSL", creates: one},
	{name: "sasl-tls", doc: "SCRAM over TLS", asks: "simple", over: "SASL_SSL", mechanism: "SCRAM-SHA-512", creates: one},
	{name: "login-refused", doc: "a wrong password is told as such", asks: "refused", over: "SASL_PLAINTEXT", mechanism: "SCRAM-SHA-256", wrongPassword: true},
}

func prepareCodecs(_ context.Context, c *call) error {
	c.args = append(c.args, "--codecs", strings.Join(c.client.codecs, ","))
	return nil
}

func prepareKeys(_ context.Context, c *call) error {
	c.args = append(c.args, "--keys", c.file("keys.txt"))
	return nil
}

func protocolOf(name string) func(context.Context, *call) error {
	return func(_ context.Context, c *call) error {
		c.args = append(c.args, "--assignor", name)
		return nil
	}
}

// until tells the client how far it has to read and how many records are there.
func (c *call) until(offset int64, records int) {
	c.args = append(c.args, "--until", strconv.FormatInt(offset, 10), "--expect", strconv.Itoa(records))
}
