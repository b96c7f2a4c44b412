package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/script"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
)

// commandTimeout ends a command that would otherwise hang. It bounds a failure;
// no command that works waits for it.
const commandTimeout = time.Minute

// world is an engine under a script, and what the script has seen of it.
type world struct {
	config  Config
	engine  *Engine
	session *Session
	// began is the wall time of the start, in ms: later timestamps print as now.
	began int64
	// seen are the offsets up to which topics were printed.
	seen map[kafka.TopicPartition]kafka.Offset
}

func startWorld(t *testing.T, config Config) *world {
	t.Helper()
	w := &world{config: config, began: clock.System.Now().UnixMilli(), seen: map[kafka.TopicPartition]kafka.Offset{}}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	e, err := Open(w.config)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	old := w.session
	w.engine, w.session = e, e.NewSession()
	if old != nil {
		w.session.properties, w.session.variables = maps.Clone(old.properties), maps.Clone(old.variables)
	} else if err := w.session.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		t.Fatal(err)
	}
}

func (w *world) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// restart stops the engine in good order and opens it again.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.close(t)
	w.open(t)
}

// crash goes on with what a power loss at this moment would leave on the disk:
// nothing that was not synced.
func (w *world) crash(t *testing.T) {
	t.Helper()
	clone := w.config.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	w.close(t)
	w.config.FS = clone
	w.open(t)
}

// run executes one command of a script:
//
//	exec          statements; prints what they show and ok, or the error
//	error         the same, and fails when there is no error
//	feed TOPIC    lines of @TIME KEY VALUE, - for a null key, null for a tombstone
//	drain         waits for all queries and prints what is new in their sinks
//	log           prints what is new in the processing log
//	pull, push    the rows of a query
//	topics        the topics that exist, internal ones included
//	restart       stops the engine and starts it again
func (w *world) run(t *testing.T, c script.Command) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	switch c.Name {
	case "exec", "error":
		out, err := w.exec(ctx, c.Input)
		if (err == nil) == (c.Name == "error") {
			t.Errorf("%s: err = %v\n%s", c.Name, err, c.Input)
		}
		return out
	case "feed":
		if err := w.feed(ctx, c); err != nil {
			t.Fatalf("feed: %v", err)
		}
		return "ok"
	case "drain":
		return w.drain(t, ctx)
	case "log":
		return w.processingLog(t, ctx)
	case "pull", "push":
		return w.rows(t, ctx, c)
	case "topics":
		return w.topics()
	case "restart":
		w.restart(t)
		return "ok"
	}
	t.Fatalf("unknown command %q", c.Name)
	return ""
}

// queryName matches $query(SINK), which stands for the id of the query that
// writes a source: ids are counted differently over a cluster.
var queryName = regexp.MustCompile(`\$query\((\w+)\)`)

// queryID matches the number in a query's id, which the output leaves out.
var queryID = regexp.MustCompile(`(CSAS|CTAS|INSERTQUERY|CST)_(\w*?)_?\d+\b`)

// transientID matches the id of a push or pull query, whose number starts anew
// with the engine.
var transientID = regexp.MustCompile(`^(query|transient_\w+)_\d+`)

func (w *world) exec(ctx context.Context, text string) (string, error) {
	text = queryName.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.ToUpper(queryName.FindStringSubmatch(m)[1])
		ids := w.engine.Catalog().WrittenBy(name)
		if len(ids) == 0 {
			return m
		}
		return ids[len(ids)-1]
	})
	var b strings.Builder
	err := w.session.Execute(ctx, text, func(r Result) error {
		switch r := r.(type) {
		case *Done:
			if r.Warning {
				fmt.Fprintln(&b, "warning: "+r.Msg)
			}
			for _, text := range r.Warnings {
				fmt.Fprintln(&b, "warning: "+text)
			}
		case *Assertion:
			fmt.Fprintln(&b, r)
		case *QueryList:
			for _, q := range r.Queries {
				fmt.Fprintln(&b, q.ID, q.Status.State)
			}
		case *TopicList:
			for _, topic := range r.Topics {
				fmt.Fprintln(&b, topic.Name, topic.Partitions)
			}
		case *Rows:
			r.Close()
			fmt.Fprintln(&b, "a query that runs")
		case *Lines:
			r.Close()
			fmt.Fprintln(&b, "a query that runs")
		default:
			fmt.Fprintf(&b, "%T\n", r)
		}
		return nil
	})
	if err != nil {
		b.WriteString(formatError(err))
	} else {
		b.WriteString("ok")
	}
	maps.DeleteFunc(w.seen, func(tp kafka.TopicPartition, _ kafka.Offset) bool {
		_, exists := w.engine.cluster.Topic(tp.Topic)
		return !exists
	})
	return queryID.ReplaceAllString(b.String(), "${1}_${2}_N"), err
}

