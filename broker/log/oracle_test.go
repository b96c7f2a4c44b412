package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// storedRecord is what the oracle knows of one record.
type storedRecord struct {
	offset     kafka.Offset
	ts         kafka.Timestamp
	key, value string
	null, tomb bool // no key; no value
	codec      int
	pid        kafka.ProducerID
	aborted    bool
	open       bool
	marker     kafka.Offset // of its transaction, 0 without
}

// oracle drives a partition and remembers everything.
type oracle struct {
	t       *testing.T
	rng     *rand.Rand
	fs      *vfs.MemFS
	store   *Store
	p       *Partition
	next    kafka.Offset
	now     kafka.Timestamp
	records []storedRecord
	seq     map[kafka.ProducerID]int32
	active  map[kafka.ProducerID]ActiveProducer
	open    map[kafka.ProducerID]bool
	// horizon is the earliest time at which a tombstone may go, by offset.
	retention int64
	appended  map[kafka.Offset]kafka.Timestamp // wall time of the append
	replaced  []string
}

func newOracle(t *testing.T, rng *rand.Rand) *oracle {
	fs := vfs.NewMem()
	o := &oracle{t: t, rng: rng, fs: fs, now: 1_000_000, retention: 1000,
		seq: map[kafka.ProducerID]int32{}, active: map[kafka.ProducerID]ActiveProducer{}, open: map[kafka.ProducerID]bool{},
		appended: map[kafka.Offset]kafka.Timestamp{}}
	if err := fs.MkdirAll("d", 0o755); err != nil {
		t.Fatal(err)
	}
	opts := Options{FS: fs, Dir: "d", TailMaxBytes: 1 << 30, OpenFiles: 3, DecompressedMaxBytes: 1 << 20}
	if rng.IntN(2) == 0 {
		opts.Sealer = newSealer(t, sealKey)
	}
	o.store = NewStore(opts)
	o.p = o.store.NewPartition(wal.TopicID{1}, 0)
	return o
}

func (o *oracle) publish(batch []byte) {
	info, err := Inspect(batch)
	if err != nil {
		o.t.Fatal(err)
	}
	// A directory whose encryption was turned on late has both.
	if s := o.store.opts.Sealer; s != nil && o.rng.IntN(4) > 0 {
		batch = SealBatches(nil, o.p.Topic, o.p.Partition, batch, s)
	}
	Assign(batch, o.next, 1)
	e := Published{Base: o.next, Next: o.next + kafka.Offset(info.Offsets), At: wal.Position{File: 1}, Info: info, Data: batch, InMemory: true}
	if err := o.p.Publish(e); err != nil {
		o.t.Fatal(err)
	}
	o.next = e.Next
}

// append writes one random batch; pid < 0 is a plain one.
func (o *oracle) append(pid kafka.ProducerID, txn bool) {
	var w kafka.BatchBuilder
	n := 1 + o.rng.IntN(5)
	codec := o.rng.IntN(5)
	for i := range n {
		r := storedRecord{offset: o.next + kafka.Offset(i), ts: o.now - kafka.Timestamp(o.rng.IntN(50)),
			key: fmt.Sprintf("k%d", o.rng.IntN(200)), value: fmt.Sprintf("v%d-%d", o.next, i), codec: codec, pid: pid, open: txn}
		var key, value []byte = []byte(r.key), []byte(r.value)
		if o.rng.IntN(20) == 0 {
			r.null, key = true, nil
		} else if o.rng.IntN(4) == 0 {
			r.tomb, value = true, nil
		}
		w.Append(r.ts, key, value, []kafka.Header{{Key: "h", Value: key}})
		o.records = append(o.records, r)
		o.appended[r.offset] = o.now
	}
	attributes := int16(0)
	if txn {
		attributes = kafka.AttrTransactional
		o.open[pid] = true
	}
	if pid < 0 {
		w.FinishAs(attributes, kafka.NoProducerID, -1, -1)
	} else {
		w.FinishAs(attributes, pid, 0, o.seq[pid])
		o.seq[pid] += int32(n)
		o.active[pid] = ActiveProducer{HasData: true, Last: o.next + kafka.Offset(n-1)}
	}
	batch, err := WithCodec(nil, w.Bytes(), codec, kafka.Batch(w.Bytes()).Payload())
	if err != nil {
		o.t.Fatal(err)
	}
	o.publish(batch)
}

// end ends a producer's transaction.
func (o *oracle) end(pid kafka.ProducerID, commit bool) {
	marker := o.next
	o.publish(NewMarker(pid, 0, commit, 1, o.now))
	delete(o.open, pid)
	for i := range o.records {
		if r := &o.records[i]; r.pid == pid && r.open {
			r.open, r.aborted, r.marker = false, !commit, marker
		}
	}
	if !commit {
		o.active[pid] = ActiveProducer{}
	}
}

func (o *oracle) archive(seal bool) {
	err := o.store.Archive(1, []*Partition{o.p}, func(*Partition) Roll { return Roll{Bytes: 700, Seal: seal} })
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *oracle) options() CompactOptions {
	return CompactOptions{
		Now: o.now, DeleteRetention: o.retention, SegmentBytes: 2000, KeyMapBytes: 1, Active: o.active,
		Swap:     func(f func() error) error { return f() },
		Replaced: func(stems []string) { o.replaced = append(o.replaced, stems...) },
		Stopped:  func() bool { return false },
	}
}

