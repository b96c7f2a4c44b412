package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// groupPartitions is how many partitions the topics of groups have.
const groupPartitions = 4

// member joins the group that the topic names, under the name of an instance if
// one is given.
func member(instance string) (*kafka.Consumer, error) {
	m := kafka.ConfigMap{"group.id": *topic, "auto.offset.reset": "earliest", "enable.auto.commit": false}
	if instance != "" {
		m["group.instance.id"] = instance
	}
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
	a, err := member("")
	if err != nil {
		return err
	}
	if err := until(func() bool { return owned(a) == groupPartitions && len(seen) == 40 }, seen, a); err != nil {
		return err
	}
	b, err := member("")
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

// partitions returns which partitions a member has, in order.
func partitions(c *kafka.Consumer) string {
	assigned, err := c.Assignment()
	if err != nil {
		return err.Error()
	}
	var list []int
	for _, tp := range assigned {
		list = append(list, int(tp.Partition))
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

func groupStatic() error {
	seen := map[string]bool{}
	a, err := member("one")
	if err != nil {
		return err
	}
	b, err := member("two")
	if err != nil {
		return err
	}
	if err := until(func() bool { return owned(a) == 2 && owned(b) == 2 }, seen, a, b); err != nil {
		return err
	}
	had, other := partitions(a), partitions(b)
	if err := a.Close(); err != nil {
		return err
	}
	again, err := member("one")
	if err != nil {
		return err
	}
	if err := until(func() bool { return owned(again) == 2 }, seen, again, b); err != nil {
		return err
	}
	if err := errors.Join(expect("partitions of the member that came back", partitions(again), had), expect("those of the other", partitions(b), other)); err != nil {
		return err
	}
	thief, err := member("two")
	if err != nil {
		return err
	}
	// The first of two with one name is told that it is fenced, which is fatal.
	err = until(func() bool { return false }, seen, b, thief)
	var ke kafka.Error
	if !errors.As(err, &ke) || !ke.IsFatal() || !strings.Contains(strings.ToLower(err.Error()), "fenced") {
		return fmt.Errorf("the first of two with one name is told %w", err)
	}
	return errors.Join(thief.Close(), again.Close())
}
