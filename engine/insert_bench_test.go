package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// BenchmarkInsertValues inserts one row a statement, by format, on a file system in
// memory: parsing, planning, encoding and the commit.
func BenchmarkInsertValues(b *testing.B) {
	for _, name := range []string{"JSON", "JSON_SR", "AVRO", "PROTOBUF", "PROTOBUF_NOSR"} {
		b.Run(name, func(b *testing.B) {
			s := openBench(b)
			run := func(text string) {
				if err := s.Execute(b.Context(), text, func(Result) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			run(fmt.Sprintf("CREATE STREAM n (k STRING KEY, a INT, s STRING, d DECIMAL(6,2), l ARRAY<STRING>) WITH (kafka_topic='n', value_format='%s', partitions=1);", name))
			b.ReportAllocs()
			for b.Loop() {
				run("INSERT INTO n VALUES ('k', 1, 'text', 1.50, ARRAY['a', 'b']);")
			}
		})
	}
}

func openBench(b *testing.B) *Session {
	e, err := Open(Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return e.NewSession()
}
