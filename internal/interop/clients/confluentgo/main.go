// Command confluentgo drives confluent-kafka-go, which bundles librdkafka, for the
// interop suite; the suite's doc.go has the command line and the exit codes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	exitCannot      = 3
	timeout         = time.Minute
	poll            = 100 * time.Millisecond
	codecRecords    = 20
	largeBytes      = 10_000_000
	largeLimit      = 12_000_000
	groupPartitions = 4
)

var (
	bootstrap = flag.String("bootstrap", "", "broker")
	topic     = flag.String("topic", "", "topic or prefix of topics")
	protocol  = flag.String("protocol", "PLAINTEXT", "security protocol")
	mechanism = flag.String("mechanism", "", "SASL mechanism")
	user      = flag.String("user", "", "user")
	password  = flag.String("password", "", "password")
	ca        = flag.String("ca", "", "PEM file of the authority")
	codecs    = flag.String("codecs", "", "codecs to produce with")
	keys      = flag.String("keys", "", "file of keys")
	assignor  = flag.String("assignor", "", "eager, cooperative or consumer")
	expected  = flag.Int("expect", 0, "how many records there are")
	limit     = flag.Int64("until", 0, "offset to read to")
)

var scenarios = map[string]func() error{
	"codecs": everyCodec, "partitioner": partitioner, "values": values, "large": large, "compacted": compacted, "idempotent": idempotent,
	"group": group, "txn": txn, "txn-offsets": txnOffsets, "txn-fence": txnFence, "simple": simple, "refused": refused,
}

func main() {
	if len(os.Args) < 2 || scenarios[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "has no such scenario")
		os.Exit(exitCannot)
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	if err := scenarios[os.Args[1]](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// config is what the command line says, and more.
func config(more kafka.ConfigMap) *kafka.ConfigMap {
	c := kafka.ConfigMap{"bootstrap.servers": *bootstrap, "security.protocol": *protocol}
	if *ca != "" {
		c["ssl.ca.location"] = *ca
	}
	if *mechanism != "" {
		c["sasl.mechanism"], c["sasl.username"], c["sasl.password"] = *mechanism, *user, *password
	}
	for k, v := range more {
		c[k] = v
	}
	return &c
}

func message(to, prefix string, i, partition int) *kafka.Message {
	return &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &to, Partition: int32(partition)}, Key: []byte("k" + strconv.Itoa(i)),
		Value: []byte(prefix + strconv.Itoa(i))}
}

// send queues messages and waits for their reports.
func send(p *kafka.Producer, messages ...*kafka.Message) error {
	reports := make(chan kafka.Event, len(messages))
	for _, m := range messages {
		if err := p.Produce(m, reports); err != nil {
			return err
		}
	}
	for range messages {
		if m := (<-reports).(*kafka.Message); m.TopicPartition.Error != nil {
			return m.TopicPartition.Error
		}
	}
	return nil
}

func produce(more kafka.ConfigMap, messages ...*kafka.Message) error {
	p, err := kafka.NewProducer(config(more))
	if err != nil {
		return err
	}
	defer p.Close()
	return send(p, messages...)
}

// read returns n messages of a topic's partitions, from the beginning.
func read(n int, from string, partitions int, more kafka.ConfigMap) ([]*kafka.Message, error) {
	all := kafka.ConfigMap{"group.id": "reader-" + *topic, "enable.auto.commit": false}
	for k, v := range more {
		all[k] = v
	}
	c, err := kafka.NewConsumer(config(all))
	if err != nil {
		return nil, err
	}
	var assigned []kafka.TopicPartition
	for p := range partitions {
		assigned = append(assigned, kafka.TopicPartition{Topic: &from, Partition: int32(p), Offset: kafka.OffsetBeginning})
	}
	if err := c.Assign(assigned); err != nil {
		return nil, err
	}
	var got []*kafka.Message
	for len(got) < n {
		switch e := c.Poll(int(poll.Milliseconds())).(type) {
		case *kafka.Message:
			got = append(got, e)
		case kafka.Error:
			return nil, e
		}
	}
	return got, c.Close()
}

func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, expected %v", what, got, want)
	}
	return nil
}

func everyCodec() error {
	for _, codec := range strings.Split(*codecs, ",") {
		to := *topic + "." + codec
		for partition, acks := range []string{"0", "1", "all"} {
			var messages []*kafka.Message
			for i := range codecRecords {
				messages = append(messages, message(to, strings.Repeat("x", 500), i, partition))
			}
			if err := produce(kafka.ConfigMap{"compression.type": codec, "acks": acks, "linger.ms": 50}, messages...); err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
		}
		if _, err := read(3*codecRecords, to, 3, nil); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
	}
	return nil
}

