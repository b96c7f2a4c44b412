package broker

import (
	"context"
	"encoding/base64"
	"slices"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// An encrypted directory as the first program that could wrote it: checkpoint
// version 2, events and batches in a log file, with keyOne. It must open for ever.
const goldenCheckpoint = "TUlMTFJBQ0UAAAACAAAAABc96PwAAAAAAAAAvwABF2rqQOz50qYBF2rqQOz50qbwul6kshTwQAbaFLn0ZTmAAAAAAAAAAAfIXL/I/2zxoN5ozYIeFxWDO1A7" +
	"4YCKpXWNbLkyINkqFR7KiOqmQpfWsHIGnfNTA1Mx8bIcl/fNNPhlmRltvEFh1GzZdDzG01g0EhC/4X5Q8U5hLZvT5OHTKvyPzXEgl+XxzxCGMMMnSeJFIR6G" +
	"iUKSf0WZhoMo4TRT/eSNKCGh3d3IJVoDeXcJKJ6sZC9TcSps6eTR"

const goldenLog = "bXJ3bAEAAAAAAABOL82mEgAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAEBAQAAAAAARgEXaupA7PnSpvC6XqSyFPBABtoUufRlOYAAAAAAAAAAAlGcjqka" +
	"8RZrvvMD96W5Eoiy4aJKbAc8upJjfiTspUZ+BUnx+WMAAAAAAABtcndsAQAAAAAAAOIjEyowAAAAAQAAAAAAAAABAAAAAAAAAAIAAAAAAAAAAgAAAAAAAACS" +
	"KAibbLN+RRex1N8qIP7RYAAAAAAAAAAAAAAAAAAAAHIAAAABAhaCQcoABwAAAAAAAAAAAAAAAQAAAAAAAAAB//////////////////8AAAABARdq6kDs+dKm" +
	"8LpepLIU8EAG2hS59GU5gAAAAAAAAAAD17d97bisgXqMsOr/J0htb5wP2YzORLQKps2sxc1LurQGAQAAAAAAQAEXaupA7PnSpvC6XqSyFPBABtoUufRlOYAA" +
	"AAAAAAAABM0wN70cikgmIGn1l/FzZ5S1fCZGz/yRAXNtoP7KyuYAAG1yd2wBAAAAAAAA4gRha4UAAAABAAAAAAAAAAEAAAAAAAAAAwAAAAAAAAADAAAAAAAA" +
	"AJIoCJtss35FF7HU3yog/tFgAAAAAAAAAAAAAAABAAAAcgAAAAECy3FtHAAHAAAAAAAAAAAAAAABAAAAAAAAAAH//////////////////wAAAAEBF2rqQOz5" +
	"0qbwul6kshTwQAbaFLn0ZTmAAAAAAAAAAAXPjo+Kq0MlOh20u6J0+r4JlQFMZV/GJw+xPhjKXI5HZgYBAAAAAABAARdq6kDs+dKm8LpepLIU8EAG2hS59GU5" +
	"gAAAAAAAAAAGAeLzZ0gDbr2zE/hmWTKMY7qBeO8yfCaicj9ejAD6+gAA"

// TestGoldenEncrypted opens an encrypted directory of an earlier program.
func TestGoldenEncrypted(t *testing.T) {
	withKeys(t, parseKeys(keyTwo, keyOne))
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data/wal", 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"data/checkpoint": goldenCheckpoint, "data/wal/0000000000000001.wal": goldenLog} {
		content, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(fs, path, content); err != nil {
			t.Fatal(err)
		}
	}
	b := mustOpen(t, fs, Limits{})
	if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q, %v", got, err)
	}
	if next, err := b.Committed(context.Background(), "g", []kafka.TopicPartition{tpA}); err != nil || next[0] != 1 {
		t.Errorf("offset %v, %v", next, err)
	}
}
