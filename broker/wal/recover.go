package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// ErrVersion is wrapped when data was written by a newer version.
var ErrVersion = errors.New("wal: written by a newer version")

// Replay is called with every frame that was recovered, in order. The entries'
// bytes die with the call.
type Replay func(sequence uint64, entries []Entry) error

// frameSlack times FrameMaxBytes is the largest frame that recovery believes in:
// events, and what encryption adds to the smallest batches, may pass the limit that
// the caller holds a frame's batches to.
const frameSlack = 2

// Open recovers the log in opts.Dir, which must exist. A torn tail is cut; a
// missing or damaged frame that had been durable is an error that wraps
// ErrCorrupt. Nothing is appended before Start.
func Open(opts Options, root Root, replay Replay) (*Log, error) {
	opts.FileBytes = min(opts.FileBytes, opts.MaxBytes/4)
	opts.SpareBytes = min(opts.SpareBytes, opts.FileBytes)
	l := &Log{opts: opts, done: make(chan struct{}), sequence: root.FirstSequence, longest: writeBytes}
	l.wake, l.room = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	live, err := l.listFiles(root)
	if err != nil {
		return nil, err
	}
	if err := l.recover(live, root, replay); err != nil {
		return nil, l.closeFiles(err)
	}
	return l, nil
}

// Check reads the log in opts.Dir as Open does and returns the error that Open would,
// without changing anything. A directory that is not there is an empty one.
func Check(opts Options, root Root, replay Replay) error {
	l := &Log{opts: opts, sequence: root.FirstSequence}
	live, err := l.listFiles(root)
	if err != nil && (root.FromCopy || !vfs.IsNotExist(err)) {
		return err
	}
	open := func(path string) (vfs.File, error) { return opts.FS.Open(path) }
	_, err = l.scan(live, root, open, replay)
	return l.closeFiles(err)
}

// closeFiles closes the files of a log that is not gone on with, because of err.
func (l *Log) closeFiles(err error) error {
	for _, f := range l.files {
		err = errors.Join(err, f.f.Close())
	}
	return err
}

// RemoveRetired removes files that the checkpoint does not name, beyond those that
// are kept to be written again. Open leaves them: a copy of the checkpoint may name
// them as long as it is of an older save.
func (l *Log) RemoveRetired() error {
	for _, number := range l.retired {
		if err := l.opts.FS.Remove(fileName(l.opts.FS, l.opts.Dir, number)); err != nil {
			return fmt.Errorf("remove retired log file: %w", err)
		}
	}
	l.retired = nil
	return nil
}

// listFiles returns the live files' numbers and puts the others into the lists of
// free and of retired ones.
func (l *Log) listFiles(root Root) (live []uint64, err error) {
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("list log files: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		number, ok := parseFileName(name)
		switch {
		case !ok:
		case number >= root.FirstFile:
			live = append(live, number)
		case len(l.free) < freeFilesMax:
			l.free = append(l.free, number)
		default:
			l.retired = append(l.retired, number)
		}
	}
	if root.FromCopy && len(live) == 0 {
		// A log has a file before a checkpoint names it.
		return nil, tooOld(fmt.Errorf("log file %d is missing", root.FirstFile))
	}
	return live, nil
}

func (l *Log) recover(live []uint64, root Root, replay Replay) error {
	open := func(path string) (vfs.File, error) { return l.opts.FS.OpenReadWrite(path, vfs.Category) }
	cut, err := l.scan(live, root, open, replay)
	if err != nil {
		return err
	}
	if err := l.adopt(root); err != nil {
		return err
	}
	for _, tell := range cut {
		tell()
	}
	return nil
}

