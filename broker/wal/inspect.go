package wal

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// FrameInfo describes a frame that InspectFile found.
type FrameInfo struct {
	Position                       int64
	Length                         int // of the payload
	Epoch                          uint32
	File, Sequence, SyncedSequence uint64
	// Entries are valid until the next frame.
	Entries []Entry
}

// FileNumber returns the number of a log file's name.
func FileNumber(name string) (number uint64, ok bool) { return parseFileName(name) }

// InspectFile reads a log file without changing it and calls frame for every
// frame of the file's present life, also behind damage, and damage for bytes in
// front of such a frame that are none. end is where its last frame ends; what
// stands behind it is a torn write or the file's former life. Events that sealer,
// which may be nil, cannot decrypt are locked.
func InspectFile(fs vfs.FS, path string, number uint64, sealer *seal.Sealer, frame func(FrameInfo) error, damage func(from, to int64, what string) error) (end int64, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s, err := newScanner(f, number, 1<<31-1)
	if err != nil {
		return 0, err
	}
	s.sealer = sealer
	var sequence uint64
	var epoch uint32
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, s.size), scanBufferBytes)
	for pos := int64(0); pos+frameHeaderBytes <= s.size; {
		head, err := r.Peek(frameHeaderBytes)
		if err != nil {
			return end, fmt.Errorf("read log file: %w", err)
		}
		h, version, ok := parseHeader(head)
		n := int64(frameAlign)
		if ok && h.file == number && h.sequence > sequence && h.epoch >= epoch && s.fits(pos, h) {
			b := make([]byte, frameHeaderBytes+int(h.length))
			if _, err := f.ReadAt(b, pos); err != nil && !errors.Is(err, io.EOF) {
				return end, fmt.Errorf("read log file: %w", err)
			}
			if frameCRC(b) == h.crc {
				if err := s.inspectFrame(b, h, version, pos, end, sequence, frame, damage); err != nil {
					return end, err
				}
				n = int64(alignUp(len(b)))
				sequence, epoch, end = h.sequence, h.epoch, pos+n
			}
		}
		if _, err := r.Discard(int(min(n, s.size-pos))); err != nil {
			return end, fmt.Errorf("read log file: %w", err)
		}
		pos += n
	}
	return end, nil
}

func (s *scanner) inspectFrame(b []byte, h header, version byte, pos, end int64, last uint64, frame func(FrameInfo) error, damage func(from, to int64, what string) error) error {
	if pos > end || last > 0 && h.sequence != last+1 {
		what := fmt.Sprintf("frames %d to %d are damaged or missing", last+1, h.sequence-1)
		if last == 0 {
			what = fmt.Sprintf("frames before %d are damaged or missing", h.sequence)
		}
		if err := damage(end, pos, what); err != nil {
			return err
		}
	}
	if version != frameVersion {
		return damage(pos, pos+int64(len(b)), fmt.Sprintf("frame version %d", version))
	}
	entries, err := parseEntries(b[frameHeaderBytes:], Position{h.file, pos + frameHeaderBytes}, s.sealer)
	if err != nil {
		return damage(pos, pos+int64(len(b)), err.Error())
	}
	return frame(FrameInfo{pos, int(h.length), h.epoch, h.file, h.sequence, h.synced, entries})
}
