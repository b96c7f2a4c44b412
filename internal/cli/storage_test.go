package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/broker"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]size{"1": 1, "65536": 64 << 10, "64KiB": 64 << 10, "512MiB": 512 << 20, "2GiB": 2 << 30, "3 MiB": 3 << 20, "9223372036854775807": 1<<63 - 1} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		if again := size(0); again.Set(s.String()) != nil || again != s {
			t.Errorf("%s is printed as %s", text, s.String())
		}
	}
	for _, text := range []string{"", "0", "-1", "MiB", "1.5GiB", "1MB", "1GiBs", "9223372036854775808", "8589934592GiB", "0x10"} {
		s := size(7)
		if err := s.Set(text); err == nil || s != 7 {
			t.Errorf("%q is taken for %d", text, s)
		}
	}
}

// TestStorageLimits: what is not given follows from what is, and what cannot be is
// refused.
func TestStorageLimits(t *testing.T) {
	for _, c := range []struct {
		o                      storageOptions
		max, file, spare, tail int64
	}{
		{storageOptions{}, 512 << 20, 64 << 20, 1 << 20, 64 << 20},
		{storageOptions{walMax: 2 << 30}, 2 << 30, 256 << 20, 1 << 20, 64 << 20},
		{storageOptions{walMax: 64 << 20}, 64 << 20, 8 << 20, 1 << 20, 64 << 20},
		{storageOptions{walMax: 4 << 20, walFile: 1 << 20, walSpare: 64 << 10, logTail: 1 << 20}, 4 << 20, 1 << 20, 64 << 10, 1 << 20},
		{storageOptions{walMax: 1 << 40, walFile: 256 << 30, walSpare: 1 << 30, logTail: 1 << 40}, 1 << 40, 256 << 30, 1 << 30, 1 << 40},
		{storageOptions{walFile: 128 << 20, walSpare: 8 << 20}, 512 << 20, 128 << 20, 8 << 20, 64 << 20},
	} {
		var l broker.Limits
		err := c.o.configure(&l)
		if l = l.WithDefaults(); err != nil || l.WALMaxBytes != c.max || l.WALFileBytes != c.file || l.WALSpareBytes != c.spare || l.TailMaxBytes != c.tail {
			t.Errorf("%+v: %+v, %v", c.o, l, err)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("# sizes\nwal-max-bytes = 1GiB\nwal-file-bytes = 512MiB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flags, want string }{
		{"--wal-max-bytes 1MiB", "--wal-max-bytes 1MiB: expected 4MiB or more"},
		{"--wal-max-bytes 9223372036854775807", "--wal-max-bytes 9223372036854775807: expected 1024GiB or less"},
		{"--wal-max-bytes 1025GiB", "--wal-max-bytes 1025GiB: expected 1024GiB or less"},
		{"--wal-max-bytes 1024GiB --wal-file-bytes 257GiB", "--wal-file-bytes 257GiB: expected 256GiB or less"},
		{"--wal-max-bytes 1024GiB --wal-spare-bytes 2GiB", "--wal-spare-bytes 2GiB: expected 1GiB or less"},
		{"--log-tail-max-bytes 9223372036854775807", "--log-tail-max-bytes 9223372036854775807: expected 1024GiB or less"},
		{"--wal-max-bytes 0", "expected a number of bytes above 0"},
		{"--wal-max-bytes lots", "expected a number of bytes above 0, with KiB, MiB or GiB behind it"},
		{"--wal-file-bytes 64KiB", "--wal-file-bytes 64KiB: expected 1MiB or more"},
		{"--wal-file-bytes 256MiB", "--wal-file-bytes 256MiB: expected a quarter of --wal-max-bytes, which is 512MiB, at most"},
		{"--wal-max-bytes 64MiB --wal-file-bytes 32MiB", "which is 64MiB, at most and a 32nd of it at least"},
		{"--wal-max-bytes 1GiB --wal-file-bytes 1MiB", "which is 1GiB, at most and a 32nd of it at least"},
		{"--wal-spare-bytes 1KiB", "--wal-spare-bytes 1KiB: expected 64KiB or more"},
		{"--wal-max-bytes 8MiB --wal-spare-bytes 2MiB", "--wal-spare-bytes 2MiB: expected at most --wal-file-bytes, which is 1MiB"},
		{"--log-tail-max-bytes 1KiB", "--log-tail-max-bytes 1KiB: expected 1MiB or more"},
		{"--config " + config, "--wal-file-bytes 512MiB: expected a quarter"},
		{"--bootstrap 127.0.0.1:1 --wal-max-bytes 1GiB", "--wal-max-bytes has no meaning with --bootstrap"},
	} {
		code, out, stderr := run(t, "", append([]string{"server", "--http", "127.0.0.1:0", "--data", data}, strings.Fields(c.flags)...)...)
		if code == 0 || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d\n%s%sexpected %q", c.flags, code, out, stderr, c.want)
		}
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("a server that was refused made its directory: %v", err)
	}
}

// TestStorageFlags: a log that was told to be small is, and the broker says how large
// it may be.
func TestStorageFlags(t *testing.T) {
	data := t.TempDir()
	_, kafka, stop := startServerWith(t, data, "--kafka", "127.0.0.1:0", "--wal-max-bytes", "4MiB", "--wal-file-bytes", "1MiB", "--wal-spare-bytes", "128KiB", "--log-tail-max-bytes", "2MiB")
	line := strings.Repeat("x", 64<<10) + "\n"
	if code, _, stderr := run(t, strings.Repeat(line, 256), "produce", "big", "--raw", "--create", "--bootstrap", kafka); code != 0 {
		t.Fatal(stderr)
	}
	cl, err := kafkaClient(cluster{addr: kafka})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	described, err := kadm.NewClient(cl).DescribeBrokerConfigs(t.Context())
	if err != nil || len(described) != 1 {
		t.Fatal(described, err)
	}
	want := map[string]string{"wal.max.bytes": "4194304", "wal.file.bytes": "1048576", "wal.spare.bytes": "131072", "log.tail.max.bytes": "2097152"}
	for _, c := range described[0].Configs {
		if v, ok := want[c.Key]; ok && c.MaybeValue() == v {
			delete(want, c.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("not described: %v", want)
	}
	if code := stop(); code != 0 {
		t.Fatal(code)
	}
	var total int64
	files, err := filepath.Glob(filepath.Join(data, "wal", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if most := int64(4<<20 + 2<<20 + 128<<10); total > most || len(files) < 3 {
		t.Errorf("the log has %d bytes in %d files", total, len(files))
	}
	for name, size := range map[string]int64{"reserve": 128 << 10, "wal/spare": 128 << 10} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
