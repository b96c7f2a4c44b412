package quota

import (
	"sync"
	"time"
)

const (
	// Burst is how many seconds' worth of a rate may be used at once.
	Burst = 1.0
	// MaxWait bounds one wait, below the time after which clients give up on a
	// request. A debt that is larger is paid with the next requests.
	MaxWait = 25 * time.Second
	// metersMax bounds the meters. When there are more, full ones are dropped:
	// nothing is lost, since a new meter is full too. When too few are, random
	// ones are.
	metersMax = 20_000
)

// Meters measure what peers use against their limits. The zero value is ready.
type Meters struct {
	mu  sync.Mutex // a leaf lock, guards all
	all map[meterKey]*meter
}

type meterKey struct {
	key Key
	of  Entity
}

// meter is a bucket: left units, as of at. It is negative in debt.
type meter struct {
	left float64
	rate float64
	at   time.Time
}

// Use takes n units, which are gone whether there are so many or not, and returns
// how long the peer has to wait, 0 when it has not passed the rate, in units per
// second.
func (m *Meters) Use(k Key, of Entity, rate, n float64, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.meter(meterKey{k, of}, rate, now)
	b.left -= n
	return b.wait()
}

// Wait returns how long a peer that uses nothing has to wait.
func (m *Meters) Wait(k Key, of Entity, rate float64, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meter(meterKey{k, of}, rate, now).wait()
}

// meter returns a bucket, filled up to now. The caller holds m.mu.
func (m *Meters) meter(k meterKey, rate float64, now time.Time) *meter {
	b := m.all[k]
	if b == nil {
		m.makeRoom(now)
		b = &meter{left: rate * Burst, at: now}
		if m.all == nil {
			m.all = map[meterKey]*meter{}
		}
		m.all[k] = b
	}
	b.rate = rate
	b.fill(now)
	return b
}

// fill adds what has come since. A clock that jumps back adds nothing.
func (b *meter) fill(now time.Time) {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.left = min(b.left+d*b.rate, b.rate*Burst)
	}
	b.at = now
}

func (b *meter) wait() time.Duration {
	if b.left >= 0 {
		return 0
	}
	seconds := -b.left / b.rate
	if seconds >= MaxWait.Seconds() {
		return MaxWait
	}
	return max(time.Millisecond, time.Duration(seconds*float64(time.Second)))
}

// makeRoom drops meters when there are too many: full ones, or any quarter of
// them, so that it is rarely done. The caller holds m.mu.
func (m *Meters) makeRoom(now time.Time) {
	if len(m.all) < metersMax {
		return
	}
	for k, b := range m.all {
		if b.fill(now); b.left >= b.rate*Burst {
			delete(m.all, k)
		}
	}
	for k := range m.all {
		if len(m.all) <= metersMax*3/4 {
			return
		}
		delete(m.all, k)
	}
}

// Len returns how many meters there are.
func (m *Meters) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.all)
}
