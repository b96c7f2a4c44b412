package engine

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 1, "seed of the choice of crash points and of what they keep")
	crashEvery = flag.Bool("crash.all", false, "crash at every write instead of a sample")
)

// crashSample is how many crash clones are opened unless -crash.all is given.
const (
	crashSample      = 400
	crashSampleShort = 30
)

// crashStep is one thing that a client does, and waits for.
type crashStep struct {
	// exec is a statement; without one the step inserts value into the group key.
	exec  string
	key   string
	value int
	// restart stops the engine in good order and opens it again.
	restart bool
}

// crashSteps is the load: statements between inserts, so that crashes fall into
// statements, into commits and between them.
func crashSteps() []crashStep {
	var steps []crashStep
	statement := func(s string) { steps = append(steps, crashStep{exec: s}) }
	inserts := func(n int) {
		for range n {
			i := len(steps)
			steps = append(steps, crashStep{key: fmt.Sprintf("k%d", i%5), value: i})
		}
	}
	statement(`CREATE STREAM ins (id STRING KEY, grp STRING, n INT) WITH (kafka_topic='ins', value_format='JSON', partitions=2);`)
	statement(`CREATE TABLE names (grp STRING PRIMARY KEY, label STRING) WITH (kafka_topic='names', value_format='JSON', partitions=2);`)
	inserts(25)
	statement(`CREATE STREAM evens AS SELECT id, grp, n FROM ins WHERE n % 2 = 0 EMIT CHANGES;`)
	inserts(25)
	statement(`CREATE TABLE totals WITH (value_format='AVRO') AS SELECT grp, COUNT(*) AS c, SUM(n) AS s FROM ins GROUP BY grp EMIT CHANGES;`)
	inserts(25)
	steps = append(steps, crashStep{restart: true})
	statement(`CREATE STREAM keyed WITH (value_format='JSON_SR') AS SELECT * FROM ins PARTITION BY grp EMIT CHANGES;`)
	statement(`CREATE STREAM named AS SELECT k.grp AS grp, k.id AS id, label FROM keyed k LEFT JOIN names t ON k.grp = t.grp EMIT CHANGES;`)
	inserts(40)
	statement(`DROP STREAM named DELETE TOPIC;`)
	inserts(15)
	return steps
}

func (s crashStep) id() string { return fmt.Sprintf("r%d", s.value) }

func (s crashStep) statement() string {
	if s.exec != "" {
		return s.exec
	}
	return fmt.Sprintf(`INSERT INTO ins (ROWTIME, id, grp, n) VALUES (%d, '%s', '%s', %d);`, s.value, s.id(), s.key, s.value)
}

// crashPoint is what a power loss at one write would leave behind.
type crashPoint struct {
	write int
	keep  string
	fs    *vfs.MemFS
	// acked is how many steps had been answered.
	acked int
}

// crashKeys encrypt the directories of the crash tests, nil for none.
var crashKeys *seal.Keys

// TestCrashAnywhere loads an engine, takes what a power loss would leave at its
// writes (with all, nothing or a part of what was not synced), and opens an
// engine on each: what was acknowledged must be there, and every result once.
func TestCrashAnywhere(t *testing.T) {
	sample := crashSample
	if testing.Short() {
		sample = crashSampleShort
	}
	crashAnywhere(t, sample)
}

