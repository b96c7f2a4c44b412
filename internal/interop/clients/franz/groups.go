package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const groupPartitions = 4

func millis(ms int64) time.Time { return time.UnixMilli(ms) }

// member is one consumer of a group.
type member struct {
	*kgo.Client
	mu    sync.Mutex // guards owned
	owned []int32
}

// join makes a member; its session is short so that a lost one is noticed.
func (p *program) join(options ...kgo.Opt) (*member, error) {
	m := &member{}
	options = append(options, kgo.ConsumerGroup(p.topic), kgo.ConsumeTopics(p.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(500*time.Millisecond), kgo.SessionTimeout(10*time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, a map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.owned = append(m.owned, a[p.topic]...)
		}), kgo.OnPartitionsRevoked(m.lost(p.topic)), kgo.OnPartitionsLost(m.lost(p.topic)))
	switch p.assignor {
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		//lint:ignore SA1029 the key is franz-go's own
		options = append(options, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)))
	default:
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	}
	var err error
	m.Client, err = p.client(options...)
	return m, err
}

func (m *member) lost(topic string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, l map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.owned = slices.DeleteFunc(m.owned, func(p int32) bool { return slices.Contains(l[topic], p) })
	}
}

func (m *member) partitions() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	owned := slices.Clone(m.owned)
	slices.Sort(owned)
	return owned
}

// poll waits a moment for records, adds their values to seen and commits.
func (m *member) poll(ctx context.Context, seen map[string]bool) error {
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	fetches := m.PollFetches(short)
	fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
	if len(fetches.Records()) == 0 {
		return nil
	}
	return m.CommitRecords(ctx, fetches.Records()...)
}

// until polls the members until done.
func until(ctx context.Context, what string, done func() bool, seen map[string]bool, members ...*member) error {
	for !done() {
		for _, m := range members {
			if err := m.poll(ctx, seen); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
	}
	return nil
}

// feed produces n records over the partitions, numbered from first.
func (p *program) feed(ctx context.Context, first, n int) error {
	var records []*kgo.Record
	for i := range n {
		records = append(records, p.record(int32(i%groupPartitions), "v", first+i))
	}
	return p.produce(ctx, records)
}

func (p *program) group(ctx context.Context) error {
	if err := p.feed(ctx, 0, 40); err != nil {
		return err
	}
	seen := map[string]bool{}
	a, err := p.join()
	if err != nil {
		return err
	}
	defer a.Close()
	if err := until(ctx, "first", func() bool { return len(a.partitions()) == groupPartitions && len(seen) == 40 }, seen, a); err != nil {
		return err
	}
	b, err := p.join()
	if err != nil {
		return err
	}
	split := func() bool { return len(a.partitions()) == 2 && len(b.partitions()) == 2 }
	if err := until(ctx, "two", split, seen, a, b); err != nil {
		b.Close()
		return err
	}
	if err := p.feed(ctx, 40, 40); err != nil {
		return err
	}
	if err := until(ctx, "both", func() bool { return len(seen) == 80 }, seen, a, b); err != nil {
		return err
	}
	b.Close()
	if err := until(ctx, "one again", func() bool { return len(a.partitions()) == groupPartitions }, seen, a); err != nil {
		return err
	}
	if err := p.feed(ctx, 80, 20); err != nil {
		return err
	}
	return until(ctx, "last", func() bool { return len(seen) == 100 }, seen, a)
}

func (p *program) groupStatic(ctx context.Context) error {
	seen := map[string]bool{}
	a, err := p.join(kgo.InstanceID("one"))
	if err != nil {
		return err
	}
	b, err := p.join(kgo.InstanceID("two"))
	if err != nil {
		return err
	}
	defer b.Close()
	split := func() bool { return len(a.partitions()) == 2 && len(b.partitions()) == 2 }
	if err := until(ctx, "two", split, seen, a, b); err != nil {
		return err
	}
	had, other := a.partitions(), b.partitions()
	_, generation := b.GroupMetadata()
	a.Close() // a static member does not leave
	again, err := p.join(kgo.InstanceID("one"))
	if err != nil {
		return err
	}
	defer again.Close()
	if err := until(ctx, "back", func() bool { return len(again.partitions()) == 2 }, seen, again, b); err != nil {
		return err
	}
	_, after := b.GroupMetadata()
	return all(expect("partitions of the member that came back", fmt.Sprint(again.partitions()), fmt.Sprint(had)),
		expect("partitions of the other", fmt.Sprint(b.partitions()), fmt.Sprint(other)), expect("generation", after, generation))
}
