// Command confluentgo drives confluent-kafka-go, which bundles librdkafka, for the
// interop suite; the suite's doc.go has the command line and the exit codes.
package main

import (
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
	exitCannot   = 3
	timeout      = time.Minute
	poll         = 100 * time.Millisecond
	codecRecords = 20
	largeBytes   = 10_000_000
	largeLimit   = 12_000_000
	timeBase     = 1_700_000_000_000
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
	"seek-time": seekTime, "group": group, "group-static": groupStatic, "txn": txn, "txn-offsets": txnOffsets, "txn-fence": txnFence,
	"admin-topics": adminTopics, "admin-groups": adminGroups, "admin-cluster": adminCluster, "admin-acls": adminACLs, "admin-scram": adminSCRAM,
	"many": many, "simple": simple, "refused": refused,
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

func seekTime() error {
	messages := numbered(10)
	for i, m := range messages {
		m.Timestamp = time.UnixMilli(timeBase + int64(i)*1000)
	}
	if err := produce(nil, messages...); err != nil {
		return err
	}
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{"group.id": *topic}))
	if err != nil {
		return err
	}
	for _, at := range []struct {
		millis int64
		want   kafka.Offset
	}{{timeBase - 1, 0}, {timeBase + 4500, 5}, {timeBase + 5000, 5}, {timeBase + 60000, kafka.OffsetEnd}} {
		found, err := c.OffsetsForTimes([]kafka.TopicPartition{{Topic: topic, Offset: kafka.Offset(at.millis)}}, int(timeout.Milliseconds()))
		if err != nil {
			return err
		}
		if err := expect(fmt.Sprint("offset at ", at.millis), found[0].Offset, at.want); err != nil {
			return err
		}
	}
	return c.Close()
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
