package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// describeDirsTimeout is how long a command that has failed asks for the cause.
	describeDirsTimeout = 5 * time.Second
	// fullDiskBytes: a disk that has less left may be too full for what is written
	// together.
	fullDiskBytes = 64 << 20
	// noRoomBytes: one that has less left is full.
	noRoomBytes = 256 << 10
)

// tellStorage says more about an error that a full disk and damage have in common:
// what the broker's log directories are like, which DescribeLogDirs tells (from
// version 4 on with their room, KIP-827), and what to do. That is KAFKA_STORAGE_ERROR,
// and COORDINATOR_NOT_AVAILABLE when a directory is full or takes no writes: groups
// and transactions answer it when what they write does not get to the log.
// It comes before anything is put around the error, since that keeps the text of then.
// reads says that nothing was to be written. Another error stays as it is, and so does
// this one when the broker does not answer or let us ask.
func tellStorage(ctx context.Context, cl *kgo.Client, err error, reads bool) error {
	var r *refused
	if !errors.As(err, &r) || r.hint != "" {
		return err
	}
	coordinator := r.code.Code == kerr.CoordinatorNotAvailable.Code
	if !coordinator && r.code.Code != kerr.KafkaStorageError.Code {
		return err
	}
	// What failed may have used up its time.
	d := worstDir(logDirs(context.WithoutCancel(ctx), cl))
	switch {
	case d == nil:
	case !coordinator:
		d.tell(r, reads)
	case d.failed || d.full():
		d.tell(r, false) // what only reads does not answer this for its storage
	}
	return err
}

// logDir is a log directory of a broker; its bytes are -1 when the broker does not
// tell.
type logDir struct {
	path          string
	failed        bool
	total, usable int64
}

// full reports whether the broker told that next to nothing is usable.
func (d *logDir) full() bool { return d.usable >= 0 && d.usable < fullDiskBytes }

// logDirs asks all brokers for their log directories.
func logDirs(ctx context.Context, cl *kgo.Client) (dirs []logDir) {
	ctx, cancel := context.WithTimeout(ctx, describeDirsTimeout)
	defer cancel()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{} // none; null would be all
	for _, shard := range cl.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.DescribeLogDirsResponse)
		if shard.Err != nil || !ok {
			continue
		}
		for _, d := range resp.Dirs {
			dir := logDir{d.Dir, d.ErrorCode != 0, -1, -1}
			if resp.Version >= 4 {
				dir.total, dir.usable = d.TotalBytes, d.UsableBytes
			}
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// worstDir returns the directory that explains most: one that failed, else the one
// with the least room.
func worstDir(dirs []logDir) (worst *logDir) {
	for i := range dirs {
		d := &dirs[i]
		switch {
		case worst == nil, d.failed && !worst.failed:
			worst = d
		case d.failed == worst.failed && d.usable >= 0 && (worst.usable < 0 || d.usable < worst.usable):
			worst = d
		}
	}
	return worst
}

// tell explains an error by the state of the directory.
func (d *logDir) tell(r *refused, reads bool) {
	const damaged = "`millrace log dump %s` finds damage, and its log says what it is"
	room := fmt.Sprintf("%s of %s are usable", bytesText(d.usable), bytesText(d.total))
	switch {
	case d.failed && !reads:
		r.reason = "the broker writes nothing any more"
		r.hint = fmt.Sprintf("a write to %s failed, or it is damaged, which the broker's log says, and the disk is not merely full: restart it; `millrace log dump %[1]s` finds damage", d.path)
	case reads:
		r.hint = fmt.Sprintf("a file in %s is damaged or missing: "+damaged, d.path, d.path)
	case d.usable < 0: // not told
	case d.full():
		r.reason = "the broker's disk is full"
		r.hint = fmt.Sprintf("%s in %s: free space there, or delete topics or records (`millrace topic delete`, `millrace topic delete-records`), which works on a full disk; then try again, no restart is needed", room, d.path)
	default:
		r.hint = fmt.Sprintf("%s in %s, so a quota or the number of files may be at its limit, or a file is damaged: "+damaged, room, d.path, d.path)
	}
}

// bytesText prints a number of bytes in the largest unit that leaves a whole number
// of at least 10.
func bytesText(n int64) string {
	for _, u := range sizeUnits {
		if n >= 10*u.bytes {
			return fmt.Sprintf("%d %s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
