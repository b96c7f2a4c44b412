package wal

import "github.com/millrace/millrace/internal/lend"

// Large frames are in lent memory, which goes back when nobody reads them any more.
// Who reads says so with a pin: the one that a frame is made with is for whoever
// keeps it in memory, a reader takes its own while that one is held. Views that
// nobody gives back are no pins: Keep leaves the memory to the collector.

// lentFrameBytes is from where on a frame's memory is lent.
const lentFrameBytes = 64 << 10

// Lent reports whether pins matter.
func (f *Frame) Lent() bool { return f.lent }

// Pin keeps the frame as it is until Unpin. The caller knows that it is pinned.
func (f *Frame) Pin() {
	if f.lent {
		f.pins.Add(1)
	}
}

// Keep keeps the frame as it is for good. The caller knows that it is pinned.
func (f *Frame) Keep() { f.kept.Store(true) }

// Unpin takes a pin back. After the last one nobody may read the frame.
func (f *Frame) Unpin() {
	if f.lent && f.pins.Add(-1) == 0 && !f.kept.Load() {
		lend.Return(f.buf)
		f.buf = nil
	}
}
