package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// ErrFenced is wrapped by every error of a log whose directory is fenced.
var ErrFenced = errors.New("wal: data directory is fenced")

// ErrDiskFull is wrapped by the error of an append that was refused because the
// disk is full: it is not on disk and will not be. Appends go on when there is
// room again.
var ErrDiskFull = errors.New("wal: disk is full")

// ErrClosed is returned by appends after Close.
var ErrClosed = errors.New("wal: closed")

// ErrRetired is returned by ReadAt for a file that is no longer part of the log.
var ErrRetired = errors.New("wal: file was retired")

// Position is a place in a log file.
type Position struct {
	File   uint64
	Offset int64
}

// Options configure a Log.
type Options struct {
	FS     vfs.FS
	Dir    string
	Logger *slog.Logger
	// FileBytes is the size at which a file is sealed; MaxBytes bounds all live
	// files; QueueBytes bounds what is reserved but not yet durable.
	FileBytes, MaxBytes, QueueBytes int64
	// FrameMaxBytes bounds one frame.
	FrameMaxBytes int
	// Sealer encrypts and decrypts metadata events, nil for neither.
	Sealer *seal.Sealer
	// SpareBytes are kept for urgent frames on a full disk.
	SpareBytes int64
	// OnFull is called whenever a file was sealed, and when an append waits: it
	// should see to it that files retire, and may not block.
	OnFull func()
	// Damage reports whether an error is about stored bytes that cannot be right,
	// besides ErrCorrupt; nil: none other is.
	Damage func(error) bool
}

// Root is what the checkpoint says about the log.
type Root struct {
	// FirstFile is the oldest live file, FirstSequence its first frame.
	FirstFile, FirstSequence uint64
	// Synced: every frame below it was durable when the checkpoint was written.
	Synced uint64
	// Clean: the log ended exactly at Synced when the broker was closed.
	Clean bool
	// Epoch is the incarnation that wrote the checkpoint.
	Epoch uint32
	// FromCopy: this may be of an older state than the log (copy.go). It is not
	// stored.
	FromCopy bool
}

const (
	// writeBytes is the longest write, which a processor's cache holds. It gathers
	// several frames; one of half of it or more is written on its own, without
	// another copy.
	writeBytes = 256 << 10
	// pageBytes is what the operating system keeps of a file at least.
	pageBytes = 4 << 10
)

// freeFilesMax is how many retired files are kept to be written again.
const freeFilesMax = 2

// Log is the write-ahead log. Its methods are safe for concurrent use.
type Log struct {
	opts Options

	// mu guards the fields below; it is a leaf lock. Only the committer writes
	// files and changes active.
	mu       sync.Mutex
	wake     *sync.Cond // queue grew, or closing
	room     *sync.Cond // reserved or live bytes shrank, or the log failed
	queue    []request
	started  bool
	closing  bool
	err      error
	reserved int64
	line     []*sync.Cond // those who wait for room, each for its turn
	files    []*file      // live, oldest first; the last is active
	free     []uint64
	retired  []uint64 // found by Open, more than are kept; gone after RemoveRetired
	full     fullness
	groups   uint64 // taken and answered by the committer
	done     chan struct{}

	// Owned by the committer.
	active   *file // the last of files
	epoch    uint32
	sequence uint64 // of the next frame
	synced   uint64
	buf      []byte
	bufAt    int64
	unsynced []int64 // where frames start that were put since the last sync
	wroteTo  int64   // bytes of the active file up to it may have been written
	longest  int     // write: writeBytes, less in tests
}

// file is one live log file.
type file struct {
	number        uint64
	firstSequence uint64
	f             vfs.File
	end           int64 // where the next frame goes; guarded by Log.mu
	readers       int   // guarded by Log.mu
	retired       bool  // guarded by Log.mu
}

// request is a queued frame; frame is nil for a barrier.
type request struct {
	frame    *Frame
	reserved int64
	done     func(Position, error)
}

// Start begins to take appends, as incarnation epoch, which must be durable and
// higher than any before. Close stops the committer goroutine.
func (l *Log) Start(epoch uint32) {
	l.epoch, l.started = epoch, true
	go l.run()
}

// Append queues a frame and returns at once. done is called exactly once, in
// append order, from the committer: with the frame's position once it is
// durable, or with why it may not be. reserved is what Reserve granted for it.
func (l *Log) Append(f *Frame, reserved int64, done func(Position, error)) {
	l.enqueue(request{f, reserved, done})
}

// Barrier calls done, from the committer, when everything appended before it is
// durable and answered. next is the sequence of the frame that comes next.
func (l *Log) Barrier(done func(next uint64, err error)) {
	l.enqueue(request{done: func(p Position, err error) { done(uint64(p.Offset), err) }})
}

func (l *Log) enqueue(r request) {
	l.mu.Lock()
	if l.closing {
		err := l.err
		l.mu.Unlock()
		if err == nil {
			err = ErrClosed
		}
		l.Unreserve(r.reserved)
		r.done(Position{}, err)
		return
	}
	l.queue = append(l.queue, r)
	l.mu.Unlock()
	l.wake.Signal()
}

