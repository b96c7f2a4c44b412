package wal

import (
	"hash/crc32"

	"github.com/millrace/millrace/internal/vfs"
)

// run is the committer: it takes everything that is queued, writes and syncs it
// at once, and goes on. Close ends it.
func (l *Log) run() {
	defer close(l.done)
	for {
		l.mu.Lock()
		l.full.busy = false
		l.groups++
		l.room.Broadcast()
		for len(l.queue) == 0 && !l.closing {
			l.wake.Wait()
		}
		group := l.queue
		l.queue = nil
		l.full.busy = len(group) > 0
		err := l.err
		if err == nil {
			err = l.full.refusing
		}
		l.mu.Unlock()
		if len(group) == 0 {
			return
		}
		l.commit(group, err)
	}
}

// commit makes a group durable and answers it.
func (l *Log) commit(group []request, err error) {
	positions := make([]Position, len(group))
	durable := 0
	if err == nil {
		durable, err = l.write(group, positions)
	}
	var released int64
	for i, r := range group {
		if i < durable {
			r.done(positions[i], nil)
		} else {
			r.done(Position{}, err)
		}
		released += r.reserved
	}
	l.Unreserve(released)
}

// write writes and syncs a group's frames and sets their positions. durable is
// how many requests of the group, from the first on, are done; err is about the
// others. A full disk refuses them, but for urgent frames, which have a spare.
func (l *Log) write(group []request, positions []Position) (durable int, err error) {
	durable, err = l.writeFrames(group, positions)
	if err == nil {
		l.noteRoom(group)
		return durable, nil
	}
	if !vfs.IsFull(err) {
		return durable, l.Fence("write to the log", err)
	}
	cause := err
	if err := l.takeBack(); err != nil {
		return durable, l.Fence("take back frames that did not fit", err)
	}
	// Barriers among urgent frames pass with them: if only barriers were refused,
	// nobody would have anything to undo, and nobody would say Resume.
	n, urgent := durable, false
	for n < len(group) && (group[n].urgent() || group[n].frame == nil) {
		urgent = urgent || group[n].urgent()
		n++
	}
	if urgent {
		m, err := l.writeToSpare(group[durable:n], positions[durable:n])
		if durable += m; err != nil && !vfs.IsFull(err) {
			return durable, l.Fence("write to the log", err)
		}
		if durable == len(group) {
			return durable, nil
		}
		if err := l.takeBack(); err != nil {
			return durable, l.Fence("take back frames that did not fit", err)
		}
	}
	return durable, l.refuse(cause)
}

// writeFrames is write without a thought of a full disk.
func (l *Log) writeFrames(group []request, positions []Position) (durable int, err error) {
	wrote := false
	for i, r := range group {
		if r.frame == nil {
			positions[i].Offset = int64(l.sequence) // see Barrier
			continue
		}
		if !r.urgent() && !l.hasSpare() {
			if err := l.refill(); err != nil {
				return durable, err
			}
		}
		if at := l.end(); at > 0 && at+int64(r.frame.Len()) > l.opts.FileBytes {
			if err := l.sync(); err != nil {
				return durable, err
			}
			durable = i
			if err := l.rotate(""); err != nil {
				return durable, err
			}
		}
		positions[i] = Position{l.active.number, l.end()}
		h := header{epoch: l.epoch, file: l.active.number, sequence: l.sequence, synced: l.synced}
		l.sequence++
		l.unsynced = append(l.unsynced, positions[i].Offset)
		wrote = true
		if err := l.put(r.frame, h); err != nil {
			return durable, err
		}
	}
	if wrote {
		if err := l.sync(); err != nil {
			return durable, err
		}
	}
	return len(group), nil
}

// end is where the next frame goes in the active file.
func (l *Log) end() int64 { return l.bufAt + int64(len(l.buf)) }

// put seals a frame and adds it to the write buffer, or writes it when it is long.
func (l *Log) put(f *Frame, h header) error {
	long := f.Len() >= l.longest/2
	if long || len(l.buf)+f.Len() > l.longest {
		if err := l.flush(); err != nil {
			return err
		}
	}
	if long && f.unsummed() >= l.longest/2 {
		return l.writeLong(f, h)
	}
	f.seal(h)
	if long {
		return l.writeAt(f.buf)
	}
	l.buf = append(l.buf, f.buf...)
	return nil
}

// writeLong seals and writes a frame in steps: what the checksum has read is still
// in the processor's cache when it is written. The header gets the checksum at the
// end, in its place on the disk, which is there by then.
func (l *Log) writeLong(f *Frame, h header) error {
	f.fill(h)
	f.setCRC(0)
	start, crc := l.bufAt, headerCRC(f.buf)
	written, end := 0, frameHeaderBytes+f.payload
	for from := frameHeaderBytes; from < end; {
		to := min(from+l.longest, end)
		if page := int((start + int64(to)) % pageBytes); to < end && to-page > from {
			to -= page
		}
		crc = crc32.Update(crc, castagnoli, f.buf[from:to])
		if from = to; to == end {
			to = len(f.buf) // the padding
		}
		if err := l.writeAt(f.buf[written:to]); err != nil {
			return err
		}
		written = to
	}
	f.setCRC(crc)
	l.bufAt = start
	if err := l.writeAt(f.buf[:frameHeaderBytes]); err != nil {
		return err
	}
	l.bufAt = start + int64(len(f.buf))
	return nil
}

// flush writes the write buffer.
func (l *Log) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	if err := l.writeAt(l.buf); err != nil {
		return err
	}
	l.buf = l.buf[:0]
	return nil
}

func (l *Log) writeAt(b []byte) error {
	n, err := l.active.f.WriteAt(b, l.bufAt)
	l.wroteTo = max(l.wroteTo, l.bufAt+int64(n))
	if err != nil {
		return err
	}
	l.bufAt += int64(len(b))
	return nil
}

// sync makes everything written to the active file durable.
func (l *Log) sync() error {
	if err := l.flush(); err != nil {
		return err
	}
	if err := vfs.SyncData(l.active.f); err != nil {
		return err
	}
	l.unsynced = l.unsynced[:0]
	l.mu.Lock()
	l.active.end = l.bufAt
	l.synced = l.sequence
	l.mu.Unlock()
	return nil
}

// rotate seals the active file, which must be synced, and goes on in a new or
// recycled one, or in the file from. The new name is durable before the first
// frame is.
func (l *Log) rotate(from string) error {
	l.mu.Lock()
	number := l.active.number + 1
	var recycled uint64
	if from == "" && len(l.free) > 0 {
		recycled, l.free = l.free[0], l.free[1:]
		from = fileName(l.opts.FS, l.opts.Dir, recycled)
	}
	l.mu.Unlock()
	f, err := openForWrite(l.opts.FS, l.opts.Dir, number, from)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.active = &file{number: number, firstSequence: l.sequence, f: f}
	l.files = append(l.files, l.active)
	l.mu.Unlock()
	l.bufAt, l.wroteTo = 0, 0
	l.opts.OnFull()
	return nil
}
