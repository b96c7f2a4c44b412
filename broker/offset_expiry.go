package broker

import (
	"time"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// expireOffsets forgets committed offsets that nobody has used for
// offsets.retention.minutes (KIP-211): of a group without members, counted from
// when its last member left, or from the commit when that is later; of a group
// with members, those of topics that none of them subscribes to, counted from the
// commit. Offsets of the engine's groups, and those that an open transaction may
// change, stay.
func (b *Broker) expireOffsets(now time.Time) {
	keep := b.cfg.Limits.OffsetsRetention
	if keep <= 0 {
		return
	}
	before := kafka.Timestamp(now.Add(-keep).UnixMilli())
	for _, name := range b.offsets.groups() {
		if b.protectedGroup(name) {
			continue
		}
		since, members := b.groups.EmptySince(name)
		if !members && !since.IsZero() && kafka.Timestamp(since.UnixMilli()) > before {
			continue
		}
		gone := b.offsets.olderThan(name, before)
		if members {
			for tp := range gone {
				if subscribed, err := b.groups.Subscribes(name, tp.Topic); subscribed || err != nil {
					delete(gone, tp)
				}
			}
		}
		if len(gone) == 0 {
			continue
		}
		c := newChange(64 * len(gone))
		b.submit(c, func() error {
			b.stage(c, &offsetsExpired{offsetsDeleted{name, gone}})
			return nil
		}, func(err error) {
			if err != nil {
				b.cfg.Logger.Warn("offsets not expired", "group", name, "err", err)
				return
			}
			b.cfg.Logger.Info("offsets expired", "group", name, "partitions", len(gone))
		})
	}
}

// olderThan returns the offsets of a group that were committed before a time and
// that no open transaction may change.
func (s *offsetStore) olderThan(group string, before kafka.Timestamp) groupOffsets {
	s.mu.RLock()
	defer s.mu.RUnlock()
	old := groupOffsets{}
	for tp, c := range s.byGroup[group] {
		if c.at < before && s.unstable[group][tp] == 0 {
			old[tp] = c
		}
	}
	return old
}

// offsetsExpired is offsetsDeleted, but an offset that was committed meanwhile
// stays.
type offsetsExpired struct{ offsetsDeleted }

func (*offsetsExpired) kind() byte              { return kindOffsetsExpired }
func (e *offsetsExpired) encode(w *wal.Encoder) { e.offsetsDeleted.encode(w) }
func (e *offsetsExpired) decode(d *wal.Decoder) { e.offsetsDeleted.decode(d) }
func (*offsetsExpired) stage(*Broker)           {}
func (e *offsetsExpired) publish(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	g := b.offsets.byGroup[e.group]
	for tp, c := range e.offsets {
		if now, ok := g[tp]; ok && now.at <= c.at {
			delete(g, tp)
		}
	}
	if len(g) == 0 {
		delete(b.offsets.byGroup, e.group)
	}
}
