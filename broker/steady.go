package broker

import (
	"sync/atomic"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// steadySpeedMax is how much faster than housekeeping passes come the steady
// clock may go.
const steadySpeedMax = 10

// steady is the clock that data is forgotten by: retention, tombstones, windows
// of idle producers, transactional ids. It follows the wall clock, but forward by
// at most steadySpeedMax housekeeping intervals per pass (5 minutes every 30 s):
// when the clock jumps ahead by years, a topic with a retention of a week keeps
// everything for 17 hours in which an operator can put the clock right, and
// after a stop of three days retention has caught up in 8 hours. It is part of
// the checkpoint, so that starting with a wrong clock is no way around it.
// Time-outs do not use it: they go by the monotonic clock.
type steady struct {
	ms      atomic.Int64
	wall    atomic.Int64 // of the last pass
	lagging bool         // only the keeper touches it
}

// now returns the time (ms). A wall clock that was put back counts at once; the
// steady clock itself goes back as slowly as forward, so that it has not lost
// its way when that was a mistake.
func (s *steady) now() kafka.Timestamp {
	return kafka.Timestamp(min(s.ms.Load(), s.wall.Load()))
}

// start sets the wall clock, and the clock of a directory that has none.
func (s *steady) start(wall kafka.Timestamp) {
	s.ms.CompareAndSwap(0, int64(wall))
	s.wall.Store(int64(wall))
}

// advance takes one step.
func (s *steady) advance(b *Broker, wall kafka.Timestamp) {
	step := steadySpeedMax * b.cfg.Limits.HousekeepingInterval
	at := kafka.Timestamp(s.ms.Load())
	next := min(max(wall, at-kafka.Timestamp(step.Milliseconds())), at+kafka.Timestamp(step.Milliseconds()))
	s.ms.Store(int64(next))
	s.wall.Store(int64(wall))
	if lagging := next < wall; lagging != s.lagging {
		s.lagging = lagging
		if lagging {
			b.cfg.Logger.Warn("the clock is far ahead of the last pass: retention follows step by step",
				"clock", wall, "retention_clock", next, "step", step)
		}
	}
}

func encodeSteady(b *Broker, w *wal.Encoder) { w.Int(b.steady.ms.Load()) }

func decodeSteady(b *Broker, d *wal.Decoder) { b.steady.ms.Store(d.Int()) }
