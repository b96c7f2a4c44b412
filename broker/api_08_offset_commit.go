package broker

import (
	"cmp"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// OffsetCommit (8). Versions 2-10.
//
// Generation -1 without a member id is a consumer without group management; it
// may commit while the group has no members. Offsets are answered when they are
// durable. Gaps: retention_time is not honoured (newer clients do not send it).
func init() {
	register(8, 2, 10, func(b *Broker, rq *request, req *kmsg.OffsetCommitRequest) error {
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		err := error(kerr.UnsupportedVersion)
		if req.Version >= epochCommitVersion || req.Generation < 0 || !b.groups.IsConsumer(req.Group) {
			err = b.checkGroupCommit(req.Group, req.MemberID, deref(req.InstanceID), req.Generation)
		}
		if err == kerr.IllegalGeneration && !b.groups.Known(req.Group) {
			switch {
			case b.offsets.has(req.Group):
				err = kerr.UnknownMemberID
			case req.Version >= epochCommitVersion:
				err = kerr.GroupIDNotFound
			}
		}
		var refused error
		if !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			refused = kerr.GroupAuthorizationFailed
		}
		offsets := groupOffsets{}
		for _, rt := range req.Topics {
			t := b.topics.get(rt.Topic)
			if req.Version >= 10 {
				t = b.topics.getID(rt.TopicID)
			}
			st := kmsg.NewOffsetCommitResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			denied := rq.topicDenied(kmsg.ACLOperationRead, rt.Topic, t, req.Version >= 10)
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetCommitResponseTopicPartition()
				sp.Partition = rp.Partition
				perr := cmp.Or(denied, exists(t, rp.Partition, req.Version >= 10), err)
				if refused != nil {
					perr = refused // before anything of a topic is told
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
		c := newChange(64 * len(offsets))
		b.submit(c, func() error {
			b.stage(c, &offsetsCommitted{req.Group, offsets})
			return nil
		}, func(err error) {
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					if sp := &resp.Topics[i].Partitions[j]; sp.ErrorCode == 0 {
						sp.ErrorCode = coordinatorCode(err)
					}
				}
			}
			rq.reply(resp)
		})
		return nil
	})
}

// epochCommitVersion is the first in which a generation may be the epoch of a
// member of KIP-848.
const epochCommitVersion = 9

// checkGroupCommit decides whether a member may commit offsets.
func (b *Broker) checkGroupCommit(name, member, instance string, generation int32) error {
	if b.protectedGroup(name) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, name)
	}
	return b.groups.CheckCommit(name, member, instance, generation)
}

// exists returns why there is no such partition, nil if there is.
func exists(t *topic, partition int32, byID bool) error {
	switch {
	case t == nil && byID:
		return kerr.UnknownTopicID
	case t == nil || partition < 0 || int(partition) >= len(t.partitions()):
		return ErrUnknownTopic
	}
	return nil
}

// addOffset validates one offset of a commit and adds it. The partition exists.
func (b *Broker) addOffset(offsets groupOffsets, t *topic, partition int32, next int64, epoch int32, metadata *string) error {
	if len(deref(metadata)) > b.cfg.Limits.OffsetMetadataMaxBytes {
		return kerr.OffsetMetadataTooLarge
	}
	offsets[kafka.TopicPartition{Topic: t.name, Partition: partition}] = committed{
		next: kafka.Offset(next), leaderEpoch: epoch, metadata: deref(metadata), at: b.now(),
	}
	return nil
}
