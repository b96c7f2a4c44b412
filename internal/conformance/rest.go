package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/server"
	"github.com/millrace/millrace/sql"
)

// caseTimeout ends a case over HTTP that hangs; no case that works waits for it.
const caseTimeout = 20 * time.Second

// restRunner holds a case over HTTP while it runs: an engine in memory with its
// broker, and the server on a real listener.
type restRunner struct {
	c       *testCase
	engine  *engine.Engine
	client  *http.Client
	url     string
	answers []answer
	sent    int // statements that were sent, up to the one that failed
}

// answer is what the server said to one statement.
type answer struct {
	statement string
	admin     any   // the entity of a statement
	rows      []any // the elements of a query's result
}

// judgeRest runs a case over HTTP; a case that hangs fails by itself.
func judgeRest(c *testCase) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	done := make(chan verdict, 1)
	go func() { done <- runRest(ctx, c) }() // ends with ctx, or hangs and is left behind
	select {
	case v := <-done:
		return v
	case <-ctx.Done():
	}
	return verdict{ID: c.ID, Verdict: failed, Error: fmt.Sprintf("no end after %s", caseTimeout)}
}

func runRest(ctx context.Context, c *testCase) (v verdict) {
	v = verdict{ID: c.ID, Verdict: failed}
	defer func() {
		if p := recover(); p != nil {
			v.Verdict, v.Error = failed, fmt.Sprintf("panic: %v", p)
		}
	}()
	r := &restRunner{c: c}
	stop, err := r.start()
	if err != nil {
		v.Error = err.Error()
		return v
	}
	defer stop()
	err = r.run(ctx)
	if c.ExpectedException != nil {
		r.judgeRejection(err, &v)
		return v
	}
	if err == nil {
		err = r.checkResponses()
	}
	if err == nil {
		err = r.compareProto(ctx)
	}
	if err == nil {
		err = r.checkOutputs(ctx)
	}
	if err != nil {
		v.Error = err.Error()
		return v
	}
	v.Verdict = passed
	return v
}

// start opens the engine and serves HTTP on a port of the loopback interface.
func (r *restRunner) start() (stop func(), err error) {
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem(), ServiceID: "some.ksql.service.id", Workers: 1})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, e.Close(context.Background()))
	}
	s := server.New(e, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }() // ends with s.Close
	transport := &http.Transport{}
	r.engine, r.url, r.client = e, "http://"+l.Addr().String(), &http.Client{Transport: transport}
	return func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // requests that run are not waited for
		transport.CloseIdleConnections()
		// The case is judged: an error of closing changes nothing.
		_ = s.Close(ctx)
		<-served
		_ = e.Close(context.Background())
	}, nil
}

// run sets the case up, sends its statements and reads the answers.
func (r *restRunner) run(ctx context.Context) error {
	w := &engineWorld{ctx: ctx, engine: r.engine}
	if err := errors.Join((&setup{r.c, w, defaultPartitions}).run(), w.err); err != nil {
		return err
	}
	admin, queries := r.c.Statements, []string(nil)
	for i, text := range r.c.Statements {
		if strings.HasPrefix(text, "SELECT ") {
			admin, queries = r.c.Statements[:i], r.c.Statements[i:]
			break
		}
	}
	if len(admin) > 0 {
		r.sent = len(admin)
		if err := r.sendAdmin(ctx, admin); err != nil {
			return err
		}
	}
	if r.c.InputConditions.WaitForActivePushQuery {
		if len(queries) != 1 {
			return fmt.Errorf("%d queries, expected one to wait for", len(queries))
		}
		r.sent++
		return r.sendQuery(ctx, queries[0], r.produce)
	}
	if err := r.produce(ctx); err != nil {
		return err
	}
	for _, q := range r.engine.Catalog().Queries() {
		if err := r.engine.WaitCaughtUp(ctx, q.ID); err != nil {
			return err
		}
	}
	for _, text := range queries {
		r.sent++
		if err := r.sendQuery(ctx, text, nil); err != nil {
			return err
		}
	}
	return nil
}

// engineWorld is the world of a case over HTTP.
type engineWorld struct {
	ctx    context.Context
	engine *engine.Engine
	err    error // of AddTopic
}

