package format

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
)

func TestAvroResolution(t *testing.T) {
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	one := func(typ string) string { return rec(`{"name":"a","type":` + typ + `}`) }
	enum := func(rest string) string { return one(`{"type":"enum","name":"E",` + rest + `}`) }
	for _, c := range []struct{ name, reader, writer, want string }{
		{"same", one(`"int"`), one(`"int"`), ``},
		{"promotion", one(`"double"`), one(`"int"`), ``},
		{"no demotion", one(`"int"`), one(`"long"`), `$.a: the reader's int cannot read the writer's long`},
		{"string and bytes", rec(`{"name":"a","type":"bytes"},{"name":"b","type":"string"}`), rec(`{"name":"a","type":"string"},{"name":"b","type":"bytes"}`), ``},
		{"field added with a default", rec(`{"name":"a","type":"int"},{"name":"b","type":["null","int"],"default":null}`), one(`"int"`), ``},
		{"field added without", rec(`{"name":"a","type":"int"},{"name":"b","type":["null","int"]}`), one(`"int"`), `$.b: the writer has no such field and the reader no default for it`},
		{"field taken away", rec(``), one(`"int"`), ``},
		{"all problems", rec(`{"name":"a","type":"int"},{"name":"b","type":"int"}`), one(`"string"`), `$.a: the reader's int cannot read the writer's string; $.b: the writer has no such field and the reader no default for it`},
		{"alias of a field", rec(`{"name":"b","type":"int","aliases":["a"]}`), one(`"int"`), ``},
		{"name of the record", `{"type":"record","name":"Q","fields":[]}`, one(`"int"`), `$: the reader's record Q is not the writer's record R, neither by name nor by an alias`},
		{"alias of the record", `{"type":"record","name":"Q","aliases":["R"],"fields":[]}`, one(`"int"`), ``},
		{"namespace does not count", `{"type":"record","name":"x.R","fields":[]}`, one(`"int"`), ``},
		{"into a union", one(`["null","long"]`), one(`"int"`), ``},
		{"not into a union", one(`["null","int"]`), one(`"string"`), `$.a: no branch of the reader's union reads the writer's string`},
		{"nearest branch of a union", one(`["null",` + strings.Replace(rec(`{"name":"x","type":"int"}`), `"R"`, `"S"`, 1) + `]`), one(strings.Replace(rec(`{"name":"x","type":"string"}`), `"R"`, `"S"`, 1)), `$.a.x: the reader's int cannot read the writer's string`},
		{"out of a union", one(`"long"`), one(`["int","string"]`), `$.a: the reader's long cannot read the writer's string`},
		{"union and union", one(`["null","double"]`), one(`["float","null"]`), ``},
		{"symbols added", enum(`"symbols":["A","B"]`), enum(`"symbols":["A"]`), ``},
		{"symbols lost", enum(`"symbols":["A"]`), enum(`"symbols":["A","B"]`), `$.a: the reader's enum E does not know symbol B and has no default`},
		{"symbols lost, default", enum(`"symbols":["A"],"default":"A"`), enum(`"symbols":["A","B"]`), ``},
		{"size of a fixed", one(`{"type":"fixed","name":"F","size":2}`), one(`{"type":"fixed","name":"F","size":3}`), `$.a: the reader's fixed F has 2 bytes, the writer's has 3`},
		{"decimals", one(`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`), one(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`), `$.a: the reader's decimal(5, 2) cannot read the writer's decimal(4, 2)`},
		{"items and values", one(`{"type":"array","items":{"type":"map","values":"int"}}`), one(`{"type":"array","items":{"type":"map","values":"long"}}`), `$.a[][]: the reader's int cannot read the writer's long`},
		{"recursive", rec(`{"name":"a","type":"int"},{"name":"n","type":["null","R"]}`), rec(`{"name":"a","type":"long"},{"name":"n","type":["null","R"]}`), `$.a: the reader's int cannot read the writer's long`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := (Checker{}).Incompatible(avroText(c.reader), avroText(c.writer), nil)
			if err != nil || strings.Join(got, "; ") != c.want {
				t.Fatalf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	// Through the registry, by its default level.
	r := registry.New(Checker{})
	register(t, r, "s", avroText(one(`"int"`)))
	if _, _, err := r.Propose("s", avroText(one(`"string"`))); err == nil || !strings.Contains(err.Error(), "the reader's string cannot read the writer's int") {
		t.Fatalf("error is %v", err)
	}
	if _, _, err := r.Propose("s", avroText(one(`"foo"`))); err == nil || !strings.Contains(err.Error(), "foo") {
		t.Fatalf("error is %v", err)
	}
}
