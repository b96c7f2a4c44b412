package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
)

// Limits on what a push or pull query remembers of records that went wrong.
const (
	// MaxProblems is how many causes are told apart; the rest are counted as one.
	MaxProblems = 20
	// MaxProblemBytes is how much of a cause is kept.
	MaxProblemBytes = 400
	// MaxTransientEntries is how many records of one push or pull query get an
	// entry in the processing log. A pull query may read a whole table, and be
	// asked again and again.
	MaxTransientEntries = 1000
	// maxTransientLogBytes bounds the entries that wait for the query's reader.
	maxTransientLogBytes = 4 << 20
	// problemLogTimeout bounds the wait for the processing log.
	problemLogTimeout = 5 * time.Second
)

// Problem is what went wrong with records of a push or pull query. Problems are
// told apart by cause and effect.
type Problem struct {
	// Cause says what is wrong: division by zero.
	Cause string
	// Effect says what became of the record: column Q is NULL. It may be "".
	Effect string
	// Records counts the records.
	Records int64
}

// String returns "3 records: division by zero; column Q is NULL".
func (p Problem) String() string {
	noun := "records"
	if p.Records == 1 {
		noun = "record"
	}
	return fmt.Sprintf("%d %s: %s", p.Records, noun, p.Text())
}

// Text returns the problem without the count.
func (p Problem) Text() string {
	if p.Effect == "" {
		return p.Cause
	}
	return p.Cause + "; " + p.Effect
}

// Problems are those of one push or pull query. It is safe for concurrent use: a
// task adds to it, the query's reader writes the entries to the processing log.
type Problems struct {
	cfg   *Config
	query string

	mu     sync.Mutex // leaf
	list   []Problem
	staged kafka.BatchBuilder
	waits  int // entries staged
	logged int // entries staged so far, in all
}

func newProblems(cfg *Config, query string) *Problems { return &Problems{cfg: cfg, query: query} }

// NewProblems returns what takes the problems of a pull query, whose id stands in
// the processing log.
func (e *Executor) NewProblems(query string) *Problems { return newProblems(e.cfg, query) }

// List returns the problems so far, in the order in which they first came.
func (p *Problems) List() []Problem {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// add counts a bad record and stages its entry. fresh says that its like was not
// seen before.
func (p *Problems) add(e op.Entry) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh = p.count(Problem{Cause: shortened(e.Cause.Error()), Effect: e.Effect})
	// What fails over the processing log itself would make entries without end.
	if tp := p.cfg.ProcessingLog; tp.Topic == "" || p.cfg.AppendLog == nil || e.Topic == tp.Topic {
		return fresh
	}
	if p.logged >= MaxTransientEntries || p.staged.Len() >= maxTransientLogBytes {
		return fresh
	}
	value, err := encodeEntry(newLogEntry(p.query, e))
	if err != nil {
		p.warn(err)
		return fresh
	}
	p.staged.Append(kafka.Timestamp(p.cfg.Clock.Now().UnixMilli()), nil, value, nil)
	p.waits++
	p.logged++
	return fresh
}

// otherProblems stands for those behind the first MaxProblems.
const otherProblems = "other problems"

func (p *Problems) count(x Problem) (fresh bool) {
	for i := range p.list {
		if p.list[i].Cause == x.Cause && p.list[i].Effect == x.Effect {
			p.list[i].Records++
			return false
		}
	}
	switch n := len(p.list); {
	case n < MaxProblems:
		x.Records = 1
		p.list = append(p.list, x)
		return true
	case n == MaxProblems:
		p.list = append(p.list, Problem{Cause: otherProblems, Records: 1})
		return true
	}
	p.list[MaxProblems].Records++
	return false
}

// failures adds the rows that an expression failed on outside of a task: rows of a
// state store, which have no place in a topic.
func (p *Problems) failures(operator string, times []int64, failed []expr.Failure, effect func(expr.Failure) string) {
	for _, x := range failed {
		p.add(op.Entry{Operator: operator, Kind: op.KindExpression, Effect: effect(x), Partition: -1, Offset: -1, TimeMs: times[x.Row], Cause: x.Err})
	}
}

// flush writes the staged entries to the processing log. The query's reader calls
// it, never a task: it waits until the entries are durable. An entry that cannot
// be written does not fail the query, whose rows are right; the server's log says
// so.
func (p *Problems) flush() {
	p.mu.Lock()
	n := p.waits
	p.waits = 0
	var batches []byte
	if n > 0 {
		batches = p.staged.Take(nil)
	}
	p.mu.Unlock()
	if n == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer p.cfg.Clock.AfterFunc(problemLogTimeout, cancel).Stop()
	if err := p.cfg.AppendLog(ctx, p.cfg.ProcessingLog, batches, n); err != nil {
		p.warn(err)
	}
}

func (p *Problems) warn(err error) {
	if p.cfg.Logger != nil {
		p.cfg.Logger.Warn("processing log entry", "query", p.query, "error", err)
	}
}

// shortened cuts a cause, which may hold a value of any length.
func shortened(cause string) string {
	if len(cause) <= MaxProblemBytes {
		return cause
	}
	return strings.ToValidUTF8(cause[:MaxProblemBytes], "") + "..."
}
