package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// transact sends five records in a transaction and ends it.
func (p *program) transact(ctx context.Context, c *kgo.Client, prefix string, commit kgo.TransactionEndTry) error {
	if err := c.BeginTransaction(); err != nil {
		return err
	}
	for i := range 5 {
		if err := c.ProduceSync(ctx, p.record(0, prefix, i)).FirstErr(); err != nil {
			return err
		}
	}
	return c.EndTransaction(ctx, commit)
}

func (p *program) txn(ctx context.Context) error {
	c, err := p.client(kgo.TransactionalID(p.topic))
	if err != nil {
		return err
	}
	defer c.Close()
	err = errors.Join(p.transact(ctx, c, "c", kgo.TryCommit), p.transact(ctx, c, "a", kgo.TryAbort), p.transact(ctx, c, "d", kgo.TryCommit))
	if err != nil {
		return err
	}
	committed, err := p.read(ctx, 10, []string{p.topic}, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	every, err := p.read(ctx, 15, []string{p.topic})
	return all(err, expect("committed", len(committed), 10), expect("all", len(every), 15))
}

func (p *program) txnOffsets(ctx context.Context) error {
	in, out := p.topic+".in", p.topic+".out"
	var records []*kgo.Record
	for i := range 10 {
		r := p.record(0, "v", i)
		r.Topic = in
		records = append(records, r)
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	base := []kgo.Opt{kgo.SeedBrokers(p.bootstrap), kgo.TransactionalID(p.topic), kgo.ConsumerGroup(p.topic), kgo.ConsumeTopics(in),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	s, err := kgo.NewGroupTransactSession(base...)
	if err != nil {
		return err
	}
	defer s.Close()
	aborted := false
	for done := 0; done < 10; {
		fetches := s.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := s.Begin(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if err := s.ProduceSync(ctx, &kgo.Record{Topic: out, Value: append([]byte("out-"), r.Value...)}).FirstErr(); err != nil {
				return err
			}
		}
		committed, err := s.End(ctx, kgo.TransactionEndTry(aborted))
		if err != nil {
			return err
		}
		if aborted = true; committed {
			done += len(fetches.Records())
		}
	}
	got, err := p.read(ctx, 10, []string{out}, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	offsets, err := a.FetchOffsets(ctx, p.topic)
	if err != nil {
		return err
	}
	o, _ := offsets.Lookup(in, 0)
	return all(expect("results", len(got), 10), expect("committed offset", o.At, 10))
}

func (p *program) txnFence(ctx context.Context) error {
	zombie, err := p.client(kgo.TransactionalID(p.topic))
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := zombie.BeginTransaction(); err != nil {
		return err
	}
	if err := zombie.ProduceSync(ctx, p.record(0, "zombie", 0)).FirstErr(); err != nil {
		return err
	}
	c, err := p.client(kgo.TransactionalID(p.topic))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := p.transact(ctx, c, "new", kgo.TryCommit); err != nil {
		return err
	}
	err = zombie.ProduceSync(ctx, p.record(0, "zombie", 1)).FirstErr()
	if err == nil {
		err = zombie.EndTransaction(ctx, kgo.TryCommit)
	}
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		return fmt.Errorf("the zombie was told %v", err)
	}
	got, err := p.read(ctx, 5, []string{p.topic}, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	return all(expect("committed", len(got), 5), expect("the first", string(got[0].Value), "new0"))
}

func (p *program) adminTxns(ctx context.Context) error {
	c, err := p.client(kgo.TransactionalID(p.topic))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		return err
	}
	if err := c.ProduceSync(ctx, p.record(0, "open", 0)).FirstErr(); err != nil {
		return err
	}
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	producers, err := a.DescribeProducers(ctx, kadm.TopicsSet{p.topic: {0: {}}})
	if err != nil {
		return err
	}
	active := producers.SortedProducers()
	listed, err := a.ListTransactions(ctx, nil, nil)
	if err != nil {
		return err
	}
	described, err := a.DescribeTransactions(ctx, p.topic)
	if err != nil {
		return err
	}
	err = all(expect("active producers", len(active), 1), expect("state in the list", listed[p.topic].State, "Ongoing"),
		expect("state", described[p.topic].State, "Ongoing"), expect("topics in it", len(described[p.topic].Topics), 1))
	return errors.Join(err, c.EndTransaction(ctx, kgo.TryAbort))
}
