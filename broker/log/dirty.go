package log

import "github.com/millrace/millrace/internal/kafka"

// DirtyStats is what a decision about compacting a partition needs.
type DirtyStats struct {
	// Clean and Dirty are bytes; of a segment that is both, a share by offsets.
	Clean, Dirty int64
	// Oldest is the lowest timestamp that a dirty segment or entry is known by.
	Oldest kafka.Timestamp
}

// Youngest is the largest timestamp that may be compacted at a time (ms) with a
// min.compaction.lag.ms.
func Youngest(now kafka.Timestamp, minLag int64) kafka.Timestamp {
	if minLag <= 0 {
		return 1<<63 - 1
	}
	return now - kafka.Timestamp(minLag)
}

// Dirty returns how much of the partition could be compacted: below the last
// stable offset and the first segment or entry with a timestamp above youngest.
func (p *Partition) Dirty(youngest kafka.Timestamp) DirtyStats {
	p.mu.RLock()
	defer p.mu.RUnlock()
	d := DirtyStats{Oldest: kafka.NoTimestamp}
	stable := p.bounds().LastStable
	from := max(p.cleanedTo, p.logStart)
	add := func(base, next kafka.Offset, size int64, ts kafka.Timestamp) {
		share := func(offsets kafka.Offset) int64 {
			return int64(float64(size) * float64(max(0, offsets)) / float64(next-base))
		}
		d.Clean += share(min(from, next) - max(base, p.logStart))
		dirty := share(min(next, stable) - max(base, from))
		if d.Dirty += dirty; dirty > 0 && ts != kafka.NoTimestamp && (d.Oldest == kafka.NoTimestamp || ts < d.Oldest) {
			d.Oldest = ts
		}
	}
	for _, s := range p.segments {
		if s.next > from && s.maxTimestamp > youngest {
			return d
		}
		add(s.base, s.next, s.size, s.firstTimestamp)
	}
	for _, e := range p.entries {
		if e.maxTimestamp > youngest {
			break
		}
		add(e.base, e.next, int64(e.size), e.maxTimestamp)
	}
	return d
}
