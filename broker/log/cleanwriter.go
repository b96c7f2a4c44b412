package log

import (
	"errors"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// cleanWriter writes a compacted segment.
type cleanWriter struct {
	p *Partition
	s *segment
	// stored: batches come as they are stored, encrypted or not.
	stored bool

	log   vfs.File
	index indexWriter
	buf   []byte
	seal  []byte // one encrypted batch
}

func (w *cleanWriter) open() error {
	f, err := w.p.store.opts.FS.Create(w.path(w.s.name()), vfs.Category)
	w.log = f
	return err
}

func (w *cleanWriter) path(name string) string { return w.p.store.opts.FS.PathJoin(w.p.dir, name) }

// add appends a batch with its guard, encrypted when the directory is and it is not
// stored already.
func (w *cleanWriter) add(b kafka.Batch) error {
	s := w.s
	if sealer := w.p.store.opts.Sealer; sealer != nil && !w.stored {
		w.seal = sealBatch(w.seal[:0], w.p.Topic, w.p.Partition, b, sealer)
		b = w.seal
	}
	at := s.size + int64(len(w.buf))
	if at == 0 {
		s.firstTimestamp = b.MaxTimestamp()
	}
	w.index.add(b.BaseOffset(), b.MaxTimestamp(), at, guardBytes+len(b))
	w.buf = append(appendGuard(w.buf, b), b...)
	s.next = b.LastOffset() + 1
	s.maxTimestamp = max(s.maxTimestamp, b.MaxTimestamp())
	if len(w.buf) >= stepBytes {
		return w.flush()
	}
	return nil
}

func (w *cleanWriter) flush() error {
	n := int64(len(w.buf))
	if n == 0 {
		return nil
	}
	w.p.store.giveWay()
	if _, err := w.log.Write(w.buf); err != nil {
		return err
	}
	w.s.size += n
	w.buf = w.buf[:0]
	return w.p.store.stepDone(w.log, w.s.size)
}

// close makes the segment, its index and their names durable, when good.
func (w *cleanWriter) close(good bool) error {
	if w.log == nil {
		return nil
	}
	if !good {
		return w.log.Close()
	}
	err := w.flush()
	if err == nil {
		w.p.store.giveWay()
		err = vfs.Sync(w.log)
	}
	if err = errors.Join(err, w.log.Close()); err != nil || w.s.size == 0 {
		return err
	}
	f, err := w.p.store.opts.FS.Create(w.path(w.s.indexName()), vfs.Category)
	if err != nil {
		return err
	}
	if _, err = f.Write(encodeIndex(w.index.entries)); err == nil {
		err = vfs.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	w.s.indexEntries = len(w.index.entries)
	return w.p.store.syncDirs([]string{w.p.dir})
}

// remove takes back what was written.
func (w *cleanWriter) remove() error { return w.p.store.removeSegment(w.path(w.s.stem())) }
