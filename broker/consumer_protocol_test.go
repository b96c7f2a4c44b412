package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"

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

// Consumers move from the classic protocol to that of KIP-848 and back, one after
// the other, while records come; none is missed, and offsets go on.
func TestConsumersChangeTheirProtocol(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{"eager": kgo.RangeBalancer(), "cooperative": kgo.CooperativeStickyBalancer()} {
		t.Run(name, func(t *testing.T) { changeProtocol(t, balancer) })
	}
}

func changeProtocol(t *testing.T, balancer kgo.GroupBalancer) {
	b, addr := serveTest(t, Limits{GroupInitialRebalanceDelay: time.Millisecond, GroupConsumerHeartbeatInterval: 100 * time.Millisecond})
	ctx := testCtx(t)
	cl := client(t, addr, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 6, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	consumed := make(chan string, 10_000)
	start := func(opts ...kgo.Opt) (stop func()) {
		member := client(t, addr, append(opts, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.HeartbeatInterval(100*time.Millisecond))...)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				fs := member.PollFetches(ctx)
				if fs.IsClientClosed() || ctx.Err() != nil {
					return
				}
				fs.EachRecord(func(r *kgo.Record) { consumed <- string(r.Value) })
				// Refused after a rebalance: then the records come again.
				if err := member.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() != nil {
					return
				}
				member.AllowRebalance()
			}
		}()
		return func() {
			member.CloseAllowingRebalance()
			<-done
		}
	}
	sent, seen := 0, map[string]bool{}
	flow := func() {
		t.Helper()
		for range 300 {
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: fmt.Append(nil, sent)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for len(seen) < sent {
			select {
			case v := <-consumed:
				seen[v] = true
			case <-ctx.Done():
				t.Fatalf("%d of %d records came", len(seen), sent)
			}
		}
	}
	settle := func(consumers, classics int) {
		t.Helper()
		for ctx.Err() == nil {
			d, _ := b.groups.DescribeConsumer("g")
			n, old := 0, 0
			for _, m := range d.Members {
				if n++; m.Classic {
					old++
				}
			}
			if c, ok := b.groups.Describe("g"); ok && c.State == "Stable" {
				n, old, d.State = len(c.Members), len(c.Members), "Stable"
			}
			if d.State == "Stable" && n == consumers+classics && old == classics {
				return
			}
			if err := cl.Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
		d, _ := b.groups.DescribeConsumer("g")
		t.Fatalf("no group of %d and %d classic members: %+v", consumers, classics, d)
	}
	classic, consumer := []kgo.Opt{kgo.Balancers(balancer)}, []kgo.Opt{kgo.ServerSideBalancer()}
	stopA, stopB := start(classic...), start(classic...)
	settle(0, 2)
	flow()
	stopC := start(consumer...)
	settle(1, 2)
	flow()
	stopA()
	settle(1, 1)
	stopD := start(consumer...)
	stopB()
	settle(2, 0)
	flow()
	stopE := start(classic...)
	settle(2, 1)
	flow()
	stopC()
	stopD()
	settle(0, 1)
	flow()
	stopE()
}
