package broker

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// These replies are what Apache Kafka 4.4 gives to the same requests; the
// differential test of internal/interop found that ours were others.

// Deleting a configuration that does not exist succeeds; setting one does not.
func TestDeleteUnknownConfig(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "orders", "a")
	value := "1"
	for op, want := range map[kmsg.IncrementalAlterConfigOp]*kerr.Error{kmsg.IncrementalAlterConfigOpDelete: nil, kmsg.IncrementalAlterConfigOpSet: kerr.InvalidConfig} {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders",
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "no.such", Op: op, Value: &value}}}}
		wantCode(t, op.String(), ask[*kmsg.IncrementalAlterConfigsResponse](t, ctx, cl, req).Resources[0].ErrorCode, want)
	}
}

// atVersion returns a client that speaks one version of a key.
func atVersion(t *testing.T, addr string, key, version int16) *kgo.Client {
	v := kversion.Stable()
	v.SetMaxKeyVersion(key, version)
	return client(t, addr, kgo.MaxVersions(v))
}

func createTopic(t *testing.T, ctx context.Context, cl *kgo.Client, name string, configs map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, configs, name); err != nil {
		t.Fatal(err)
	}
}

func TestListOffsetsSpecialTimestampsByVersion(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	produce(t, ctx, client(t, addr), "orders", "a", "b")
	for _, c := range []struct {
		version int16
		at      int64
		want    *kerr.Error
		offset  int64
	}{
		{6, -3, kerr.UnsupportedVersion, -1}, {7, -3, nil, 1}, {7, -4, kerr.UnsupportedVersion, -1}, {8, -4, nil, 0},
		{8, -5, kerr.UnsupportedVersion, -1}, {9, -5, nil, -1}, {10, -6, kerr.UnsupportedVersion, -1}, {11, -6, nil, -1},
		{11, -7, kerr.UnsupportedVersion, -1}, {1, -1, nil, 2}, {1, -2, nil, 0},
	} {
		req := kmsg.NewPtrListOffsetsRequest()
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: c.at, CurrentLeaderEpoch: -1}}}}
		got := ask[*kmsg.ListOffsetsResponse](t, ctx, atVersion(t, addr, 2, c.version), req).Topics[0].Partitions[0]
		if wantCode(t, "list", got.ErrorCode, c.want); got.Offset != c.offset {
			t.Errorf("version %d, timestamp %d: offset %d, want %d", c.version, c.at, got.Offset, c.offset)
		}
	}
}

func TestDeleteRecordsOfCompactedTopic(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	for policy, want := range map[string]*kerr.Error{"compact": kerr.PolicyViolation, "compact,delete": nil, "delete": nil} {
		name := "orders-" + policy[len(policy)-4:] + policy[:4]
		createTopic(t, ctx, cl, name, map[string]*string{"cleanup.policy": &policy})
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 0}}}}
		got := ask[*kmsg.DeleteRecordsResponse](t, ctx, cl, req).Topics[0].Partitions[0]
		wantCode(t, policy, got.ErrorCode, want)
		if want != nil && got.LowWatermark != -1 {
			t.Errorf("%s: low watermark %d beside an error", policy, got.LowWatermark)
		}
	}
}

func TestProduceBaseOffset(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	details, err := kadm.NewClient(cl).ListTopics(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for base, want := range map[kafka.Offset]*kerr.Error{0: nil, 512: kerr.InvalidRecord, -1: kerr.InvalidRecord} {
		var w kafka.BatchBuilder
		w.Append(1, nil, []byte("a"), nil)
		w.Finish()
		batch, _, err := kafka.NextBatch(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		batch.SetBaseOffset(base)
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 1000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", TopicID: details["orders"].ID, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
		wantCode(t, "produce", ask[*kmsg.ProduceResponse](t, ctx, cl, req).Topics[0].Partitions[0].ErrorCode, want)
	}
}

// That zstd came with version 7 is told before a wrong checksum.
func TestProduceZstdBeforeItsVersion(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	for version, want := range map[int16]*kerr.Error{6: kerr.UnsupportedCompressionType, 7: kerr.CorruptMessage} {
		var w kafka.BatchBuilder
		w.Append(1, nil, []byte("a"), nil)
		w.Finish()
		batch := kafka.Batch(w.Bytes())
		batch.SetAttributes(log.CodecZstd)
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 1000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
		wantCode(t, "produce", ask[*kmsg.ProduceResponse](t, ctx, atVersion(t, addr, 0, version), req).Topics[0].Partitions[0].ErrorCode, want)
	}
}

func TestOffsetForUndefinedEpoch(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "orders", "a")
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1, LeaderEpoch: -1}}}}
	if got := ask[*kmsg.OffsetForLeaderEpochResponse](t, ctx, cl, req).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.LeaderEpoch != -1 || got.EndOffset != -1 {
		t.Errorf("got %+v", got)
	}
}

