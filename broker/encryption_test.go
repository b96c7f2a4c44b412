package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

const (
	keyOne = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	keyTwo = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
)

// testKeys are the keys of every broker that a test of this package opens. With
// MILLRACE_ENCRYPTED=1 all tests run encrypted.
var testKeys = func() *seal.Keys {
	if os.Getenv("MILLRACE_ENCRYPTED") == "" {
		return nil
	}
	return parseKeys(keyOne)
}()

func parseKeys(lines ...string) *seal.Keys {
	k, err := seal.ParseKeys(strings.Join(lines, "\n"))
	if err != nil {
		panic(err)
	}
	return k
}

// withKeys makes the rest of a test use keys, nil for none.
func withKeys(t *testing.T, keys *seal.Keys) {
	t.Helper()
	before := testKeys
	testKeys = keys
	t.Cleanup(func() { testKeys = before })
}

// TestEncrypted runs tests of crashes, damage, full disks, compaction and
// retention over encrypted directories.
func TestEncrypted(t *testing.T) {
	if testKeys != nil {
		t.Skip("all tests are encrypted")
	}
	withKeys(t, parseKeys(keyOne))
	for _, c := range []struct {
		name string
		f    func(*testing.T)
	}{
		{"CrashAtEveryWrite", TestCrashAtEveryWrite},
		{"FailEveryWrite", TestFailEveryWrite},
		{"CrashUnderClients", TestCrashUnderClients},
		{"CrashDuringCompaction", TestCrashDuringCompaction},
		{"FailEveryWriteOfCompaction", TestFailEveryWriteOfCompaction},
		{"CompactionEndToEnd", TestCompactionEndToEnd},
		{"CompactionUnderClients", TestCompactionUnderClients},
		{"FileFlips", TestFileFlips},
		{"TornTail", TestTornTail},
		{"DiskFull", TestDiskFull},
		{"DiskFullAtEveryByte", TestDiskFullAtEveryByte},
		{"StartOnFullDisk", TestStartOnFullDisk},
		{"DeletedRecordsStayDeleted", TestDeletedRecordsStayDeleted},
		{"TimeLookups", TestTimeLookups},
		{"ClockJumps", TestClockJumps},
	} {
		t.Run(c.name, c.f)
	}
}

// files returns the content of every file below a directory but LOCK.
func files(t *testing.T, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range walk(t, fs, dir, "") {
		b, err := vfs.ReadFile(fs, path, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		if fs.PathBase(path) != "LOCK" {
			all[path] = string(b)
		}
	}
	return all
}

// mustRefuse opens a directory and returns the error, after a look whether anything
// was written.
func mustRefuse(t *testing.T, fs vfs.FS, keys *seal.Keys) error {
	t.Helper()
	withKeys(t, keys)
	before := files(t, fs, "data")
	b, err := openTest(t, fs, smallLimits())
	if err == nil {
		b.Close(context.Background())
		t.Fatal("the directory was opened")
	}
	if !maps.Equal(files(t, fs, "data"), before) {
		t.Fatalf("%v, but something was written", err)
	}
	return err
}

// TestKeysOfDirectory: a directory opens with its keys only, says which is
// missing, takes new keys, and lets go of old ones when nothing needs them.
func TestKeysOfDirectory(t *testing.T) {
	one, two := parseKeys(keyOne), parseKeys(keyTwo)
	both := parseKeys(keyTwo, keyOne)
	fs := vfs.NewMem()
	withKeys(t, one)
	want := archived(t, fs)
	if err := mustRefuse(t, fs, nil); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), one.First().String()) {
		t.Fatalf("without a key: %v", err)
	}
	if err := mustRefuse(t, fs, two); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), one.First().String()) || !strings.Contains(err.Error(), two.First().String()) {
		t.Fatalf("with another key: %v", err)
	}

	withKeys(t, both)
	b := mustOpen(t, fs, smallLimits())
	if id, ok := b.EncryptionKey(); !ok || id != two.First() {
		t.Fatalf("key %v, %v", id, ok)
	}
	for i := range 30 {
		v := fmt.Sprintf("second %d %s", i, strings.Repeat("y", 80))
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		want = append(want, v)
	}
	if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d of %d records after the rotation, %v", len(got), len(want), err)
	}
	mustClose(t, b)
	if err := mustRefuse(t, fs, two); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), one.First().String()) {
		t.Fatalf("the old key was taken away early: %v", err)
	}

	// The old key's records go, from segments and from log files.
	withKeys(t, both)
	b = mustOpen(t, fs, smallLimits())
	if err := b.DeleteRecords(tpA, 230); err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		v := fmt.Sprintf("third %d %s", i, strings.Repeat("z", 80))
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		want = append(want, v)
	}
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	withKeys(t, two)
	b = mustOpen(t, fs, smallLimits())
	if got, err := readAll(b, tpA, 230); err != nil || !slices.Equal(got, want[230:]) {
		t.Fatalf("%d of %d records without the old key, %v", len(got), len(want)-230, err)
	}
	mustClose(t, b)
	if needed := b.encryption.needed; !slices.Equal(needed, []seal.KeyID{two.First()}) {
		t.Fatalf("needed: %v", needed)
	}
}

