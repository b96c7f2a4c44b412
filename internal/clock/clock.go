// Package clock is the only way to wall time. Event time never comes from here:
// stream time belongs to operators and is computed from records.
//
// Tests that wait run inside testing/synctest, where the System clock is a fake
// one; Fixed is for tests and runners that need wall time to stand still.
package clock

import "time"

// Clock tells wall time and makes timers.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// NewTimer returns a timer that fires once after d.
	NewTimer(d time.Duration) *time.Timer
	// AfterFunc runs f in its own goroutine after d, unless stopped.
	AfterFunc(d time.Duration, f func()) *time.Timer
}

// System is the operating system's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time                                  { return time.Now() }
func (system) NewTimer(d time.Duration) *time.Timer            { return time.NewTimer(d) }
func (system) AfterFunc(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d, f) }

// Fixed is a clock whose time is always t; its timers are real ones.
func Fixed(t time.Time) Clock { return fixed{t: t} }

type fixed struct {
	system
	t time.Time
}

func (c fixed) Now() time.Time { return c.t }
