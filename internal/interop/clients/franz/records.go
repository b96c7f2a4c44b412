package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	codecRecords = 20
	largeBytes   = 10_000_000
	largeLimit   = 12_000_000
	timeBase     = 1_700_000_000_000
)

func (p *program) codecScenario(ctx context.Context) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	acks := []kgo.Opt{kgo.RequiredAcks(kgo.NoAck()), kgo.RequiredAcks(kgo.LeaderAck()), kgo.RequiredAcks(kgo.AllISRAcks())}
	for _, codec := range p.codecs {
		topic := p.topic + "." + codec
		for partition, a := range acks {
			var records []*kgo.Record
			for i := range codecRecords {
				r := p.record(int32(partition), strings.Repeat("x", 500), i)
				r.Topic = topic
				records = append(records, r)
			}
			options := []kgo.Opt{kgo.ProducerBatchCompression(codecs[codec]), a, kgo.MaxProduceRequestsInflightPerBroker(1)}
			if partition < 2 {
				options = append(options, kgo.DisableIdempotentWrite())
			}
			if err := p.produce(ctx, records, options...); err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
		}
		if _, err := p.read(ctx, len(acks)*codecRecords, []string{topic}); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
	}
	return nil
}

func (p *program) partitioner(ctx context.Context) error {
	text, err := os.ReadFile(p.keys)
	if err != nil {
		return err
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	var records []*kgo.Record
	for _, k := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		records = append(records, &kgo.Record{Topic: p.topic, Key: []byte(k), Value: []byte("v")})
	}
	return c.ProduceSync(ctx, records...).FirstErr()
}

func (p *program) values(ctx context.Context) error {
	records := []*kgo.Record{
		{Value: []byte("null key")},
		{Key: []byte{}, Value: []byte("empty key")},
		{Key: []byte("tombstone")},
		{Key: []byte("empty value"), Value: []byte{}},
		{Key: []byte("headers"), Value: []byte("h"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")},
			{Key: "empty", Value: []byte{}}, {Key: "null"}, {Key: "bin", Value: []byte{0, 255}}}},
		{Key: []byte("ü€😀"), Value: []byte("ü€😀")},
	}
	for _, r := range records {
		r.Topic = p.topic
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	got, err := p.read(ctx, len(records), []string{p.topic})
	if err != nil {
		return err
	}
	for i, r := range got {
		same := bytes.Equal(r.Key, records[i].Key) && (r.Key == nil) == (records[i].Key == nil) && bytes.Equal(r.Value, records[i].Value) &&
			(r.Value == nil) == (records[i].Value == nil) && len(r.Headers) == len(records[i].Headers)
		if !same {
			return fmt.Errorf("record %d came back as %q %q %v", i, r.Key, r.Value, r.Headers)
		}
	}
	return nil
}

func (p *program) seekTime(ctx context.Context) error {
	var records []*kgo.Record
	for i := range 10 {
		r := p.record(0, "v", i)
		r.Timestamp = millis(timeBase + int64(i)*1000)
		records = append(records, r)
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	for _, at := range []struct{ millis, offset int64 }{{timeBase - 1, 0}, {timeBase + 4500, 5}, {timeBase + 5000, 5}, {timeBase + 60_000, 10}} {
		offsets, err := a.ListOffsetsAfterMilli(ctx, at.millis, p.topic)
		if err != nil {
			return err
		}
		o, _ := offsets.Lookup(p.topic, 0)
		if err := expect(fmt.Sprint("offset at ", at.millis), o.Offset, at.offset); err != nil {
			return err
		}
	}
	got, err := p.read(ctx, 1, []string{p.topic}, kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(timeBase+4500)))
	if err != nil {
		return err
	}
	return expect("the record at that time", string(got[0].Value), "v5")
}

func (p *program) large(ctx context.Context) error {
	value := bytes.Repeat([]byte("0123456789"), largeBytes/10)
	r := &kgo.Record{Topic: p.topic, Key: []byte("large"), Value: value}
	if err := p.produce(ctx, []*kgo.Record{r}, kgo.ProducerBatchMaxBytes(largeLimit), kgo.ProducerBatchCompression(kgo.NoCompression())); err != nil {
		return err
	}
	got, err := p.read(ctx, 1, []string{p.topic})
	if err != nil {
		return err
	}
	if !bytes.Equal(got[0].Value, value) {
		return errors.New("the value came back changed")
	}
	return nil
}

func (p *program) compacted(ctx context.Context) error {
	c, err := p.client(kgo.ConsumeTopics(p.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 0; ; {
		for _, r := range c.PollFetches(ctx).Records() {
			if n++; r.Offset == p.until-1 {
				return expect("records", n, p.expect)
			}
		}
	}
}

func (p *program) idempotent(ctx context.Context) error {
	c, err := p.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer c.Close()
	for round := range 10 {
		var records []*kgo.Record
		for i := range 10 {
			records = append(records, p.record(0, "v", round*10+i))
		}
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) simple(ctx context.Context) error {
	var records []*kgo.Record
	for i := range 10 {
		records = append(records, p.record(0, "v", i))
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	_, err := p.read(ctx, 10, []string{p.topic})
	return err
}

func (p *program) refused(ctx context.Context) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		return fmt.Errorf("a wrong password gave %v", err)
	}
	return nil
}
