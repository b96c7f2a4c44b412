package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// EndTxn (26). Versions 0-5.
//
// The outcome, all markers and the group offsets are one frame. From version 5
// on the client gets a new epoch, which the markers carry too (KIP-890).
func init() {
	register(26, 0, 5, func(b *Broker, rq *request, req *kmsg.EndTxnRequest) error {
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ProducerID, resp.ProducerEpoch = -1, -1
		if !rq.may(kmsg.ACLOperationWrite, txnResource(req.TransactionalID)) {
			resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		var pid kafka.ProducerID
		var epoch kafka.Epoch
		b.changeTxn(func() (*txn.Change, *txn.End, error) {
			ch, end, err := b.txns.EndTxn(req.TransactionalID, kafka.ProducerID(req.ProducerID), kafka.Epoch(req.ProducerEpoch), req.Commit, req.Version >= 5)
			switch {
			case ch != nil:
				pid, epoch = ch.ProducerID, ch.Epoch
			case err == nil:
				t := b.txns.Get(req.TransactionalID)
				pid, epoch = t.ProducerID, t.Epoch
			}
			return ch, end, err
		}, func(err error) {
			if resp.ErrorCode = fencedCode(err, req.Version >= 2); err == nil {
				resp.ProducerID, resp.ProducerEpoch = int64(pid), int16(epoch)
			}
			rq.reply(resp)
		})
		return nil
	})
}
