package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	groupPartitions = 4
	pollPause       = 50 * time.Millisecond
)

// member is one consumer of a group, which runs until left.
type member struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex                  // guards the rest
	session sarama.ConsumerGroupSession // nil between sessions
	started map[int32]int               // how often reading a partition began
	seen    map[string]bool
	failed  error
}

func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = s
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.mu.Lock()
	m.started[claim.Partition()]++
	m.mu.Unlock()
	for msg := range claim.Messages() {
		m.mu.Lock()
		m.seen[string(msg.Value)] = true
		m.mu.Unlock()
		s.MarkMessage(msg, "")
		s.Commit()
	}
	return nil
}

// join starts a member that keeps what it sees in seen.
func join(instance string) (*member, error) {
	c, err := config()
	if err != nil {
		return nil, err
	}
	c.Consumer.Group.InstanceId = instance
	c.Consumer.Group.Heartbeat.Interval, c.Consumer.Group.Session.Timeout = 500*time.Millisecond, 10*time.Second
	c.Consumer.Offsets.AutoCommit.Enable = false
	if *assignor == "cooperative" {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	g, err := sarama.NewConsumerGroup([]string{*bootstrap}, *topic, c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: g, cancel: cancel, done: make(chan struct{}), started: map[int32]int{}, seen: map[string]bool{}}
	go func() { // ended by leave
		defer close(m.done)
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{*topic}, m); err != nil {
				m.mu.Lock()
				m.failed = err
				m.mu.Unlock()
				return
			}
		}
	}()
	go func() { // ended by Close
		for range g.Errors() {
		}
	}()
	return m, nil
}

func (m *member) leave() error {
	m.cancel()
	<-m.done
	return m.group.Close()
}

// partitions are those that the member has now: with a cooperative strategy they
// change within a session.
func (m *member) partitions() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return nil
	}
	return slices.Sorted(slices.Values(m.session.Claims()[*topic]))
}

func (m *member) generation() int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return -1
	}
	return m.session.GenerationID()
}

// kept says whether the member has read every partition that it has from first to
// last, without a rebalance having stopped it.
func (m *member) kept() bool {
	owned := m.partitions()
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(owned, func(p int32) bool { return m.started[p] != 1 })
}

// count returns how many values the members saw together.
func count(members ...*member) int {
	all := map[string]bool{}
	for _, m := range members {
		m.mu.Lock()
		for v := range m.seen {
			all[v] = true
		}
		m.mu.Unlock()
	}
	return len(all)
}

func until(done func() bool, members ...*member) error {
	for !done() {
		for _, m := range members {
			m.mu.Lock()
			err := m.failed
			m.mu.Unlock()
			if err != nil {
				return err
			}
		}
		time.Sleep(pollPause)
	}
	return nil
}

func feed(first, n int) error {
	var messages []*sarama.ProducerMessage
	for i := range n {
		messages = append(messages, message("v", first+i, int32(i%groupPartitions)))
	}
	return produce(messages, nil)
}

func group() error {
	if err := feed(0, 40); err != nil {
		return err
	}
	a, err := join("")
	if err != nil {
		return err
	}
	if err := until(func() bool { return len(a.partitions()) == groupPartitions && count(a) == 40 }, a); err != nil {
		return err
	}
	b, err := join("")
	if err != nil {
		return err
	}
	if err := until(func() bool { return len(a.partitions()) == 2 && len(b.partitions()) == 2 }, a, b); err != nil {
		return err
	}
	if err := feed(40, 40); err != nil {
		return err
	}
	if err := until(func() bool { return count(a, b) == 80 }, a, b); err != nil {
		return err
	}
	if err := expect("reading goes on through the rebalance", a.kept(), *assignor == "cooperative"); err != nil {
		return err
	}
	if err := b.leave(); err != nil {
		return err
	}
	if err := until(func() bool { return len(a.partitions()) == groupPartitions }, a); err != nil {
		return err
	}
	if err := feed(80, 20); err != nil {
		return err
	}
	return errors.Join(until(func() bool { return count(a, b) == 100 }, a), a.leave())
}

func groupStatic() error {
	a, err := join("one")
	if err != nil {
		return err
	}
	b, err := join("two")
	if err != nil {
		return err
	}
	if err := until(func() bool { return len(a.partitions()) == 2 && len(b.partitions()) == 2 }, a, b); err != nil {
		return err
	}
	had, generation := a.partitions(), b.generation()
	if err := a.leave(); err != nil {
		return err
	}
	again, err := join("one")
	if err != nil {
		return err
	}
	if err := until(func() bool { return len(again.partitions()) == 2 }, again, b); err != nil {
		return err
	}
	return errors.Join(expect("partitions", fmt.Sprint(again.partitions()), fmt.Sprint(had)), expect("generation", b.generation(), generation),
		again.leave(), b.leave())
}
