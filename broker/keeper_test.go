package broker

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// TestRollOfTopics: log files retire into segments of the size that each topic
// asks for.
func TestRollOfTopics(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{WALFileBytes: 4 << 10, WALMaxBytes: 16 << 10, SegmentBytes: 1 << 20, TailMaxBytes: 2 << 10})
	createTopics(t, b, TopicSpec{Name: "a"}, TopicSpec{Name: "b", Configs: map[string]string{"segment.bytes": "1024"}})
	tpB := kafka.TopicPartition{Topic: "b"}
	for i := range 200 {
		v := fmt.Sprintf("%0100d", i)
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}, {tpB, batchOf(1, v), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	large, small := b.topics.partition(tpA).Info().Segments, b.topics.partition(tpB).Info().Segments
	if len(large) != 1 || len(small) < 10 {
		t.Fatalf("%d segments of a, %d of b", len(large), len(small))
	}
}