// TestKeysOfLogFiles: a key that only records in log files need is missed too.
func TestKeysOfLogFiles(t *testing.T) {
	fs := vfs.NewMem()
	withKeys(t, parseKeys(keyOne))
	archived(t, fs) // the log file with the topic's creation, an event, has retired
	withKeys(t, parseKeys(keyTwo, keyOne))
	b := mustOpen(t, fs, smallLimits())
	if err := b.keeper.do(b.keeper.work); err != nil { // what recovery has left to do
		t.Fatal(err)
	}
	p := b.topics.partition(tpA)
	before := p.Info()
	if before.Archived == 0 || before.Archived == before.HighWatermark {
		t.Fatalf("archived to %d of %d", before.Archived, before.HighWatermark)
	}
	if err := b.DeleteRecords(tpA, before.Archived); err != nil {
		t.Fatal(err)
	}
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	if n := len(p.Info().Segments); n > 0 {
		t.Fatalf("%d segments are left", n)
	}
	mustClose(t, b)
	if err := mustRefuse(t, fs, parseKeys(keyTwo)); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "replay") {
		t.Fatal(err)
	}
}

// TestPlainDirectory: a plain directory goes on encrypted, says so once, and keeps
// what it has.
func TestPlainDirectory(t *testing.T) {
	fs := vfs.NewMem()
	withKeys(t, nil)
	want, keyed := everyKind(t, fs)
	withKeys(t, parseKeys(keyOne))
	for start := range 3 {
		var text bytes.Buffer
		b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: cleanerLimits(), Logger: slog.New(slog.NewTextHandler(&text, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(text.String(), "encryption at rest begins"); said != (start == 0) {
			t.Errorf("start %d: %s", start, text.String())
		}
		want = append(want, fmt.Sprint(distinctive, start))
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, want[len(want)-1]), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, want) {
			t.Fatalf("start %d: %d of %d records, %v", start, len(got), len(want), err)
		}
		if got, _, err := readKeyed(b); err != nil || !maps.Equal(got, keyed) {
			t.Fatalf("start %d: keyed records %v, %v", start, got, err)
		}
		mustClose(t, b)
	}
	for path, content := range files(t, fs, "data") {
		if strings.Contains(content, distinctive) {
			t.Errorf("%s holds a new value in the clear", path)
		}
	}
	if err := mustRefuse(t, fs, nil); !errors.Is(err, ErrSealed) {
		t.Fatal(err)
	}
}

