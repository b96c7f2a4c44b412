package broker

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/vfs"
)

// TestLogDirsTellTheCause: DescribeLogDirs tells a full disk, on which the directory is
// online and has no room, from a fence, whatever room there is; both come to a producer
// as KAFKA_STORAGE_ERROR.
func TestLogDirsTellTheCause(t *testing.T) {
	var broken atomic.Bool
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<30)
	b := mustOpen(t, vfs.WithHook(disk, func(op vfs.Op) error {
		if broken.Load() && vfs.IsSync(op) {
			return syscall.EIO
		}
		return nil
	}), Limits{})
	createTopics(t, b, TopicSpec{Name: "a"})
	ctx, cl := testCtx(t), client(t, serveOn(t, b))
	check := func(what string, code *kerr.Error, total, usable int64) {
		t.Helper()
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		// Answers of several brokers that are put together do not tell.
		resp, ok := cl.RequestSharded(ctx, req)[0].Resp.(*kmsg.DescribeLogDirsResponse)
		if !ok || resp.Version < 4 || len(resp.Dirs) != 1 || len(resp.Dirs[0].Topics) > 0 {
			t.Fatalf("%s: %+v", what, resp)
		}
		d := resp.Dirs[0]
		want := int16(0)
		if code != nil {
			want = code.Code
		}
		if d.ErrorCode != want || d.TotalBytes != total || d.UsableBytes != usable || d.Dir != "data" {
			t.Errorf("%s: %+v", what, d)
		}
	}
	if err := b.keeper.do(b.keeper.work); err != nil { // it has its reserve now
		t.Fatal(err)
	}
	check("healthy", nil, 1<<30, 1<<30-disk.Used())
	used := disk.Used()
	disk.SetCapacity(used)
	r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "v"), 1}}})
	if !errors.Is(r.Err, ErrDiskFull) || errorCode(r.Err) != kerr.KafkaStorageError.Code {
		t.Fatal(r.Err)
	}
	check("full", nil, used, 0)
	disk.SetCapacity(1 << 30)
	broken.Store(true)
	r = commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "v"), 1}}})
	if !errors.Is(r.Err, ErrStorage) || errorCode(r.Err) != kerr.KafkaStorageError.Code {
		t.Fatal(r.Err)
	}
	check("fenced", kerr.KafkaStorageError, 1<<30, 1<<30-disk.Used())
}
