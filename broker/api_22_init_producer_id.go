package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// InitProducerId (22). Versions 0-5.
//
// Without a transactional id it hands out a producer id. With one it fences the
// id's former producer; an open transaction is aborted in the same frame, so the
// answer never is CONCURRENT_TRANSACTIONS. Gap: two-phase commit (version 6).
func init() {
	register(22, 0, 5, func(b *Broker, rq *request, req *kmsg.InitProducerIDRequest) error {
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID, resp.ProducerEpoch = -1, -1
		if denied := rq.producerDenied(req.TransactionalID); denied != nil {
			resp.ErrorCode = errorCode(denied)
			rq.reply(resp)
			return nil
		}
		if req.TransactionalID == nil {
			b.newProducerID(rq, resp)
			return nil
		}
		id, timeout := *req.TransactionalID, time.Duration(req.TransactionTimeoutMillis)*time.Millisecond
		if id == "" {
			resp.ErrorCode = kerr.InvalidRequest.Code
			rq.reply(resp)
			return nil
		}
		if timeout <= 0 || timeout > b.cfg.Limits.TransactionMaxTimeout {
			resp.ErrorCode = kerr.InvalidTransactionTimeout.Code
			rq.reply(resp)
			return nil
		}
		pid, epoch := kafka.NoProducerID, kafka.Epoch(-1)
		if req.Version >= 3 {
			pid, epoch = kafka.ProducerID(req.ProducerID), kafka.Epoch(req.ProducerEpoch)
		}
		var got txn.Change
		b.changeTxn(func() (*txn.Change, *txn.End, error) {
			ch, end, err := b.txns.Init(id, timeout, pid, epoch)
			switch {
			case ch != nil:
				got = *ch
			case err == nil:
				t := b.txns.Get(id)
				got.ProducerID, got.Epoch = t.ProducerID, t.Epoch
			}
			return ch, end, err
		}, func(err error) {
			if resp.ErrorCode = coordinatorCode(err); err == nil {
				resp.ProducerID, resp.ProducerEpoch = int64(got.ProducerID), int16(got.Epoch)
			}
			rq.reply(resp)
		})
		return nil
	})
}

// newProducerID hands out a producer id, once it is durable that it was: an id
// given out twice would make records look like duplicates.
func (b *Broker) newProducerID(rq *request, resp *kmsg.InitProducerIDResponse) {
	c := newChange(16)
	var pid kafka.ProducerID
	b.submit(c, func() error {
		pid = b.txns.NextProducerID()
		b.stage(c, &producerIDUsed{pid})
		return nil
	}, func(err error) {
		if resp.ErrorCode = coordinatorCode(err); err == nil {
			resp.ProducerID, resp.ProducerEpoch = int64(pid), 0
		}
		rq.reply(resp)
	})
}