func partitioner() error {
	text, err := os.ReadFile(*keys)
	if err != nil {
		return err
	}
	var messages []*kafka.Message
	for _, k := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		messages = append(messages, &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: topic, Partition: kafka.PartitionAny}, Key: []byte(k), Value: []byte("v")})
	}
	return produce(kafka.ConfigMap{"partitioner": "murmur2_random"}, messages...)
}

func values() error {
	tp := kafka.TopicPartition{Topic: topic, Partition: 0}
	messages := []*kafka.Message{
		{Value: []byte("null key")}, {Key: []byte{}, Value: []byte("empty key")}, {Key: []byte("tombstone")}, {Key: []byte("empty value"), Value: []byte{}},
		{Key: []byte("headers"), Value: []byte("h"), Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")},
			{Key: "empty", Value: []byte{}}, {Key: "null"}, {Key: "bin", Value: []byte{0, 255}}}},
		{Key: []byte("ü€😀"), Value: []byte("ü€😀")},
	}
	for _, m := range messages {
		m.TopicPartition = tp
	}
	if err := produce(nil, messages...); err != nil {
		return err
	}
	got, err := read(len(messages), *topic, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(expect("value of the tombstone is nil", got[2].Value == nil, true), expect("headers", len(got[4].Headers), 5))
}

func large() error {
	value := strings.Repeat("0123456789", largeBytes/10)
	m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: topic, Partition: 0}, Value: []byte(value)}
	if err := produce(kafka.ConfigMap{"message.max.bytes": largeLimit}, m); err != nil {
		return err
	}
	got, err := read(1, *topic, 1, nil)
	if err != nil {
		return err
	}
	return expect("the value is the same", string(got[0].Value) == value, true)
}

func compacted() error {
	got, err := read(*expected, *topic, 1, nil)
	if err != nil {
		return err
	}
	return expect("offset of the last", int64(got[len(got)-1].TopicPartition.Offset), *limit-1)
}

func numbered(n int) []*kafka.Message {
	var messages []*kafka.Message
	for i := range n {
		messages = append(messages, message(*topic, "v", i, 0))
	}
	return messages
}

func idempotent() error {
	return produce(kafka.ConfigMap{"enable.idempotence": true, "batch.num.messages": 10}, numbered(100)...)
}

func simple() error {
	if err := produce(nil, numbered(10)...); err != nil {
		return err
	}
	_, err := read(10, *topic, 1, nil)
	return err
}

func refused() error {
	p, err := kafka.NewProducer(config(nil))
	if err != nil {
		return err
	}
	defer p.Close()
	for e := range p.Events() {
		if ke, ok := e.(kafka.Error); ok && ke.Code() == kafka.ErrAuthentication {
			return nil
		}
	}
	return errors.New("a wrong password was accepted")
}

// member joins the group that the topic names.
func member() (*kafka.Consumer, error) {
	m := kafka.ConfigMap{"group.id": *topic, "auto.offset.reset": "earliest", "enable.auto.commit": false}
	switch *assignor {
	case "consumer":
		m["group.protocol"] = "consumer"
	default:
		m["session.timeout.ms"], m["heartbeat.interval.ms"], m["partition.assignment.strategy"] = 10000, 500, "range"
		if *assignor == "cooperative" {
			m["partition.assignment.strategy"] = "cooperative-sticky"
		}
	}
	c, err := kafka.NewConsumer(config(m))
	if err != nil {
		return nil, err
	}
	return c, c.Subscribe(*topic, nil)
}

func owned(c *kafka.Consumer) int {
	assigned, err := c.Assignment()
	if err != nil {
		return -1
	}
	return len(assigned)
}

func until(done func() bool, seen map[string]bool, members ...*kafka.Consumer) error {
	for !done() {
		for _, c := range members {
			switch e := c.Poll(int(poll.Milliseconds())).(type) {
			case *kafka.Message:
				seen[string(e.Value)] = true
				if _, err := c.CommitMessage(e); err != nil && !rebalances(err) {
					return err
				}
			case kafka.Error:
				return e
			}
		}
	}
	return nil
}

// rebalances says whether a commit failed since the group moves on: the record
// comes again.
func rebalances(err error) bool {
	var ke kafka.Error
	return errors.As(err, &ke) && (ke.Code() == kafka.ErrRebalanceInProgress || ke.Code() == kafka.ErrIllegalGeneration || ke.Code() == kafka.ErrStaleMemberEpoch)
}