// TestSwappedPartitions: the segments of two partitions, whole and in order, are
// not taken for each other.
func TestSwappedPartitions(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		withKeys(t, nil)
		if encrypted {
			withKeys(t, parseKeys(keyOne))
		}
		fs := vfs.NewMem()
		b := mustOpen(t, fs, smallLimits())
		createTopics(t, b, TopicSpec{Name: "b", Partitions: 2})
		tps := []kafka.TopicPartition{{Topic: "b", Partition: 0}, {Topic: "b", Partition: 1}}
		for i := range 100 {
			var c Commit
			for p, tp := range tps {
				c.Appends = append(c.Appends, Append{tp, batchOf(1, fmt.Sprintf("%d-%03d-%0100d", p, i, i)), 1})
			}
			if r := commitWait(b, c); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		mustClose(t, b)
		segments := walk(t, fs, "data/topics", ".log")
		for _, path := range segments {
			other := strings.Replace(path, "/0/", "/1/", 1)
			if other == path {
				continue
			}
			for _, move := range [][2]string{{path, "data/x"}, {other, path}, {"data/x", other}} {
				if err := fs.Rename(move[0], move[1]); err != nil {
					t.Fatal(err)
				}
			}
		}
		b = mustOpen(t, fs, smallLimits())
		got, err := readAll(b, tps[0], 0)
		if encrypted != errors.Is(err, log.ErrCorrupt) || encrypted && len(got) > 0 || !encrypted && !strings.HasPrefix(got[0], "1-") {
			t.Fatalf("encrypted %v: %d records, %v", encrypted, len(got), err)
		}
		mustClose(t, b)
	}
}

// What TestNothingReadable writes; letters may change their case on the way.
const (
	distinctive       = "Zq7Distinctive"
	distinctiveNumber = "987654321012345" // a configuration
)

// TestNothingReadable: what clients wrote is in no byte of the directory, while
// the broker runs, after it was closed, and after another start. The same load on a
// plain directory shows that the test would find it.
func TestNothingReadable(t *testing.T) {
	for _, keys := range []*seal.Keys{nil, parseKeys(keyOne)} {
		withKeys(t, keys)
		fs := vfs.NewMem()
		limits := smallLimits()
		limits.FailedLoginDelay = 1
		b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: limits, Security: Security{Authorize: true, SuperUsers: []string{"User:root"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close(context.Background()) })
		if err := errors.Join(b.SetPassword("root", "toor"), b.SetPassword(distinctive, "pw")); err != nil {
			t.Fatal(err)
		}
		readableLoad(t, b, listenOn(t, b, Listener{Protocol: SASLPlaintext}))
		found := map[string]int{}
		look := func() {
			for path, content := range files(t, fs, "data") {
				if strings.Contains(strings.ToLower(content), strings.ToLower(distinctive)) || strings.Contains(content, distinctiveNumber) {
					found[fs.PathBase(path)[max(0, len(fs.PathBase(path))-4):]]++
				}
			}
		}
		look()
		mustClose(t, b)
		look()
		mustClose(t, mustOpen(t, fs, limits))
		look()
		kinds := slices.Sorted(maps.Keys(found))
		if keys != nil && len(kinds) > 0 || keys == nil && !slices.Equal(kinds, []string{".log", ".wal", "copy", "oint"}) {
			t.Errorf("encrypted %v: readable in files that end in %v", keys != nil, kinds)
		}
	}
}

