package executor

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/kafka"
)

// maxCommitAttempts is the number of aborted commits in a row after which the
// query fails and restarts with back-off.
const maxCommitAttempts = 10

// commit sends everything since the last commit as one request. The task waits
// for the answer: state is real only when the outcome is known.
func (t *task) commit() (verdict, error) {
	for _, s := range t.stores {
		if s.changelog.Topic == "" {
			continue
		}
		s.Lock()
		if s.Dirty() == 0 {
			s.Unlock()
			continue
		}
		w := t.stage.Builder(s.changelog)
		ts := kafka.Timestamp(t.q.cfg.Clock.Now().UnixMilli())
		err := s.Changes(func(key, value []byte) {
			w.Append(ts, key, value, nil)
			if w.OpenBytes() >= maxChangelogBatch {
				w.Finish()
			}
		})
		s.Unlock()
		if err != nil {
			return idle, fmt.Errorf("store %s: %w", s.Name, err)
		}
	}
	t.pending = t.pending[:0]
	for _, in := range t.inputs {
		if in.next > in.committed {
			t.pending = append(t.pending, OffsetCommit{in.group, in.tp, in.next})
		}
	}
	t.sent = t.stage.take()
	t.began = t.q.cfg.Clock.Now()
	t.phase = committing
	results := t.results
	t.txn.Commit(CommitRequest{Appends: t.sent, Offsets: t.pending}, func(r CommitResult) {
		results <- r
		t.wake()
	})
	return idle, nil
}

// maxChangelogBatch is the size at which a record batch of a changelog is closed.
const maxChangelogBatch = 512 << 10

// commitResult acts on the answer when it is there.
func (t *task) commitResult() (verdict, error) {
	var r CommitResult
	select {
	case r = <-t.results:
	default:
		return idle, nil
	}
	switch r.Outcome {
	case Committed:
		return t.keep(func(i int) kafka.Offset { return r.BaseOffsets[i] + kafka.Offset(t.sent[i].Records) })
	case Fenced:
		return idle, &fatalError{fmt.Errorf("transaction %s was fenced: another owner runs the query: %w", t.name, orUnknown(r.Err))}
	case Unknown:
		t.phase = resolving
		return runAgain, nil
	}
	t.q.warn("commit aborted", r.Err)
	return t.retry(r.Err)
}

func orUnknown(err error) error {
	if err == nil {
		return fmt.Errorf("no reason given")
	}
	return err
}

// mirror writes the committed changes to the state store on disk. next answers
// the offset behind the i-th append of the commit.
func (t *task) mirror(next func(i int) kafka.Offset) error {
	for _, s := range t.stores {
		if s.mirror == nil {
			continue
		}
		for i, a := range t.sent {
			if a.TP != s.changelog {
				continue
			}
			s.Lock()
			err := s.mirror.Apply(int64(next(i)), s.Changes)
			s.Unlock()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// keep makes what was committed real.
func (t *task) keep(next func(i int) kafka.Offset) (verdict, error) {
	if err := t.mirror(next); err != nil {
		return idle, err
	}
	n := 0
	for _, a := range t.sent {
		if t.q.sinks[a.TP.Topic] {
			n += a.Records
		}
		giveBuffer(a.Batches)
	}
	t.q.rowsOut.Add(int64(n))
	t.sent = nil
	for _, s := range t.stores {
		s.Lock()
		s.Commit()
		s.Unlock()
	}
	t.q.cfg.budget.Reclaim()
	at := 0
	for _, in := range t.inputs {
		if at < len(t.pending) && t.pending[at].TP == in.tp && t.pending[at].Group == in.group {
			in.committed = t.pending[at].Next
			at++
		}
	}
	now := t.q.cfg.Clock.Now()
	t.lastTook, t.lastCommit = now.Sub(t.began), now
	t.dirtySince, t.attempts = time.Time{}, 0
	t.front.staged = false
	t.phase = running
	t.q.committed(t.pending)
	return runAgain, nil
}

// retry plans to do the work again after an abort.
func (t *task) retry(cause error) (verdict, error) {
	t.attempts++
	if t.attempts > maxCommitAttempts {
		return idle, fmt.Errorf("commit aborted %d times in a row: %w", t.attempts, orUnknown(cause))
	}
	t.phase = reverting
	return verdict{after: time.Duration(t.attempts) * t.q.cfg.CommitMinDelay, again: t.q.cfg.CommitMinDelay <= 0}, nil
}

// revert takes everything back to the last commit and reads on from there.
func (t *task) revert() (verdict, error) {
	t.sent = nil
	t.stage.drop()
	for _, s := range t.stores {
		s.Lock()
		s.Rollback()
		s.Unlock()
	}
	if err := t.resetOperators(); err != nil {
		return idle, err
	}
	for _, in := range t.inputs {
		in.next = in.committed
	}
	if err := t.seekAll(); err != nil {
		return idle, err
	}
	t.dirtySince, t.front.staged = time.Time{}, false
	t.phase = running
	return runAgain, nil
}

// resolve finds out what became of a commit: the transaction is opened anew,
// which ends whatever the old one left open, and then the committed offsets
// tell.
func (t *task) resolve() (verdict, error) {
	a, ok := t.inquire(func() inquiry {
		t.txn.Close()
		t.txn = nil
		q := inquiry{offsets: slices.Clone(t.pending)}
		for _, s := range t.stores {
			if s.mirror != nil && s.changelog.Topic != "" {
				q.bounds = append(q.bounds, s.changelog)
			}
		}
		return q
	})
	if !ok || a.err != nil {
		return idle, a.err
	}
	t.txn = a.txn
	kept := 0
	for i, p := range t.pending {
		if a.offsets[i] == p.Next {
			kept++
		}
	}
	switch kept {
	case len(t.pending):
		// Nobody else writes to the changelogs: their ends are the commit's.
		return t.keep(func(i int) kafka.Offset { return a.bounds[t.sent[i].TP].stable })
	case 0:
		return t.retry(fmt.Errorf("outcome was unknown, and nothing was committed"))
	}
	return idle, &fatalError{fmt.Errorf("commit of %s moved %d of %d offsets: the log is not atomic", t.name, kept, len(t.pending))}
}
