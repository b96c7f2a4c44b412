package engine

import (
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// described returns what DESCRIBE ... EXTENDED says of a source's schemas.
func (w *world) described(t *testing.T, name string) (list []RegisteredSchema) {
	t.Helper()
	err := w.session.Execute(t.Context(), "DESCRIBE "+name+" EXTENDED;", func(r Result) error {
		list = r.(*SourceDescriptions).Sources[0].Schemas
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestDescribeSchemas shows the ids and subjects of sources' schemas.
func TestDescribeSchemas(t *testing.T) {
	w := startWorld(t, Config{Dir: "data", FS: vfs.NewCrashable()})
	w.must(t, `CREATE STREAM plain (id STRING KEY, a INT) WITH (kafka_topic='plain', value_format='JSON', partitions=1);
CREATE STREAM o (id STRING KEY, a INT) WITH (kafka_topic='o', format='AVRO', partitions=1);
CREATE STREAM p WITH (kafka_topic='p', key_format='KAFKA', value_format='PROTOBUF') AS SELECT id, a FROM o;
CREATE STREAM wide (id STRING KEY, a INT, b INT) WITH (kafka_topic='p', value_format='PROTOBUF');`)
	key := RegisteredSchema{Side: "KEY", Subject: "o-key", Version: 1, ID: 1, Type: "AVRO", WrittenID: 1}
	value := RegisteredSchema{Side: "VALUE", Subject: "o-value", Version: 1, ID: 2, Type: "AVRO", WrittenID: 2}
	p := RegisteredSchema{Side: "VALUE", Subject: "p-value", Version: 1, ID: 3, Type: "PROTOBUF", WrittenID: 3}
	unwritten := p
	unwritten.WrittenID = 0
	later := RegisteredSchema{Side: "VALUE", Subject: "p-value", Version: 2, ID: 4, Type: "PROTOBUF", WrittenID: 4}
	older := later
	older.WrittenID = 3
	check := func(name string, want ...RegisteredSchema) {
		t.Helper()
		if got := w.described(t, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %+v\nexpected %+v", name, got, want)
		}
	}
	check("plain")
	check("o", key, value)
	check("p", p)
	check("wide", unwritten)
	w.must(t, "INSERT INTO wide VALUES ('x', 1, 2);")
	check("wide", later)
	check("p", older)
}

// TestDescribeWithoutRegistry answers though the registry does not.
func TestDescribeWithoutRegistry(t *testing.T) {
	w, s := registryWorld(t)
	w.must(t, gates)
	if got := w.described(t, "high"); len(got) != 1 || got[0].Subject != "high-value" || got[0].ID == 0 || got[0].WrittenID != got[0].ID || got[0].Error != "" {
		t.Errorf("%+v", got)
	}
	s.SetDown(true)
	defer s.SetDown(false)
	if got := w.described(t, "high"); len(got) != 1 || got[0].Subject != "high-value" || got[0].ID != 0 || !strings.Contains(got[0].Error, "registry") {
		t.Errorf("%+v", got)
	}
}
