package executor

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
)

// inquiry is what a task asks the log before it runs, and when it does not know what
// became of a commit: to open its transaction, and where it stands then.
//
//	opening, resolving --inquire--> waiting --answer--> opened, resolved
//
// Over a network an answer takes its time, and may hang on what other tasks have to
// do: the outcome of their transactions, which they settle when a worker runs them.
// The task is parked until then and keeps no worker (Config.LogWaits). A task that
// is to end waits for its answer, too: a request that was given up could reach the
// log behind that of the next owner, and fence it.
type inquiry struct {
	// offsets are the groups and topic-partitions whose committed offsets are asked.
	offsets []OffsetCommit
	// bounds are the topic-partitions whose bounds are asked.
	bounds []kafka.TopicPartition
}

// answer is what the log says. txn is open unless err is set.
type answer struct {
	txn     Txn
	offsets []kafka.Offset // -1 for none, in the order of the inquiry's
	bounds  map[kafka.TopicPartition]bounds
	err     error
}

// bounds are the first readable and the last stable offset.
type bounds struct{ first, stable kafka.Offset }

// inquire sends an inquiry, or returns the answer to the one sent before. ok is
// false while there is none: the answer wakes the task.
func (t *task) inquire(ask func() inquiry) (a answer, ok bool) {
	if t.answers == nil {
		if in := ask(); t.q.cfg.LogWaits {
			answers := make(chan answer, 1)
			t.answers = answers
			go func() { // ends with the log's answer; the task is not closed before
				answers <- t.answer(t.q.ctx, in)
				t.wake()
			}()
		} else {
			return t.answer(t.q.ctx, in), true
		}
	}
	select {
	case a = <-t.answers:
		t.answers = nil
		return a, true
	default:
		return a, false
	}
}

// unanswered reports whether the answer to an inquiry has yet to come. Otherwise it
// gives up what the answer holds.
func (t *task) unanswered() bool {
	if t.answers == nil {
		return false
	}
	select {
	case a := <-t.answers:
		t.answers = nil
		if a.txn != nil {
			a.txn.Close()
		}
		return false
	default:
		return true
	}
}

// answer asks the log. It touches nothing of the task that changes.
func (t *task) answer(ctx context.Context, in inquiry) (a answer) {
	log := t.q.cfg.Log
	defer func() {
		if r := recover(); r != nil {
			t.q.logPanic(r)
			a.err = &fatalError{fmt.Errorf("panic: %v", r)}
		}
		if a.err != nil && a.txn != nil {
			a.txn.Close()
			a.txn = nil
		}
	}()
	if a.txn, a.err = log.OpenTxn(ctx, t.name); a.err != nil {
		return answer{err: fmt.Errorf("open transaction %s: %w", t.name, a.err)}
	}
	// Offsets and bounds are asked behind it: what the last owner left open moves
	// both when it is ended.
	if a.offsets, a.err = t.committed(ctx, in.offsets); a.err != nil {
		return a
	}
	a.bounds = map[kafka.TopicPartition]bounds{}
	for _, tp := range in.bounds {
		first, stable, err := log.Bounds(ctx, tp)
		if err != nil {
			a.err = fmt.Errorf("read bounds of %s: %w", tp, err)
			return a
		}
		a.bounds[tp] = bounds{first, stable}
	}
	return a
}
