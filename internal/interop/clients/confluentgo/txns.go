package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func transactional() (*kafka.Producer, error) {
	p, err := kafka.NewProducer(config(kafka.ConfigMap{"transactional.id": *topic}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p, p.InitTransactions(ctx)
}

func transact(p *kafka.Producer, prefix string, end func(context.Context) error) error {
	if err := p.BeginTransaction(); err != nil {
		return err
	}
	for i := range 5 {
		if err := send(p, message(*topic, prefix, i, 0)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return end(ctx)
}

func txn() error {
	p, err := transactional()
	if err != nil {
		return err
	}
	defer p.Close()
	err = errors.Join(transact(p, "c", p.CommitTransaction), transact(p, "a", p.AbortTransaction), transact(p, "d", p.CommitTransaction))
	if err != nil {
		return err
	}
	if _, err := read(10, *topic, 1, kafka.ConfigMap{"isolation.level": "read_committed"}); err != nil {
		return err
	}
	_, err = read(15, *topic, 1, kafka.ConfigMap{"isolation.level": "read_uncommitted"})
	return err
}

func txnOffsets() error {
	in, out := *topic+".in", *topic+".out"
	var messages []*kafka.Message
	for i := range 10 {
		messages = append(messages, message(in, "v", i, 0))
	}
	if err := produce(nil, messages...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, commit := range []bool{false, true} {
		got, err := read(10, in, 1, nil)
		if err != nil {
			return err
		}
		p, err := transactional()
		if err != nil {
			return err
		}
		if err := p.BeginTransaction(); err != nil {
			return err
		}
		for _, m := range got {
			if err := send(p, message(out, string(m.Value), 0, 0)); err != nil {
				return err
			}
		}
		metadata, err := kafka.NewTestConsumerGroupMetadata(*topic)
		if err != nil {
			return err
		}
		if err := p.SendOffsetsToTransaction(ctx, []kafka.TopicPartition{{Topic: &in, Partition: 0, Offset: 10}}, metadata); err != nil {
			return err
		}
		end := p.AbortTransaction
		if commit {
			end = p.CommitTransaction
		}
		if err := end(ctx); err != nil {
			return err
		}
		p.Close()
	}
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{"group.id": *topic}))
	if err != nil {
		return err
	}
	at, err := c.Committed([]kafka.TopicPartition{{Topic: &in, Partition: 0}}, int(timeout.Milliseconds()))
	if err != nil {
		return err
	}
	_, err = read(10, out, 1, kafka.ConfigMap{"isolation.level": "read_committed"})
	return errors.Join(err, expect("committed offset", at[0].Offset, 10), c.Close())
}

func txnFence() error {
	zombie, err := transactional()
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := zombie.BeginTransaction(); err != nil {
		return err
	}
	if err := send(zombie, message(*topic, "zombie", 0, 0)); err != nil {
		return err
	}
	p, err := transactional()
	if err != nil {
		return err
	}
	defer p.Close()
	if err := transact(p, "new", p.CommitTransaction); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err = send(zombie, message(*topic, "zombie", 1, 0)); err == nil {
		err = zombie.CommitTransaction(ctx)
	}
	var ke kafka.Error
	if !errors.As(err, &ke) || ke.Code() != kafka.ErrFenced && ke.Code() != kafka.ErrInvalidProducerEpoch {
		return fmt.Errorf("the zombie was told %w", err)
	}
	got, err := read(5, *topic, 1, kafka.ConfigMap{"isolation.level": "read_committed"})
	if err != nil {
		return err
	}
	return expect("the first committed", string(got[0].Value), "new0")
}
