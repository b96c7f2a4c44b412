package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// TxnOffsetCommit (28). Versions 0-6.
//
// Offsets stay invisible until the transaction commits. Member, generation and
// instance are checked as in OffsetCommit, which fences a consumer that lost its
// partitions (KIP-447). From version 5 on the group is added to the transaction
// (KIP-890); before, AddOffsetsToTxn must have done it.
func init() {
	register(28, 0, 6, func(b *Broker, rq *request, req *kmsg.TxnOffsetCommitRequest) error {
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		err := b.groups.CheckTxnCommit(req.Group, req.MemberID, deref(req.InstanceID), req.Generation)
		if b.protectedGroup(req.Group) {
			err = fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, req.Group)
		}
		if !rq.may(kmsg.ACLOperationWrite, txnResource(req.TransactionalID)) {
			err = kerr.TransactionalIDAuthorizationFailed
		} else if !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			err = kerr.GroupAuthorizationFailed
		}
		offsets := groupOffsets{}
		for _, rt := range req.Topics {
			t := b.topics.get(rt.Topic)
			if req.Version >= 6 {
				t = b.topics.getID(rt.TopicID)
			}
			st := kmsg.NewTxnOffsetCommitResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			denied := rq.topicDenied(kmsg.ACLOperationRead, rt.Topic, t, req.Version >= 6)
			for _, rp := range rt.Partitions {
				sp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				sp.Partition = rp.Partition
				perr := err
				if perr == nil {
					perr = denied
				}
				if perr == nil {
					perr = exists(t, rp.Partition, req.Version >= 6)
				}
				if perr == nil {
					perr = b.addOffset(offsets, t, rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata)
				}
				sp.ErrorCode = coordinatorCode(perr)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		if len(offsets) == 0 {
			rq.reply(resp)
			return nil
		}
		b.commitTxnOffsets(req, offsets, func(err error) {
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					if sp := &resp.Topics[i].Partitions[j]; sp.ErrorCode == 0 {
						sp.ErrorCode = fencedCode(err, false)
					}
				}
			}
			rq.reply(resp)
		})
		return nil
	})
}

func (b *Broker) commitTxnOffsets(req *kmsg.TxnOffsetCommitRequest, offsets groupOffsets, done func(error)) {
	pid, epoch := kafka.ProducerID(req.ProducerID), kafka.Epoch(req.ProducerEpoch)
	c := newChange(64*len(offsets) + markerBytes)
	b.submit(c, func() error {
		if req.Version < 5 {
			if err := b.txns.VerifyGroup(req.TransactionalID, pid, epoch, req.Group); err != nil {
				return err
			}
		} else {
			ch, err := b.txns.Add(req.TransactionalID, pid, epoch, nil, []string{req.Group})
			if err != nil {
				return err
			}
			if ch != nil {
				b.stageTxn(c, ch, nil)
			}
		}
		b.stage(c, &txnOffsets{pid, req.Group, offsets})
		return nil
	}, done)
}
