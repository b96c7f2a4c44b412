package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// AddOffsetsToTxn (25). Versions 0-4.
func init() {
	register(25, 0, 4, func(b *Broker, rq *request, req *kmsg.AddOffsetsToTxnRequest) error {
		resp := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
		if !rq.may(kmsg.ACLOperationWrite, txnResource(req.TransactionalID)) {
			resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		if req.Group == "" || !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) || b.protectedGroup(req.Group) {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			if req.Group == "" {
				resp.ErrorCode = kerr.InvalidGroupID.Code
			}
			rq.reply(resp)
			return nil
		}
		b.changeTxn(func() (*txn.Change, *txn.End, error) {
			ch, err := b.txns.Add(req.TransactionalID, kafka.ProducerID(req.ProducerID), kafka.Epoch(req.ProducerEpoch), nil, []string{req.Group})
			return ch, nil, err
		}, func(err error) {
			resp.ErrorCode = fencedCode(err, req.Version >= 2)
			rq.reply(resp)
		})
		return nil
	})
}
