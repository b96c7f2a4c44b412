package broker

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCheckpoint saves the checkpoint of 10,000 partitions, each with some
// records, to the disk of the test's temporary directory.
func BenchmarkCheckpoint(b *testing.B) {
	br, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := br.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	const topics, partitions = 100, 100
	for i := range topics {
		if err := br.Apply(Metadata{CreateTopics: []TopicSpec{{Name: fmt.Sprintf("t%d", i), Partitions: partitions}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := br.keeper.do(func() error { return br.keeper.checkpoint(0) }); err != nil {
			b.Fatal(err)
		}
	}
}
