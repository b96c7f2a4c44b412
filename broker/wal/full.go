package wal

import (
	"fmt"

	"github.com/millrace/millrace/internal/vfs"
)

// A full disk does not fence the log. Frames that do not fit are taken back:
// what may stand on disk of them is made no frame, durably, and the next frame
// gets their place and sequence. Then every frame is refused, since it was
// validated against those before it, until the caller has undone what they
// staged and says Resume:
//
//	         write fails with ENOSPC             Drain, undo, Resume
//	healthy ------------------------> refusing ----------------------> full
//	   ^                                 ^                              |
//	   |                                 +------------------------------+
//	   +----------------- a frame fits --------------- a frame does not |
//
// While the disk is full one caller of Reserve at a time gets through, to find
// out; the others wait for its answer, and fail if it is refused. Urgent frames, which free space, are written to a
// spare file that is kept for them; nothing else is written before there is
// one again.

// fullness is guarded by Log.mu.
type fullness struct {
	now      bool  // the last frame did not fit
	refusing error // every frame is refused until Resume
	probing  bool  // one reservation finds out whether there is room
	refusals int   // how often refusing was set
	seen     int   // refusals when TellRoom was called last
	told     bool  // the log says that the disk is full
	behind   bool  // the work behind the log finds the disk full
	lent     bool  // the room there is belongs to the work behind the log
	busy     bool  // the committer is at work
	spare    bool  // the spare file is there
}

const spareName = "spare"

func (l *Log) sparePath() string { return l.opts.FS.PathJoin(l.opts.Dir, spareName) }

func (r *request) urgent() bool { return r.frame != nil && r.frame.Urgent }

// refuse begins to refuse every frame, because of cause.
func (l *Log) refuse(cause error) error {
	err := fmt.Errorf("%w: write to the log: %w", ErrDiskFull, cause)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full.told {
		l.full.told = true
		l.opts.Logger.Error("disk is full: appends are refused until there is room", "dir", l.opts.Dir, "err", cause)
	}
	l.full.now, l.full.refusing = true, err
	l.full.refusals++
	l.opts.OnFull()
	return err
}

// noteRoom ends the state of a full disk when an ordinary frame was written.
func (l *Log) noteRoom(group []request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full.now {
		return
	}
	for i := range group {
		if group[i].frame != nil && !group[i].urgent() {
			l.full.now = false
			break
		}
	}
}

// TellRoom logs that a disk that was full has room again, when frames fit and none
// was refused since the call before: on a disk that is nearly full small frames fit
// and large ones do not, in turns, and each turn would be two lines. It is called
// now and then.
func (l *Log) TellRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	lasts := !l.full.now && !l.full.behind && l.full.refusals == l.full.seen
	l.full.seen = l.full.refusals
	if l.full.told && lasts {
		l.full.told = false
		l.opts.Logger.Info("there is room on the disk again", "dir", l.opts.Dir)
	}
}

// SetBehindFull says that the work behind the log, which makes room in it, finds
// the disk full, or does not any more.
func (l *Log) SetBehindFull(full bool) {
	l.mu.Lock()
	l.full.behind = full
	l.mu.Unlock()
	l.room.Broadcast()
}

// Lend keeps the room that there is for the work behind the log, or ends that: on a
// full disk what was kept for it would be taken by appends otherwise. They wait until
// then; urgent frames pass.
func (l *Log) Lend(on bool) {
	l.mu.Lock()
	l.full.lent = on
	l.full.now = l.full.now || on
	l.mu.Unlock()
	l.room.Broadcast()
}

// Full reports whether the last frame did not fit on the disk, or the work behind
// the log does not.
func (l *Log) Full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full.now || l.full.behind
}

// Drain waits until everything queued is answered. The caller sees to it that
// nothing is queued meanwhile.
func (l *Log) Drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 || l.full.busy {
		l.room.Wait()
	}
}

// Resume ends the refusal of frames that began when one did not fit. The caller
// has undone what all refused frames staged.
func (l *Log) Resume() {
	l.mu.Lock()
	l.full.refusing = nil
	l.mu.Unlock()
	l.room.Broadcast()
}

// takeBack returns the log to its last synced frame. Frames behind it that may
// have reached the disk, in whole or in part, lose their magic, durably: what is
// refused must not come back after a crash, behind a frame that got its place.
func (l *Log) takeBack() error {
	changed := false
	for _, at := range l.unsynced {
		if n := min(frameAlign, l.wroteTo-at); n > 0 {
			if _, err := l.active.f.WriteAt(make([]byte, n), at); err != nil {
				return err
			}
			changed = true
		}
	}
	if changed {
		if err := vfs.SyncData(l.active.f); err != nil {
			return err
		}
	}
	l.unsynced, l.buf = l.unsynced[:0], l.buf[:0]
	l.mu.Lock()
	l.bufAt, l.sequence = l.active.end, l.synced
	l.mu.Unlock()
	return nil
}

func (l *Log) hasSpare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full.spare || l.opts.SpareBytes == 0
}

// writeToSpare writes urgent frames, in the active file if they fit there, else
// in the spare, which becomes the active file.
func (l *Log) writeToSpare(group []request, positions []Position) (durable int, err error) {
	if l.hasSpare() && l.opts.SpareBytes > 0 {
		if err := l.rotate(l.sparePath()); err != nil {
			return 0, err
		}
		l.mu.Lock()
		l.full.spare = false
		l.mu.Unlock()
	}
	return l.writeFrames(group, positions)
}

// DropSpare gives the spare's room back.
func (l *Log) DropSpare() error {
	l.full.spare = false
	if err := l.opts.FS.Remove(l.sparePath()); err != nil && !vfs.IsNotExist(err) {
		return fmt.Errorf("remove spare log file: %w", err)
	}
	return nil
}

// MakeSpare writes the spare file, unless it is there. A full disk is no error:
// the spare is made when there is room.
func (l *Log) MakeSpare() error {
	if info, err := l.opts.FS.Stat(l.sparePath()); err == nil && info.Size() == l.opts.SpareBytes {
		l.mu.Lock()
		l.full.spare = true
		l.mu.Unlock()
		return nil
	}
	if err := l.refill(); err != nil && !vfs.IsFull(err) {
		return fmt.Errorf("write spare log file: %w", err)
	}
	return nil
}

// refill writes the spare file: zeros, so that its blocks are its own.
func (l *Log) refill() error {
	if l.opts.SpareBytes == 0 {
		return nil
	}
	if err := vfs.Occupy(l.opts.FS, l.sparePath(), l.opts.SpareBytes); err != nil {
		return err
	}
	l.mu.Lock()
	l.full.spare = true
	l.mu.Unlock()
	return nil
}