// Reserve waits until n more bytes may be queued: back-pressure of the queue
// and of wal.max.bytes. Who came first goes first. The bytes are given back when the
// frame is done, or by Unreserve.
func (l *Log) Reserve(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	refusals := l.full.refusals
	if len(l.line) > 0 || !l.passes(n) {
		defer l.stand()()
	}
	for !l.passes(n) {
		if l.full.refusing == nil && !l.fits(n) {
			l.opts.OnFull()
			if l.full.behind {
				return fmt.Errorf("%w: wal.max.bytes is reached and segments cannot be written", ErrDiskFull)
			}
		}
		l.room.Wait()
	}
	if l.err != nil {
		return l.err
	}
	if l.closing {
		return ErrClosed
	}
	if l.full.now {
		if l.full.refusals != refusals {
			return fmt.Errorf("%w: free space, then try again", ErrDiskFull)
		}
		l.full.probing = true
	}
	l.reserved += n
	return nil
}

// passes reports whether a reservation of n bytes need not wait, whatever comes of it.
func (l *Log) passes(n int64) bool {
	if l.err != nil || l.closing {
		return true
	}
	return l.full.refusing == nil && l.fits(n) && !l.full.lent && !(l.full.now && l.full.probing)
}

// stand waits behind everybody who waits for room already: many small frames would
// else keep a large one waiting for ever. leave lets the next one go.
func (l *Log) stand() (leave func()) {
	turn := sync.NewCond(&l.mu)
	l.line = append(l.line, turn)
	for l.line[0] != turn {
		turn.Wait()
	}
	return func() {
		if l.line = l.line[1:]; len(l.line) > 0 {
			l.line[0].Signal()
		}
	}
}

// ReserveUrgent is Reserve for an urgent frame, which may pass every limit but
// waits while frames are refused.
func (l *Log) ReserveUrgent(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && !l.closing && l.full.refusing != nil {
		l.room.Wait()
	}
	if l.err != nil {
		return l.err
	}
	if l.closing {
		return ErrClosed
	}
	l.reserved += n
	return nil
}

// TryReserve is Reserve for callers that may not wait.
func (l *Log) TryReserve(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closing || l.full.now || len(l.line) > 0 || !l.fits(n) {
		return false
	}
	l.reserved += n
	return true
}

// fits reports whether n bytes may be queued. One frame always fits an empty
// queue. The file limit is not held against a log that is less than half full or
// has nothing to retire: waiting would not help.
func (l *Log) fits(n int64) bool {
	if l.reserved > 0 && l.reserved+n > l.opts.QueueBytes {
		return false
	}
	live := l.liveBytes()
	return len(l.files) == 1 || live <= l.opts.MaxBytes/2 || live+l.reserved+n <= l.opts.MaxBytes
}

func (l *Log) liveBytes() int64 {
	var n int64
	for _, f := range l.files {
		n += f.end
	}
	return n
}

// GiveWay lets the committer go first: when it is at work, it waits until the
// group is answered. What is written behind the log calls it between steps, so
// that there is a commit between two of them. It returns at once when the log is
// three quarters full, since then commits are going to wait for what is behind.
func (l *Log) GiveWay() {
	l.mu.Lock()
	defer l.mu.Unlock()
	group := l.groups
	for l.full.busy && l.groups == group && l.err == nil && l.liveBytes() <= l.opts.MaxBytes/4*3 {
		l.room.Wait()
	}
}

// Unreserve gives reserved bytes back.
func (l *Log) Unreserve(n int64) {
	if n == 0 {
		return
	}
	l.mu.Lock()
	l.reserved -= n
	l.full.probing = false
	l.mu.Unlock()
	l.room.Broadcast()
}

// Err says why the log is fenced, nil while it is healthy.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Fence stops all writing for ever because op failed with cause. The first
// cause stays.
func (l *Log) Fence(op string, cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("%w: %s: %w; %s", ErrFenced, op, cause, l.consequence(cause))
		l.opts.Logger.Error("data directory fenced", "dir", l.opts.Dir, "err", l.err)
	}
	l.room.Broadcast()
	return l.err
}

// Close makes durable what is queued, refuses what comes later, and waits. It is
// idempotent.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.wake.Signal()
	l.room.Broadcast()
	if l.started {
		<-l.done
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.err
	for _, f := range l.files {
		if f.f != nil {
			err = errors.Join(err, f.f.Close())
			f.f = nil
		}
	}
	return err
}

// Root returns what a checkpoint must say about the log: its oldest file, and
// that everything below the next sequence is durable. Call it from a done
// callback, or after Close.
func (l *Log) Root() Root {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Root{FirstFile: l.files[0].number, FirstSequence: l.files[0].firstSequence, Synced: l.synced, Epoch: l.epoch}
}