func TestAlterConfigTwice(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	value := "60000"
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "segment.ms", Value: &value}, {Name: "segment.ms", Op: kmsg.IncrementalAlterConfigOpDelete}}}}
	wantCode(t, "alter", ask[*kmsg.IncrementalAlterConfigsResponse](t, ctx, cl, req).Resources[0].ErrorCode, kerr.InvalidRequest)
}

func TestTopicNamedTwice(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "a", NumPartitions: 1, ReplicationFactor: 1}, {Topic: "b", NumPartitions: 1, ReplicationFactor: 1},
		{Topic: "a", NumPartitions: 1, ReplicationFactor: 1}}
	got := ask[*kmsg.CreateTopicsResponse](t, ctx, cl, req).Topics
	if len(got) != 2 || got[0].ErrorCode != kerr.InvalidRequest.Code || got[1].ErrorCode != 0 {
		t.Errorf("create: %+v", got)
	}
	md := kmsg.NewPtrMetadataRequest()
	for _, name := range []string{"b", "a", "b"} {
		md.Topics = append(md.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	if got := ask[*kmsg.MetadataResponse](t, ctx, cl, md).Topics; len(got) != 2 {
		t.Errorf("metadata: %+v", got)
	}
}

func TestDescribeClusterOfUnknownEndpoint(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 9
	got := ask[*kmsg.DescribeClusterResponse](t, testCtx(t), client(t, addr), req)
	if wantCode(t, "describe", got.ErrorCode, kerr.UnsupportedEndpointType); got.ClusterID != "" || got.ControllerID != -1 || len(got.Brokers) != 0 {
		t.Errorf("got %+v", got)
	}
}

// fetchOf asks for partition 0 of a topic from an offset on.
func fetchOf(topic TopicID, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SessionEpoch, req.MaxBytes = -1, 1000
	req.Topics = []kmsg.FetchRequestTopic{{TopicID: topic, Partitions: []kmsg.FetchRequestTopicPartition{
		{FetchOffset: offset, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1, PartitionMaxBytes: 1000}}}}
	return req
}

func TestFetchOutOfRangeTellsNoOffsets(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "orders", "a")
	details, err := kadm.NewClient(cl).ListTopics(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	req := fetchOf(TopicID(details["orders"].ID), 9)
	got := ask[*kmsg.FetchResponse](t, ctx, cl, req).Topics[0].Partitions[0]
	if wantCode(t, "fetch", got.ErrorCode, kerr.OffsetOutOfRange); got.HighWatermark != -1 || got.LastStableOffset != -1 || got.LogStartOffset != -1 {
		t.Errorf("got %+v", got)
	}
}

func TestConsumerGroupReplies(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	beat := func(epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = "g", "AAAAAAAAAAAAAAAAAAAAAA", epoch, -1
		if epoch == 0 {
			req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 30000, []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		}
		return ask[*kmsg.ConsumerGroupHeartbeatResponse](t, ctx, cl, req)
	}
	joined := beat(0)
	if wantCode(t, "join", joined.ErrorCode, nil); joined.HeartbeatIntervalMillis <= 0 {
		t.Errorf("join: %+v", joined)
	}
	if bad := beat(99); bad.ErrorCode == 0 || bad.MemberID != nil || bad.MemberEpoch != 0 {
		t.Errorf("wrong epoch: %+v", bad)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.MemberID, commit.Generation = "g", "AAAAAAAAAAAAAAAAAAAAAA", joined.MemberEpoch
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 0, LeaderEpoch: -1}}}}
	wantCode(t, "commit at 9", ask[*kmsg.OffsetCommitResponse](t, ctx, atVersion(t, addr, 8, 9), commit).Topics[0].Partitions[0].ErrorCode, nil)
	wantCode(t, "commit at 8", ask[*kmsg.OffsetCommitResponse](t, ctx, atVersion(t, addr, 8, 8), commit).Topics[0].Partitions[0].ErrorCode, kerr.UnsupportedVersion)
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{"g"}
	if m := ask[*kmsg.ConsumerGroupDescribeResponse](t, ctx, cl, describe).Groups[0].Members[0]; m.SubscribedTopicRegex == nil || *m.SubscribedTopicRegex != "" {
		t.Errorf("regular expression of a member without one: %v", m.SubscribedTopicRegex)
	}
	if left := beat(-1); left.ErrorCode != 0 || left.MemberEpoch != -1 || left.HeartbeatIntervalMillis != 0 {
		t.Errorf("leave: %+v", left)
	}
}
