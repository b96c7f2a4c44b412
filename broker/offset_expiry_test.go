package broker

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// Offsets go when their group has been without members for long enough, those of
// the engine never, and a commit that comes meanwhile wins.
func TestOffsetsExpire(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{OffsetsRetention: time.Hour})
	addr := serveOn(t, b)
	ctx, cl := testCtx(t), client(t, addr)
	b.Protect(nil, []string{"_engine"})
	for _, topic := range []string{"a", "b"} {
		produce(t, ctx, cl, topic, "v")
	}
	commit := func(group string, topics ...string) {
		t.Helper()
		offsets := groupOffsets{}
		for _, topic := range topics {
			offsets[kafka.TopicPartition{Topic: topic}] = committed{next: 1, at: b.now()}
		}
		c := newChange(64)
		if err := b.submitWait(c, func() error { b.stage(c, &offsetsCommitted{group, offsets}); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	commit("simple", "a")
	commit("_engine-q", "a")
	commit("member", "a", "b")
	member := client(t, addr, kgo.ConsumerGroup("member"), kgo.ConsumeTopics("a"), kgo.DisableAutoCommit())
	adm := kadm.NewClient(cl)
	for member.PollFetches(ctx); ; {
		if d, err := adm.DescribeGroups(ctx, "member"); err == nil && d["member"].State == "Stable" {
			break
		}
	}
	later := b.cfg.Clock.Now().Add(30 * time.Minute)
	settle := func() {
		t.Helper()
		done := make(chan error, 1)
		b.wal.Barrier(func(_ uint64, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	b.expireOffsets(later)
	settle()
	if got := b.offsets.groups(); !slices.Equal(got, []string{"_engine-q", "member", "simple"}) {
		t.Errorf("after 30 minutes: %v", got)
	}
	later = later.Add(time.Hour)
	stale := b.offsets.olderThan("simple", kafka.Timestamp(later.UnixMilli()))
	b.expireOffsets(later)
	settle()
	if got := b.offsets.groups(); !slices.Equal(got, []string{"_engine-q", "member"}) {
		t.Errorf("after 90 minutes: %v", got)
	}
	if left := slices.Collect(maps.Keys(b.offsets.byGroup["member"])); len(left) != 1 || left[0].Topic != "a" {
		t.Errorf("a group with members keeps the offsets of what it subscribes to: %v", left)
	}
	commit("simple", "a")
	for tp, c := range stale {
		c.at--
		stale[tp] = c
	}
	c := newChange(64)
	if err := b.submitWait(c, func() error { b.stage(c, &offsetsExpired{offsetsDeleted{"simple", stale}}); return nil }); err != nil {
		t.Fatal(err)
	}
	if !b.offsets.has("simple") {
		t.Error("an offset that was committed meanwhile expired")
	}
	b.Close(ctx)
	if got := mustOpen(t, fs, Limits{}).offsets.groups(); !slices.Equal(got, []string{"_engine-q", "member", "simple"}) {
		t.Errorf("after a restart: %v", got)
	}
}