// scan replays the live files and checks that nothing of them is missing. cut is what
// to tell of torn frames, when nothing shows that they were durable.
func (l *Log) scan(live []uint64, root Root, open func(path string) (vfs.File, error), replay Replay) (cut []func(), err error) {
	var lastEpoch uint32
	for i, number := range live {
		if number != root.FirstFile+uint64(i) {
			err := fmt.Errorf("log file %d is missing", root.FirstFile+uint64(i))
			if root.FromCopy {
				return nil, tooOld(err)
			}
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		f, err := open(fileName(l.opts.FS, l.opts.Dir, number))
		if err != nil {
			return nil, fmt.Errorf("open log file: %w", err)
		}
		lf := &file{number: number, firstSequence: l.sequence, f: f}
		l.files = append(l.files, lf)
		s, err := newScanner(f, number, frameSlack*l.opts.FrameMaxBytes)
		if err != nil {
			return nil, err
		}
		s.expect, s.epoch, s.sealer = l.sequence, lastEpoch, l.opts.Sealer
		if err := s.frames(replay); err != nil {
			return nil, err
		}
		lf.end = s.pos
		if s.torn && !(root.Clean && s.expect >= root.Synced) {
			cut = append(cut, func() {
				l.opts.Logger.Warn("the last frame of the log is not whole and was cut off, as after a crash in the middle of its writing: what it held was not acknowledged, unless the disk is damaged",
					"file", fileName(l.opts.FS, l.opts.Dir, number), "position", s.pos, "frame", s.expect)
			})
		}
		l.sequence, lastEpoch = s.expect, s.epoch
		if root.Clean && l.sequence == root.Synced {
			continue
		}
		if at, ok, err := s.findLater(); err != nil {
			return nil, err
		} else if ok {
			return nil, fmt.Errorf("%w: frame %d at %d of log file %d is damaged or missing, but a later frame at %d shows that it was durable", ErrCorrupt, l.sequence, s.pos, number, at)
		}
	}
	if l.sequence < root.Synced {
		return nil, fmt.Errorf("%w: the log ends before frame %d, but frames below %d were durable", ErrCorrupt, l.sequence, root.Synced)
	}
	if root.FromCopy && lastEpoch > root.Epoch {
		return nil, tooOld(fmt.Errorf("frames of incarnation %d are in the log, of which it does not know", lastEpoch))
	}
	if root.Epoch > 0 && lastEpoch > root.Epoch {
		// The next incarnation would be one that was used: its frames, behind those of a
		// later one, would be taken for the file's former life.
		return nil, fmt.Errorf("%w: frames of incarnation %d are in the log, the checkpoint is of incarnation %d", ErrCorrupt, lastEpoch, root.Epoch)
	}
	return cut, nil
}

// tooOld is the error of a copy of the checkpoint that is not of the log's state.
func tooOld(why error) error {
	return fmt.Errorf("%w: %s is of another state than the log: %w", ErrCorrupt, CheckpointCopyName, why)
}

// adopt makes the recovered frames durable, since they may have survived in the
// page cache only, and prepares the active file.
func (l *Log) adopt(root Root) error {
	if len(l.files) == 0 {
		number := root.FirstFile
		f, err := openForWrite(l.opts.FS, l.opts.Dir, number, "")
		if err != nil {
			return fmt.Errorf("create log file: %w", err)
		}
		l.files = []*file{{number: number, firstSequence: l.sequence, f: f}}
	}
	for _, f := range l.files {
		if err := f.f.SyncData(); err != nil {
			return fmt.Errorf("sync log file %d: %w", f.number, err)
		}
	}
	if err := vfs.SyncDir(l.opts.FS, l.opts.Dir); err != nil {
		return fmt.Errorf("sync log directory: %w", err)
	}
	l.synced = l.sequence
	l.active = l.files[len(l.files)-1]
	l.bufAt, l.wroteTo = l.active.end, l.active.end
	return nil
}

// scanner reads the frames of one file.
type scanner struct {
	f        vfs.File
	number   uint64
	size     int64
	frameMax int
	pos      int64  // where the next frame should stand
	expect   uint64 // its sequence
	epoch    uint32 // its lowest epoch
	torn     bool   // it begins there, and is not whole
	sealer   *seal.Sealer
}

func newScanner(f vfs.File, number uint64, frameMax int) (*scanner, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat log file %d: %w", number, err)
	}
	return &scanner{f: f, number: number, size: info.Size(), frameMax: frameMax}, nil
}

const scanBufferBytes = 1 << 20

// frames replays frames until one does not count.
func (s *scanner) frames(replay Replay) error {
	r := bufio.NewReaderSize(io.NewSectionReader(s.f, 0, s.size), int(min(scanBufferBytes, max(s.size, 16))))
	var frame []byte
	for {
		head, err := r.Peek(int(min(frameHeaderBytes, s.size-s.pos)))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read log file %d: %w", s.number, err)
		}
		h, version, ok := parseHeader(head)
		if !ok || h.file != s.number || h.sequence != s.expect || h.epoch < s.epoch {
			return nil
		}
		if !s.fits(s.pos, h) {
			s.torn = true
			return nil
		}
		n := alignUp(frameHeaderBytes + int(h.length))
		frame = slices.Grow(frame[:0], n)[:n]
		if _, err := io.ReadFull(r, frame); err != nil {
			return fmt.Errorf("read log file %d: %w", s.number, err)
		}
		if frameCRC(frame[:frameHeaderBytes+h.length]) != h.crc {
			s.torn = true
			return nil
		}
		if version != frameVersion {
			return fmt.Errorf("%w: frame version %d, this program reads %d", ErrVersion, version, frameVersion)
		}
		at := Position{s.number, s.pos + frameHeaderBytes}
		entries, err := parseEntries(frame[frameHeaderBytes:frameHeaderBytes+h.length], at, s.sealer)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Locked != nil {
				return fmt.Errorf("frame %d: %w", h.sequence, e.Locked)
			}
		}
		if err := replay(h.sequence, entries); err != nil {
			return err
		}
		s.pos += int64(n)
		s.expect++
		s.epoch = h.epoch
	}
}

// fits checks a frame's length against the file before anything is allocated.
func (s *scanner) fits(pos int64, h header) bool {
	return int64(h.length) <= int64(s.frameMax) && pos+int64(alignUp(frameHeaderBytes+int(h.length))) <= s.size
}

// findLater looks behind the last good frame for a frame of this file that was
// written after the missing one had been synced.
func (s *scanner) findLater() (at int64, found bool, err error) {
	buf := make([]byte, min(scanBufferBytes, max(0, s.size-s.pos)))
	for from := s.pos; from+frameHeaderBytes <= s.size; {
		n, err := s.f.ReadAt(buf, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, fmt.Errorf("read log file %d: %w", s.number, err)
		}
		b := buf[:n]
		for p := 0; p+frameHeaderBytes <= n; p += frameAlign {
			if binary.BigEndian.Uint32(b[p:]) != frameMagic {
				continue
			}
			h, _, ok := parseHeader(b[p:])
			if !ok || h.file != s.number || h.synced <= s.expect || h.sequence < h.synced || !s.fits(from+int64(p), h) {
				continue
			}
			if ok, err := s.valid(from+int64(p), h); err != nil || ok {
				return from + int64(p), ok, err
			}
		}
		if from += int64(n - frameHeaderBytes + frameAlign); n < len(buf) {
			break
		}
		from &^= frameAlign - 1
	}
	return 0, false, nil
}

// valid checks the CRC of the frame at pos.
func (s *scanner) valid(pos int64, h header) (bool, error) {
	b := make([]byte, frameHeaderBytes+int(h.length))
	if _, err := s.f.ReadAt(b, pos); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read log file %d: %w", s.number, err)
	}
	return frameCRC(b) == h.crc, nil
}
