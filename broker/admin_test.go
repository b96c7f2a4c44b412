package broker

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// ask sends a request at its highest version and fails the test when nothing
// comes back.
func ask[R kmsg.Response](t *testing.T, ctx context.Context, cl *kgo.Client, req kmsg.Request) R {
	t.Helper()
	resp, err := cl.Request(ctx, req)
	if err != nil {
		t.Fatalf("%T: %v", req, err)
	}
	return resp.(R)
}

func wantCode(t *testing.T, what string, got int16, want *kerr.Error) {
	t.Helper()
	code := int16(0)
	if want != nil {
		code = want.Code
	}
	if got != code {
		t.Errorf("%s: %v, want %v", what, kerr.TypedErrorForCode(got), want)
	}
}

// One broker has nowhere to move a partition to: what is so already succeeds,
// everything else has Kafka's own answer.
func TestPlacementAdministration(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "orders", "a")

	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "orders", Partitions: []int32{0, 7}}}
	el := ask[*kmsg.ElectLeadersResponse](t, ctx, cl, elect)
	wantCode(t, "elect", el.Topics[0].Partitions[0].ErrorCode, kerr.ElectionNotNeeded)
	wantCode(t, "elect partition 7", el.Topics[0].Partitions[1].ErrorCode, kerr.UnknownTopicOrPartition)

	alter := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	alter.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "orders", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{
		{Partition: 0, Replicas: nil}, {Partition: 0, Replicas: []int32{nodeID}}, {Partition: 0, Replicas: []int32{2}}, {Partition: 9, Replicas: []int32{1}},
	}}}
	al := ask[*kmsg.AlterPartitionAssignmentsResponse](t, ctx, cl, alter).Topics[0].Partitions
	wantCode(t, "cancel", al[0].ErrorCode, kerr.NoReassignmentInProgress)
	wantCode(t, "stay", al[1].ErrorCode, nil)
	wantCode(t, "move", al[2].ErrorCode, kerr.InvalidReplicaAssignment)
	wantCode(t, "move what is not", al[3].ErrorCode, kerr.UnknownTopicOrPartition)

	if l := ask[*kmsg.ListPartitionReassignmentsResponse](t, ctx, cl, kmsg.NewPtrListPartitionReassignmentsRequest()); l.ErrorCode != 0 || len(l.Topics) != 0 {
		t.Errorf("reassignments: %+v", l)
	}

	dirs := ask[*kmsg.DescribeLogDirsResponse](t, ctx, cl, kmsg.NewPtrDescribeLogDirsRequest())
	if len(dirs.Dirs) != 1 || len(dirs.Dirs[0].Topics) != 1 || dirs.Dirs[0].Topics[0].Partitions[0].Size < 61 {
		t.Errorf("log dirs: %+v", dirs.Dirs)
	}
	for dir, want := range map[string]*kerr.Error{dirs.Dirs[0].Dir: nil, "/elsewhere": kerr.LogDirNotFound} {
		move := kmsg.NewPtrAlterReplicaLogDirsRequest()
		move.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{{Dir: dir, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "orders", Partitions: []int32{0}}}}}
		wantCode(t, "move to "+dir, ask[*kmsg.AlterReplicaLogDirsResponse](t, ctx, cl, move).Topics[0].Partitions[0].ErrorCode, want)
	}

	quorum := kmsg.NewPtrDescribeQuorumRequest()
	quorum.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: metadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
	q := ask[*kmsg.DescribeQuorumResponse](t, ctx, cl, quorum).Topics[0].Partitions[0]
	if q.ErrorCode != 0 || q.LeaderID != nodeID || len(q.CurrentVoters) != 1 || q.HighWatermark < 1 {
		t.Errorf("quorum: %+v", q)
	}

	update := kmsg.NewPtrUpdateFeaturesRequest()
	update.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: "transaction.version", MaxVersionLevel: 2, UpgradeType: 1}}
	wantCode(t, "present level", ask[*kmsg.UpdateFeaturesResponse](t, ctx, cl, update).ErrorCode, nil)
	update.FeatureUpdates[0].MaxVersionLevel = 1
	wantCode(t, "another level", ask[*kmsg.UpdateFeaturesResponse](t, ctx, cl, update).ErrorCode, kerr.InvalidUpdateVersion)
}

// AlterConfigs replaces all, and a bad value changes nothing.
func TestAlterConfigsReplaces(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "orders", Partitions: 1, Configs: map[string]string{"retention.ms": "1000", "segment.bytes": "4096"}}}}); err != nil {
		t.Fatal(err)
	}
	set := func(name string, value *string) int16 {
		req := kmsg.NewPtrAlterConfigsRequest()
		req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: name, Value: value}}}}
		return ask[*kmsg.AlterConfigsResponse](t, ctx, cl, req).Resources[0].ErrorCode
	}
	configs := func() map[string]string { info, _ := b.Topic("orders"); return info.Configs }
	bad, good := "never", "2000"
	wantCode(t, "bad value", set("retention.ms", &bad), kerr.InvalidConfig)
	wantCode(t, "null", set("retention.ms", nil), kerr.InvalidConfig)
	wantCode(t, "unknown name", set("retention.parsecs", &good), kerr.InvalidConfig)
	if len(configs()) != 2 {
		t.Errorf("after refusals: %v", configs())
	}
	wantCode(t, "good value", set("retention.ms", &good), nil)
	if c := configs(); len(c) != 1 || c["retention.ms"] != "2000" {
		t.Errorf("after the change: %v", c)
	}
}

