package broker

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// A group without members and offsets is known until a pass finds it, and then it
// does not come back with a restart; offsets, members and the engine keep one.
func TestEmptyGroupsExpire(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{})
	addr := serveOn(t, b)
	ctx, cl := testCtx(t), client(t, addr)
	b.Protect(nil, []string{"_engine"})
	for _, topic := range []string{"a", "b"} {
		produce(t, ctx, cl, topic, "v")
	}
	for group, topic := range map[string]string{"emptied": "a", "dropped": "b", "kept": "a", "_engine-q": "a"} {
		c := newChange(64)
		if err := b.submitWait(c, func() error {
			b.stage(c, &offsetsCommitted{group, groupOffsets{{Topic: topic}: committed{next: 1, at: b.now()}}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(cl)
	for _, group := range []string{"left", "member"} {
		m := client(t, addr, kgo.ConsumerGroup(group), kgo.ConsumeTopics("a"), kgo.DisableAutoCommit())
		if fs := m.PollFetches(ctx); fs.Err() != nil {
			t.Fatal(fs.Err())
		}
		if group == "left" {
			if err := m.LeaveGroupContext(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range []event{&txnOffsets{7, "aborted", groupOffsets{{Topic: "a"}: committed{next: 1}}}, &txnOffsetsEnded{7, false},
		&txnOffsets{8, "open", groupOffsets{{Topic: "a"}: committed{next: 1}}}} {
		c := newChange(64)
		if err := b.submitWait(c, func() error { b.stage(c, e); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteOffsets(ctx, "emptied", kadm.TopicsSet{"a": {0: {}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopics(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	list := func() []string {
		t.Helper()
		groups, err := adm.ListGroups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return groups.Groups()
	}
	if got, want := list(), []string{"_engine-q", "aborted", "dropped", "emptied", "kept", "left", "member", "open"}; !slices.Equal(got, want) {
		t.Errorf("before a pass: %v", got)
	}
	d, err := adm.DescribeGroups(ctx, "emptied", "dropped", "left")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range d.Sorted() {
		if g.State != "Empty" {
			t.Errorf("%s is %s", g.Group, g.State)
		}
	}
	b.expireGroups()
	if got, want := list(), []string{"_engine-q", "kept", "member", "open"}; !slices.Equal(got, want) {
		t.Errorf("after a pass: %v", got)
	}
	if _, ok, _ := b.offsets.get("kept", kafka.TopicPartition{Topic: "a"}); !ok {
		t.Error("an offset is gone")
	}
	b.Close(ctx)
	b = mustOpen(t, fs, Limits{})
	if b.groups.Known("left") || !b.groups.Known("member") {
		t.Error("after a restart other groups are known")
	}
}
