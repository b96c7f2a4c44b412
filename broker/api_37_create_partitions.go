package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreatePartitions (37). Versions 0-3. A topic only grows; assignments must
// name this broker.
func init() {
	register(37, 0, 3, func(b *Broker, rq *request, req *kmsg.CreatePartitionsRequest) error {
		resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewCreatePartitionsResponseTopic()
			st.Topic = rt.Topic
			err := rq.topicDenied(kmsg.ACLOperationAlter, rt.Topic, nil, false)
			if err == nil {
				err = rq.mutate(0, req.Version >= 3)
			}
			before := b.partitionCount(rt.Topic)
			if err == nil {
				err = b.createPartitions(rt, req.ValidateOnly)
			}
			if err == nil && !req.ValidateOnly {
				err = rq.mutate(b.partitionCount(rt.Topic)-before, false)
			}
			st.ErrorCode, st.ErrorMessage = errorCode(err), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) createPartitions(rt kmsg.CreatePartitionsRequestTopic, validateOnly bool) error {
	if b.protectedTopic(rt.Topic) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.TopicAuthorizationFailed, rt.Topic)
	}
	for _, a := range rt.Assignment {
		if len(a.Replicas) != 1 || a.Replicas[0] != nodeID {
			return fmt.Errorf("%w: the only broker is %d", kerr.InvalidReplicaAssignment, nodeID)
		}
	}
	c := newChange(64)
	check := func() error {
		t := b.topics.get(rt.Topic)
		if t == nil {
			return ErrUnknownTopic
		}
		now := int32(len(t.partitions()))
		if rt.Count <= now {
			return fmt.Errorf("%w: the topic has %d partitions, %d asked for", kerr.InvalidPartitions, now, rt.Count)
		}
		if len(rt.Assignment) > 0 && len(rt.Assignment) != int(rt.Count-now) {
			return fmt.Errorf("%w: %d assignments for %d new partitions", kerr.InvalidReplicaAssignment, len(rt.Assignment), rt.Count-now)
		}
		b.topics.mu.RLock()
		err := b.checkPartitionCount(rt.Count - now)
		b.topics.mu.RUnlock()
		if err == nil && !validateOnly {
			b.stage(c, &partitionsAdded{t.id, rt.Count - now})
		}
		return err
	}
	return b.submitWait(c, check)
}