func formatError(err error) string {
	var st *StatementError
	if errors.As(err, &st) {
		return st.Format()
	}
	return "error: " + err.Error()
}

// feed appends records to a topic, each one on its own.
func (w *world) feed(ctx context.Context, c script.Command) error {
	topic, ok := w.engine.cluster.Topic(c.Args[0])
	if !ok {
		return fmt.Errorf("topic %s does not exist", c.Args[0])
	}
	for line := range strings.Lines(c.Input) {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		key, value, ok := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok || !strings.HasPrefix(at, "@") {
			return fmt.Errorf("expected @TIME KEY VALUE: %q", line)
		}
		ts, err := parseTime(at[1:])
		if err != nil {
			return err
		}
		tp := kafka.TopicPartition{Topic: topic.Name}
		var k, v []byte
		if key != "-" {
			k = []byte(key)
			tp.Partition = kafka.Partition(k, topic.Partitions)
		}
		if value = strings.TrimSpace(value); value != "null" {
			v = []byte(value)
		}
		if p := c.Options["partition"]; p != "" {
			n, err := strconv.ParseInt(p, 10, 32)
			if err != nil {
				return err
			}
			tp.Partition = int32(n)
		}
		var batch kafka.BatchBuilder
		batch.Append(kafka.Timestamp(ts), k, v, nil)
		batch.Finish()
		if _, err := w.engine.cluster.Append(ctx, tp, batch.Bytes(), 1); err != nil {
			return err
		}
	}
	return nil
}

// parseTime reads ms, a Go duration, days as 2d, or an ISO instant; the result is
// ms since the Unix epoch.
func parseTime(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		return n * 24 * time.Hour.Milliseconds(), err
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d.Milliseconds(), nil
	}
	instant, err := time.Parse(time.RFC3339Nano, s)
	return instant.UnixMilli(), err
}

