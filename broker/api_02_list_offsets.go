package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// ListOffsets (2). Versions 1-11.
//
// Timestamps: -1 latest (last stable offset for read_committed), -2 earliest,
// -3 the record with the largest timestamp, -4 earliest local (= earliest), -5
// latest tiered and -6 earliest pending upload (none: -1). What a version does
// not know is UNSUPPORTED_VERSION. Any other is looked up: the first offset whose timestamp is not lower, -1 when there is none.
func init() {
	register(2, 1, 11, func(b *Broker, rq *request, req *kmsg.ListOffsetsRequest) error {
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			denied := rq.topicDenied(kmsg.ACLOperationDescribe, rt.Topic, nil, false)
			for _, rp := range rt.Partitions {
				st.Partitions = append(st.Partitions, b.listOffset(rt.Topic, rp, req.Version, req.IsolationLevel == 1, denied))
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

// specialTimestamps are the negative timestamps that mean something, and the
// version that brought each (KIP-79, -734, -405, -1005, -1023).
var specialTimestamps = map[int64]int16{-1: 0, -2: 0, -3: 7, -4: 8, -5: 9, -6: 11}

func (b *Broker) listOffset(topic string, rp kmsg.ListOffsetsRequestTopicPartition, version int16, committed bool, denied error) kmsg.ListOffsetsResponseTopicPartition {
	sp := kmsg.NewListOffsetsResponseTopicPartition()
	sp.Partition, sp.Offset, sp.Timestamp, sp.LeaderEpoch = rp.Partition, -1, -1, -1
	if denied != nil {
		sp.ErrorCode = errorCode(denied)
		return sp
	}
	if since, special := specialTimestamps[rp.Timestamp]; rp.Timestamp < 0 && (!special || version < since) {
		sp.ErrorCode = kerr.UnsupportedVersion.Code
		return sp
	}
	p := b.topics.partition(kafka.TopicPartition{Topic: topic, Partition: rp.Partition})
	if p == nil {
		sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return sp
	}
	if sp.ErrorCode = b.checkLeaderEpoch(rp.CurrentLeaderEpoch); sp.ErrorCode != 0 {
		return sp
	}
	bounds := p.Bounds()
	latest := bounds.HighWatermark
	if committed {
		latest = bounds.LastStable
	}
	var at kafka.Offset
	ts := kafka.NoTimestamp
	var err error
	switch {
	case rp.Timestamp == -1:
		at = latest
	case rp.Timestamp == -2 || rp.Timestamp == -4:
		at = bounds.LogStart
	case rp.Timestamp == -3:
		at, ts, err = p.MaxTimestamp(latest)
	case rp.Timestamp < -3:
		at = -1
	default:
		at, ts, err = p.OffsetForTime(kafka.Timestamp(rp.Timestamp), latest)
	}
	if err != nil {
		sp.ErrorCode = errorCode(err)
		return sp
	}
	sp.Offset, sp.Timestamp = int64(at), int64(ts)
	if at >= 0 {
		sp.LeaderEpoch = b.epoch
	}
	return sp
}