func group() error {
	feed := func(first, n int) error {
		var messages []*kafka.Message
		for i := range n {
			messages = append(messages, message(*topic, "v", first+i, i%groupPartitions))
		}
		return produce(nil, messages...)
	}
	seen := map[string]bool{}
	if err := feed(0, 40); err != nil {
		return err
	}
	a, err := member()
	if err != nil {
		return err
	}
	if err := until(func() bool { return owned(a) == groupPartitions && len(seen) == 40 }, seen, a); err != nil {
		return err
	}
	b, err := member()
	if err != nil {
		return err
	}
	if err := until(func() bool { return owned(a) == 2 && owned(b) == 2 }, seen, a, b); err != nil {
		return err
	}
	if err := feed(40, 40); err != nil {
		return err
	}
	if err := until(func() bool { return len(seen) == 80 }, seen, a, b); err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	if err := until(func() bool { return owned(a) == groupPartitions }, seen, a); err != nil {
		return err
	}
	if err := feed(80, 20); err != nil {
		return err
	}
	return errors.Join(until(func() bool { return len(seen) == 100 }, seen, a), a.Close())
}

func transactional() (*kafka.Producer, error) {
	p, err := kafka.NewProducer(config(kafka.ConfigMap{"transactional.id": *topic}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p, p.InitTransactions(ctx)
}

func transact(p *kafka.Producer, prefix string, end func(context.Context) error) error {
	if err := p.BeginTransaction(); err != nil {
		return err
	}
	for i := range 5 {
		if err := send(p, message(*topic, prefix, i, 0)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return end(ctx)
}

func txn() error {
	p, err := transactional()
	if err != nil {
		return err
	}
	defer p.Close()
	err = errors.Join(transact(p, "c", p.CommitTransaction), transact(p, "a", p.AbortTransaction), transact(p, "d", p.CommitTransaction))
	if err != nil {
		return err
	}
	if _, err := read(10, *topic, 1, kafka.ConfigMap{"isolation.level": "read_committed"}); err != nil {
		return err
	}
	_, err = read(15, *topic, 1, kafka.ConfigMap{"isolation.level": "read_uncommitted"})
	return err
}

func txnOffsets() error {
	in, out := *topic+".in", *topic+".out"
	var messages []*kafka.Message
	for i := range 10 {
		messages = append(messages, message(in, "v", i, 0))
	}
	if err := produce(nil, messages...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, commit := range []bool{false, true} {
		got, err := read(10, in, 1, nil)
		if err != nil {
			return err
		}
		p, err := transactional()
		if err != nil {
			return err
		}
		if err := p.BeginTransaction(); err != nil {
			return err
		}
		for _, m := range got {
			if err := send(p, message(out, string(m.Value), 0, 0)); err != nil {
				return err
			}
		}
		metadata, err := kafka.NewTestConsumerGroupMetadata(*topic)
		if err != nil {
			return err
		}
		if err := p.SendOffsetsToTransaction(ctx, []kafka.TopicPartition{{Topic: &in, Partition: 0, Offset: 10}}, metadata); err != nil {
			return err
		}
		end := p.AbortTransaction
		if commit {
			end = p.CommitTransaction
		}
		if err := end(ctx); err != nil {
			return err
		}
		p.Close()
	}
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{"group.id": *topic}))
	if err != nil {
		return err
	}
	at, err := c.Committed([]kafka.TopicPartition{{Topic: &in, Partition: 0}}, int(timeout.Milliseconds()))
	if err != nil {
		return err
	}
	_, err = read(10, out, 1, kafka.ConfigMap{"isolation.level": "read_committed"})
	return errors.Join(err, expect("committed offset", at[0].Offset, 10), c.Close())
}

func txnFence() error {
	zombie, err := transactional()
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := zombie.BeginTransaction(); err != nil {
		return err
	}
	if err := send(zombie, message(*topic, "zombie", 0, 0)); err != nil {
		return err
	}
	p, err := transactional()
	if err != nil {
		return err
	}
	defer p.Close()
	if err := transact(p, "new", p.CommitTransaction); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err = send(zombie, message(*topic, "zombie", 1, 0)); err == nil {
		err = zombie.CommitTransaction(ctx)
	}
	var ke kafka.Error
	if !errors.As(err, &ke) || ke.Code() != kafka.ErrFenced && ke.Code() != kafka.ErrInvalidProducerEpoch {
		return fmt.Errorf("the zombie was told %w", err)
	}
	got, err := read(5, *topic, 1, kafka.ConfigMap{"isolation.level": "read_committed"})
	if err != nil {
		return err
	}
	return expect("the first committed", string(got[0].Value), "new0")
}