// showTime renders an event time: small ones as a distance from the epoch, those
// of this run as now, since they differ from run to run.
func (w *world) showTime(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case ms >= w.began:
		return "now"
	case ms > 10*24*time.Hour.Milliseconds():
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z")
	case ms%time.Minute.Milliseconds() == 0 && ms != 0:
		return strconv.FormatInt(ms/time.Minute.Milliseconds(), 10) + "m"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// settle waits until no query has anything left to do and returns the reasons of
// those that failed. Paused queries do not take part. A query may write what one
// created before it reads, so every query must be at rest once more for each
// query that there is.
func (w *world) settle(ctx context.Context) ([]string, error) {
	queries := w.engine.Catalog().Queries()
	for quiet := 0; quiet <= len(queries); quiet++ {
		var failed []string
		for _, q := range queries {
			if q.Paused {
				continue
			}
			done, err := w.engine.CaughtUp(ctx, q.ID)
			switch {
			case ctx.Err() != nil:
				return nil, fmt.Errorf("query %s does not catch up: %w", q.ID, ctx.Err())
			case err != nil:
				failed = append(failed, queryID.ReplaceAllString(err.Error(), "${1}_${2}_N"))
			case !done:
				quiet = -1
			}
		}
		if quiet == len(queries) {
			return failed, nil
		}
		if quiet < 0 {
			if err := w.engine.sleep(ctx, waitInterval); err != nil {
				return nil, fmt.Errorf("queries do not catch up: %w", err)
			}
		}
	}
	return nil, nil
}

func (w *world) drain(t *testing.T, ctx context.Context) string {
	t.Helper()
	failed, err := w.settle(ctx)
	if err != nil {
		for _, q := range w.engine.Queries() {
			t.Logf("%s: %+v", q.ID, q.Status)
		}
		t.Fatal(err)
	}
	var b strings.Builder
	cat := w.engine.Catalog()
	var sinks []string
	for _, q := range cat.Queries() {
		if q.Plan.SinkName != "" && !slices.Contains(sinks, q.Plan.SinkName) {
			sinks = append(sinks, q.Plan.SinkName)
		}
	}
	for _, name := range sinks {
		src := cat.Source(name)
		type line struct{ key, text string }
		var lines []line
		err := w.eachNew(ctx, src.Topic, func(r *kafka.Record) error {
			key := w.showKey(src, r.Key)
			lines = append(lines, line{key, fmt.Sprintln(name, key, PrintPayload(r.Value), "@"+w.showTime(int64(r.Timestamp)))})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Several tasks write a topic of several partitions: only the order of the
		// records of a key is promised.
		if topic, _ := w.engine.cluster.Topic(src.Topic); topic.Partitions > 1 {
			slices.SortStableFunc(lines, func(x, y line) int { return strings.Compare(x.key, y.key) })
		}
		for _, l := range lines {
			b.WriteString(l.text)
		}
	}
	for _, reason := range failed {
		fmt.Fprintln(&b, reason)
	}
	if b.Len() == 0 {
		return "nothing"
	}
	return b.String()
}

// eachNew calls f for the records of a topic that it was not called for before.
func (w *world) eachNew(ctx context.Context, topic string, f func(*kafka.Record) error) error {
	info, ok := w.engine.cluster.Topic(topic)
	if !ok {
		return fmt.Errorf("topic %s does not exist", topic)
	}
	for i := range info.Partitions {
		tp := kafka.TopicPartition{Topic: topic, Partition: i}
		first, stable, err := w.engine.cluster.Bounds(ctx, tp)
		if err != nil {
			return err
		}
		if err := eachRecord(w.engine.cluster, tp, max(first, w.seen[tp]), stable, f); err != nil {
			return err
		}
		w.seen[tp] = stable
	}
	return nil
}

func (w *world) showKey(src *catalog.Source, key []byte) string {
	if src.Windowed == nil {
		return PrintPayload(key)
	}
	base, start, end, err := format.SplitWindow(key, src.Windowed)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s@[%s,%s)", PrintPayload(base), w.showTime(start), w.showTime(end))
}

// processingLog prints the new entries in order of query and offset; the tasks of
// different queries write them in any order.
func (w *world) processingLog(t *testing.T, ctx context.Context) string {
	t.Helper()
	if _, err := w.settle(ctx); err != nil {
		t.Fatal(err)
	}
	row, err := format.NewRow(plan.Format{Name: "JSON"}, executor.ProcessingLogSchema.Value, format.Side{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = w.eachNew(ctx, w.engine.ProcessingLogTopic(), func(r *kafka.Record) error {
		v, err := row.Decode(r.Value)
		if err != nil {
			return err
		}
		record := "-"
		if !v[8].IsNull() {
			record = PrintPayload([]byte(v[8].Str()))
		}
		id := transientID.ReplaceAllString(v[0].Str(), "${1}_N")
		lines = append(lines, queryID.ReplaceAllString(fmt.Sprintf("%s %s %s-%d@%d %s: %s | %s", id, v[1].Str(), v[3].Str(), v[4].Int(), v[5].Int(), v[2].Str(), v[7].Str(), record), "${1}_${2}_N"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) == 0 {
		return "nothing"
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// rows prints a query's rows as JSON: those of a push query in order, those of a
// pull query, which come in any order, sorted.
func (w *world) rows(t *testing.T, ctx context.Context, c script.Command) string {
	t.Helper()
	var lines []string
	err := w.session.Execute(ctx, c.Input, func(r Result) error {
		rows, ok := r.(*Rows)
		if !ok {
			return fmt.Errorf("expected rows, got %T", r)
		}
		defer rows.Close()
		if rows.Push != (c.Name == "push") {
			return fmt.Errorf("expected a %s query", c.Name)
		}
		for {
			list, err := rows.Next(ctx)
			if errors.Is(err, io.EOF) {
				for _, p := range rows.Problems() {
					lines = append(lines, "warning: "+p.String())
				}
				return nil
			}
			if err != nil {
				return err
			}
			for _, row := range list {
				lines = append(lines, showRow(rows, row))
			}
		}
	})
	if err != nil {
		lines = append(lines, formatError(err))
	}
	if c.Name == "pull" {
		slices.Sort(lines)
	}
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, "\n")
}

func showRow(rows *Rows, row executor.Row) string {
	var b []byte
	if row.Deleted() {
		b = append(b, "deleted "...)
	}
	b = append(b, '{')
	for i, v := range row.Values {
		if i > 0 {
			b = append(b, ',', ' ')
		}
		b = append(append(b, rows.Columns[i].Name...), '=')
		b = AppendJSON(b, v, rows.Columns[i].Type)
	}
	return string(append(b, '}'))
}

func (w *world) topics() string {
	var b strings.Builder
	for _, topic := range w.engine.cluster.Topics() {
		name := queryID.ReplaceAllString(topic.Name, "${1}_${2}_N")
		fmt.Fprintln(&b, name, topic.Partitions)
	}
	return b.String()
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
