package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopics (19). Versions 2-7.
//
// -1 partitions and replicas mean the defaults (KIP-464). A replication factor
// above 1 is accepted and reported as 1, so that tools with a default of 3 work.
// Replica assignments are refused unless they name this broker only. Topics are
// created one by one: one that fails does not keep the others back.
func init() {
	register(19, 2, 7, func(b *Broker, rq *request, req *kmsg.CreateTopicsRequest) error {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		count := map[string]int{}
		for _, rt := range req.Topics {
			count[rt.Topic]++
		}
		for _, rt := range req.Topics {
			if count[rt.Topic] < 0 {
				continue // answered
			}
			st := kmsg.NewCreateTopicsResponseTopic()
			st.Topic, st.NumPartitions, st.ReplicationFactor = rt.Topic, -1, -1
			err := error(nil)
			if !rq.mayCreate(rt.Topic) {
				err = kerr.TopicAuthorizationFailed
			} else if count[rt.Topic] > 1 {
				err = fmt.Errorf("%w: the topic is in the request twice", kerr.InvalidRequest)
				count[rt.Topic] = -1
			} else {
				if err = rq.mutate(0, req.Version >= 6); err == nil {
					err = b.createTopic(rt, req.ValidateOnly, &st)
				}
				if err == nil && !req.ValidateOnly {
					err = rq.mutate(int(st.NumPartitions), false)
				}
			}
			st.ErrorCode, st.ErrorMessage = errorCode(err), message(err)
			if err == nil && !rq.maySee(kmsg.ACLOperationDescribeConfigs, topicResource(rt.Topic)) {
				st.ConfigErrorCode, st.Configs = kerr.TopicAuthorizationFailed.Code, nil
				st.NumPartitions, st.ReplicationFactor = -1, -1
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) createTopic(rt kmsg.CreateTopicsRequestTopic, validateOnly bool, st *kmsg.CreateTopicsResponseTopic) error {
	if b.protectedTopic(rt.Topic) {
		return fmt.Errorf("%w: names like %s belong to the engine", kerr.TopicAuthorizationFailed, rt.Topic)
	}
	if err := checkTopicName(rt.Topic); err != nil {
		return fmt.Errorf("%w: %w", kerr.InvalidTopicException, err)
	}
	spec := TopicSpec{Name: rt.Topic, Partitions: rt.NumPartitions, Configs: map[string]string{}}
	if rt.NumPartitions == -1 {
		spec.Partitions = b.cfg.DefaultPartitions
	}
	// Of several errors Kafka tells the first of: name, configuration, replicas,
	// partitions.
	if _, ok := b.Topic(rt.Topic); ok {
		return fmt.Errorf("%w: %s", ErrTopicExists, rt.Topic)
	}
	for _, c := range rt.Configs {
		if c.Value == nil {
			return fmt.Errorf("%w: %s is null", kerr.InvalidConfig, c.Name)
		}
		spec.Configs[c.Name] = *c.Value
	}
	if _, err := parseSettings(spec.Configs); err != nil {
		return err
	}
	if rt.ReplicationFactor == 0 || rt.ReplicationFactor < -1 {
		return fmt.Errorf("%w: %d", kerr.InvalidReplicationFactor, rt.ReplicationFactor)
	}
	if rt.NumPartitions == 0 || rt.NumPartitions < -1 {
		return fmt.Errorf("%w: %d partitions", kerr.InvalidPartitions, rt.NumPartitions)
	}
	if len(rt.ReplicaAssignment) > 0 {
		spec.Partitions = int32(len(rt.ReplicaAssignment))
		for i, a := range rt.ReplicaAssignment {
			if a.Partition != int32(i) || len(a.Replicas) != 1 || a.Replicas[0] != nodeID {
				return fmt.Errorf("%w: the only broker is %d", kerr.InvalidReplicaAssignment, nodeID)
			}
		}
	}
	var err error
	if validateOnly {
		b.mu.Lock()
		_, err = b.newTopic(spec, false)
		b.mu.Unlock()
	} else {
		err = b.Apply(Metadata{CreateTopics: []TopicSpec{spec}})
	}
	if err != nil {
		return err
	}
	if info, ok := b.Topic(rt.Topic); ok {
		st.TopicID = info.ID
	}
	st.NumPartitions, st.ReplicationFactor = spec.Partitions, 1
	for _, known := range topicConfigs {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		value, set := spec.Configs[known.name]
		c.Name, c.Value, c.Source = known.name, &value, int8(kmsg.ConfigSourceDynamicTopicConfig)
		if !set {
			value, c.Source = known.fallback, int8(kmsg.ConfigSourceDefaultConfig)
		}
		st.Configs = append(st.Configs, c)
	}
	return nil
}
