package executor

import (
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/kafka"
)

// restoration fills the stores of a task from their changelogs, one piece per
// step.
type restoration struct{ sources []*restoreSource }

// restoreSource is one topic-partition to read up to stop.
type restoreSource struct {
	tp     kafka.TopicPartition
	stop   kafka.Offset
	next   kafka.Offset
	reader Reader
	store  *boundStore // of a changelog, or
	in     *input      // a table's own topic
	// load says that the mirror on disk comes first; next stands behind it.
	load bool
}

// loadStep is the number of records that one step takes from a mirror.
const loadStep = 50_000

// newRestoration opens what is to be read, whose bounds are given.
func (t *task) newRestoration(of map[kafka.TopicPartition]bounds) (*restoration, error) {
	r := new(restoration)
	log := t.q.cfg.Log
	add := func(s *restoreSource, stop kafka.Offset) (err error) {
		b := of[s.tp]
		if stop < 0 {
			stop = b.stable
		}
		s.next, s.stop = b.first, stop
		if err := s.fromMirror(b.first, b.stable); err != nil {
			return err
		}
		if s.next >= stop && !s.load {
			return nil
		}
		if s.reader, err = log.OpenReader(s.tp, s.next, t.wake); err != nil {
			return fmt.Errorf("open %s: %w", s.tp, err)
		}
		r.sources = append(r.sources, s)
		return nil
	}
	for _, s := range t.stores {
		if s.changelog.Topic != "" {
			if err := add(&restoreSource{tp: s.changelog, store: s}, -1); err != nil {
				r.close()
				return nil, err
			}
		}
	}
	for _, in := range t.inputs {
		if in.table != nil {
			if err := add(&restoreSource{tp: in.tp, in: in}, in.committed); err != nil {
				r.close()
				return nil, err
			}
		}
	}
	return r, nil
}

// fromMirror starts a changelog where its mirror ends. A mirror that does not
// lie within the changelog is of another life of it, and is cleared.
func (s *restoreSource) fromMirror(first, stable kafka.Offset) error {
	if s.store == nil || s.store.mirror == nil {
		return nil
	}
	at, err := s.store.mirror.Next()
	if err != nil {
		return err
	}
	if at >= int64(first) && at <= int64(stable) {
		s.next, s.load = kafka.Offset(at), true
		return nil
	}
	return s.store.mirror.Clear()
}

// loadMirror takes a piece of the mirror, and leaves the rest on disk when the
// budget is used up.
func (s *restoreSource) loadMirror(budget *state.Budget) error {
	s.store.Lock()
	defer s.store.Unlock()
	err := s.store.mirror.Load(loadStep, s.store.Restore)
	s.store.Commit()
	switch {
	case errors.Is(err, io.EOF):
		s.load = false
		return nil
	case err == nil && budget.Exceeded():
		s.load = false
		return s.store.LoadPartly()
	}
	return err
}

// step reads one chunk. blocked says that the log has no answer yet.
func (r *restoration) step(t *task, w *worker) (done, blocked bool, err error) {
	if len(r.sources) == 0 {
		return true, false, nil
	}
	s := r.sources[0]
	if s.load {
		return false, false, s.loadMirror(t.q.cfg.budget)
	}
	if s.next >= s.stop {
		s.reader.Close()
		r.sources = r.sources[1:]
		return false, false, nil
	}
	chunk, err := s.reader.Poll(t.limits.fetchBytes)
	if err != nil {
		return false, false, fmt.Errorf("fetch %s: %w", s.tp, err)
	}
	if chunk.Release != nil {
		defer chunk.Release()
	}
	if len(chunk.Batches) == 0 && !chunk.AtEnd && chunk.Next <= s.next {
		return false, true, nil
	}
	if s.store != nil {
		s.store.Lock()
		defer s.store.Unlock()
	} else {
		for _, st := range t.stores {
			st.Lock()
			defer st.Unlock()
		}
	}
	if err := s.apply(t, w, chunk); err != nil {
		return false, false, fmt.Errorf("%s: %w", s.tp, err)
	}
	s.next = max(s.next, chunk.Next)
	if s.next >= s.stop || len(chunk.Batches) == 0 && chunk.AtEnd {
		s.reader.Close()
		r.sources = r.sources[1:]
	}
	return false, false, nil
}

// apply restores the records of a chunk that stand before stop.
func (s *restoreSource) apply(t *task, w *worker, chunk Chunk) error {
	batches := chunk.Batches
	var rows *batch.Batch
	c := &expr.Context{Scratch: &w.scratch}
	flush := func() {
		if rows != nil && rows.Rows > 0 {
			rows.SelectAll()
			s.in.table.Restore(rows)
		}
		rows = nil
	}
	if s.in != nil {
		b := w.batch()
		defer w.giveBatch(b)
		rows = b
		s.in.decoder.Begin(rows, s.tp.Partition, batches, 16)
	}
	for rest := batches; len(rest) > 0; {
		b, next, err := kafka.NextBatch(rest)
		if err != nil {
			return err
		}
		rest = next
		if b.Control() {
			continue
		}
		walk := b.Records(b.Payload())
		for walk.Next() {
			rec := walk.Record()
			if rec.Offset < s.next || rec.Offset >= s.stop {
				continue
			}
			if s.store != nil {
				if err := s.store.Restore(rec.Key, rec.Value); err != nil {
					return fmt.Errorf("offset %d: %w", rec.Offset, err)
				}
				continue
			}
			// A record that cannot be read was reported when it was processed.
			if e := s.in.decoder.Decode(c, rows, s.tp.Partition, rec); e == nil && rows.Rows >= batch.MaxRows {
				b := rows
				flush()
				rows = b
				s.in.decoder.Begin(rows, s.tp.Partition, batches, batch.MaxRows)
			}
		}
		if err := walk.Err(); err != nil {
			return err
		}
	}
	if s.store != nil {
		if s.store.mirror != nil {
			if err := s.store.mirror.Apply(int64(min(chunk.Next, s.stop)), s.store.Changes); err != nil {
				return err
			}
		}
		// Restored values are committed ones: the undo log must not grow.
		s.store.Commit()
		return nil
	}
	flush()
	for _, st := range t.stores {
		st.Commit()
	}
	return nil
}

func (r *restoration) close() {
	for _, s := range r.sources {
		s.reader.Close()
	}
	r.sources = nil
}
