package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/kafka"
)

// segments makes a data directory with segments of the topic orders and returns
// their paths.
func segments(t *testing.T, dir string, open func() (*broker.Broker, error)) []string {
	t.Helper()
	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	tp := kafka.TopicPartition{Topic: "orders"}
	m := broker.Metadata{CreateTopics: []broker.TopicSpec{{Name: "orders"}}}
	for i := range 200 {
		var w kafka.BatchBuilder
		w.Append(kafka.Timestamp(i), nil, []byte(strings.Repeat("v", 100)), nil)
		w.Finish()
		m.Appends = []broker.Append{{TP: tp, Batches: w.Bytes(), Records: 1}}
		if err := b.Apply(m); err != nil {
			t.Fatal(err)
		}
		m.CreateTopics = nil
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "topics", "*", "0", "*.log"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("segments %v, %v", paths, err)
	}
	return paths
}

var smallFiles = broker.Limits{WALFileBytes: 4 << 10, WALMaxBytes: 16 << 10, SegmentBytes: 2 << 10, TailMaxBytes: 2 << 10}

// TestLogRepair: what is wrong is said, nothing is given up without being told to,
// and the directory of a running server is left alone.
func TestLogRepair(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open := func() (*broker.Broker, error) { return broker.Open(broker.Config{Dir: dir, Limits: smallFiles}) }
	paths := segments(t, dir, open)
	repair := func(wantCode int, wantOut, wantErr string, args ...string) {
		t.Helper()
		code, out, stderr := run(t, "", append([]string{"log", "repair"}, args...)...)
		if code != wantCode || !strings.Contains(out, wantOut) || !strings.Contains(stderr, wantErr) || wantErr == "" && stderr != "" {
			t.Errorf("log repair %v: exit code %d\n%s%s", args, code, out, stderr)
		}
	}
	repair(0, "nothing is damaged", "", dir)
	bad, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	bad[80] ^= 1
	if err := os.WriteFile(paths[1], bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(paths[2]); err != nil {
		t.Fatal(err)
	}
	repair(1, "orders-0: offsets ", "1 partition; restore the files from a copy, or give up what cannot be read with --accept-loss", dir)
	repair(1, paths[2]+": the file is missing", "--accept-loss", dir)
	repair(1, "orders-0: would be repaired", "nothing was changed", dir, "--dry-run")
	repair(1, "orders-0: would be repaired", "nothing was changed", dir, "--dry-run", "--accept-loss")
	repair(1, "orders-0: offsets ", "--accept-loss", dir)

	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	repair(1, "", "in use by another process", dir, "--accept-loss")
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	repair(0, filepath.Join(dir, "damaged"), "", dir, "--accept-loss")
	repair(0, "nothing is damaged", "", dir)
	aside, err := filepath.Glob(filepath.Join(dir, "damaged", "*", "0", "*.log"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v, %v", aside, err)
	}
	if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != string(bad) {
		t.Errorf("what was set aside is not what was there: %v", err)
	}
	empty := t.TempDir()
	repair(1, "", "is no data directory", empty)
	if names, err := os.ReadDir(empty); err != nil || len(names) > 0 {
		t.Errorf("an empty directory was filled: %v, %v", names, err)
	}
	checkpoint := filepath.Join(dir, "checkpoint")
	if err := os.WriteFile(checkpoint, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	repair(0, "checkpoint could not be read", "", dir)
	repair(0, "nothing is damaged", "", dir)
	if kept, err := os.ReadFile(filepath.Join(dir, "damaged", "checkpoint")); err != nil || string(kept) != "damaged" {
		t.Errorf("the damaged checkpoint: %q, %v", kept, err)
	}
	for _, path := range []string{checkpoint, checkpoint + ".copy"} {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"repair", "reencrypt"} {
		code, out, stderr := run(t, "", "log", command, dir)
		if code != 1 || out != "" || strings.Contains(stderr, "is no data directory") || !strings.Contains(stderr, "the checkpoint is missing") ||
			!strings.Contains(stderr, "restore it from a copy") || !strings.Contains(stderr, "`millrace log dump "+dir+"`") {
			t.Errorf("log %s without a checkpoint: exit code %d: %s%s", command, code, out, stderr)
		}
	}
	if err := os.Rename(checkpoint+".copy.away", checkpoint+".copy"); err != nil {
		t.Fatal(err)
	}
	repair(0, "checkpoint was missing", "", dir)
	wal, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if err != nil || len(wal) == 0 {
		t.Fatal(err)
	}
	for _, path := range wal {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 100; i < len(b); i += 100 {
			b[i] ^= 1
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repair(1, "", "log repair mends segments only", dir, "--accept-loss")
}
