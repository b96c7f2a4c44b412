package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/executor/format/registry/registrytest"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/script"
	"github.com/millrace/millrace/internal/vfs"
)

// registryWorld is an engine over an external registry.
func registryWorld(t *testing.T) (*world, *registrytest.Server) {
	t.Helper()
	s := registrytest.New(t, format.Checker{})
	return startWorld(t, Config{Dir: "data", FS: vfs.NewCrashable(), SchemaRegistry: s.Config()}), s
}

func (w *world) must(t *testing.T, text string) string {
	t.Helper()
	return w.run(t, script.Command{Name: "exec", Input: text})
}

// refused runs a statement that must fail with a text.
func (w *world) refused(t *testing.T, text, want string) {
	t.Helper()
	if out := w.run(t, script.Command{Name: "error", Input: text}); !strings.Contains(out, want) {
		t.Errorf("%s\nfails with %s\nwant %q", text, out, want)
	}
}

// high is what stream HIGH holds.
func (w *world) high(t *testing.T) string {
	t.Helper()
	return w.run(t, script.Command{Name: "pull", Input: "SELECT * FROM high;"})
}

// repeat writes all records of a topic's first partition once more.
func (w *world) repeat(t *testing.T, topic string) {
	t.Helper()
	ctx, tp := context.Background(), kafka.TopicPartition{Topic: topic}
	first, stable, err := w.engine.cluster.Bounds(ctx, tp)
	if err != nil {
		t.Fatal(err)
	}
	var b kafka.BatchBuilder
	err = eachRecord(w.engine.cluster, tp, first, stable, func(r *kafka.Record) error {
		b.Append(r.Timestamp, r.Key, r.Value, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Finish()
	if _, err := w.engine.cluster.Append(ctx, tp, b.Bytes(), b.Records()); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition.
func (w *world) until(t *testing.T, ctx context.Context, holds func() bool) {
	t.Helper()
	for !holds() {
		if err := w.engine.sleep(ctx, waitInterval); err != nil {
			t.Fatal(err)
		}
	}
}

const gates = `CREATE STREAM gates (id STRING KEY, level INT) WITH (kafka_topic='gates', value_format='AVRO', partitions=1);
CREATE STREAM high WITH (kafka_topic='high') AS SELECT id, level * 10 AS mm FROM gates WHERE level > 1 EMIT CHANGES;`

// TestExternalRegistry registers there and nowhere else, and reads its own records
// after a restart and after a crash.
func TestExternalRegistry(t *testing.T) {
	w, s := registryWorld(t)
	w.must(t, gates)
	for _, subject := range []string{"gates-value", "high-value"} {
		if v, err := s.Registry.Latest(subject); err != nil || v.Type != registry.Avro {
			t.Errorf("%s: %+v, %v", subject, v, err)
		}
	}
	if own := w.engine.Schemas().Subjects(); len(own) != 0 {
		t.Errorf("the embedded registry has %v", own)
	}
	for i, between := range []func(*testing.T){w.restart, w.crash} {
		w.must(t, "INSERT INTO gates VALUES ('a', 1); INSERT INTO gates VALUES ('b', 2);")
		if out := w.high(t); strings.Count(out, "MM=20") != i+1 {
			t.Errorf("run %d:\n%s", i, out)
		}
		between(t)
	}
	out := w.high(t)
	if strings.Count(out, "MM=20") != 2 {
		t.Errorf("after restarts:\n%s", out)
	}
	if log := w.run(t, script.Command{Name: "log"}); strings.Contains(log, "error") {
		t.Errorf("processing log:\n%s", log)
	}
	w.must(t, "ASSERT SCHEMA SUBJECT 'high-value' TIMEOUT 0 SECONDS; ASSERT SCHEMA SUBJECT 'high-value' ID 2 TIMEOUT 0 SECONDS; ASSERT NOT EXISTS SCHEMA SUBJECT 'high-value' ID 1 TIMEOUT 0 SECONDS;")
	shown := false
	for _, p := range w.session.showProperties().(*PropertyList).Properties {
		shown = shown || p.Name == "ksql.schema.registry.url" && p.Value == s.URL
	}
	if !shown {
		t.Error("SHOW PROPERTIES does not show the registry")
	}
	if err := w.engine.SetCompatibility(context.Background(), "", registry.None); !errors.Is(err, errExternalSchemas) {
		t.Errorf("SetCompatibility: %v", err)
	}
}

// TestExternalRegistryInference reads columns that others registered, and those of
// a statement before it in the same script.
func TestExternalRegistryInference(t *testing.T) {
	w, s := registryWorld(t)
	_, ev, err := s.Registry.Propose("theirs-value", registry.Schema{Type: registry.JSON, Text: `{"type":"object","properties":{"width":{"type":"integer","connect.type":"int32"}}}`})
	if err == nil {
		err = s.Registry.Apply(*ev)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := "CREATE STREAM theirs WITH (kafka_topic='theirs', value_format='JSON_SR', partitions=1);" +
		gates + "CREATE STREAM again (id STRING KEY) WITH (kafka_topic='high', value_format='AVRO');"
	if err := w.session.Validate(text); err != nil {
		t.Fatalf("validate: %v", err)
	}
	if all := s.Registry.Subjects(); len(all) != 1 {
		t.Fatalf("validation registered %v", all)
	}
	w.must(t, text)
	for name, column := range map[string]string{"THEIRS": "WIDTH", "AGAIN": "MM"} {
		if c := w.engine.Catalog().Source(name).Schema.Value; len(c) != 1 || c[0].Name != column {
			t.Errorf("%s has columns %v, want %s", name, c, column)
		}
	}
}

// TestExternalRegistryRefuses leaves nothing behind where the registry says no.
func TestExternalRegistryRefuses(t *testing.T) {
	w, s := registryWorld(t)
	w.must(t, gates)
	before := w.engine.CommandSequence()
	w.refused(t, "CREATE STREAM low WITH (kafka_topic='high') AS SELECT id, CAST(level AS STRING) AS mm FROM gates EMIT CHANGES;", "incompatible")
	if w.engine.Catalog().Source("LOW") != nil || w.engine.CommandSequence() != before {
		t.Error("the refused statement was recorded")
	}
	if versions, err := s.Registry.Versions("high-value"); err != nil || len(versions) != 1 {
		t.Errorf("versions %v, %v", versions, err)
	}
	w.must(t, "DROP STREAM high DELETE TOPIC;")
	if _, err := s.Registry.Latest("high-value"); !errors.Is(err, registry.ErrSubject) {
		t.Errorf("the dropped topic's subject: %v", err)
	}
}

// TestExternalRegistryDown fails statements that need the registry as a whole,
// while queries over known ids go on.
func TestExternalRegistryDown(t *testing.T) {
	w, s := registryWorld(t)
	w.must(t, gates+"CREATE STREAM raw (b BYTES) WITH (kafka_topic='raw', value_format='KAFKA', partitions=1);")
	w.must(t, "INSERT INTO gates VALUES ('a', 3);")
	if out := w.high(t); strings.Count(out, "MM=30") != 1 {
		t.Fatal(out)
	}
	before := w.engine.CommandSequence()
	s.SetDown(true)
	for _, text := range []string{
		"CREATE STREAM low AS SELECT id, level AS n FROM gates EMIT CHANGES;",
		"CREATE STREAM more (n INT) WITH (kafka_topic='more', value_format='AVRO', partitions=1);",
		"CREATE STREAM theirs WITH (kafka_topic='gates', value_format='AVRO');",
		"DROP STREAM high DELETE TOPIC;",
		"INSERT INTO gates VALUES ('a', 3);",
		"ASSERT SCHEMA SUBJECT 'gates-value' TIMEOUT 0 SECONDS;",
	} {
		w.refused(t, text, "Schema registry unavailable")
	}
	if w.engine.CommandSequence() != before || w.engine.Catalog().Source("HIGH") == nil {
		t.Error("a refused statement was recorded")
	}
	for _, topic := range []string{"LOW", "more"} {
		if _, ok := w.engine.cluster.Topic(topic); ok {
			t.Errorf("topic %s was made", topic)
		}
	}
	if _, ok := w.engine.cluster.Topic("high"); !ok {
		t.Error("topic high is gone")
	}
	w.repeat(t, "gates") // its id is known
	if out := w.high(t); strings.Count(out, "MM=30") != 2 {
		t.Errorf("a known id without the registry:\n%s", out)
	}
	s.SetDown(false)
	w.must(t, "CREATE STREAM low AS SELECT id, level AS n FROM gates EMIT CHANGES;")
}

// TestExternalRegistryComesBack restarts without the registry: records wait for it
// and are not taken for bad ones.
func TestExternalRegistryComesBack(t *testing.T) {
	w, s := registryWorld(t)
	w.must(t, gates)
	w.must(t, "INSERT INTO gates VALUES ('a', 3);")
	if out := w.high(t); strings.Count(out, "MM=30") != 1 {
		t.Fatal(out)
	}
	s.SetDown(true)
	w.restart(t)
	w.repeat(t, "gates")
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	id := w.engine.Catalog().Queries()[0].ID
	w.until(t, ctx, func() bool {
		status, err := w.engine.exec.Status(id)
		return err == nil && strings.Contains(status.Reason, registry.ErrUnavailable.Error())
	})
	s.SetDown(false)
	w.until(t, ctx, func() bool { return strings.Count(w.high(t), "MM=30") == 2 })
	if log := w.run(t, script.Command{Name: "log"}); strings.Contains(log, "unavailable") {
		t.Errorf("processing log:\n%s", log)
	}
}