// TestCrashAnywhereEncrypted is TestCrashAnywhere over encrypted directories.
func TestCrashAnywhereEncrypted(t *testing.T) {
	keys, err := seal.ParseKeys(strings.Repeat("5a", seal.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	crashKeys = keys
	defer func() { crashKeys = nil }()
	sample := crashSample / 4
	if testing.Short() {
		sample = crashSampleShort
	}
	crashAnywhere(t, sample)
}

func crashAnywhere(t *testing.T, sample int) {
	writes := len(crashLoad(t, nil))
	take := map[int]bool{}
	rng := rand.New(rand.NewPCG(*crashSeed, 1))
	for i := range writes {
		// The number of writes varies a little from run to run with the timing of
		// commits; the sample is spread over them evenly.
		if *crashEvery || rng.IntN(writes) < sample {
			take[i] = true
		}
	}
	points := crashLoad(t, take)
	t.Logf("seed %d: %d writes, %d crash points", *crashSeed, writes, len(take))
	checked := 0
	for _, p := range points {
		if p.fs == nil {
			continue
		}
		checked++
		if !t.Run(fmt.Sprintf("write-%d-%s", p.write, p.keep), func(t *testing.T) { checkCrash(t, p) }) {
			t.Logf("replay: go test ./engine -run '%s' -crash.seed=%d", t.Name(), *crashSeed)
		}
	}
	if checked < len(take)/2 {
		t.Errorf("only %d crash points were reached of %d", checked, len(take))
	}
}

// crashLoad runs the load and returns a point for every write; those in take
// have a file system.
func crashLoad(t *testing.T, take map[int]bool) []crashPoint {
	t.Helper()
	disk := vfs.NewCrashable()
	var mu sync.Mutex // guards what follows: writes come from several goroutines
	var points []crashPoint
	acked, stopped := 0, false
	rng := rand.New(rand.NewPCG(*crashSeed, 2))
	hook := func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if stopped || !vfs.IsWrite(op) {
			return nil
		}
		p := crashPoint{write: len(points), acked: acked}
		if take[p.write] {
			keep := []struct {
				name    string
				percent int
			}{{"nothing", 0}, {"all", 100}, {"part", 50}}[rng.IntN(3)]
			p.keep = keep.name
			p.fs = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep.percent, RNG: rand.New(rand.NewPCG(rng.Uint64(), 3))})
		}
		points = append(points, p)
		return nil
	}
	// Small log files, so that they are sealed, retired and recycled on the way.
	limits := broker.Limits{WALFileBytes: 16 << 10}
	w := startWorld(t, Config{Dir: "data", FS: vfs.WithHook(disk, hook), Broker: broker.Config{Limits: limits, Keys: crashKeys}})
	if err := w.session.SetProperty("auto.offset.reset", "earliest"); err != nil {
		t.Fatal(err)
	}
	for _, s := range crashSteps() {
		if s.restart {
			w.restart(t)
		} else if _, err := w.exec(context.Background(), s.statement()); err != nil {
			t.Fatalf("%s: %v", s.statement(), err)
		}
		mu.Lock()
		acked++
		mu.Unlock()
	}
	if _, err := w.settle(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	stopped = true
	return points
}

// checkCrash opens what a crash left, twice, and compares it with a model.
func checkCrash(t *testing.T, p crashPoint) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	w := startWorld(t, Config{Dir: "data", FS: p.fs, Broker: broker.Config{Keys: crashKeys}})
	w.checkModel(t, ctx, p.acked)
	w.crash(t) // recovery itself must be durable
	w.checkModel(t, ctx, p.acked)
}

// checkModel compares an engine with the first acked steps of the load; the next
// step may have happened, wholly, or not at all.
func (w *world) checkModel(t *testing.T, ctx context.Context, acked int) {
	t.Helper()
	failed, err := w.settle(ctx)
	if err != nil || len(failed) > 0 {
		t.Fatalf("settle: %v %v", failed, err)
	}
	steps := crashSteps()
	cat := w.engine.Catalog()
	var inserted []crashStep
	if cat.Source("INS") != nil {
		inserted = w.checkInserts(t, ctx, steps, acked)
	}
	w.checkStatements(t, steps, acked)
	if cat.Source("EVENS") != nil {
		var want []string
		for _, s := range inserted {
			if s.value%2 == 0 {
				want = append(want, s.id())
			}
		}
		equalOnce(t, "EVENS", w.keys(t, ctx, "EVENS"), want)
	}
	if cat.Source("KEYED") != nil {
		var want []string
		for _, s := range inserted {
			want = append(want, s.key)
		}
		equalOnce(t, "KEYED", w.keys(t, ctx, "KEYED"), want)
		if cat.Source("NAMED") != nil {
			equalOnce(t, "NAMED", w.keys(t, ctx, "NAMED"), want)
		}
	}
	if cat.Source("TOTALS") != nil {
		w.checkTotals(t, ctx, inserted)
	}
}

// checkInserts returns the inserts that are in the topic: all acknowledged ones
// and at most the one that was under way, each once.
func (w *world) checkInserts(t *testing.T, ctx context.Context, steps []crashStep, acked int) []crashStep {
	t.Helper()
	got := w.keys(t, ctx, "INS")
	var inserted []crashStep
	for i, s := range steps {
		if s.key == "" {
			continue
		}
		there := slices.Contains(got, s.id())
		if i < acked && !there {
			t.Errorf("acknowledged insert %s is lost", s.id())
		}
		if i > acked && there {
			t.Errorf("insert %s was never sent", s.id())
		}
		if there {
			inserted = append(inserted, s)
		}
	}
	if len(got) != len(inserted) {
		t.Errorf("INS holds %d records, %d of them distinct inserts", len(got), len(inserted))
	}
	return inserted
}