func (o *oracle) compact() {
	o.archive(true)
	for {
		stats, err := o.p.Compact(o.options())
		if err != nil {
			o.t.Fatal(err)
		}
		if !stats.More {
			break
		}
	}
	if err := o.store.RemoveReplaced(o.replaced); err != nil {
		o.t.Fatal(err)
	}
	o.replaced = nil
}

// readCommitted reads as a read_committed client does: with the aborted
// transactions of the fetched range and the markers in it.
func readCommitted(p *Partition, from kafka.Offset) (map[kafka.Offset]kafka.Record, error) {
	return readCommittedBy(p, from, 300)
}

// readCommittedBy is readCommitted with so many bytes at a time.
func readCommittedBy(p *Partition, from kafka.Offset, bytes int) (map[kafka.Offset]kafka.Record, error) {
	out := map[kafka.Offset]kafka.Record{}
	stable := p.Bounds().LastStable
	last := from - 1
	for from < stable {
		run, err := p.Read(from, stable, bytes)
		if err != nil {
			return nil, err
		}
		aborted := p.Aborted(from, run.Next)
		gone := map[kafka.ProducerID]bool{}
		for rest := run.Batches; len(rest) > 0; {
			var b kafka.Batch
			if b, rest, err = kafka.NextBatch(rest); err != nil {
				return nil, err
			}
			if b.LastOffset() <= last || !b.CRCValid() {
				return nil, fmt.Errorf("batch at %d behind %d", b.BaseOffset(), last)
			}
			last = b.LastOffset()
			for _, a := range aborted {
				if a.First <= b.LastOffset() && a.Last >= b.BaseOffset() {
					gone[a.ProducerID] = true
				}
			}
			if b.Control() {
				delete(gone, b.ProducerID())
				continue
			}
			if b.Transactional() && gone[b.ProducerID()] {
				continue
			}
			payload, err := Payload(b, 1<<20)
			if err != nil {
				return nil, err
			}
			walk := b.Records(payload)
			for walk.Next() {
				r := *walk.Record()
				out[r.Offset] = r
			}
			if walk.Err() != nil {
				return nil, walk.Err()
			}
		}
		from = run.Next
	}
	if last+1 < stable {
		return nil, fmt.Errorf("the last batch ends at %d, the last stable offset is %d", last, stable)
	}
	return out, nil
}

