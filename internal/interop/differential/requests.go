package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// timeBase is the time of the first record; others follow it second by second.
const timeBase = 1_700_000_000_000

// producer is who a batch is from; the zero value has an ID of -1.
type producer struct {
	name          string
	sequence      int32
	transactional bool
}

// batch encodes n records, numbered from first.
func batch(s *side, n, first int, p *producer) []byte {
	var w kafka.BatchBuilder
	for i := range n {
		k := byte('a' + (first+i)%26)
		w.Append(kafka.Timestamp(timeBase+int64(first+i)*1000), []byte{'k', k}, []byte{'v', k}, nil)
	}
	if p == nil {
		w.Finish()
		return w.Bytes()
	}
	attributes := int16(0)
	if p.transactional {
		attributes = kafka.AttrTransactional
	}
	s.lastSequence = p.sequence + int32(n) - 1
	w.FinishAs(attributes, kafka.ProducerID(s.pid[p.name]), kafka.Epoch(s.epoch[p.name]), p.sequence)
	return w.Bytes()
}

func produce(topic string, partition int32, acks int16, txn *string, records func(*side) []byte) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis, req.TransactionID = acks, 10000, txn
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = topic, s.topicIDs[topic]
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = partition, records(s)
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func plain(n, first int) func(*side) []byte {
	return func(s *side) []byte { return batch(s, n, first, nil) }
}

func from(p producer, n, first int) func(*side) []byte {
	return func(s *side) []byte { return batch(s, n, first, &p) }
}

func fetch(topic string, partition int32, offset int64, isolation int8, maxBytes int32) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel, req.SessionEpoch = 0, 0, 1<<20, isolation, -1
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = topic, s.topicIDs[topic]
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, maxBytes
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func listOffsets(topic string, partition int32, at int64, isolation int8) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrListOffsetsRequest()
		req.IsolationLevel = isolation
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = partition, at
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func metadata(create bool, topics ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation, req.Topics = create, []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = &name
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

// learnTopics keeps the ids and leader epochs of topics.
func learnTopics(topics ...string) step {
	return step{name: "learn topics", build: metadata(false, topics...), newest: true, until: known, learn: func(s *side, resp kmsg.Response) {
		for _, t := range resp.(*kmsg.MetadataResponse).Topics {
			if t.Topic == nil || t.ErrorCode != 0 {
				continue
			}
			s.topicIDs[*t.Topic] = t.TopicID
			for _, p := range t.Partitions {
				if p.Partition == 0 {
					s.leaderEpoch[*t.Topic] = p.LeaderEpoch
				}
			}
		}
	}}
}

// known says whether every topic has a leader.
func known(resp kmsg.Response) bool {
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if t.ErrorCode != 0 {
			return false
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return false
			}
		}
	}
	return true
}

func create(validate bool, topics ...kmsg.CreateTopicsRequestTopic) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis, req.ValidateOnly, req.Topics = 30000, validate, topics
		return req
	}
}

func newTopic(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for i := 0; i+1 < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		t.Configs = append(t.Configs, c)
	}
	return t
}

func findCoordinator(kind int8, name string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, name, []string{name}
		return req
	}
}

func found(resp kmsg.Response) bool {
	r := resp.(*kmsg.FindCoordinatorResponse)
	for _, c := range r.Coordinators {
		if c.ErrorCode == 15 {
			return false
		}
	}
	return r.ErrorCode != 15
}

func initProducer(name string, txn *string, timeout int32) step {
	return step{name: "init producer " + name, build: func(s *side) kmsg.Request {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = txn, timeout, -1, -1
		return req
	}, learn: func(s *side, resp kmsg.Response) {
		r := resp.(*kmsg.InitProducerIDResponse)
		s.pid[name], s.epoch[name] = r.ProducerID, r.ProducerEpoch
		s.forget(name)
	}, until: func(resp kmsg.Response) bool {
		switch resp.(*kmsg.InitProducerIDResponse).ErrorCode {
		case 14, 15, 16, 51: // the coordinator loads, or ends a transaction
			return false
		}
		return true
	}}
}

func offsetCommit(group, member string, generation func(*side) int32, topic string, partition int32, offset int64) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation, req.RetentionTimeMillis = group, s.member[member], generation(s), -1
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = topic, s.topicIDs[topic]
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		m := "m"
		p.Partition, p.Offset, p.Metadata, p.LeaderEpoch = partition, offset, &m, -1
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func noGeneration(*side) int32 { return -1 }

func offsetFetch(group string, all bool, topics ...string) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group, req.Topics = group, []kmsg.OffsetFetchRequestTopic{}
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics, g.MemberEpoch = group, []kmsg.OffsetFetchRequestGroupTopic{}, -1
		for _, name := range topics {
			t := kmsg.NewOffsetFetchRequestTopic()
			t.Topic, t.Partitions = name, []int32{0, 1}
			req.Topics = append(req.Topics, t)
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.TopicID, gt.Partitions = name, s.topicIDs[name], []int32{0, 1}
			g.Topics = append(g.Topics, gt)
		}
		if all {
			req.Topics, g.Topics = nil, nil
		}
		req.Groups = append(req.Groups, g)
		return req
	}
}

func describeConfigs(kind kmsg.ConfigResourceType, name string, names ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeConfigsRequest()
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, names
		req.Resources = append(req.Resources, r)
		return req
	}
}

func alterConfigs(name string, edits ...kmsg.IncrementalAlterConfigsRequestResourceConfig) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, name, edits
		req.Resources = append(req.Resources, r)
		return req
	}
}

func edit(op int8, name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	e.Op, e.Name, e.Value = kmsg.IncrementalAlterConfigOp(op), name, &value
	return e
}

// replaceConfigs sets one configuration and no other.
func replaceConfigs(topic, name, value string, validate bool) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrAlterConfigsRequest()
		req.ValidateOnly = validate
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, &value
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		return req
	}
}

func deleteRecords(topic string, partition int32, offset int64) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 10000
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = topic
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = partition, offset
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func grow(topic string, count int32) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 30000
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, count
		req.Topics = append(req.Topics, t)
		return req
	}
}

func deleteTopics(topics ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.TopicNames = 30000, topics
		for _, name := range topics {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = &name
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

// epochs asks where a leader epoch of partition 0 ends: the side's own, or one
// later by delta. The epoch that the client takes for the current one is left out
// for a current of 0, and otherwise later by current-1.
func epochs(topic string, current, delta int32) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := undefinedEpoch(topic)(s).(*kmsg.OffsetForLeaderEpochRequest)
		p := &req.Topics[0].Partitions[0]
		if p.LeaderEpoch = s.leaderEpoch[topic] + delta; current > 0 {
			p.CurrentLeaderEpoch = s.leaderEpoch[topic] + current - 1
		}
		return req
	}
}

func undefinedEpoch(topic string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.ReplicaID = -1
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic = topic
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.CurrentLeaderEpoch, p.LeaderEpoch = -1, -1
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}
