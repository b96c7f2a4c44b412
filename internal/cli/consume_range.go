package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/internal/clock"
)

// consumeEnds is, for each partition, the offset at which reading ends. What is
// reached is taken out.
type consumeEnds map[int32]int64

// pass notes that an offset has come and reports whether it lies behind the end.
func (e consumeEnds) pass(partition int32, offset int64) (behind bool) {
	end, ok := e[partition]
	if !ok {
		return e != nil
	}
	if offset >= end-1 {
		delete(e, partition)
	}
	return offset >= end
}

// consumed is the range of offsets that a command reads: where it starts in each
// partition, and with --to-end where it ends.
type consumed struct {
	starts map[int32]int64
	ends   consumeEnds // nil without --to-end
}

// consumeRange returns where reading starts in each partition, and with --to-end
// where it ends: at the last stable offset, or the high watermark.
func consumeRange(ctx context.Context, topic string, o consumeOptions) (consumed, error) {
	r := consumed{starts: map[int32]int64{}}
	err := withAdmin(ctx, o.to, func(ctx context.Context, a *kadm.Client) error {
		t, err := findTopic(ctx, a, "read", topic)
		if err != nil {
			return err
		}
		partitions := o.partitions
		if len(partitions) == 0 {
			for _, p := range t.Partitions.Sorted() {
				partitions = append(partitions, p.Partition)
			}
		}
		first, err := a.ListStartOffsets(ctx, topic)
		if err != nil {
			return topicError("read", topic, err, "")
		}
		list := a.ListCommittedOffsets
		if o.isolation == "uncommitted" {
			list = a.ListEndOffsets
		}
		last, err := list(ctx, topic)
		if err != nil {
			return topicError("read", topic, err, "")
		}
		at, err := consumeStart(ctx, a, topic, o)
		if err != nil {
			return err
		}
		if o.toEnd {
			r.ends = consumeEnds{}
		}
		beyond, longest := o.offset != "", int64(0)
		for _, p := range partitions {
			s, ok := first.Lookup(topic, p)
			e, _ := last.Lookup(topic, p)
			if _, exists := t.Partitions[p]; !exists {
				return missingPartition(topic, p, t)
			}
			err := errors.Join(s.Err, e.Err)
			if err == nil && !ok {
				err = errNoOffsets
			}
			if err != nil {
				return refusal(fmt.Sprintf("offsets of %s-%d", topic, p), err, "")
			}
			from := at(p, e.Offset)
			longest, beyond = max(longest, e.Offset), beyond && from > e.Offset
			from = min(max(from, s.Offset), e.Offset)
			r.starts[p] = from
			if o.toEnd && from < e.Offset {
				r.ends[p] = e.Offset
			}
		}
		if beyond {
			return fmt.Errorf("--offset %s: no partition of %s that is read goes so far, the longest ends at offset %d", o.offset, topic, longest)
		}
		return nil
	})
	return r, err
}

// consumeStart returns the function that says where a partition with the given
// end is read from, before the bounds of the partition are applied.
func consumeStart(ctx context.Context, a *kadm.Client, topic string, o consumeOptions) (func(partition int32, end int64) int64, error) {
	switch {
	case o.fromBeginning:
		return func(int32, int64) int64 { return 0 }, nil
	case o.offset != "":
		n, err := strconv.ParseInt(o.offset, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--offset %s: expected an offset, or -N for the last N records", o.offset)
		}
		return func(_ int32, end int64) int64 {
			if n < 0 {
				return max(end+n, 0)
			}
			return n
		}, nil
	case o.from != "":
		ms, err := parseFrom(o.from)
		if err != nil {
			return nil, err
		}
		offsets, err := a.ListOffsetsAfterMilli(ctx, ms, topic)
		if err != nil {
			return nil, topicError("read", topic, err, "")
		}
		return func(p int32, end int64) int64 {
			if l, ok := offsets.Lookup(topic, p); ok && l.Err == nil && l.Offset >= 0 {
				return l.Offset
			}
			return end
		}, nil
	}
	return func(_ int32, end int64) int64 { return end }, nil
}

// parseFrom reads a time, ms since 1970, or a duration back from now.
func parseFrom(text string) (ms int64, err error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return ms, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UnixMilli(), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d <= 0 {
		return clock.System.Now().Add(d).UnixMilli(), nil
	}
	return 0, fmt.Errorf("--from %s: expected a time (2026-11-22T08:00:00Z), ms since 1970 or a duration back from now (-2h)", text)
}
