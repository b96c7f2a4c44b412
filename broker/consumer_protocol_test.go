package broker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/vfs"
)

// A member of a KIP-848 group consumes, commits and leaves, and a restarted
// broker still knows the group and its offsets.
func TestConsumerProtocolEndToEnd(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{})
	addr := serveOn(t, b)
	ctx := testCtx(t)
	cl := client(t, addr)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 4, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	for p := range int32(4) {
		for i := range 10 {
			r := &kgo.Record{Topic: "orders", Partition: p, Value: fmt.Appendf(nil, "%d-%d", p, i)}
			if err := client(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner())).ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	one := client(t, addr, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(), kgo.ServerSideBalancer())
	got := consume(t, ctx, one, 40)
	slices.Sort(got)
	if len(slices.Compact(got)) != 40 {
		t.Errorf("%d different records, want 40", len(got))
	}
	if err := one.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	d, ok := b.groups.DescribeConsumer("g")
	if !ok || len(d.Members) != 1 || d.State != "Stable" {
		t.Fatalf("the group is %+v (known: %v): the client did not use the protocol", d, ok)
	}
	list, err := adm.ListGroups(ctx)
	if err != nil || list["g"].ProtocolType != "consumer" || list["g"].State != "Stable" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if err := one.LeaveGroupContext(ctx); err != nil {
		t.Errorf("leave: %v", err)
	}
	b.Close(ctx)

	again := mustOpen(t, fs, Limits{})
	addr = serveOn(t, again)
	if d, ok := again.groups.DescribeConsumer("g"); !ok || d.State != "Empty" {
		t.Errorf("after a restart: %+v, %v", d, ok)
	}
	offsets, err := kadm.NewClient(client(t, addr)).FetchOffsets(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(4) {
		if o, _ := offsets.Lookup("orders", p); o.At != 10 {
			t.Errorf("partition %d: committed %d, want 10", p, o.At)
		}
	}
}
