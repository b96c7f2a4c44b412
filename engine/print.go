package engine

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/sql"
)

// print answers PRINT: the records of a topic as text lines, as they come.
func (s *Session) print(ctx context.Context, st statement, stmt *sql.Print) (Result, error) {
	e := s.engine
	t, ok := e.cluster.Topic(stmt.Topic.Name)
	if !ok {
		var names []string
		for _, t := range e.cluster.Topics() {
			names = append(names, t.Name)
		}
		hint := sql.DidYouMean(stmt.Topic.Name, names)
		if hint == "" {
			hint = "topic names are case-sensitive; SHOW TOPICS lists them"
		}
		return nil, st.fail(sql.CodeUnknownTopic, stmt.Topic.Span, hint, "Could not find topic '%s', or the KSQL user does not have permissions to list the topic", stmt.Topic.Name)
	}
	payloads := newPayloadPrinter(t.Name, e.registry())
	payloads.declare(e.Catalog())
	p := &printer{payloads: payloads, wake: make(chan struct{}, 1), interval: max(stmt.Interval, 1), left: stmt.Limit}
	for i := range t.Partitions {
		tp := kafka.TopicPartition{Topic: t.Name, Partition: i}
		first, stable, err := e.cluster.Bounds(ctx, tp)
		if err != nil {
			p.close()
			return nil, err
		}
		from := stable
		if stmt.FromBeginning {
			from = first
		}
		r, err := e.cluster.OpenReader(tp, from, p.notify)
		if err != nil {
			p.close()
			return nil, err
		}
		p.readers = append(p.readers, partitionReader{tp: tp, reader: r, from: from})
	}
	return &Lines{lines: p}, nil
}

// Next returns the lines that are ready, at least one; it waits for them, and
// ends with io.EOF at the LIMIT.
func (l *Lines) Next(ctx context.Context) ([]string, error) { return l.lines.next(ctx) }

// Close ends the statement. It is idempotent.
func (l *Lines) Close() { l.lines.close() }

// printer reads the partitions of a topic in turn.
type printer struct {
	readers  []partitionReader
	payloads *payloadPrinter
	wake     chan struct{}
	interval int // every n-th record
	seen     int
	left     int // records until the limit, -1 for none
	closed   bool
}

type partitionReader struct {
	tp     kafka.TopicPartition
	reader executor.Reader
	from   kafka.Offset
}

func (p *printer) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *printer) close() {
	if !p.closed {
		p.closed = true
		for _, r := range p.readers {
			r.reader.Close()
		}
	}
}

func (p *printer) next(ctx context.Context) ([]string, error) {
	for {
		if p.left == 0 {
			return nil, io.EOF
		}
		var lines []string
		for i := range p.readers {
			more, err := p.poll(&p.readers[i])
			if err != nil {
				return nil, err
			}
			lines = append(lines, more...)
		}
		if len(lines) > 0 {
			return lines, nil
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *printer) poll(r *partitionReader) ([]string, error) {
	chunk, err := r.reader.Poll(pollBytes)
	if err != nil {
		return nil, err
	}
	if chunk.Release != nil {
		defer chunk.Release()
	}
	var lines []string
	err = chunkRecords(chunk, r.from, chunk.Next, func(rec *kafka.Record) error {
		p.seen++
		if p.left == 0 || (p.seen-1)%p.interval != 0 {
			return nil
		}
		if p.left > 0 {
			p.left--
		}
		lines = append(lines, p.record(r.tp, rec)...)
		return nil
	})
	r.from = chunk.Next
	return lines, err
}

// record renders one record, after lines that name its formats where they are new.
func (p *printer) record(tp kafka.TopicPartition, r *kafka.Record) []string {
	key, lines := p.payloads.render(true, r.Key)
	value, more := p.payloads.render(false, r.Value)
	t := time.UnixMilli(int64(r.Timestamp)).UTC().Format("2006/01/02 15:04:05.000 Z")
	return append(append(lines, more...), fmt.Sprintf("rowtime: %s, key: %s, value: %s, partition: %d", t, key, value, tp.Partition))
}

// windowSuffixBytes is the window start behind the key of a time-windowed record.
const windowSuffixBytes = 8

// PrintPayload renders a key or value of unknown format: JSON or text as it
// stands, a text key with a window behind it as [key@start], 4 and 8 bytes that
// are no text as a big-endian integer, everything else as base64.
func PrintPayload(b []byte) string {
	switch {
	case b == nil:
		return "<null>"
	case printable(b):
		return string(b)
	case len(b) == 4:
		return fmt.Sprint(int32(binary.BigEndian.Uint32(b)))
	case len(b) == 8:
		return fmt.Sprint(int64(binary.BigEndian.Uint64(b)))
	}
	if n := len(b) - windowSuffixBytes; n > 0 && printable(b[:n]) {
		return fmt.Sprintf("[%s@%d]", b[:n], int64(binary.BigEndian.Uint64(b[n:])))
	}
	if n := len(b) - 2*windowSuffixBytes; n > 0 && printable(b[:n]) {
		end, start := binary.BigEndian.Uint64(b[n:]), binary.BigEndian.Uint64(b[n+windowSuffixBytes:])
		return fmt.Sprintf("[%s@%d/%d]", b[:n], int64(start), int64(end))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// printable reports whether b is JSON or text without control characters.
func printable(b []byte) bool {
	if json.Valid(b) {
		return true
	}
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }) < 0
}
