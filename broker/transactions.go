package broker

import (
	"time"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// transactionalIDExpiration (transactional.id.expiration.ms): an id that was not
// used for so long is forgotten.
const transactionalIDExpiration = 7 * 24 * time.Hour

// markerBytes is about the size of a marker's entry in a frame.
const markerBytes = 128

// stageTxn adds a change of a transactional id to a frame, and what ends with
// it: markers and group offsets. The caller holds Broker.mu.
func (b *Broker) stageTxn(c *change, ch *txn.Change, end *txn.End) {
	ch.Updated = b.now()
	b.stage(c, &txnChanged{*ch})
	if end == nil {
		return
	}
	for _, tp := range end.Partitions {
		t := b.topics.staged(tp.Topic)
		if t == nil || int(tp.Partition) >= len(t.partitions()) {
			continue // deleted meanwhile
		}
		marker := log.NewMarker(end.ProducerID, end.Epoch, end.Commit, b.epoch, b.now())
		c.append(t.partitions()[tp.Partition], marker, log.Info{Batches: 1, Offsets: 1, MaxTimestamp: kafka.NoTimestamp})
	}
	if len(end.Groups) > 0 {
		b.stage(c, &txnOffsetsEnded{end.ProducerID, end.Commit})
	}
}

// changeTxn makes a decision about a transactional id durable: decide runs under
// Broker.mu and returns what the coordinator said; a nil Change waits for what
// was queued before. done is called when it is durable.
func (b *Broker) changeTxn(decide func() (*txn.Change, *txn.End, error), done func(error)) {
	c := newChange(markerBytes)
	b.submit(c, func() error {
		ch, end, err := decide()
		if err == nil && ch != nil {
			b.stageTxn(c, ch, end)
		}
		return err
	}, done)
}

// expireTransactions aborts transactions past their time-out and forgets ids
// that were not used for long.
func (b *Broker) expireTransactions(now time.Time) {
	var due []string
	before := b.steady.now() - kafka.Timestamp(transactionalIDExpiration.Milliseconds())
	b.mu.Lock()
	b.txns.All(func(t *txn.Transaction) {
		if ch, _ := b.txns.Expired(t, now, before); ch != nil {
			due = append(due, t.ID)
		}
	})
	b.mu.Unlock()
	for _, id := range due {
		b.changeTxn(func() (*txn.Change, *txn.End, error) {
			t := b.txns.Get(id)
			if t == nil {
				return nil, nil, nil
			}
			ch, end := b.txns.Expired(t, now, before)
			return ch, end, nil
		}, func(err error) {
			if err != nil {
				b.cfg.Logger.Warn("transaction not expired", "id", id, "err", err)
			}
		})
	}
}