// The cursor of DescribeTopicPartitions walks over every partition once.
func TestDescribeTopicPartitionsPages(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	for _, s := range []TopicSpec{{Name: "a", Partitions: 3}, {Name: "b", Partitions: 5}, {Name: "c", Partitions: 1}} {
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{s}}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2
	for pages := 0; pages < 20; pages++ {
		resp := ask[*kmsg.DescribeTopicPartitionsResponse](t, ctx, cl, req)
		n := 0
		for _, st := range resp.Topics {
			for _, p := range st.Partitions {
				seen = append(seen, *st.Topic+string(rune('0'+p.Partition)))
				n++
			}
		}
		if n > 2 {
			t.Errorf("a page of %d partitions", n)
		}
		if resp.NextCursor == nil {
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	if want := []string{"a0", "a1", "a2", "b0", "b1", "b2", "b3", "b4", "c0"}; !slices.Equal(seen, want) {
		t.Errorf("pages hold %v, want %v", seen, want)
	}
	one := kmsg.NewPtrDescribeTopicPartitionsRequest()
	one.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "nowhere"}}
	wantCode(t, "unknown topic", ask[*kmsg.DescribeTopicPartitionsResponse](t, ctx, cl, one).Topics[0].ErrorCode, kerr.UnknownTopicOrPartition)
}

// A transaction that hangs is found with ListTransactions and DescribeProducers
// and ended with a marker, and its late batches are refused.
func TestHangingTransactionIsEndedByMarker(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := client(t, addr, kgo.TransactionalID("tx-1"))
	adm := kadm.NewClient(cl)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, ctx, cl, "orders", "a")

	list := kmsg.NewPtrListTransactionsRequest()
	pattern := "tx-.*"
	list.TransactionalIDPattern, list.StateFilters = &pattern, []string{"Ongoing", "Sleeping"}
	l := ask[*kmsg.ListTransactionsResponse](t, ctx, cl, list)
	if len(l.TransactionStates) != 1 || l.TransactionStates[0].TransactionalID != "tx-1" || !slices.Equal(l.UnknownStateFilters, []string{"Sleeping"}) {
		t.Fatalf("transactions: %+v, unknown filters %v", l.TransactionStates, l.UnknownStateFilters)
	}
	bad := "("
	list.TransactionalIDPattern = &bad
	wantCode(t, "bad pattern", ask[*kmsg.ListTransactionsResponse](t, ctx, cl, list).ErrorCode, kerr.InvalidRegularExpression)

	desc := kmsg.NewPtrDescribeTransactionsRequest()
	desc.TransactionalIDs = []string{"tx-1", "tx-2"}
	d := ask[*kmsg.DescribeTransactionsResponse](t, ctx, cl, desc).TransactionStates
	if d[0].State != "Ongoing" || len(d[0].Topics) != 1 || d[0].StartTimestamp <= 0 {
		t.Errorf("describe: %+v", d[0])
	}
	wantCode(t, "unknown id", d[1].ErrorCode, kerr.TransactionalIDNotFound)

	producers, err := adm.DescribeProducers(ctx, kadm.TopicsSet{"orders": {0: {}}})
	if err != nil {
		t.Fatal(err)
	}
	active := producers.SortedProducers()
	if len(active) != 1 || active[0].CurrentTxnStartOffset != 0 || active[0].LastSequence != 0 {
		t.Fatalf("producers: %+v", active)
	}
	marker := func(epoch int16, version int8) int16 {
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{
			ProducerID: active[0].ProducerID, ProducerEpoch: epoch, TransactionVersion: version,
			Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "orders", Partitions: []int32{0}}},
		}}
		return ask[*kmsg.WriteTxnMarkersResponse](t, ctx, cl, req).Markers[0].Topics[0].Partitions[0].ErrorCode
	}
	epoch := active[0].ProducerEpoch
	wantCode(t, "epoch not above", marker(epoch, 2), kerr.InvalidProducerEpoch)
	wantCode(t, "next epoch", marker(epoch+1, 2), nil)
	wantCode(t, "repeated", marker(epoch+1, 2), nil)
	first, stable, err := b.Bounds(kafka.TopicPartition{Topic: "orders"})
	if err != nil || first != 0 || stable != 3 {
		t.Errorf("bounds %d, %d, %v: the last stable offset must pass the markers", first, stable, err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("late")}).FirstErr(); err == nil {
		t.Error("a batch after the marker was accepted")
	}
}

// Offsets of a topic that a member subscribes to stay, others go.
func TestOffsetDelete(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := client(t, addr)
	produce(t, ctx, cl, "orders", "a")
	produce(t, ctx, cl, "other", "a")
	adm := kadm.NewClient(cl)
	if _, err := adm.CommitOffsets(ctx, "g", kadm.OffsetsFromRecords(kgo.Record{Topic: "other"}, kgo.Record{Topic: "orders"})); err != nil {
		t.Fatal(err)
	}
	member := client(t, addr, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
	for member.PollFetches(ctx); ; {
		if d, err := adm.DescribeGroups(ctx, "g"); err == nil && d["g"].State == "Stable" {
			break
		}
	}
	got, err := adm.DeleteOffsets(ctx, "g", kadm.TopicsSet{"orders": {0: {}}, "other": {0: {}}, "nowhere": {0: {}}})
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]error{"orders": kerr.GroupSubscribedToTopic, "other": nil, "nowhere": kerr.UnknownTopicOrPartition} {
		if err := got[topic][0]; err != want {
			t.Errorf("delete offsets of %s: %v, want %v", topic, err, want)
		}
	}
	if _, err := adm.DeleteOffsets(ctx, "no-group", kadm.TopicsSet{"other": {0: {}}}); err != kerr.GroupIDNotFound {
		t.Errorf("unknown group: %v", err)
	}
	left, err := adm.FetchOffsets(ctx, "g")
	if _, still := left.Lookup("other", 0); err != nil || still {
		t.Errorf("offset of other is still there (%v)", err)
	}
}
