package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// More replies of Apache Kafka 4.4, to requests of administrators and groups.

// Of several errors the first one is told, by name, configuration, replicas and
// partitions; blanks around a value do not matter.
func TestCreateTopicErrorsInOrder(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	for _, c := range []struct {
		name, value string
		partitions  int32
		replicas    int16
		want        *kerr.Error
	}{
		{"orders", "x", 0, 0, kerr.TopicAlreadyExists}, {"other", "x", 0, 0, kerr.InvalidConfig}, {"other", "1000", 0, 0, kerr.InvalidReplicationFactor},
		{"other", "1000", 0, 1, kerr.InvalidPartitions}, {"other", " 1000 ", 1, 1, nil},
	} {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = c.name, c.partitions, c.replicas
		rt.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "segment.ms", Value: &c.value}}
		req.Topics = append(req.Topics, rt)
		wantCode(t, c.name+c.value, ask[*kmsg.CreateTopicsResponse](t, ctx, cl, req).Topics[0].ErrorCode, c.want)
	}
}

func TestAlterConfigsLikeKafka(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	type change = kmsg.IncrementalAlterConfigsRequestResourceConfig
	of := func(op kmsg.IncrementalAlterConfigOp, name, value string) change {
		return change{Name: name, Op: op, Value: &value}
	}
	set, appended := kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpAppend
	for _, c := range []struct {
		topic   string
		changes []change
		want    *kerr.Error
	}{
		{"no-such", []change{of(set, "segment.ms", "x")}, kerr.InvalidConfig}, {"no-such", []change{of(set, "segment.ms", "1")}, kerr.UnknownTopicOrPartition},
		{"orders", []change{of(set, "segment.ms", "x"), of(set, "segment.ms", "1")}, kerr.InvalidRequest},
		{"orders", []change{of(set, "preallocate", "TRUE"), of(set, "segment.ms", " 7 ")}, nil},
		{"orders", []change{of(set, "cleanup.policy", "delete,compact")}, nil}, {"orders", []change{of(appended, "cleanup.policy", "delete")}, nil},
	} {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: c.topic, Configs: c.changes}}
		wantCode(t, c.topic, ask[*kmsg.IncrementalAlterConfigsResponse](t, ctx, cl, req).Resources[0].ErrorCode, c.want)
	}
	for _, c := range []struct{ name, value, want string }{
		{"preallocate", " TRUE", "true"}, {"cleanup.policy", "delete, compact,delete", "delete,compact"}, {"min.cleanable.dirty.ratio", "1", "1.0"},
		{"min.cleanable.dirty.ratio", "0.25", "0.25"}, {"segment.ms", " 5 ", "5"}, {"cleanup.policy", "", ""},
	} {
		known, _ := findConfig(c.name)
		if err := known.check(c.value); err != nil || known.canonical(c.value) != c.want {
			t.Errorf("%s %q: %q, %v, want %q", c.name, c.value, known.canonical(c.value), err, c.want)
		}
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders", ConfigNames: []string{"cleanup.policy"}}}
	if got := ask[*kmsg.DescribeConfigsResponse](t, ctx, cl, req).Resources[0].Configs[0].Value; got == nil || *got != "delete,compact" {
		t.Errorf("appending what is there: %v", got)
	}
}

func TestScramUserOnceInARequest(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	good := func(m int8) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
		size := 32
		if m == 2 {
			size = 64
		}
		return kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: "alice", Mechanism: m, Iterations: 4096, Salt: []byte("salt"), SaltedPassword: make([]byte, size)}
	}
	bad := good(9)
	type list = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion
	for _, c := range []struct {
		upsertions list
		want       *kerr.Error
	}{
		{list{good(1), good(2)}, kerr.DuplicateResource}, {list{bad, good(1)}, kerr.DuplicateResource}, {list{good(1), bad}, kerr.UnsupportedSaslMechanism},
		{list{good(1)}, nil},
	} {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		req.Upsertions = c.upsertions
		wantCode(t, "user", ask[*kmsg.AlterUserSCRAMCredentialsResponse](t, ctx, cl, req).Results[0].ErrorCode, c.want)
	}
}

func TestQuotaRequestsLikeKafka(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	name := "c"
	for _, c := range []struct {
		kind, name, key string
		remove          bool
		want            *kerr.Error
	}{
		{"ip", "no such", "connection_creation_rate", false, kerr.InvalidRequest}, {"ip", "10.0.0.1", "connection_creation_rate", false, nil},
		{"planet", "c", "producer_byte_rate", false, kerr.InvalidRequest}, {"client-id", "c", "no_such", true, nil}, {"client-id", "c", "no_such", false, kerr.InvalidRequest},
	} {
		req := kmsg.NewPtrAlterClientQuotasRequest()
		req.Entries = []kmsg.AlterClientQuotasRequestEntry{{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: c.kind, Name: &c.name}},
			Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: c.key, Value: 1e9, Remove: c.remove}}}}
		wantCode(t, c.kind+" "+c.name, ask[*kmsg.AlterClientQuotasResponse](t, ctx, cl, req).Entries[0].ErrorCode, c.want)
	}
	for how, want := range map[kmsg.QuotasMatchType]*kerr.Error{kmsg.QuotasMatchTypeExact: nil, kmsg.QuotasMatchTypeDefault: kerr.InvalidRequest, kmsg.QuotasMatchTypeAny: kerr.InvalidRequest} {
		req := kmsg.NewPtrDescribeClientQuotasRequest()
		req.Components = []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "client-id", MatchType: how, Match: &name}}
		wantCode(t, "match", ask[*kmsg.DescribeClientQuotasResponse](t, ctx, cl, req).ErrorCode, want)
	}
}

