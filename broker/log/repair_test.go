package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// reopened returns the partition as a start finds it.
func (o *oracle) reopened() *Partition {
	o.t.Helper()
	var e wal.Encoder
	o.p.Encode(&e)
	p := NewStore(o.store.opts).NewPartition(o.p.Topic, o.p.Partition)
	d := wal.Decoder{Buf: e.Buf}
	if p.Decode(&d, true); d.Err != nil || len(d.Buf) != 0 {
		o.t.Fatal(d.Err, len(d.Buf))
	}
	if _, err := p.CheckFiles(); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// repair repairs a partition and returns what was wrong and what was set aside.
func (o *oracle) repair(p *Partition) ([]Damage, []string) {
	o.t.Helper()
	var aside, replaced []string
	all, err := p.Repair(RepairOptions{
		SetAside: func(stem string) error { aside = append(aside, stem); return nil },
		Swap:     func(f func() error) error { return f() },
		Replaced: func(stems []string) { replaced = append(replaced, stems...) },
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if !slices.Equal(aside, replaced) || len(aside) != len(all) {
		o.t.Fatalf("set aside %v, replaced %v, damaged %v", aside, replaced, all)
	}
	if err := p.store.RemoveReplaced(replaced); err != nil {
		o.t.Fatal(err)
	}
	return all, aside
}

// repaired gives the one damaged segment its new bytes, repairs it and returns what
// a reader of committed records gets.
func (o *oracle) repaired(path string, bad []byte) map[kafka.Offset]kafka.Record {
	o.t.Helper()
	if err := vfs.WriteFileAtomic(o.fs, path, bad); err != nil {
		o.t.Fatal(err)
	}
	p := o.reopened()
	if all, _ := o.repair(p); len(all) != 1 {
		o.t.Fatal(all)
	}
	got, err := readCommitted(p, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	return got
}

// harm damages a file somehow.
func harm(t *testing.T, rng *rand.Rand, fs vfs.FS, path string) {
	t.Helper()
	good, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at := rng.IntN(len(good))
	switch k := rng.IntN(10); {
	case k < 5:
		good[at] ^= 1 << rng.IntN(8)
	case k < 8:
		clear(good[at:min(len(good), at+1+rng.IntN(600))])
	case k < 9:
		good = good[:at]
	default:
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := vfs.WriteFileAtomic(fs, path, good); err != nil {
		t.Fatal(err)
	}
}

// TestRepairOracle damages files of random loads: what a repair leaves is what a
// reader saw before, without the offsets that the repair names, to a reader that
// knows aborted transactions by their markers, too.
func TestRepairOracle(t *testing.T) {
	seeds(t, rounds(20), func(t *testing.T, rng *rand.Rand) {
		o := newOracle(t, rng)
		for range 300 {
			pid := kafka.ProducerID(rng.IntN(3))
			switch k := rng.IntN(100); {
			case k < 40:
				o.append(kafka.NoProducerID, false)
			case k < 70:
				o.append(pid, true)
			case k < 95 && o.open[pid]:
				o.end(pid, rng.IntN(2) > 0)
			case k == 98:
				o.compact()
			}
		}
		o.archive(rng.IntN(2) == 0)
		want, err := readCommitted(o.p, 0)
		if err != nil {
			t.Fatal(err)
		}
		segments := o.p.Info().Segments
		for range 1 + rng.IntN(4) {
			s := segments[rng.IntN(len(segments))]
			path := o.fs.PathJoin(o.p.dir, s.Stem)
			if _, err := o.fs.Stat(path + segmentSuffix); err == nil {
				harm(t, rng, o.fs, path+segmentSuffix)
			}
			if rng.IntN(2) == 0 {
				harm(t, rng, o.fs, path+indexSuffix)
				break // an index that is gone cannot be harmed again
			}
		}
		p := o.reopened()
		found, err := p.FindDamage()
		if err != nil {
			t.Fatal(err)
		}
		done, _ := o.repair(p)
		if fmt.Sprint(found) != fmt.Sprint(done) {
			t.Fatalf("found %v, repaired %v", found, done)
		}
		if again, err := p.FindDamage(); err != nil || len(again) > 0 {
			t.Fatalf("after the repair: %v, %v", again, err)
		}
		// In one fetch there are several transactions of a producer.
		got, err := readCommittedBy(p, 0, 100+rng.IntN(2000))
		if err != nil {
			t.Fatalf("damage %v: %v", found, err)
		}
		for _, d := range found {
			for _, g := range d.Gaps {
				if g.From < d.Base || g.Next > d.Next || g.From >= g.Next {
					t.Fatalf("gap %v of segment %v", g, d)
				}
				maps.DeleteFunc(want, func(at kafka.Offset, _ kafka.Record) bool { return g.From <= at && at < g.Next })
			}
		}
		if err := sameRecords(got, want); err != nil {
			t.Fatalf("damage %v: %v", found, err)
		}
		for from := kafka.Offset(0); from < o.next; from++ {
			if run, err := p.Read(from, o.next, 1); err != nil || run.Next <= from || len(run.Batches) == 0 {
				t.Fatalf("read from %d: next %d, %v", from, run.Next, err)
			}
		}
	})
}

func sameRecords(got, want map[kafka.Offset]kafka.Record) error {
	for at, w := range want {
		if g, ok := got[at]; !ok || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) || g.Timestamp != w.Timestamp {
			return fmt.Errorf("offset %d: got %v %+v, want %+v", at, ok, g, w)
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			return fmt.Errorf("offset %d was lost, aborted, or never there", at)
		}
	}
	return nil
}

// large is a partition of one sealed segment with 500 batches of one record of
// about 400 bytes, with an index of several entries.
func large(t *testing.T, value func(i int) string) *oracle {
	t.Helper()
	o := newOracle(t, rand.New(rand.NewPCG(1, 1)))
	o.store.opts.Sealer = nil
	for i := range 500 {
		var w kafka.BatchBuilder
		w.Append(kafka.Timestamp(i), nil, []byte(value(i)), nil)
		w.Finish()
		o.publish(w.Bytes())
	}
	err := o.store.Archive(1, []*Partition{o.p}, func(*Partition) Roll { return Roll{Bytes: 1 << 20, Seal: true} })
	if err != nil || len(o.p.segments) != 1 || o.p.segments[0].indexEntries < 5 {
		t.Fatalf("%d segments, %v", len(o.p.segments), err)
	}
	return o
}

// TestRepairLosesLittle: of one damaged batch no other is lost, whatever of it is
// damaged, as long as its length is not; then it is no more than one interval of
// the index; without an index what is behind it.
func TestRepairLosesLittle(t *testing.T) {
	value := func(int) string { return strings.Repeat("v", 400) }
	o := large(t, value)
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem())
	good, err := vfs.ReadFile(o.fs, path+segmentSuffix, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	size := len(good) / 500
	for name, c := range map[string]struct {
		harm    func(b []byte)
		noIndex bool
		from    kafka.Offset
		lost    kafka.Offset // at most
	}{
		"payload":                 {func(b []byte) { b[100*size+70] ^= 1 }, false, 100, 1},
		"base offset":             {func(b []byte) { b[100*size+7] ^= 1 }, false, 100, 1},
		"last offset delta":       {func(b []byte) { b[100*size+26] ^= 1 }, false, 100, 1},
		"leader epoch":            {func(b []byte) { b[100*size+15] ^= 1 }, true, 100, 1},
		"payload without index":   {func(b []byte) { b[100*size+70] ^= 1 }, true, 100, 1},
		"the first":               {func(b []byte) { b[70] ^= 1 }, false, 0, 1},
		"the last":                {func(b []byte) { b[499*size+70] ^= 1 }, true, 499, 1},
		"length":                  {func(b []byte) { b[100*size+11] ^= 1 }, false, 100, kafka.Offset(indexIntervalBytes/size + 2)},
		"length, without index":   {func(b []byte) { b[100*size+11] ^= 1 }, true, 100, 400},
		"huge length":             {func(b []byte) { b[100*size+8] ^= 0x40 }, false, 100, kafka.Offset(indexIntervalBytes/size + 2)},
		"magic":                   {func(b []byte) { b[100*size+16] = 1 }, false, 100, kafka.Offset(indexIntervalBytes/size + 2)},
		"zeros over two":          {func(b []byte) { clear(b[100*size+30 : 101*size+30]) }, false, 100, kafka.Offset(indexIntervalBytes/size + 2)},
		"length onto a later one": {func(b []byte) { binary.BigEndian.PutUint32(b[100*size+8:], uint32(3*size-12)) }, false, 100, 3},
	} {
		bad := slices.Clone(good)
		c.harm(bad)
		if err := vfs.WriteFileAtomic(o.fs, path+segmentSuffix, bad); err != nil {
			t.Fatal(err)
		}
		p := o.reopened()
		if c.noIndex {
			p.segments[0].indexEntries = 0
		}
		all, err := p.FindDamage()
		if err != nil || len(all) != 1 || len(all[0].Gaps) != 1 {
			t.Errorf("%s: %v, %v", name, all, err)
			continue
		}
		if g := all[0].Gaps[0]; g.From != c.from || g.Next-g.From > c.lost || g.Next <= g.From {
			t.Errorf("%s: lost %d to %d, expected %d offsets from %d at most", name, g.From, g.Next-1, c.lost, c.from)
		}
	}
}

// TestRepairKeepsAborts: a transaction whose abort marker is damaged stays aborted,
// and the next one of its producer does not become so for a client that knows the
// end of an aborted one by its marker.
func TestRepairKeepsAborts(t *testing.T) {
	o := newOracle(t, rand.New(rand.NewPCG(2, 2)))
	o.store.opts.Sealer = nil
	write := func(value string, commit bool) {
		var w kafka.BatchBuilder
		w.Append(1, nil, []byte(value), nil)
		w.FinishAs(kafka.AttrTransactional, 7, 0, int32(o.next))
		o.publish(w.Bytes())
		o.publish(NewMarker(7, 0, commit, 1, 1))
	}
	write("aborted", false)
	write("committed", true)
	o.archive(true)
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].name())
	b, err := vfs.ReadFile(o.fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := kafka.NextBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	b[len(first)+kafka.BatchHeaderBytes] ^= 1
	if err := vfs.WriteFileAtomic(o.fs, path, b); err != nil {
		t.Fatal(err)
	}
	p := o.reopened()
	if all, _ := o.repair(p); len(all) != 1 || len(all[0].Gaps) != 1 || all[0].Gaps[0].From != 1 || all[0].Gaps[0].Next != 2 {
		t.Fatal(all)
	}
	got, err := readCommittedBy(p, 0, 1<<20)
	if err != nil || len(got) != 1 || string(got[2].Value) != "committed" {
		t.Fatalf("%v, %v", got, err)
	}
}

// TestRepairBelievesNoRecord: a record that holds whole batches, with offsets that
// fit, is not taken for batches of the log, even when a damaged length points at
// them.
func TestRepairBelievesNoRecord(t *testing.T) {
	var fake []byte
	for i := range 3 {
		var w kafka.BatchBuilder
		w.Append(0, nil, []byte("forged"), nil)
		w.Finish()
		b := kafka.Batch(w.Bytes())
		b.SetBaseOffset(kafka.Offset(102 + i))
		b.SetLeaderEpoch(1)
		fake = append(fake, b...)
	}
	o := large(t, func(i int) string {
		if i == 101 {
			return string(fake) + strings.Repeat("v", 400-len(fake))
		}
		return strings.Repeat("v", 400)
	})
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem()) + segmentSuffix
	bad, err := vfs.ReadFile(o.fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at, forged := 100*(len(bad)/500), bytes.Index(bad, fake)
	bad[at+10], bad[at+11] = byte((forged-at-12)>>8), byte(forged-at-12)
	got := o.repaired(path, bad)
	for offset, r := range got {
		if string(r.Value) == "forged" {
			t.Fatalf("offset %d holds what was never written there", offset)
		}
	}
	if len(got) < 400 {
		t.Fatalf("%d records left", len(got))
	}
}

// TestRepairBelievesNoChainPastAnAnchor: nor one batch that is good in itself, and
// ends behind the next place where a batch is known to begin.
func TestRepairBelievesNoChainPastAnAnchor(t *testing.T) {
	v := strings.Repeat("v", 400)
	head := make([]byte, kafka.BatchHeaderBytes)
	build := func() (*oracle, string, []byte) {
		o := large(t, func(i int) string {
			if i == 101 {
				return string(head) + v[len(head):]
			}
			return v
		})
		path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem()) + segmentSuffix
		b, err := vfs.ReadFile(o.fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return o, path, b
	}
	_, _, b := build()
	size := len(b) / 500
	forged := bytes.Index(b[101*size+kafka.BatchHeaderBytes:], head) + 101*size + kafka.BatchHeaderBytes
	var w kafka.BatchBuilder
	w.Append(0, nil, nil, nil)
	w.Finish()
	whole := append(slices.Clone(w.Bytes()[:kafka.BatchHeaderBytes]), b[forged+len(head):forged+2*indexIntervalBytes]...)
	fake := kafka.Batch(whole)
	fake.SetBaseOffset(300)
	fake.SetLeaderEpoch(1)
	fake.Seal()
	head = whole[:len(head)]

	o, path, b := build()
	if !kafka.Batch(b[forged : forged+len(whole)]).CRCValid() {
		t.Fatal("the forged batch is not good in itself")
	}
	at := 100 * size
	binary.BigEndian.PutUint32(b[at+8:], uint32(forged-at-12))
	got := o.repaired(path, b)
	if string(got[300].Value) != v || len(got) < 500-indexIntervalBytes/size-2 {
		t.Fatalf("%d records are left, offset 300 has %.20q", len(got), got[300].Value)
	}
}

// TestReadsUpToDamage: what is readable before a damaged batch is read, and the read
// that begins with it fails.
func TestReadsUpToDamage(t *testing.T) {
	o := large(t, func(int) string { return strings.Repeat("v", 400) })
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem()) + segmentSuffix
	bad, err := vfs.ReadFile(o.fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	bad[100*(len(bad)/500)+70] ^= 1
	if err := vfs.WriteFileAtomic(o.fs, path, bad); err != nil {
		t.Fatal(err)
	}
	p := o.reopened()
	for _, from := range []kafka.Offset{0, 50, 99} {
		runs, err := p.ReadMany(from, 500, Want{Bytes: 1 << 20, AtLeastOne: true})
		if err != nil || runs.Next != 100 || len(slices.Concat(runs.Batches...)) != runs.Bytes {
			t.Errorf("from %d: up to %d, %v", from, runs.Next, err)
		}
	}
	if runs, err := p.ReadMany(100, 500, Want{Bytes: 1 << 20, AtLeastOne: true}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the damaged batch: up to %d, %v", runs.Next, err)
	}
	if runs, err := p.ReadMany(101, 500, Want{Bytes: 1 << 20, AtLeastOne: true}); err == nil && runs.Next != 500 {
		t.Errorf("behind it: up to %d", runs.Next)
	}
	if _, err := p.Read(0, 500, 1<<20); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a read of all: %v", err)
	}
}

// TestReadsUpToCut: of a segment that was cut short everything before the cut is read,
// from wherever a read begins, though reads want more than there is.
func TestReadsUpToCut(t *testing.T) {
	o := large(t, func(int) string { return strings.Repeat("v", 400) })
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem()) + segmentSuffix
	whole, err := vfs.ReadFile(o.fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(o.fs, path, whole[:100*(len(whole)/500)+30]); err != nil {
		t.Fatal(err)
	}
	p := o.reopened()
	for _, from := range []kafka.Offset{0, 50, 97, 99} {
		runs, err := p.ReadMany(from, 500, Want{Bytes: 1 << 20, AtLeastOne: true})
		if err != nil || runs.Next != 100 || len(slices.Concat(runs.Batches...)) != runs.Bytes {
			t.Errorf("from %d: up to %d, %v", from, runs.Next, err)
		}
		if run, err := p.Read(from, 500, 1<<20); err != nil || run.Next != from+1 {
			t.Errorf("a read of all from %d: up to %d, %v", from, run.Next, err)
		}
	}
	if runs, err := p.ReadMany(100, 500, Want{Bytes: 1 << 20, AtLeastOne: true}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the batch that was cut: up to %d, %v", runs.Next, err)
	}
}

// TestRepairStale: a segment that changed meanwhile is left alone.
func TestRepairStale(t *testing.T) {
	o := large(t, func(int) string { return strings.Repeat("v", 400) })
	path := o.fs.PathJoin(o.p.dir, o.p.segments[0].stem())
	if err := o.fs.Remove(path + segmentSuffix); err != nil {
		t.Fatal(err)
	}
	p := o.reopened()
	_, err := p.Repair(RepairOptions{
		SetAside: func(string) error { return nil },
		Swap: func(f func() error) error {
			p.SetLogStart(500)
			if err := p.RemoveExpired(); err != nil {
				return err
			}
			return f()
		},
		Replaced: func([]string) { t.Error("replaced") },
	})
	if !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	names, err := o.fs.List(p.dir)
	if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, segmentSuffix) }) {
		t.Fatalf("left behind: %v, %v", names, err)
	}
}
