package cli

import (
	"math"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// produceTo writes records to partition 0 of a topic with any Kafka client.
func produceTo(t *testing.T, addr, topic string, records ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestConsumeRaw: what --raw prints is what produce --raw makes the same records of,
// and what a line cannot hold is refused.
func TestConsumeRaw(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	topics := []step{{args: "topic create from"}, {args: "topic create to"}, {args: "topic create values"}}
	runSteps(t, kafka, topics)
	records := []*kgo.Record{
		{Key: []byte("a"), Value: []byte("null")}, {Key: []byte{0xff, 0xfe}, Value: []byte{0, 0xc3, 0x28}}, {Key: nil, Value: []byte("//4=")},
		{Key: []byte("null"), Value: nil}, {Key: []byte{}, Value: []byte{}}, {Key: nil, Value: nil}, {Key: []byte("b"), Value: []byte("x::y\rz")},
	}
	produceTo(t, kafka, "from", records...)
	flags := " --raw --key-separator :: --null NONE"
	code, out, stderr := run(t, "", "consume", "from", "--from-beginning", "--to-end", "--raw", "--key-separator", "::", "--null", "NONE", "--bootstrap", kafka)
	if want := "a::null\n\xff\xfe::\x00\xc3\x28\nNONE:://4=\nnull::NONE\n::\nNONE::NONE\nb::x::y\rz\n"; code != 0 || out != want {
		t.Fatalf("exit code %d, %q, %s, expected %q", code, out, stderr, want)
	}
	runSteps(t, kafka, []step{
		{args: "produce to" + flags, stdin: out},
		{args: "consume to --from-beginning --to-end" + flags, out: out},
		{args: "consume from --from-beginning --to-end --raw --null NONE", out: "null\n\x00\xc3\x28\n//4=\nNONE\n\nNONE\nx::y\rz\n"},
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics("to"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var got []*kgo.Record
	for len(got) < len(records) {
		got = append(got, cl.PollFetches(t.Context()).Records()...)
	}
	for i, want := range records {
		if r := got[i]; string(r.Key) != string(want.Key) || string(r.Value) != string(want.Value) || (r.Key == nil) != (want.Key == nil) || (r.Value == nil) != (want.Value == nil) {
			t.Errorf("record %d is %q %q, expected %q %q", i, r.Key, r.Value, want.Key, want.Value)
		}
	}
	runSteps(t, kafka, []step{
		// The text of before, and what tells null from the text of it.
		{args: "consume from --offset 3 --max 1", out: "null\tnull\n"},
		{args: "consume from --offset 3 --max 1 --null NONE", out: "null\tNONE\n"},
		{args: "consume from --offset 0 --max 1 --output json", has: []string{`"value":"null"`}},
		{args: "consume from --offset 3 --max 1 --output json", has: []string{`"value":null`}},
		{args: "consume from --offset 3 --max 1 --raw", fails: "from-0 at offset 3: its value is null: give --null TEXT"},
		{args: "consume from --offset 5 --max 1 --raw --null x --key-separator b --output text", out: "xbx\n"},
		{args: "consume from --offset 6 --max 1 --raw --key-separator b", fails: `its key holds the --key-separator "b"`},
		{args: "consume from --offset 0 --max 1 --raw --null null", fails: `its value is the text "null", which stands for null`},
		{args: "consume from --raw --output json", fails: "--raw prints bytes as they are"},
		{args: "consume from --raw --decode", fails: "--raw prints bytes as they are"},
		{args: "consume from --key-separator :", fails: "--key-separator is for --raw"},
		{args: "consume from --null x --output json", fails: "--null is for text"},
		{args: "consume from --raw --null a:b --key-separator :", fails: "would not be told from the separator"},
		{args: "consume from --raw --null a: --key-separator ::", fails: "would not be told from the separator"},
	})
	for _, value := range []string{"two\nlines", "end\n", "end\r"} {
		produceTo(t, kafka, "values", &kgo.Record{Value: []byte(value)})
		runSteps(t, kafka, []step{{args: "consume values --offset -1 --max 1 --raw", fails: "it holds a line end"}})
	}
}

// TestConsumeTimestamps: the stored number is printed, also where the client cannot
// count it in nanoseconds.
func TestConsumeTimestamps(t *testing.T) {
	_, addr, _ := startServer(t, t.TempDir())
	stored := []int64{0, 1, 1700000000000, maxDateMs, maxDateMs + 1, 1 << 58, 1700000000000000, 1 << 62, math.MaxInt64}
	runSteps(t, addr, []step{{args: "topic create t"}, {args: "topic create z --config compression.type=zstd"},
		{args: "produce t --timestamp-field ts", stdin: `{"ts":9223372036855}`, fails: "expected ms from 0 to 9223372036854"}})
	for _, topic := range []string{"t", "z"} {
		writeTimestamps(t, addr, topic, stored[:5]...)
		for _, ts := range stored[5:] {
			writeTimestamps(t, addr, topic, ts)
		}
		steps := []step{{args: "consume " + topic + " --from-beginning --to-end --output json"}}
		for offset, ts := range stored {
			steps[0].has = append(steps[0].has, `"offset":`+strconv.Itoa(offset)+`,"timestamp":`+strconv.FormatInt(ts, 10)+`,`)
		}
		steps = append(steps, step{args: "consume " + topic + " --group g --from-beginning --max 9 --output json", has: steps[0].has})
		runSteps(t, addr, steps)
	}
}

// writeTimestamps writes one batch of records with these timestamps to partition 0.
func writeTimestamps(t *testing.T, addr, topic string, stamps ...int64) {
	t.Helper()
	var w kafka.BatchBuilder
	for _, ts := range stamps {
		w.Append(kafka.Timestamp(ts), []byte("k"), []byte("v"), nil)
	}
	w.Finish()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10000
	rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	rt.Topic, rp.Records = topic, w.Bytes()
	rt.Partitions = append(rt.Partitions, rp)
	rt.TopicID = idOf(t, cl, topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Fatalf("produce: error code %d", p.ErrorCode)
	}
}

// idOf returns a topic's id, by which new versions of Produce name it.
func idOf(t *testing.T, cl *kgo.Client, topic string) [16]byte {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].TopicID
}