// checkStatements looks for statements that half happened: a source without its
// topic or query, a topic or query without its source.
func (w *world) checkStatements(t *testing.T, steps []crashStep, acked int) {
	t.Helper()
	cat := w.engine.Catalog()
	step := func(start string) int {
		return slices.IndexFunc(steps, func(s crashStep) bool { return strings.HasPrefix(s.exec, start) })
	}
	drop := step("DROP STREAM named")
	for name, at := range map[string]int{
		"INS": step("CREATE STREAM ins"), "NAMES": step("CREATE TABLE names"), "EVENS": step("CREATE STREAM evens"),
		"TOTALS": step("CREATE TABLE totals"), "KEYED": step("CREATE STREAM keyed"), "NAMED": step("CREATE STREAM named"),
	} {
		src := cat.Source(name)
		dropped := name == "NAMED" && acked > drop
		if at < acked && src == nil && !(name == "NAMED" && acked >= drop) {
			t.Errorf("acknowledged %s is lost", steps[at].exec)
		}
		if src != nil && (at > acked || dropped) {
			t.Errorf("%s exists after %d steps", name, acked)
		}
		topic := name
		if at < 2 {
			topic = map[string]string{"INS": "ins", "NAMES": "names"}[name]
		}
		if _, ok := w.engine.cluster.Topic(topic); ok != (src != nil) {
			t.Errorf("%s: source exists: %t, topic exists: %t", name, src != nil, ok)
		}
		if _, err := w.engine.schemas.Latest(registry.Subject(topic, false)); at > 2 && name != "EVENS" && (err == nil) != (src != nil) {
			t.Errorf("%s: source exists: %t, its schema: %v", name, src != nil, err)
		}
		if writers := len(cat.WrittenBy(name)); at >= 2 && (writers > 0) != (src != nil) {
			t.Errorf("%s: source exists: %t, written by %d queries", name, src != nil, writers)
		}
	}
	internal := map[string]bool{}
	for _, q := range cat.Queries() {
		for _, topic := range internalTopics(q.Plan) {
			internal[topic] = true
			if _, ok := w.engine.cluster.Topic(topic); !ok {
				t.Errorf("query %s lacks its topic %s", q.ID, topic)
			}
		}
	}
	for _, topic := range w.engine.cluster.Topics() {
		if topic.Internal && !internal[topic.Name] && topic.Name != w.engine.commandTopic().Topic && topic.Name != w.engine.ProcessingLogTopic() && topic.Name != w.engine.schemaTopic().Topic {
			t.Errorf("topic %s belongs to no query", topic.Name)
		}
	}
}

// keys returns the keys of all records of a source's topic, as text.
func (w *world) keys(t *testing.T, ctx context.Context, source string) []string {
	t.Helper()
	var keys []string
	clear(w.seen)
	err := w.eachNew(ctx, w.engine.Catalog().Source(source).Topic, func(r *kafka.Record) error {
		keys = append(keys, PrintPayload(r.Key))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// equalOnce compares two lists as multisets.
func equalOnce(t *testing.T, name string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %d records, want %d:\n got %v\nwant %v", name, len(got), len(want), got, want)
	}
}

// checkTotals compares the aggregate's last values, and the number of updates in
// its topic, with counts computed here.
func (w *world) checkTotals(t *testing.T, ctx context.Context, inserted []crashStep) {
	t.Helper()
	type total struct{ count, sum int }
	model := map[string]total{}
	var updates []string
	for _, s := range inserted {
		m := model[s.key]
		model[s.key] = total{m.count + 1, m.sum + s.value}
		updates = append(updates, s.key)
	}
	equalOnce(t, "TOTALS", w.keys(t, ctx, "TOTALS"), updates)
	var got, want []string
	err := w.session.Execute(ctx, "SELECT grp, c, s FROM totals;", func(r Result) error {
		rows := r.(*Rows)
		defer rows.Close()
		for {
			list, err := rows.Next(ctx)
			if err != nil {
				return ignoreEOF(err)
			}
			for _, row := range list {
				got = append(got, showRow(rows, row))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, m := range model {
		want = append(want, fmt.Sprintf(`{GRP="%s", C=%d, S=%d}`, key, m.count, m.sum))
	}
	equalOnce(t, "totals by pull query", got, want)
}
