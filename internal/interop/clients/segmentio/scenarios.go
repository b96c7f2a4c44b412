package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	codecRecords    = 20
	largeBytes      = 10_000_000
	timeBase        = 1_700_000_000_000
	groupPartitions = 4
	pollPause       = 50 * time.Millisecond
)

func everyCodec(ctx context.Context) error {
	types := map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}
	for _, codec := range strings.Split(*codecs, ",") {
		to := *topic + "." + codec
		for partition, acks := range []kafka.RequiredAcks{kafka.RequireNone, kafka.RequireOne, kafka.RequireAll} {
			var messages []kafka.Message
			for i := range codecRecords {
				messages = append(messages, message(strings.Repeat("x", 500), i, partition))
			}
			err := produce(ctx, to, messages, func(w *kafka.Writer) { w.Compression, w.RequiredAcks = types[codec], acks })
			if err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
			if _, err := read(ctx, codecRecords, to, partition); err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
		}
	}
	return nil
}

func partitioner(ctx context.Context) error {
	text, err := os.ReadFile(*keys)
	if err != nil {
		return err
	}
	var messages []kafka.Message
	for _, k := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		messages = append(messages, kafka.Message{Key: []byte(k), Value: []byte("v")})
	}
	return produce(ctx, *topic, messages, func(w *kafka.Writer) { w.Balancer = kafka.Murmur2Balancer{} })
}

func values(ctx context.Context) error {
	messages := []kafka.Message{
		{Value: []byte("null key")}, {Key: []byte{}, Value: []byte("empty key")}, {Key: []byte("tombstone")}, {Key: []byte("empty value"), Value: []byte{}},
		{Key: []byte("headers"), Value: []byte("h"), Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")},
			{Key: "empty", Value: []byte{}}, {Key: "null"}, {Key: "bin", Value: []byte{0, 255}}}},
		{Key: []byte("ü€😀"), Value: []byte("ü€😀")},
	}
	for i := range messages {
		messages[i].WriterData = 0
	}
	if err := produce(ctx, *topic, messages, nil); err != nil {
		return err
	}
	got, err := read(ctx, len(messages), *topic, 0)
	if err != nil {
		return err
	}
	return errors.Join(expect("headers", len(got[4].Headers), 5), expect("last", string(got[5].Value), "ü€😀"))
}

func seekTime(ctx context.Context) error {
	var messages []kafka.Message
	for i := range 10 {
		m := message("v", i, 0)
		m.Time = time.UnixMilli(timeBase + int64(i)*1000)
		messages = append(messages, m)
	}
	if err := produce(ctx, *topic, messages, nil); err != nil {
		return err
	}
	r, err := reader(*topic, 0, "")
	if err != nil {
		return err
	}
	for _, at := range []struct{ millis, offset int64 }{{timeBase - 1, 0}, {timeBase + 4500, 5}, {timeBase + 5000, 5}} {
		if err := r.SetOffsetAt(ctx, time.UnixMilli(at.millis)); err != nil {
			return err
		}
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return err
		}
		if err := expect(fmt.Sprint("offset at ", at.millis), m.Offset, at.offset); err != nil {
			return err
		}
	}
	return r.Close()
}

func large(ctx context.Context) error {
	value := bytes.Repeat([]byte("0123456789"), largeBytes/10)
	err := produce(ctx, *topic, []kafka.Message{{Value: value, WriterData: 0}}, func(w *kafka.Writer) { w.BatchBytes = 2 * largeBytes })
	if err != nil {
		return err
	}
	got, err := read(ctx, 1, *topic, 0)
	if err != nil {
		return err
	}
	return expect("the value is the same", bytes.Equal(got[0].Value, value), true)
}

func compacted(ctx context.Context) error {
	got, err := read(ctx, *expected, *topic, 0)
	if err != nil {
		return err
	}
	return expect("offset of the last", got[len(got)-1].Offset, *limit-1)
}

func simple(ctx context.Context) error {
	var messages []kafka.Message
	for i := range 10 {
		messages = append(messages, message("v", i, 0))
	}
	if err := produce(ctx, *topic, messages, nil); err != nil {
		return err
	}
	_, err := read(ctx, 10, *topic, 0)
	return err
}

func refused(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	_, err = c.Metadata(ctx, &kafka.MetadataRequest{})
	if !errors.Is(err, kafka.SASLAuthenticationFailed) {
		return fmt.Errorf("a wrong password gave %w", err)
	}
	return nil
}

// group has no way to ask a reader for its partitions: both must get records.
func group(ctx context.Context) error {
	var mu sync.Mutex
	seen := map[string]bool{}
	by := map[string]int{}
	start := func(name string) (*kafka.Reader, error) {
		r, err := reader(*topic, 0, *topic)
		if err != nil {
			return nil, err
		}
		go func() { // ended by Close
			for {
				m, err := r.ReadMessage(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				seen[string(m.Value)] = true
				by[name]++
				mu.Unlock()
			}
		}()
		return r, nil
	}
	feed := func(first, n int) error {
		var messages []kafka.Message
		for i := range n {
			messages = append(messages, message("v", first+i, i%groupPartitions))
		}
		return produce(ctx, *topic, messages, nil)
	}
	until := func(done func() bool) {
		for {
			mu.Lock()
			ok := done()
			mu.Unlock()
			if ok {
				return
			}
			time.Sleep(pollPause)
		}
	}
	if err := feed(0, 40); err != nil {
		return err
	}
	a, err := start("a")
	if err != nil {
		return err
	}
	until(func() bool { return len(seen) == 40 })
	b, err := start("b")
	if err != nil {
		return err
	}
	next := 40
	for n := 0; n == 0; next += 40 {
		if err := feed(next, 40); err != nil {
			return err
		}
		until(func() bool { n = by["b"]; return len(seen) == next+40 })
	}
	if err := b.Close(); err != nil {
		return err
	}
	if err := feed(next, 20); err != nil {
		return err
	}
	until(func() bool { return len(seen) == next+20 })
	return a.Close()
}