// readableLoad has clients write the distinctive in every way they can.
func readableLoad(t *testing.T, b *Broker, addr string) {
	t.Helper()
	ctx := testCtx(t)
	login := kgo.SASL(scram.Auth{User: "root", Pass: "toor"}.AsSha256Mechanism())
	adm := kadm.NewClient(client(t, addr, login))
	value := distinctiveNumber
	topics := []string{distinctive + "-topic", "compacted"}
	if _, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"delete.retention.ms": &value}, topics[0]); err != nil {
		t.Fatal(err)
	}
	compact := "compact"
	if _, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"cleanup.policy": &compact}, topics[1]); err != nil {
		t.Fatal(err)
	}
	acl := kadm.NewACLs().Topics(distinctive).Allow("User:" + distinctive).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead)
	if _, err := adm.CreateACLs(ctx, acl); err != nil {
		t.Fatal(err)
	}
	name := distinctive
	quota := kadm.AlterClientQuotaEntry{Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &name}}, Ops: []kadm.AlterClientQuotaOp{{Key: "consumer_byte_rate", Value: 1 << 30}}}
	if _, err := adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{quota}); err != nil {
		t.Fatal(err)
	}
	txn := client(t, addr, login, kgo.TransactionalID(distinctive), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range 60 {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, topic := range topics {
			r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, distinctive, i%7), Value: fmt.Append(nil, distinctive, i), Headers: []kgo.RecordHeader{{Key: distinctive, Value: []byte(distinctive)}}}
			if err := txn.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := txn.EndTransaction(ctx, kgo.TransactionEndTry(i%5 > 0)); err != nil {
			t.Fatal(err)
		}
	}
	group := client(t, addr, login, kgo.ConsumeTopics(topics...), kgo.ConsumerGroup(distinctive), kgo.ClientID(distinctive), kgo.InstanceID(distinctive))
	if err := group.PollFetches(ctx).Err0(); err != nil {
		t.Fatal(err)
	}
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: topics[0], At: 3, Metadata: distinctive})
	if err := group.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	group.Close()
	if _, err := adm.CommitOffsets(ctx, distinctive+"2", offsets); err != nil {
		t.Fatal(err)
	}
	p := b.topics.partition(kafka.TopicPartition{Topic: "compacted"})
	_, set := p.topic.config()
	if err := b.cleaner.clean(p, set, b.now()); err != nil {
		t.Fatal(err)
	}
}

// TestDumpEncrypted: with the key everything is shown as if it were plain, without
// it places and headers, and nothing else; neither calls it damage.
func TestDumpEncrypted(t *testing.T) {
	withKeys(t, parseKeys(keyOne))
	fs := vfs.NewMem()
	want, _ := everyKind(t, fs)
	with := dumpAll(t, fs, "data")
	values := map[string]bool{}
	for _, i := range with["record"] {
		values[string(i.Record.Value)] = true
	}
	for _, v := range want {
		if !values[v] {
			t.Fatalf("value %.10s is not shown", v)
		}
	}
	for _, keys := range []*seal.Keys{nil, parseKeys(keyTwo)} {
		testKeys = keys
		without := dumpAll(t, fs, "data")
		for _, kind := range []string{"frame", "batch", "log", "end"} {
			if len(without[kind]) != len(with[kind]) {
				t.Errorf("%d items of kind %s, %d with the key", len(without[kind]), kind, len(with[kind]))
			}
		}
		if len(without["record"]) > 0 || len(without["topic"]) > 0 || len(without["damage"])+len(with["damage"]) > 0 {
			t.Errorf("%d records, %d topics, damage %+v", len(without["record"]), len(without["topic"]), without["damage"])
		}
		for _, i := range slices.Concat(without["checkpoint"], without["event"], without["batch"]) {
			if i.Locked == "" && i.File != "data/"+wal.CheckpointCopyName && (i.Batch == nil || i.Batch.Marker == "") {
				t.Fatalf("not said to be encrypted: %+v", i)
			}
		}
	}
	// A changed batch is damage, with the key.
	testKeys = parseKeys(keyOne)
	path := walk(t, fs, "data/topics", ".log")[0]
	if err := fs.MkdirAll("data/topics/"+strings.Repeat("ab", 16)+"/0", 0o755); err != nil {
		t.Fatal(err)
	}
	content, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, "data/topics/"+strings.Repeat("ab", 16)+"/0/"+fs.PathBase(path), content); err != nil {
		t.Fatal(err)
	}
	if n := len(dumpAll(t, fs, "data")["damage"]); n == 0 {
		t.Error("batches of another topic are taken for its own")
	}
}