func (w *engineWorld) AddTopic(name string, partitions int32) {
	if _, ok := w.Topic(name); !ok && w.err == nil {
		w.err = w.engine.CreateTopic(w.ctx, name, partitions)
	}
}

func (w *engineWorld) Topic(name string) (int32, bool) {
	n, err := w.engine.TopicPartitions(name)
	return n, err == nil
}

func (w *engineWorld) AddSchema(subject string, s registry.Schema, id int32) (int32, error) {
	v, err := w.engine.RegisterSchema(w.ctx, subject, s, id)
	return v.ID, err
}

func (w *engineWorld) SetCompatibility(level registry.Level) error {
	return w.engine.SetCompatibility(w.ctx, "", level)
}

func (w *engineWorld) Schemas() *registry.Registry { return w.engine.Schemas() }

// RegisterDeclared leaves it to the statement, which comes right after.
func (w *engineWorld) RegisterDeclared(*sql.CreateSource) error { return nil }

// source returns the stream or table over a topic, one of JSON when there is
// none.
func (r *restRunner) source(topic string) *catalog.Source {
	for _, s := range r.engine.Catalog().Sources() {
		if s.Topic == topic {
			return s
		}
	}
	return &catalog.Source{Key: plan.Format{Name: "KAFKA"}, Value: plan.Format{Name: "JSON"}}
}

// produce appends the inputs in order, each to the partition of its key.
func (r *restRunner) produce(ctx context.Context) error {
	for i, in := range r.c.Inputs {
		src := r.source(in.Topic)
		p := payloads{r.engine.Schemas()}
		key, err := p.encode(src, true, in.Key)
		if err != nil {
			return fmt.Errorf("input %d: key: %w", i, err)
		}
		if in.Window != nil && key != nil {
			key = appendWindow(key, in.Window)
		}
		value, err := p.encode(src, false, in.Value)
		if err != nil {
			return fmt.Errorf("input %d: value: %w", i, err)
		}
		headers, err := inputHeaders(in)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		n, err := r.engine.TopicPartitions(in.Topic)
		if err != nil {
			return err
		}
		tp := kafka.TopicPartition{Topic: in.Topic}
		if key != nil {
			tp.Partition = kafka.Partition(key, n)
		}
		var at kafka.Timestamp
		if in.Timestamp != nil {
			at = kafka.Timestamp(*in.Timestamp)
		}
		var batch kafka.BatchBuilder
		batch.Append(at, key, value, headers)
		batch.Finish()
		if err := r.engine.Produce(ctx, tp, batch.Bytes(), 1); err != nil {
			return err
		}
	}
	return nil
}

func inputHeaders(in record) ([]kafka.Header, error) {
	var headers []kafka.Header
	for _, h := range in.Headers {
		kh := kafka.Header{Key: h.Key}
		if h.Value != nil {
			b, err := base64.StdEncoding.DecodeString(*h.Value)
			if err != nil {
				return nil, err
			}
			kh.Value = append([]byte{}, b...)
		}
		headers = append(headers, kh)
	}
	return headers, nil
}

// checkOutputs compares the first records of each topic: in order within a
// partition, in any order between partitions.
func (r *restRunner) checkOutputs(ctx context.Context) error {
	compare := &runner{c: r.c, registered: r.engine.Schemas}
	logs := map[string]map[int32][]executor.DriverRecord{}
	for i, want := range r.c.Outputs {
		parts, ok := logs[want.Topic]
		if !ok {
			parts = map[int32][]executor.DriverRecord{}
			logs[want.Topic] = parts
			err := r.engine.EachRecord(ctx, want.Topic, func(partition int32, rec *kafka.Record) error {
				parts[partition] = append(parts[partition], executor.DriverRecord{Timestamp: rec.Timestamp,
					Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
				return nil
			})
			if err != nil {
				return err
			}
		}
		want.Headers = nil
		var errs []error
		for partition, list := range parts {
			if len(list) == 0 {
				continue
			}
			err := compare.compareRecord(r.source(want.Topic), want, list[0])
			if err == nil {
				parts[partition], errs = list[1:], nil
				break
			}
			errs = append(errs, fmt.Errorf("partition %d: %w", partition, err))
		}
		if len(parts) == 0 {
			errs = append(errs, errors.New("the topic is empty"))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s record %d: %w", want.Topic, i, err)
		}
	}
	return nil
}
