package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// serveBroker opens a broker on a file system and returns its address.
func serveBroker(t *testing.T, fs vfs.FS, limits broker.Limits) (*broker.Broker, string) {
	t.Helper()
	b, err := broker.Open(broker.Config{Dir: "data", FS: fs, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }() // ends with Close
	t.Cleanup(func() {
		b.Close(context.Background()) // of a broker that is fenced, too
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return b, l.Addr().String()
}

// said runs a command that fails with KAFKA_STORAGE_ERROR, once, and looks for what it
// says.
func said(t *testing.T, in string, command, want, not string) {
	t.Helper()
	saidWith(t, kerr.KafkaStorageError, in, command, want, not)
}

// saidWith is said of another error.
func saidWith(t *testing.T, of *kerr.Error, in string, command, want, not string) {
	t.Helper()
	code, _, stderr := run(t, in, strings.Fields(command)...)
	if code != 1 || strings.Count(stderr, of.Message) != 1 || !strings.Contains(stderr, want) || strings.Contains(stderr, not) {
		t.Errorf("millrace %s: exit code %d\n%sexpected %q", command, code, stderr, want)
	}
}

// TestFullDiskIsSaid: on a full disk commands that write say that, and what to do; when
// there is room they work again, with nothing written twice.
func TestFullDiskIsSaid(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	b, addr := serveBroker(t, disk, broker.Limits{})
	if err := b.Apply(broker.Metadata{CreateTopics: []broker.TopicSpec{{Name: "t"}}}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, "a\n", "produce", "t", "--raw", "--bootstrap", addr); code != 0 {
		t.Fatal(stderr)
	}
	disk.SetCapacity(disk.Used())
	const want, not = "the broker's disk is full (KAFKA_STORAGE_ERROR): 0 bytes of ", "damage"
	said(t, "b\n", "produce t --raw --bootstrap "+addr, "write to t: "+want, not)
	said(t, "", "topic create u --bootstrap "+addr, want, not)
	const wantGroup = "the broker's disk is full (COORDINATOR_NOT_AVAILABLE): 0 bytes of "
	// As a commit of `millrace consume --group`, whose client tries for longer.
	saidWith(t, kerr.CoordinatorNotAvailable, "", "group reset-offsets gg --create --topic t --to earliest --bootstrap "+addr, "reset offsets of group gg: "+wantGroup, not)
	disk.SetCapacity(1 << 40)
	if code, _, stderr := run(t, "b\n", "produce", "t", "--raw", "--bootstrap", addr); code != 0 {
		t.Fatal(stderr)
	}
	if code, out, stderr := run(t, "", "consume", "t", "--from-beginning", "--to-end", "--bootstrap", addr); code != 0 || out != "null\ta\nnull\tb\n" {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
}

// TestFenceIsSaid: a broker that writes nothing any more is told from one whose disk
// is full, however full it is.
func TestFenceIsSaid(t *testing.T) {
	var on atomic.Bool
	fs := vfs.WithHook(vfs.WithCapacity(vfs.NewMem(), 1<<40), func(op vfs.Op) error {
		if on.Load() && vfs.IsSync(op) {
			return syscall.EIO
		}
		return nil
	})
	b, addr := serveBroker(t, fs, broker.Limits{})
	if err := b.Apply(broker.Metadata{CreateTopics: []broker.TopicSpec{{Name: "t"}}}); err != nil {
		t.Fatal(err)
	}
	on.Store(true)
	said(t, "a\n", "produce t --raw --bootstrap "+addr, "write to t: the broker writes nothing any more (KAFKA_STORAGE_ERROR): a write to data failed", "disk is full (")
	said(t, "", "topic create u --bootstrap "+addr, "the broker writes nothing any more", "disk is full (")
	saidWith(t, kerr.CoordinatorNotAvailable, "", "group reset-offsets old --create --topic t --to earliest --bootstrap "+addr, "the broker writes nothing any more (COORDINATOR_NOT_AVAILABLE): a write to data failed", "disk is full (")
}

// TestDamageIsSaid: what cannot be read is damage, also on a disk that is nearly full.
func TestDamageIsSaid(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	b, addr := serveBroker(t, disk, smallFiles)
	tp := kafka.TopicPartition{Topic: "t"}
	if err := b.Apply(broker.Metadata{CreateTopics: []broker.TopicSpec{{Name: "t"}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		var w kafka.BatchBuilder
		w.Append(kafka.Timestamp(i), nil, []byte(strings.Repeat("v", 100)), nil)
		w.Finish()
		if err := b.Apply(broker.Metadata{Appends: []broker.Append{{TP: tp, Batches: w.Bytes(), Records: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	info, ok := b.Topic("t")
	dir := fmt.Sprintf("data/topics/%x/0", info.ID[:])
	names, err := disk.List(dir)
	if err != nil || !ok || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if filepath.Ext(name) == ".log" {
			if err := disk.Remove(dir + "/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk.SetCapacity(disk.Used() + 1<<20)
	said(t, "", "consume t --from-beginning --to-end --retry-timeout 1ms --bootstrap "+addr, "a file in data is damaged or missing: `millrace log dump data`", "disk is full (")
}

// TestStorageOfOthers: brokers that do not tell their room, or refuse to, leave the
// error as general as it is; several ones are asked, and the worst one counts.
func TestStorageOfOthers(t *testing.T) {
	const general = "its disk is full, or a file is damaged"
	for name, c := range map[string]struct {
		dirs []kmsg.DescribeLogDirsResponseDir
		err  error
		want string
	}{
		"no room told":  {[]kmsg.DescribeLogDirsResponseDir{{Dir: "/d", TotalBytes: -1, UsableBytes: -1}}, nil, general},
		"none":          {nil, nil, general},
		"refused":       {nil, errors.New("refused"), general},
		"much room":     {[]kmsg.DescribeLogDirsResponseDir{{Dir: "/d", TotalBytes: 1 << 40, UsableBytes: 1 << 39}}, nil, "512 GiB of 1024 GiB are usable in /d, so a quota"},
		"one is full":   {[]kmsg.DescribeLogDirsResponseDir{{Dir: "/a", TotalBytes: 1 << 40, UsableBytes: 1 << 39}, {Dir: "/b", TotalBytes: 1 << 40, UsableBytes: 12 << 10}}, nil, "12 KiB of 1024 GiB are usable in /b"},
		"one is broken": {[]kmsg.DescribeLogDirsResponseDir{{Dir: "/a", TotalBytes: 1 << 40, UsableBytes: 0}, {Dir: "/b", ErrorCode: kerr.KafkaStorageError.Code, TotalBytes: -1, UsableBytes: -1}}, nil, "a write to /b failed"},
	} {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		fake.ControlKey(35, func(req kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			if topics := req.(*kmsg.DescribeLogDirsRequest).Topics; topics == nil {
				t.Errorf("%s: all topics are asked for", name)
			}
			resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
			resp.Dirs = c.dirs
			return resp, c.err, true
		})
		fake.ControlKey(19, func(req kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = "u", kerr.KafkaStorageError.Code
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		said(t, "", "topic create u --bootstrap "+fake.ListenAddrs()[0], c.want, "\x00")
		// A coordinator may be away for other reasons than its disk.
		fake.ControlKey(42, func(req kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
			rg := kmsg.NewDeleteGroupsResponseGroup()
			rg.Group, rg.ErrorCode = "g", kerr.CoordinatorNotAvailable.Code
			resp.Groups = append(resp.Groups, rg)
			return resp, nil, true
		})
		want, not := c.want, "\x00"
		switch name {
		case "one is full":
		case "much room":
			want, not = "(COORDINATOR_NOT_AVAILABLE)\n", "disk"
		default: // each takes as long as the client tries again
			continue
		}
		saidWith(t, kerr.CoordinatorNotAvailable, "", "group delete g --bootstrap "+fake.ListenAddrs()[0], want, not)
	}
}
