package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/broker"
)

// storageOptions are the sizes of the embedded broker's log, 0 for their defaults.
type storageOptions struct {
	walMax, walFile, walSpare, logTail size
}

// addStorageFlags adds the flags of sizes. They are named after the limits, which
// DescribeConfigs of the broker shows.
func addStorageFlags(f *pflag.FlagSet, o *storageOptions) {
	f.Var(&o.walMax, "wal-max-bytes", "how large the write-ahead log may become, as 2GiB; half of it is kept before its oldest files become segments (default 512MiB)")
	f.Var(&o.walFile, "wal-file-bytes", "size of a file of the write-ahead log, a quarter of --wal-max-bytes at most (default an eighth of it)")
	f.Var(&o.walSpare, "wal-spare-bytes", "what is kept free, twice, so that topics and records can be deleted on a full disk, at most --wal-file-bytes (default 1MiB)")
	f.Var(&o.logTail, "log-tail-max-bytes", "how much recent data stays in memory for readers (default 64MiB)")
}

// What is less would be all bookkeeping.
const (
	minWALMaxBytes   size = 4 << 20
	minWALFileBytes  size = 1 << 20
	minWALSpareBytes size = 64 << 10
	minLogTailBytes  size = 1 << 20
)

// What is more is a typing error: no disk has room for it, or no machine the memory.
const (
	maxWALMaxBytes   size = 1 << 40
	maxWALFileBytes  size = maxWALMaxBytes / 4
	maxWALSpareBytes size = 1 << 30 // as a checkpoint
	maxLogTailBytes  size = 1 << 40
)

// configure fills in the broker's limits.
func (o storageOptions) configure(l *broker.Limits) error {
	for _, c := range []struct {
		flag            string
		value, min, max size
	}{
		{"wal-max-bytes", o.walMax, minWALMaxBytes, maxWALMaxBytes}, {"wal-file-bytes", o.walFile, minWALFileBytes, maxWALFileBytes},
		{"wal-spare-bytes", o.walSpare, minWALSpareBytes, maxWALSpareBytes}, {"log-tail-max-bytes", o.logTail, minLogTailBytes, maxLogTailBytes},
	} {
		switch {
		case c.value != 0 && c.value < c.min:
			return fmt.Errorf("--%s %s: expected %s or more", c.flag, c.value, c.min)
		case c.value > c.max:
			return fmt.Errorf("--%s %s: expected %s or less", c.flag, c.value, c.max)
		}
	}
	l.WALMaxBytes, l.WALFileBytes, l.WALSpareBytes, l.TailMaxBytes = int64(o.walMax), int64(o.walFile), int64(o.walSpare), int64(o.logTail)
	d := l.WithDefaults()
	switch {
	case d.WALFileBytes > d.WALMaxBytes/4 || d.WALFileBytes < d.WALMaxBytes/broker.WALFilesMax/2:
		return fmt.Errorf("--wal-file-bytes %s: expected a quarter of --wal-max-bytes, which is %s, at most and a %dnd of it at least", o.walFile, size(d.WALMaxBytes), 2*broker.WALFilesMax)
	case d.WALSpareBytes > d.WALFileBytes && o.walSpare > 0:
		return fmt.Errorf("--wal-spare-bytes %s: expected at most --wal-file-bytes, which is %s", o.walSpare, size(d.WALFileBytes))
	}
	return nil
}

// size is a flag's number of bytes, with a unit of 1024 or without one.
type size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = strings.TrimSpace(n), u.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("expected a number of bytes above 0, with KiB, MiB or GiB behind it or not")
	}
	*s = size(n * unit)
	return nil
}

// String implements pflag.Value.
func (s size) String() string {
	for _, u := range sizeUnits {
		if s > 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	if s == 0 {
		return ""
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type implements pflag.Value.
func (s *size) Type() string { return "size" }
