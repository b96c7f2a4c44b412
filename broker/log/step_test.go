package log

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// steps watches what is written to segments: every write is handed to the disk
// before the next one.
type steps struct {
	t       *testing.T
	pending string // a segment written to since it was handed over
	writes  int
	last    int64 // offset of the last write at one
	fail    error // what the next hand-over fails with
}

func (s *steps) hook(op vfs.Op) error {
	if !strings.HasSuffix(op.Path, segmentSuffix) {
		return nil
	}
	switch op.Kind {
	case errorfs.OpFileWriteAt, errorfs.OpFileWrite:
		if s.pending != "" {
			s.t.Errorf("write to %s while a write to %s is not handed over", op.Path, s.pending)
		}
		if op.Offset-s.last > 2*stepBytes {
			s.t.Errorf("a write of %d bytes", op.Offset-s.last)
		}
		s.pending, s.last = op.Path, op.Offset
		s.writes++
	case errorfs.OpFileSyncTo:
		s.pending = ""
		return s.fail
	}
	return nil
}

// stepPartition returns a partition whose segments are written through a watch,
// with n batches of half a step each.
func stepPartition(t *testing.T, n int) (*Partition, *steps) {
	watch := &steps{t: t}
	fs := vfs.WithHook(vfs.NewMem(), watch.hook)
	if err := fs.MkdirAll("d", 0o755); err != nil {
		t.Fatal(err)
	}
	store := NewStore(Options{FS: fs, Dir: "d", TailMaxBytes: 1 << 30, OpenFiles: 3, DecompressedMaxBytes: 4 * stepBytes})
	p := store.NewPartition(wal.TopicID{1}, 0)
	for i := range n {
		var w kafka.BatchBuilder
		w.Append(1, []byte{byte(i)}, make([]byte, stepBytes/2), nil)
		w.FinishAs(0, kafka.NoProducerID, -1, -1)
		batch := w.Bytes()
		info, err := Inspect(batch)
		if err != nil {
			t.Fatal(err)
		}
		Assign(batch, kafka.Offset(i), 1)
		if err := p.Publish(Published{Base: kafka.Offset(i), Next: kafka.Offset(i + 1), At: wal.Position{File: 1}, Info: info, Data: batch, InMemory: true}); err != nil {
			t.Fatal(err)
		}
	}
	return p, watch
}

func (p *Partition) archiveAll() error {
	return p.store.Archive(1, []*Partition{p}, func(*Partition) Roll { return Roll{Bytes: 1 << 30, Seal: true} })
}

// TestSegmentsWrittenInSteps: archiving and compaction hand every step to the
// disk before they write the next.
func TestSegmentsWrittenInSteps(t *testing.T) {
	p, watch := stepPartition(t, 12)
	if err := p.archiveAll(); err != nil {
		t.Fatal(err)
	}
	if watch.writes < 6 || watch.pending != "" {
		t.Fatalf("archived in %d writes, pending %q", watch.writes, watch.pending)
	}
	watch.writes = 0
	_, err := p.Compact(CompactOptions{Now: 10, SegmentBytes: 1 << 30, KeyMapBytes: 1 << 20, Swap: func(f func() error) error { return f() },
		Replaced: func([]string) {}, Stopped: func() bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	if watch.writes < 6 || watch.pending != "" {
		t.Fatalf("compacted in %d writes, pending %q", watch.writes, watch.pending)
	}
}

// TestFailedStep: a step that cannot be handed to the disk is a failed sync, also
// when the disk says that it is full, and readers stay with the log.
func TestFailedStep(t *testing.T) {
	p, watch := stepPartition(t, 12)
	watch.fail = syscall.ENOSPC
	if err := p.archiveAll(); !errors.Is(err, syscall.ENOSPC) || vfs.IsFull(err) {
		t.Fatalf("archive: %v, taken for a full disk: %v", err, vfs.IsFull(err))
	}
	if info := p.Info(); info.Archived != 0 || len(info.Segments) != 0 {
		t.Fatalf("archived to %d in %d segments", info.Archived, len(info.Segments))
	}
}
