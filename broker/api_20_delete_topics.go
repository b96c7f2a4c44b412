package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteTopics (20). Versions 1-6. Topics are named, or given by id from version
// 6 on.
func init() {
	register(20, 1, 6, func(b *Broker, rq *request, req *kmsg.DeleteTopicsRequest) error {
		resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
		topics := req.Topics
		if req.Version < 6 {
			for i := range req.TopicNames {
				rt := kmsg.NewDeleteTopicsRequestTopic()
				rt.Topic = &req.TopicNames[i]
				topics = append(topics, rt)
			}
		}
		for _, rt := range topics {
			st := kmsg.NewDeleteTopicsResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			err := b.deleteTopic(rq, rt, &st)
			st.ErrorCode, st.ErrorMessage = errorCode(err), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) deleteTopic(rq *request, rt kmsg.DeleteTopicsRequestTopic, st *kmsg.DeleteTopicsResponseTopic) error {
	var t *topic
	all := rq.maySee(kmsg.ACLOperationDelete, clusterResource) // every topic may go
	if rt.Topic != nil {
		t = b.topics.get(*rt.Topic)
		if t == nil && (all || rq.maySee(kmsg.ACLOperationDescribe, topicResource(*rt.Topic))) {
			return ErrUnknownTopic // to whom it may concern
		}
		if err := rq.topicDenied(kmsg.ACLOperationDelete, *rt.Topic, nil, false); !all && err != nil {
			return err
		}
		if t == nil {
			return ErrUnknownTopic
		}
	} else if t = b.topics.getID(rt.TopicID); t == nil {
		return kerr.UnknownTopicID
	} else if err := rq.topicDenied(kmsg.ACLOperationDelete, "", t, true); !all && err != nil {
		return err
	}
	if b.protectedTopic(t.name) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.TopicAuthorizationFailed, t.name)
	}
	if err := rq.mutate(0, rq.version >= 5); err != nil {
		return err
	}
	st.Topic, st.TopicID = &t.name, t.id
	if err := b.Apply(Metadata{DeleteTopics: []string{t.name}}); err != nil {
		return err
	}
	return rq.mutate(len(t.partitions()), false)
}
