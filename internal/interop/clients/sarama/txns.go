package main

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

func transactional() (sarama.SyncProducer, error) {
	c, err := config()
	if err != nil {
		return nil, err
	}
	idempotentConfig(c)
	c.Producer.Transaction.ID = *topic
	return sarama.NewSyncProducer([]string{*bootstrap}, c)
}

func transact(p sarama.SyncProducer, prefix string, end func() error) error {
	if err := p.BeginTxn(); err != nil {
		return err
	}
	for i := range 5 {
		if _, _, err := p.SendMessage(message(prefix, i, 0)); err != nil {
			return err
		}
	}
	return end()
}

func readCommitted(c *sarama.Config) { c.Consumer.IsolationLevel = sarama.ReadCommitted }

func txn() error {
	p, err := transactional()
	if err != nil {
		return err
	}
	err = errors.Join(transact(p, "c", p.CommitTxn), transact(p, "a", p.AbortTxn), transact(p, "d", p.CommitTxn), p.Close())
	if err != nil {
		return err
	}
	if _, err := read(10, *topic, 0, sarama.OffsetOldest, readCommitted); err != nil {
		return err
	}
	_, err = read(15, *topic, 0, sarama.OffsetOldest, nil)
	return err
}

func txnOffsets() error {
	in, out := *topic+".in", *topic+".out"
	var messages []*sarama.ProducerMessage
	for i := range 10 {
		m := message("v", i, 0)
		m.Topic = in
		messages = append(messages, m)
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	for _, commit := range []bool{false, true} {
		if err := transform(in, out, commit); err != nil {
			return err
		}
	}
	_, err := read(10, out, 0, sarama.OffsetOldest, readCommitted)
	return err
}

// transform copies ten records and their offsets in one transaction.
func transform(in, out string, commit bool) error {
	got, err := read(10, in, 0, sarama.OffsetOldest, readCommitted)
	if err != nil {
		return err
	}
	p, err := transactional()
	if err != nil {
		return err
	}
	if err := p.BeginTxn(); err != nil {
		return err
	}
	for _, m := range got {
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: out, Value: sarama.ByteEncoder(m.Value)}); err != nil {
			return err
		}
		if err := p.AddMessageToTxn(m, *topic, nil); err != nil {
			return err
		}
	}
	end, want := p.AbortTxn, int64(-1)
	if commit {
		end, want = p.CommitTxn, 10
	}
	if err := errors.Join(end(), p.Close()); err != nil {
		return err
	}
	a, err := admin()
	if err != nil {
		return err
	}
	if err := await(func() (int64, error) { // before version 2 of transactions the markers come after the reply
		offsets, err := a.ListConsumerGroupOffsets(*topic, map[string][]int32{in: {0}})
		if err != nil {
			return 0, err
		}
		return offsets.GetBlock(in, 0).Offset, nil
	}, want); err != nil {
		return fmt.Errorf("committed offset: %w", err)
	}
	return a.Close()
}

func txnFence() error {
	zombie, err := transactional()
	if err != nil {
		return err
	}
	if err := zombie.BeginTxn(); err != nil {
		return err
	}
	if _, _, err := zombie.SendMessage(message("zombie", 0, 0)); err != nil {
		return err
	}
	p, err := transactional()
	if err != nil {
		return err
	}
	if err := errors.Join(transact(p, "new", p.CommitTxn), p.Close()); err != nil {
		return err
	}
	if _, _, err = zombie.SendMessage(message("zombie", 1, 0)); err == nil {
		err = zombie.CommitTxn()
	}
	if err == nil {
		return errors.New("the zombie committed")
	}
	got, err := read(5, *topic, 0, sarama.OffsetOldest, readCommitted)
	if err != nil {
		return err
	}
	return expect("the first committed", fmt.Sprintf("%s", got[0].Value), "new0")
}

// adminTxns looks at a transaction while it is open and when it is committed.
func adminTxns() error {
	p, err := transactional()
	if err != nil {
		return err
	}
	ca, err := admin()
	if err != nil {
		return err
	}
	a, ok := ca.(sarama.TransactionClusterAdmin)
	if !ok {
		return fmt.Errorf("%T has no requests about transactions", ca)
	}
	if err := p.BeginTxn(); err != nil {
		return err
	}
	if _, _, err := p.SendMessage(message("open", 0, 0)); err != nil {
		return err
	}
	if err := errors.Join(expectTransaction(a, "Ongoing", 0), p.CommitTxn()); err != nil {
		return err
	}
	if err := await(func() (string, error) { // of the first version of transactions the markers come later
		described, err := a.DescribeTransactions([]string{*topic})
		return described[*topic].TransactionState, err
	}, "CompleteCommit"); err != nil {
		return err
	}
	return errors.Join(expectTransaction(a, "CompleteCommit", -1), p.Close(), a.Close())
}

// expectTransaction compares what three requests say of the transaction: its
// state and the offset at which its producer has one open, -1 for none.
func expectTransaction(a sarama.TransactionClusterAdmin, state string, start int64) error {
	described, err := a.DescribeTransactions([]string{*topic})
	if err != nil {
		return err
	}
	d := described[*topic]
	listed, err := a.ListTransactions([]string{state}, []int64{d.ProducerID}, -1)
	if err != nil {
		return err
	}
	if err := errors.Join(expect("described state", d.TransactionState, state), expect("listed", len(listed), 1)); err != nil {
		return err
	}
	producers, err := a.DescribeProducers(map[string][]int32{*topic: {0}})
	if err != nil {
		return err
	}
	active := producers[*topic][0].ActiveProducers
	if err := expect("active producers", len(active), 1); err != nil {
		return err
	}
	return errors.Join(expect("listed ID", listed[0].TransactionalID, *topic), expect("producer ID", active[0].ProducerID, d.ProducerID),
		expect("start of the transaction", active[0].CurrentTxnStartOffset, start))
}
