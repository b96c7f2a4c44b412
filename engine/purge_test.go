package engine

import (
	"context"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// A repartition topic holds nothing that was read and committed, and the query
// goes on.
func TestPurgeKeepsWhatIsNotRead(t *testing.T) {
	ctx := t.Context()
	e, err := Open(Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	s := e.NewSession()
	run := func(script string) {
		t.Helper()
		if err := s.Execute(ctx, script, func(Result) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE STREAM s (k STRING KEY, v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);
CREATE TABLE t AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;
INSERT INTO s VALUES ('a', 1); INSERT INTO s VALUES ('b', 1); INSERT INTO s VALUES ('c', 2);`)
	q := e.Catalog().Queries()[0]
	for round := range 2 {
		if err := e.WaitCaughtUp(ctx, q.ID); err != nil {
			t.Fatal(err)
		}
		if err := e.purgeQuery(ctx, q); err != nil {
			t.Fatal(err)
		}
		if n, err := e.TopicRecords(ctx, "_millrace-default-query_CTAS_T_1-group-by-repartition"); err != nil || n != 0 {
			t.Fatalf("round %d: %d records left, %v", round, n, err)
		}
		run(`INSERT INTO s VALUES ('d', 2);`)
	}
	if err := e.WaitCaughtUp(ctx, q.ID); err != nil {
		t.Fatal(err)
	}
	var ends int64
	for i := range int32(2) {
		_, stable, err := e.cluster.Bounds(ctx, kafka.TopicPartition{Topic: "T", Partition: i})
		if err != nil {
			t.Fatal(err)
		}
		ends += int64(stable)
	}
	if ends != 5 {
		t.Errorf("%d results, expected one for each of 5 records", ends)
	}
}