// check compares what readers see with what compaction promises.
func (o *oracle) check(p *Partition) {
	o.t.Helper()
	got, err := readCommitted(p, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	bounds := p.Bounds()
	newest := map[string]kafka.Offset{}      // of all stable records
	below := map[string]kafka.Offset{}       // of those that were compacted
	valid := map[kafka.Offset]storedRecord{} // may be seen
	for _, r := range o.records {
		if r.aborted || r.offset >= bounds.LastStable {
			continue
		}
		valid[r.offset] = r
		if !r.null {
			newest[r.key] = r.offset
			if r.offset < p.cleanedTo {
				below[r.key] = r.offset
			}
		}
	}
	for offset, r := range got {
		want, ok := valid[offset]
		if !ok {
			o.t.Fatalf("offset %d is aborted or was never written", offset)
		}
		if (r.Key == nil) != want.null || !want.null && string(r.Key) != want.key || (r.Value == nil) != want.tomb || !want.tomb && string(r.Value) != want.value || r.Timestamp != want.ts {
			o.t.Fatalf("offset %d has %q=%q at %d, want %+v", offset, r.Key, r.Value, r.Timestamp, want)
		}
		if h, err := kafka.ParseHeaders(r.RawHeaders, 9); err != nil || len(h) != 1 || !bytes.Equal(h[0].Value, r.Key) {
			o.t.Fatalf("offset %d has headers %v, %v", offset, h, err)
		}
		if !want.null && offset < p.cleanedTo && below[want.key] != offset {
			o.t.Fatalf("offset %d of %s stayed below %d, where %d is newer", offset, want.key, p.cleanedTo, below[want.key])
		}
	}
	for offset, r := range valid {
		_, seen := got[offset]
		switch {
		case seen:
		case r.null || offset >= p.cleanedTo:
			o.t.Fatalf("offset %d is gone, null key %v, compacted to %d", offset, r.null, p.cleanedTo)
		case newest[r.key] == offset && !(r.tomb && o.now >= o.appended[offset]+kafka.Timestamp(o.retention)):
			o.t.Fatalf("the newest record of %s, offset %d (tombstone %v), is gone", r.key, offset, r.tomb)
		}
	}
	o.checkSeeks(p, bounds, got)
}

// checkSeeks reads from every offset and looks up times.
func (o *oracle) checkSeeks(p *Partition, bounds Bounds, got map[kafka.Offset]kafka.Record) {
	o.t.Helper()
	for from := kafka.Offset(0); from < bounds.HighWatermark; from += kafka.Offset(1 + o.rng.IntN(7)) {
		run, err := p.Read(from, bounds.HighWatermark, 1)
		if err != nil || len(run.Batches) == 0 || run.Next <= from {
			o.t.Fatalf("read from %d: %d bytes, next %d, %v", from, len(run.Batches), run.Next, err)
		}
	}
	for range 5 {
		ts := o.now - kafka.Timestamp(o.rng.IntN(400))
		at, _, err := p.OffsetForTime(ts, bounds.LastStable)
		if err != nil {
			o.t.Fatal(err)
		}
		for offset, r := range got {
			if r.Timestamp >= ts && (at < 0 || offset < at) {
				o.t.Fatalf("first offset of time %d is %d, but %d has %d", ts, at, offset, r.Timestamp)
			}
		}
	}
}

// checkActive: the last batch of every producer that is remembered is there.
func (o *oracle) checkActive() {
	o.t.Helper()
	for pid, a := range o.active {
		run, err := o.p.Read(max(a.Last, 0), o.next, 1)
		if err != nil {
			o.t.Fatal(err)
		}
		b := kafka.Batch(run.Batches)
		if a.HasData && (b.ProducerID() != pid || b.LastOffset() != a.Last) {
			o.t.Fatalf("the last batch of producer %d, at %d, is gone", pid, a.Last)
		}
	}
}

// checkAborted: no record of an aborted transaction is stored any more where it
// was compacted, and of every other that has records left its marker is.
func (o *oracle) checkAborted() {
	o.t.Helper()
	written := map[kafka.Offset]storedRecord{}
	for _, r := range o.records {
		written[r.offset] = r
	}
	needed, markers := map[kafka.Offset]bool{}, map[kafka.Offset]bool{}
	for from := kafka.Offset(0); from < o.p.cleanedTo; {
		run, err := o.p.Read(from, o.p.cleanedTo, 300)
		if err != nil {
			o.t.Fatal(err)
		}
		for rest := run.Batches; len(rest) > 0; {
			var b kafka.Batch
			if b, rest, err = kafka.NextBatch(rest); err != nil {
				o.t.Fatal(err)
			}
			r := written[b.BaseOffset()]
			switch {
			case b.Control():
				markers[b.BaseOffset()] = true
			case b.Count() > 0 && r.aborted:
				o.t.Fatalf("aborted records at offset %d stayed", b.BaseOffset())
			case b.Count() > 0 && r.marker > 0 && r.marker < o.p.cleanedTo:
				needed[r.marker] = true
			}
		}
		from = run.Next
	}
	for marker := range needed {
		if !markers[marker] {
			o.t.Fatalf("the marker at offset %d is gone, records of its transaction are not", marker)
		}
	}
}

// TestMinCompactionLag: from the first batch on that is too young everything
// stays.
func TestMinCompactionLag(t *testing.T) {
	o := newOracle(t, rand.New(rand.NewPCG(6, 6)))
	for range 200 {
		o.now += 100
		o.append(kafka.NoProducerID, false)
	}
	o.archive(true)
	opts := o.options()
	opts.MinLag, opts.KeyMapBytes = 5000, 1<<20
	stats, err := o.p.Compact(opts)
	if err != nil || stats.Removed == 0 || stats.More {
		t.Fatalf("%+v, %v", stats, err)
	}
	o.check(o.p)
	for _, r := range o.records {
		if r.offset < stats.CleanedTo && r.ts > o.now-5000 {
			t.Fatalf("offset %d, %d ms old, was compacted", r.offset, o.now-r.ts)
		}
	}
	if last := o.records[len(o.records)-1]; stats.CleanedTo > last.offset || stats.CleanedTo < last.offset/2 {
		t.Fatalf("compacted to %d of %d", stats.CleanedTo, last.offset)
	}
}

// reload takes the partition through the checkpoint's form and checks it there,
// with its indexes deleted.
func (o *oracle) reload() {
	o.t.Helper()
	var e wal.Encoder
	o.p.Encode(&e)
	store := NewStore(o.store.opts)
	p := store.NewPartition(wal.TopicID{1}, 0)
	d := wal.Decoder{Buf: e.Buf}
	if p.Decode(&d, true); d.Err != nil || len(d.Buf) != 0 {
		o.t.Fatal(d.Err, len(d.Buf))
	}
	if err := p.CheckRestored(); err != nil {
		o.t.Fatal(err)
	}
	stray := o.fs.PathJoin(p.dir, (&segment{base: 3, generation: 99}).name())
	if err := vfs.WriteFileAtomic(o.fs, stray, []byte("left by a compaction that a crash cut short")); err != nil {
		o.t.Fatal(err)
	}
	if err := store.RemoveOrphans(func(wal.TopicID) ([]*Partition, bool) { return []*Partition{p}, true }); err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.fs.Stat(stray); !vfs.IsNotExist(err) {
		o.t.Fatalf("a segment that the checkpoint does not name is still there: %v", err)
	}
	for _, s := range p.segments {
		if err := o.fs.Remove(o.fs.PathJoin(p.dir, s.indexName())); err != nil {
			o.t.Fatal(err)
		}
	}
	o.check(p)
}
