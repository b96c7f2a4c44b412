package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner/catalog"
)

// maxLiveBatch bounds the records of one produced batch.
const maxLiveBatch = 8

// liveRunner runs a case as one pipeline: statements through a session, all
// queries at once on the embedded broker.
type liveRunner struct {
	restRunner
	session *engine.Session
	random  *rand.Rand
	order   order
}

// judgeLive runs a positive case of kind qtt; others are left out.
func judgeLive(c *testCase, seed uint64) verdict {
	v := verdict{ID: c.ID, Verdict: excluded}
	if c.Excluded != nil || c.Kind != "qtt" || c.ExpectedException != nil {
		return v
	}
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	done := make(chan verdict, 1)
	go func() { done <- runLive(ctx, c, seed) }() // ends with ctx, or hangs and is left behind
	select {
	case v := <-done:
		return v
	case <-ctx.Done():
	}
	return verdict{ID: c.ID, Verdict: failed, Error: fmt.Sprintf("no end after %s", caseTimeout)}
}

func runLive(ctx context.Context, c *testCase, seed uint64) (v verdict) {
	v = verdict{ID: c.ID, Verdict: failed}
	defer func() {
		if p := recover(); p != nil {
			v.Verdict, v.Error = failed, fmt.Sprintf("panic: %v", p)
		}
	}()
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem(), ServiceID: "some.ksql.service.id", Workers: 2})
	if err != nil {
		v.Error = err.Error()
		return v
	}
	// The case is judged by then: an error of closing changes nothing.
	defer func() { _ = e.Close(context.Background()) }()
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.ID)) // never fails
	r := &liveRunner{restRunner: restRunner{c: c, engine: e}, session: e.NewSession(), random: rand.New(rand.NewPCG(seed, h.Sum64()))}
	v.Verdict, err = r.run(ctx)
	if err != nil {
		v.Verdict, v.Error = failed, errorText(err)
	}
	return v
}

// run executes the statements, feeds the records and compares; the verdict is
// one of passed, undefined and unchecked unless there is an error.
func (r *liveRunner) run(ctx context.Context) (string, error) {
	if err := setCaseProperties(r.c, r.session.SetProperty); err != nil {
		return "", err
	}
	if err := r.setUp(ctx); err != nil {
		return "", err
	}
	discard := func(engine.Result) error { return nil }
	for _, text := range r.c.Statements {
		if err := r.session.Execute(ctx, text, discard); err != nil {
			return "", err
		}
	}
	inserted := map[string]bool{}
	for _, s := range r.engine.Catalog().Sources() {
		if n, err := r.engine.TopicRecords(ctx, s.Topic); err == nil && n > 0 && len(r.engine.Catalog().WrittenBy(s.Name)) == 0 {
			inserted[s.Topic] = true
		}
	}
	r.order = newOrder(r.c, r.engine.Catalog(), inserted)
	feed := r.feed
	if r.order.byTimestamp(r.c.Inputs) && r.random.IntN(2) == 0 {
		feed = r.feedBacklog
	}
	if err := feed(ctx); err != nil {
		return "", err
	}
	return r.check(ctx)
}

