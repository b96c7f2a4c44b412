package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// distinctive is in every name and value of the tests below.
const distinctive = "zq7distinctive"

// distinctiveLoad makes streams, tables with state and schemas, and inserts rows.
func distinctiveLoad(t *testing.T, w *world) {
	t.Helper()
	for _, s := range []string{
		`CREATE STREAM zq7distinctive_s (id STRING KEY, zq7distinctive_n INT, note STRING) WITH (kafka_topic='zq7distinctive', value_format='AVRO', partitions=1);`,
		`CREATE TABLE zq7distinctive_t WITH (value_format='JSON') AS SELECT id, COUNT(*) AS zq7distinctive_c, LATEST_BY_OFFSET(note) AS note FROM zq7distinctive_s GROUP BY id EMIT CHANGES;`,
	} {
		if _, err := w.exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	for i := range 40 {
		s := fmt.Sprintf(`INSERT INTO zq7distinctive_s VALUES ('zq7distinctive%d', %d, 'zq7distinctive');`, i%6, i)
		if _, err := w.exec(context.Background(), s); err != nil {
			t.Fatal(err)
		}
	}
	if failed, err := w.settle(context.Background()); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
}

// readable returns the kinds of files that hold the distinctive string.
func readable(t *testing.T, fs vfs.FS, dir string) (where []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if strings.Contains(strings.ToLower(name), distinctive) {
			where = append(where, "name "+path)
		}
		info, err := fs.Stat(path)
		if err != nil {
			continue // removed meanwhile
		}
		if info.IsDir() {
			where = append(where, readable(t, fs, path)...)
			continue
		}
		content, err := vfs.ReadFile(fs, path, 64<<20)
		if err != nil && !vfs.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(content), []byte(distinctive)) {
			where = append(where, path)
		}
	}
	return where
}

// tableRows pulls one row of the load's table.
func (w *world) tableRows(t *testing.T) string {
	t.Helper()
	out, err := w.exec(context.Background(), `SELECT id, zq7distinctive_c FROM zq7distinctive_t WHERE id = 'zq7distinctive3';`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNothingReadableOfQueries: statements, schemas, rows and the state of queries
// are in no file of an encrypted directory, on disk and running or closed; the state
// is used again after a restart, with a new key too, and is built again when it was
// plain or its key is gone.
func TestNothingReadableOfQueries(t *testing.T) {
	key := func(digits ...string) *seal.Keys {
		var lines []string
		for _, d := range digits {
			lines = append(lines, strings.Repeat(d, 2*seal.KeyBytes))
		}
		k, err := seal.ParseKeys(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	fs := vfs.NewMem()
	var text bytes.Buffer
	w := startWorld(t, Config{Dir: "data", FS: fs, Logger: slog.New(slog.NewTextHandler(&text, nil)), Broker: broker.Config{Keys: key("1")}})
	if err := w.session.SetProperty("auto.offset.reset", "earliest"); err != nil {
		t.Fatal(err)
	}
	distinctiveLoad(t, w)
	want := w.tableRows(t)
	if err := w.engine.state.Flush(); err != nil {
		t.Fatal(err)
	}
	if where := readable(t, fs, "data"); len(where) > 0 {
		t.Errorf("running: %v", where)
	}
	for i, keys := range []*seal.Keys{key("1"), key("2", "1"), key("1", "2")} {
		text.Reset()
		w.config.Broker.Keys = keys
		w.restart(t)
		if got := w.tableRows(t); got != want {
			t.Errorf("start %d: %s, want %s", i, got, want)
		}
		if strings.Contains(text.String(), "is built again") {
			t.Errorf("start %d: %s", i, text.String())
		}
		if where := readable(t, fs, "data"); len(where) > 0 {
			t.Errorf("start %d: %v", i, where)
		}
	}
	// A state store that was written with another key, or plain.
	for _, other := range []Config{{Broker: broker.Config{Keys: key("3")}}, {}} {
		strange := vfs.NewMem()
		v := startWorld(t, Config{Dir: "data", FS: strange, Broker: other.Broker})
		if err := v.session.SetProperty("auto.offset.reset", "earliest"); err != nil {
			t.Fatal(err)
		}
		distinctiveLoad(t, v)
		v.close(t)
		if where := readable(t, strange, "data/state"); (len(where) == 0) != (other.Broker.Keys != nil) {
			t.Errorf("the plain state store is readable in %v", where)
		}
		w.close(t)
		if err := fs.RemoveAll("data/state"); err != nil {
			t.Fatal(err)
		}
		copyDir(t, strange, fs, "data/state")
		text.Reset()
		w.open(t)
		if got := w.tableRows(t); got != want || !strings.Contains(text.String(), "is built again") {
			t.Errorf("another's state store: %s, want %s\n%s", got, want, text.String())
		}
		if where := readable(t, fs, "data"); len(where) > 0 {
			t.Errorf("another's state store: %v", where)
		}
	}
}

// copyDir copies a directory between file systems.
func copyDir(t *testing.T, from, to vfs.FS, dir string) {
	t.Helper()
	names, err := from.List(dir)
	if err = errors.Join(err, to.MkdirAll(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := from.PathJoin(dir, name)
		if info, err := from.Stat(path); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			copyDir(t, from, to, path)
			continue
		}
		content, err := vfs.ReadFile(from, path, 64<<20)
		if err == nil {
			err = vfs.WriteFileAtomic(to, path, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestEncryptedOverCluster: keys are not accepted where they would do nothing.
func TestEncryptedOverCluster(t *testing.T) {
	k, err := seal.ParseKeys(strings.Repeat("11", seal.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Bootstrap: []string{"127.0.0.1:1"}, Broker: broker.Config{Keys: k}})
	if err == nil || !strings.Contains(err.Error(), "no meaning over a Kafka cluster") {
		t.Fatal(err)
	}
}