func TestClusterRequestsLikeKafka(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	elect := kmsg.NewPtrElectLeadersRequest()
	if got := ask[*kmsg.ElectLeadersResponse](t, ctx, cl, elect); len(got.Topics) != 1 || got.Topics[0].Topic != "orders" || len(got.Topics[0].Partitions) != 0 {
		t.Errorf("elect all: %+v", got.Topics)
	}
	elect.ElectionType = 7
	wantCode(t, "elect", ask[*kmsg.ElectLeadersResponse](t, ctx, cl, elect).ErrorCode, kerr.InvalidRequest)
	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	dirs.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "orders"}, {Topic: "orders"}}
	if got := ask[*kmsg.DescribeLogDirsResponse](t, ctx, cl, dirs).Dirs[0].Topics; len(got) != 1 {
		t.Errorf("log directories: %d topics, want 1", len(got))
	}
	features := kmsg.NewPtrUpdateFeaturesRequest()
	features.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: "group.version", MaxVersionLevel: 1, UpgradeType: 9}}
	if got := ask[*kmsg.UpdateFeaturesResponse](t, ctx, cl, features); got.ErrorCode != kerr.InvalidUpdateVersion.Code || len(got.Results) != 0 {
		t.Errorf("features: %+v", got)
	}
	pages := kmsg.NewPtrDescribeTopicPartitionsRequest()
	pages.ResponsePartitionLimit = 5
	pages.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "orders"}}
	if got := ask[*kmsg.DescribeTopicPartitionsResponse](t, ctx, cl, pages).Topics[0].AuthorizedOperations; got <= 0 {
		t.Errorf("operations on the topic: %b", got)
	}
	pages.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "zebras"}
	found := kmsg.NewPtrFindCoordinatorRequest()
	found.CoordinatorType, found.CoordinatorKeys = 1, []string{""}
	wantCode(t, "coordinator of nothing", ask[*kmsg.FindCoordinatorResponse](t, ctx, cl, found).Coordinators[0].ErrorCode, nil)
	wantCode(t, "cursor", ask[*kmsg.DescribeTopicPartitionsResponse](t, ctx, cl, pages).Topics[0].ErrorCode, kerr.InvalidRequest)
}

// An offset commit tells first that a partition is not there, then that the member
// is not.
func TestOffsetCommitErrorsInOrder(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	commit := func(version int16, group, member string, generation, partition int32) int16 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = group, member, generation
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: partition, Offset: 1, LeaderEpoch: -1}}}}
		return ask[*kmsg.OffsetCommitResponse](t, ctx, atVersion(t, addr, 8, version), req).Topics[0].Partitions[0].ErrorCode
	}
	wantCode(t, "unknown partition", commit(9, "g", "m", 3, 9), kerr.UnknownTopicOrPartition)
	wantCode(t, "no group", commit(9, "g", "m", 3, 0), kerr.GroupIDNotFound)
	wantCode(t, "no group, of old", commit(8, "g", "m", 3, 0), kerr.IllegalGeneration)
	wantCode(t, "without generation", commit(9, "g", "m", -1, 0), nil)
	wantCode(t, "group of offsets", commit(9, "g", "m", 3, 0), kerr.UnknownMemberID)
}

// Who asks for configurations that are not served is told which are.
func TestConfigsOfOthers(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	for _, c := range []struct {
		kind            kmsg.ConfigResourceType
		name            string
		describe, alter string
	}{
		{kmsg.ConfigResourceTypeGroupConfig, "billing", "groups have no configurations here: those of topics and of the broker are described", "configurations of groups cannot be changed: only those of topics can"},
		{kmsg.ConfigResourceTypeClientMetrics, "m", "client-metrics have no configurations here: those of topics and of the broker are described", "configurations of client-metrics cannot be changed: only those of topics can"},
		{7, "x", "resources of type 7 have no configurations here: those of topics and of the broker are described", "configurations of resources of type 7 cannot be changed: only those of topics can"},
		{kmsg.ConfigResourceTypeBroker, "9", `there is no broker "9", the only one is 1`, "configurations of brokers cannot be changed: only those of topics can"},
	} {
		describe := kmsg.NewPtrDescribeConfigsRequest()
		describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: c.kind, ResourceName: c.name}}
		d, err := cl.Broker(nodeID).Request(ctx, describe)
		if err != nil {
			t.Fatal(err)
		}
		got := d.(*kmsg.DescribeConfigsResponse).Resources[0]
		if got.ErrorCode != kerr.InvalidRequest.Code || got.ErrorMessage == nil || *got.ErrorMessage != c.describe {
			t.Errorf("describe %s: error %d, %q", c.kind, got.ErrorCode, deref(got.ErrorMessage))
		}
		alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
		alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: c.kind, ResourceName: c.name}}
		a, err := cl.Broker(nodeID).Request(ctx, alter)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]; got.ErrorCode != kerr.InvalidRequest.Code || deref(got.ErrorMessage) != c.alter {
			t.Errorf("alter %s: error %d, %q", c.kind, got.ErrorCode, deref(got.ErrorMessage))
		}
	}
}
