package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

const (
	codecRecords = 20
	largeBytes   = 10_000_000
	largeLimit   = 12_000_000
	timeBase     = 1_700_000_000_000
)

func everyCodec() error {
	types := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	for _, codec := range strings.Split(*codecs, ",") {
		for partition, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
			var messages []*sarama.ProducerMessage
			for i := range codecRecords {
				m := message(strings.Repeat("x", 500), i, int32(partition))
				m.Topic = *topic + "." + codec
				messages = append(messages, m)
			}
			err := produce(messages, func(c *sarama.Config) { c.Producer.RequiredAcks, c.Producer.Compression = acks, types[codec] })
			if err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
			if _, err := read(codecRecords, *topic+"."+codec, int32(partition), sarama.OffsetOldest, nil); err != nil {
				return fmt.Errorf("%s: %w", codec, err)
			}
		}
	}
	return nil
}

func partitioner() error {
	text, err := os.ReadFile(*keys)
	if err != nil {
		return err
	}
	var messages []*sarama.ProducerMessage
	for _, k := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		messages = append(messages, &sarama.ProducerMessage{Topic: *topic, Key: sarama.StringEncoder(k), Value: sarama.StringEncoder("v")})
	}
	return produce(messages, func(c *sarama.Config) { c.Producer.Partitioner = sarama.NewMurmur2Partitioner })
}

func values() error {
	messages := []*sarama.ProducerMessage{
		{Value: sarama.StringEncoder("null key")},
		{Key: sarama.ByteEncoder{}, Value: sarama.StringEncoder("empty key")},
		{Key: sarama.StringEncoder("tombstone")},
		{Key: sarama.StringEncoder("empty value"), Value: sarama.ByteEncoder{}},
		{Key: sarama.StringEncoder("headers"), Value: sarama.StringEncoder("h"), Headers: []sarama.RecordHeader{
			{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("empty"), Value: []byte{}},
			{Key: []byte("null")}, {Key: []byte("bin"), Value: []byte{0, 255}}}},
		{Key: sarama.StringEncoder("ü€😀"), Value: sarama.StringEncoder("ü€😀")},
	}
	for _, m := range messages {
		m.Topic = *topic
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	got, err := read(len(messages), *topic, 0, sarama.OffsetOldest, nil)
	if err != nil {
		return err
	}
	return errors.Join(expect("value of the tombstone is nil", got[2].Value == nil, true), expect("headers", len(got[4].Headers), 5))
}

func seekTime() error {
	var messages []*sarama.ProducerMessage
	for i := range 10 {
		m := message("v", i, 0)
		m.Timestamp = time.UnixMilli(timeBase + int64(i)*1000)
		messages = append(messages, m)
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	c, err := config()
	if err != nil {
		return err
	}
	client, err := sarama.NewClient([]string{*bootstrap}, c)
	if err != nil {
		return err
	}
	for _, at := range []struct{ millis, offset int64 }{{timeBase - 1, 0}, {timeBase + 4500, 5}, {timeBase + 5000, 5}, {timeBase + 60_000, -1}} {
		offset, err := client.GetOffset(*topic, 0, at.millis)
		if err != nil {
			return err
		}
		if err := expect(fmt.Sprint("offset at ", at.millis), offset, at.offset); err != nil {
			return err
		}
	}
	return client.Close()
}

func large() error {
	value := bytes.Repeat([]byte("0123456789"), largeBytes/10)
	m := &sarama.ProducerMessage{Topic: *topic, Value: sarama.ByteEncoder(value)}
	if err := produce([]*sarama.ProducerMessage{m}, func(c *sarama.Config) { c.Producer.MaxMessageBytes = largeLimit }); err != nil {
		return err
	}
	got, err := read(1, *topic, 0, sarama.OffsetOldest, nil)
	if err != nil {
		return err
	}
	return expect("the value is the same", bytes.Equal(got[0].Value, value), true)
}

func compacted() error {
	got, err := read(*expected, *topic, 0, sarama.OffsetOldest, nil)
	if err != nil {
		return err
	}
	return expect("offset of the last", got[len(got)-1].Offset, *limit-1)
}

func idempotentConfig(c *sarama.Config) {
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
}

func idempotent() error {
	var messages []*sarama.ProducerMessage
	for i := range 100 {
		messages = append(messages, message("v", i, 0))
	}
	return produce(messages, func(c *sarama.Config) {
		idempotentConfig(c)
		c.Producer.Flush.MaxMessages = 10
	})
}

func simple() error {
	var messages []*sarama.ProducerMessage
	for i := range 10 {
		messages = append(messages, message("v", i, 0))
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	_, err := read(10, *topic, 0, sarama.OffsetOldest, nil)
	return err
}

func refused() error {
	a, err := admin()
	if err == nil {
		return errors.Join(errors.New("a wrong password was accepted"), a.Close())
	}
	if !errors.Is(err, sarama.ErrSASLAuthenticationFailed) && !strings.Contains(err.Error(), "uthentication") {
		return fmt.Errorf("a wrong password gave %w", err)
	}
	return nil
}
