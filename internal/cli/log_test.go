package cli

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// TestLogDump: the command prints what is there, as text and as JSON, and fails
// for a directory that is damaged.
func TestLogDump(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b, err := broker.Open(broker.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var w kafka.BatchBuilder
	w.Append(5, []byte("key"), nil, nil)
	w.Finish()
	tp := kafka.TopicPartition{Topic: "orders"}
	err = b.Apply(broker.Metadata{CreateTopics: []broker.TopicSpec{{Name: "orders"}}, Appends: []broker.Append{{TP: tp, Batches: w.Bytes(), Records: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	dump := func(args ...string) (string, error) {
		code, out, text := run(t, "", append([]string{"log", "dump"}, args...)...)
		if code != 0 {
			return out, errors.New(text)
		}
		return out, nil
	}
	if _, err := dump(dir); err != nil {
		t.Fatalf("the directory of a running broker: %v", err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	out, err := dump(dir, "--records")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"checkpoint", "topic: orders", "frame 1,", "topicCreated: orders", "orders-0 offsets 0-0, 1 records", `offset 0 timestamp 5 key "key" value null`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, err = dump(dir, "--json", "--records")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var item broker.DumpItem
		if err := json.Unmarshal([]byte(line), &item); err != nil || item.Kind == "" {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if err := vfs.WriteFileAtomic(vfs.Default, filepath.Join(dir, "checkpoint"), []byte("no checkpoint")); err != nil {
		t.Fatal(err)
	}
	if out, err = dump(dir); err == nil || !strings.Contains(out, "DAMAGED") {
		t.Fatalf("a damaged directory: %v\n%s", err, out)
	}
}

// TestTopicIDs: a topic's id is printed the same by whatever prints it, as Kafka's
// tools do, and is that of its directory.
func TestTopicIDs(t *testing.T) {
	data := t.TempDir()
	_, kafka, stop := startServer(t, data)
	runSteps(t, kafka, []step{{args: "topic create orders"}, {args: "produce orders --raw", stdin: "1\n"}})
	code, out, stderr := run(t, "", "topic", "list", "--output", "json", "--bootstrap", kafka)
	var row struct{ ID string }
	if err := json.Unmarshal([]byte(strings.TrimSpace(out)), &row); err != nil || code != 0 {
		var rows []struct{ ID string }
		if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 {
			t.Fatal(code, out, stderr, err)
		}
		row = rows[0]
	}
	raw, err := base64.RawURLEncoding.DecodeString(row.ID)
	if err != nil || len(raw) != 16 {
		t.Fatalf("id %q: %v", row.ID, err)
	}
	runSteps(t, kafka, []step{
		{args: "topic describe orders", has: []string{row.ID}},
		{args: "topic describe orders --output json", has: []string{row.ID}},
	})
	stop()
	code, out, stderr = run(t, "", "log", "dump", data)
	if code != 0 || strings.Count(out, "topic: orders, id "+row.ID+",") != 1 || strings.Count(out, "topicCreated: orders, id "+row.ID+",") != 1 || strings.Contains(out, "id "+hex.EncodeToString(raw)) {
		t.Errorf("log dump: %d %s\n%s", code, stderr, out)
	}
}