// feedBacklog appends all inputs while the queries are paused and lets them catch
// up then: the timestamps alone decide between topics.
func (r *liveRunner) feedBacklog(ctx context.Context) error {
	discard := func(engine.Result) error { return nil }
	if err := r.session.Execute(ctx, "PAUSE ALL;", discard); err != nil {
		return err
	}
	for list := r.c.Inputs; len(list) > 0; {
		n := r.nextBatch(list)
		if err := r.produceBatch(ctx, list[0].Topic, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	if err := r.session.Execute(ctx, "RESUME ALL;", discard); err != nil {
		return err
	}
	return r.catchUp(ctx)
}

// nextBatch returns how many of the records to come, all of one topic, make up
// the next batch.
func (r *liveRunner) nextBatch(list []record) int {
	n := 1
	for most := 1 + r.random.IntN(maxLiveBatch); n < most && n < len(list) && list[n].Topic == list[0].Topic; {
		n++
	}
	return n
}

// setUp prepares a sandbox, which also registers what declared sources derive, and
// gives the engine the sandbox's topics and schemas. Topics have one partition
// unless the case says otherwise.
func (r *liveRunner) setUp(ctx context.Context) error {
	w := &topicList{Sandbox: engine.NewSandbox("some.ksql.service.id")}
	if err := (&setup{r.c, w, 1}).run(); err != nil {
		return err
	}
	for _, name := range w.names {
		n, _ := w.Topic(name)
		if err := r.engine.CreateTopic(ctx, name, n); err != nil {
			return err
		}
	}
	if err := r.engine.SetCompatibility(ctx, "", registry.None); err != nil {
		return err
	}
	var all []registry.Version
	for _, subject := range w.Schemas().Subjects() {
		versions, err := w.Schemas().Versions(subject)
		if err != nil {
			return err
		}
		all = append(all, versions...)
	}
	// Schemas come after what they refer to, and versions in their order.
	slices.SortStableFunc(all, func(a, b registry.Version) int {
		return cmp.Or(cmp.Compare(len(a.References), len(b.References)), cmp.Compare(a.Version, b.Version), cmp.Compare(a.ID, b.ID))
	})
	for _, v := range all {
		if _, err := r.engine.RegisterSchema(ctx, v.Subject, v.Schema, v.ID); err != nil {
			return err
		}
	}
	return nil
}

// topicList is a sandbox that remembers which topics it was given.
type topicList struct {
	*engine.Sandbox
	names []string
}

func (t *topicList) AddTopic(name string, partitions int32) {
	if _, ok := t.Topic(name); !ok {
		t.names = append(t.names, name)
	}
	t.Sandbox.AddTopic(name, partitions)
}

// feed appends the inputs in the order of the case, in batches of random sizes.
// Before a record of another topic that meets the one before in some query, that
// query catches up: no task can tell records apart that two topics got while it
// looked at a third, and the corpus expects the order of the file.
func (r *liveRunner) feed(ctx context.Context) error {
	before := map[string]bool{} // topics with records since queries caught up
	for list := r.c.Inputs; len(list) > 0; {
		topic, n := list[0].Topic, r.nextBatch(list)
		for other := range before {
			if other != topic && r.order.meet(other, topic) {
				if err := r.catchUp(ctx); err != nil {
					return err
				}
				clear(before)
				break
			}
		}
		if err := r.produceBatch(ctx, topic, list[:n]); err != nil {
			return err
		}
		before[topic] = true
		list = list[n:]
	}
	return r.catchUp(ctx)
}

func (r *liveRunner) catchUp(ctx context.Context) error {
	for _, q := range r.engine.Catalog().Queries() {
		if err := r.engine.WaitCaughtUp(ctx, q.ID); err != nil {
			return err
		}
	}
	return nil
}

// produceBatch appends records of one topic, one batch for each partition.
func (r *liveRunner) produceBatch(ctx context.Context, topic string, list []record) error {
	src := r.source(topic)
	partitions, err := r.engine.TopicPartitions(topic)
	if err != nil {
		return err
	}
	builders := make([]kafka.BatchBuilder, partitions)
	counts := make([]int, partitions)
	for _, in := range list {
		rec, err := encodeInput(payloads{r.engine.Schemas()}, src, in)
		if err != nil {
			return fmt.Errorf("input of %s: %w", topic, err)
		}
		p := int32(0)
		if rec.Key != nil {
			p = kafka.Partition(rec.Key, partitions)
		}
		builders[p].Append(rec.Timestamp, rec.Key, rec.Value, rec.Headers)
		counts[p]++
	}
	for p, n := range counts {
		if n == 0 {
			continue
		}
		builders[p].Finish()
		if err := r.engine.Produce(ctx, kafka.TopicPartition{Topic: topic, Partition: int32(p)}, builders[p].Bytes(), n); err != nil {
			return err
		}
	}
	return nil
}

// oneTask reports whether a topic and all that it follows from have one partition,
// so that one task after the other makes it.
func (r *liveRunner) oneTask(topic string, below []string) bool {
	if n, err := r.engine.TopicPartitions(topic); err != nil || n != 1 {
		return false
	}
	for _, q := range r.order.writers[topic] {
		for _, s := range q.SourceTopics() {
			if !slices.Contains(below, s) && !r.oneTask(s, append(below, topic)) {
				return false
			}
		}
	}
	return true
}

// check compares every topic whose order is defined as a whole: in order where
// one task makes it, else in order for each key.
func (r *liveRunner) check(ctx context.Context) (string, error) {
	want := map[string][]record{}
	var topics []string
	for _, o := range r.c.Outputs {
		if want[o.Topic] == nil {
			topics = append(topics, o.Topic)
		}
		want[o.Topic] = append(want[o.Topic], o)
	}
	if len(topics) == 0 {
		return unchecked, nil
	}
	compare := &runner{c: r.c, registered: r.engine.Schemas, logs: map[string][]executor.DriverRecord{}}
	left := ""
	for _, topic := range topics {
		if why := r.order.undefined(topic); why != "" {
			left = why
			continue
		}
		err := r.engine.EachRecord(ctx, topic, func(_ int32, rec *kafka.Record) error {
			got, err := driverRecord(topic, rec)
			compare.logs[topic] = append(compare.logs[topic], got)
			return err
		})
		if err != nil {
			return "", err
		}
		if err := compareTopic(compare, r.source(topic), topic, want[topic], !r.oneTask(topic, nil)); err != nil {
			return "", fmt.Errorf("%w\n got: %s", err, strings.Join(compare.dump(topic), "\n      "))
		}
	}
	if left != "" {
		return undefined, nil
	}
	return passed, nil
}

// driverRecord copies a record out of the batch that it was read from.
func driverRecord(topic string, rec *kafka.Record) (executor.DriverRecord, error) {
	headers, err := kafka.ParseHeaders(bytes.Clone(rec.RawHeaders), op.MaxHeaders)
	return executor.DriverRecord{Topic: topic, Timestamp: rec.Timestamp, Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value), Headers: headers}, err
}

// compareTopic compares a topic with what is expected. With anyKeyOrder each
// expected record may be any one that stands first among the records of its key.
func compareTopic(r *runner, src *catalog.Source, topic string, want []record, anyKeyOrder bool) error {
	got := r.logs[topic]
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d records, expected %d", topic, len(got), len(want))
	}
	if !anyKeyOrder {
		for i := range want {
			if err := r.compareRecord(src, want[i], got[i]); err != nil {
				return fmt.Errorf("%s record %d: %w", topic, i, err)
			}
		}
		return nil
	}
	rest := append([]executor.DriverRecord{}, got...)
	for i, w := range want {
		found := -1
		seen := map[string]bool{}
		for k, g := range rest {
			if first := !seen[string(g.Key)]; first && r.compareRecord(src, w, g) == nil {
				found = k
				break
			}
			seen[string(g.Key)] = true
		}
		if found < 0 {
			return fmt.Errorf("%s: no key's next record is the expected record %d", topic, i)
		}
		rest = append(rest[:found], rest[found+1:]...)
	}
	return nil
}
