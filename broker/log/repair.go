package log

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/internal/kafka"
)

// RepairOptions say how a partition is repaired.
type RepairOptions struct {
	// SetAside keeps a damaged segment's files, by path without suffix, durably
	// and out of the way of Replaced.
	SetAside func(stem string) error
	// Swap and Replaced are those of CompactOptions.
	Swap     func(f func() error) error
	Replaced func(stems []string)
}

// FindDamage reads all segments and returns what cannot be read of them. Batches
// below the log start offset do not count. The error wraps seal.ErrUnknownKey
// when a batch needs a key that was not given.
func (p *Partition) FindDamage() (all []Damage, err error) {
	for _, s := range p.readable() {
		d := p.damageOf(s)
		err := p.salvage(s, func(kafka.Batch) error { return nil }, d.add)
		if err != nil {
			return all, fmt.Errorf("segment %s: %w", d.Path, err)
		}
		if len(d.Gaps) > 0 {
			all = append(all, d)
		}
	}
	return all, nil
}

// readable returns the segments that hold something above the log start.
func (p *Partition) readable() (list []*segment) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.segments {
		if s.next > p.logStart && s.size > 0 {
			list = append(list, s)
		}
	}
	return list
}

func (p *Partition) damageOf(s *segment) Damage {
	return Damage{Path: p.store.opts.FS.PathJoin(p.dir, s.name()), Base: s.base, Next: s.next}
}

// add notes a gap; neighbours become one.
func (d *Damage) add(g Gap) error {
	if n := len(d.Gaps); n > 0 && d.Gaps[n-1].Next == g.From {
		d.Gaps[n-1].Next = g.Next
		return nil
	}
	d.Gaps = append(d.Gaps, g)
	return nil
}

// Repair writes every segment in which there is something that cannot be read
// anew, without that: offsets stay, and readers find a gap, as compaction leaves
// one. The damaged file is set aside first, and the new one takes its place as a
// compacted one does (swap), so that a crash leaves one or the other.
//
// What is known without the damaged bytes is put back: the end of the segment, as
// a batch without records, so that readers get past the gap; and the markers of
// aborted transactions, without which a client takes the producer's next
// transaction for aborted.
func (p *Partition) Repair(o RepairOptions) (all []Damage, err error) {
	for _, s := range p.readable() {
		d, err := p.repair(s, o)
		if len(d.Gaps) > 0 {
			all = append(all, d)
		}
		if err != nil {
			return all, fmt.Errorf("repair %s: %w", d.Path, err)
		}
	}
	return all, nil
}

// repair is Repair of one segment.
func (p *Partition) repair(s *segment, o RepairOptions) (Damage, error) {
	d := p.damageOf(s)
	err := p.salvage(s, func(kafka.Batch) error { return nil }, d.add)
	if err != nil || len(d.Gaps) == 0 {
		return d, err
	}
	w := &cleanWriter{p: p, stored: true, s: &segment{base: s.base, generation: s.generation + 1, sealed: true, firstTimestamp: s.firstTimestamp, maxTimestamp: s.maxTimestamp}}
	err = w.open()
	if err == nil {
		err = p.salvage(s, w.add, func(g Gap) error { return p.fill(w, g, s.next) })
	}
	if err == nil && w.s.next != s.next {
		err = fmt.Errorf("%w: what was written ends at offset %d, not %d", ErrStale, w.s.next, s.next)
	}
	if err = errors.Join(err, w.close(err == nil)); err == nil {
		w.s.firstTimestamp = s.firstTimestamp
		stem := p.store.opts.FS.PathJoin(p.dir, s.stem())
		if err = o.SetAside(stem); err == nil {
			err = o.Swap(func() error {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.exchange([]*segment{s}, w.s, o.Replaced)
			})
		}
	}
	if err != nil {
		return d, errors.Join(err, w.remove())
	}
	return d, nil
}

// fill writes what is known of a gap: markers of aborted transactions, and a batch
// without records wherever a reader may have to stop, which is the end of the
// segment and where a transaction that is open began (the last stable offset).
func (p *Partition) fill(w *cleanWriter, g Gap, end kafka.Offset) error {
	known := map[kafka.Offset]kafka.Batch{}
	p.mu.RLock()
	for _, first := range p.open {
		known[first-1] = noRecords()
	}
	known[end-1] = noRecords()
	for _, a := range p.aborted {
		// No reader compares the epoch of a marker.
		known[a.Last] = NewMarker(a.ProducerID, 0, false, 0, kafka.NoTimestamp)
	}
	p.mu.RUnlock()
	for _, at := range slices.Sorted(maps.Keys(known)) {
		if g.From <= at && at < g.Next {
			if err := p.fillIn(w, known[at], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// noRecords returns a batch without records.
func noRecords() kafka.Batch {
	var w kafka.BatchBuilder
	w.Append(kafka.NoTimestamp, nil, nil, nil)
	w.Finish()
	b := kafka.Batch(w.Bytes()[:kafka.BatchHeaderBytes])
	b.SetCount(0)
	b.Seal()
	return b
}

// fillIn writes a batch at an offset, in the leader epoch of that.
func (p *Partition) fillIn(w *cleanWriter, b kafka.Batch, at kafka.Offset) error {
	b.SetBaseOffset(at)
	for _, e := range p.epochStarts() {
		if e.Start <= at {
			b.SetLeaderEpoch(e.Epoch)
		}
	}
	return w.add(b)
}
