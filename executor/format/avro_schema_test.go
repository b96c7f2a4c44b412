package format

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func TestAvroDerive(t *testing.T) {
	const space = "io.confluent.ksql.avro_schemas"
	field := func(name, typ string) string {
		return `{"name":"` + name + `","type":["null",` + typ + `],"default":null}`
	}
	record := func(name, fields string) string {
		return `{"type":"record","name":"` + name + `","namespace":"` + space + `","fields":[` + fields + `],"connect.name":"` + space + `.` + name + `"}`
	}
	nested := func(name, fields string) string {
		return strings.Replace(record(name, fields), `"namespace":"`+space+`",`, "", 1)
	}
	entries := func(name, value string) string {
		return `{"type":"array","items":{"type":"record","name":"` + name + `","fields":[` + field("key", `"string"`) + "," + field("value", value) +
			`],"connect.internal.type":"MapEntry"},"connect.name":"` + space + "." + name + `"}`
	}
	st := types.Struct(types.Field{Name: "F", Type: types.Integer})
	for _, c := range []struct {
		name string
		f    plan.Format
		cols []types.Column
		want string // "!" begins a part of the error
	}{
		{"scalars", plan.Format{}, cols(types.Boolean, types.Integer, types.Bigint, types.Double, types.String, types.Bytes), record("KsqlDataSourceSchema",
			field("A", `"boolean"`)+","+field("B", `"int"`)+","+field("C", `"long"`)+","+field("D", `"double"`)+","+field("E", `"string"`)+","+field("F", `"bytes"`))},
		{"key record", plan.Format{SchemaName: space + ".OutputKey"}, cols(types.Integer, types.Integer), record("OutputKey", field("A", `"int"`)+","+field("B", `"int"`))},
		{"decimal", plan.Format{}, cols(types.Decimal(4, 2)), record("KsqlDataSourceSchema",
			field("A", `{"type":"bytes","scale":2,"precision":4,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"4"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}`))},
		{"times", plan.Format{}, cols(types.Time, types.Date, types.Timestamp), record("KsqlDataSourceSchema",
			field("A", `{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Time","logicalType":"time-millis"}`)+","+
				field("B", `{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}`)+","+
				field("C", `{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}`))},
		{"nested", plan.Format{}, cols(types.Array(st), types.Map(types.String, st), types.Struct(types.Field{Name: "G", Type: st})), record("KsqlDataSourceSchema",
			field("A", `{"type":"array","items":["null",`+nested("KsqlDataSourceSchema_A", field("F", `"int"`))+`]}`)+","+
				field("B", entries("KsqlDataSourceSchema_B", nested("KsqlDataSourceSchema_B_MapValue", field("F", `"int"`))))+","+
				field("C", nested("KsqlDataSourceSchema_C", field("G", nested("KsqlDataSourceSchema_C_G", field("F", `"int"`))))))},
		{"dots", plan.Format{SchemaName: "Plain"}, []types.Column{{Name: "A.B", Type: types.Integer}}, `{"type":"record","name":"Plain","fields":[` + field("A_B", `"int"`) + `],"connect.name":"Plain"}`},
		{"unwrapped", plan.Format{Unwrapped: true}, cols(types.Integer), `"int"`},
		{"unwrapped array", plan.Format{Unwrapped: true}, cols(types.Array(types.String)), `{"type":"array","items":["null","string"]}`},
		{"unwrapped struct", plan.Format{Unwrapped: true}, cols(st), record("KsqlDataSourceSchema", field("F", `"int"`))},
		{"digit first", plan.Format{}, []types.Column{{Name: "1A", Type: types.Integer}}, `!Schema is not compatible with Avro: Illegal initial character: 1A`},
		{"space", plan.Format{}, []types.Column{{Name: "a b", Type: types.Integer}}, `!Schema is not compatible with Avro: Illegal character in: a b`},
		{"nested name", plan.Format{}, cols(types.Struct(types.Field{Name: "é", Type: types.Integer})), `!not compatible with Avro: Illegal initial character: é`},
		{"empty name", plan.Format{}, []types.Column{{Type: types.Integer}}, `!not compatible with Avro: Empty name`},
		{"full name", plan.Format{SchemaName: "a..b"}, cols(types.Integer), `!not compatible with Avro: Empty name`},
		{"same field twice", plan.Format{}, []types.Column{{Name: "A.B", Type: types.Integer}, {Name: "A_B", Type: types.Integer}}, `!two fields would both be named A_B`},
		{"same record twice", plan.Format{}, []types.Column{{Name: "A", Type: types.Struct(types.Field{Name: "B", Type: st})}, {Name: "A_B", Type: st}}, `!would both be named KsqlDataSourceSchema_A_B`},
		{"map keys", plan.Format{}, cols(types.Map(types.Integer, types.Double)), `!Avro only supports MAPs with STRING keys`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Name = "AVRO"
			got, err := DeriveSchema(c.f, c.cols)
			if strings.HasPrefix(c.want, "!") {
				if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
					t.Fatalf("error is %v, want %q", err, c.want[1:])
				}
				return
			}
			if err != nil || got.Text != c.want {
				t.Fatalf("got  %s, %v\nwant %s", got.Text, err, c.want)
			}
			if _, err := avro.Parse(got.Text); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestAvroDeriveInfer: columns come back from the schema made of them.
func TestAvroDeriveInfer(t *testing.T) {
	all := allTypes()
	s, err := DeriveSchema(plan.Format{Name: "AVRO"}, all)
	if err != nil {
		t.Fatal(err)
	}
	in, err := InferColumns(plan.Format{Name: "AVRO", SchemaID: 1}, Side{}, s)
	if err != nil || in.Unwrapped || len(in.Dropped) != 0 {
		t.Fatalf("%+v, %v", in, err)
	}
	if got, want := fmt.Sprint(types.Schema{Value: in.Columns}.String("")), fmt.Sprint(types.Schema{Value: all}.String("")); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestAvroInfer(t *testing.T) {
	rec := func(fields string) string {
		return `{"type":"record","name":"R","namespace":"n","fields":[` + fields + `]}`
	}
	wide := rec(strings.TrimSuffix(strings.Repeat(`{"name":"f%d","type":"int"},`, 100), ","))
	n := make([]any, 100)
	for i := range n {
		n[i] = i
	}
	wide = fmt.Sprintf(wide, n...)
	for _, c := range []struct {
		name, schema string
		f            plan.Format
		key          bool
		want         string // columns; "!" begins a part of the error
		dropped      string
	}{
		{"scalars", rec(`{"name":"c1","type":"boolean"},{"name":"c2","type":"int"},{"name":"c3","type":"long"},{"name":"c4","type":"double"},{"name":"c5","type":"string"},{"name":"c6","type":"float"},{"name":"c7","type":"bytes"}`),
			plan.Format{}, false, "`C1` BOOLEAN, `C2` INTEGER, `C3` BIGINT, `C4` DOUBLE, `C5` STRING, `C6` DOUBLE, `C7` BYTES", ""},
		{"names stand with an id", rec(`{"name":"c1","type":{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}}`), plan.Format{SchemaID: 3}, false, "`c1` STRUCT<`x` INTEGER>", ""},
		{"logical types", rec(`{"name":"a","type":{"type":"int","logicalType":"date"}},{"name":"b","type":{"type":"int","logicalType":"time-millis"}},{"name":"c","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"d","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"e","type":{"type":"string","logicalType":"uuid"}},{"name":"f","type":{"type":"int","connect.name":"org.apache.kafka.connect.data.Date"}},{"name":"g","type":{"type":"long","logicalType":"odd"}},{"name":"h","type":{"type":"long","logicalType":"local-timestamp-millis"}}`),
			plan.Format{}, false, "`A` DATE, `B` TIME, `C` TIMESTAMP, `D` BIGINT, `E` STRING, `F` DATE, `G` BIGINT, `H` BIGINT", ""},
		{"decimals", rec(`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},{"name":"b","type":{"type":"bytes","logicalType":"decimal","scale":2}},{"name":"c","type":{"type":"fixed","name":"F","size":9,"logicalType":"decimal","precision":18}},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":4}},{"name":"e","type":{"type":"bytes","logicalType":"decimal","precision":90}}`),
			plan.Format{}, false, "`A` DECIMAL(4, 2), `B` DECIMAL(64, 2), `C` DECIMAL(18, 0), `D` BYTES", "e: a decimal of 90 digits"},
		{"named types", rec(`{"name":"a","type":{"type":"enum","name":"E","symbols":["X"]}},{"name":"b","type":"E"},{"name":"c","type":{"type":"fixed","name":"m.F","size":4}},{"name":"d","type":["null","m.F"]},{"name":"e","type":"n.E"}`),
			plan.Format{}, false, "`A` STRING, `B` STRING, `C` BYTES, `D` BYTES, `E` STRING", ""},
		{"nested", rec(`{"name":"a","type":{"type":"array","items":["null","int"]}},{"name":"b","type":{"type":"map","values":{"type":"array","items":"string"}}},{"name":"c","type":{"type":"array","items":{"type":"record","name":"M","connect.internal.type":"MapEntry","fields":[{"name":"key","type":"int"},{"name":"value","type":"long"}]}}}`),
			plan.Format{}, false, "`A` ARRAY<INTEGER>, `B` MAP<STRING, ARRAY<STRING>>, `C` MAP<STRING, BIGINT>", ""},
		{"array of pairs without the tag", rec(`{"name":"a","type":{"type":"array","items":{"type":"record","name":"M","fields":[{"name":"key","type":"int"},{"name":"value","type":"long"}]}}}`),
			plan.Format{}, false, "`A` ARRAY<STRUCT<`KEY` INTEGER, `VALUE` BIGINT>>", ""},
		{"unions", rec(`{"name":"a","type":["int","null"]},{"name":"b","type":["null","int","string",{"type":"record","name":"Q","fields":[{"name":"x","type":"int"}]}]},{"name":"c","type":["int"]}`),
			plan.Format{}, false, "`A` INTEGER, `B` STRUCT<`INT` INTEGER, `STRING` STRING, `Q` STRUCT<`X` INTEGER>>, `C` STRUCT<`INT` INTEGER>", ""},
		{"dropped", rec(`{"name":"a","type":"null"},{"name":"b","type":"int"},{"name":"B","type":"int"},{"name":"c","type":{"type":"record","name":"S","fields":[{"name":"x","type":"null"}]}}`),
			plan.Format{}, false, "`B` INTEGER", "a: null alone is no type; B: another field is named B too; c.x: null alone is no type; c: it has no field with a SQL type"},
		{"unwrapped value", `{"type":"string","name":"TestKeySchema","namespace":"com.test"}`, plan.Format{Unwrapped: true}, false, "`ROWVAL` STRING unwrapped", ""},
		{"unwrapped key", `["null",{"type":"array","items":"long"}]`, plan.Format{Unwrapped: true}, true, "`ROWKEY` ARRAY<BIGINT> unwrapped", ""},
		{"records at the root", `[{"type":"record","name":"x.A","fields":[{"name":"i","type":"int"}]},{"type":"record","name":"x.B","fields":[{"name":"j","type":"int"}]}]`, plan.Format{}, false, "`A` STRUCT<`I` INTEGER>, `B` STRUCT<`J` INTEGER>", ""},
		{"recursive", rec(`{"name":"v","type":"int"},{"name":"next","type":["null","R"]}`), plan.Format{}, false, "!contains itself", ""},
		{"nothing left", rec(`{"name":"a","type":"null"}`), plan.Format{}, false, "!no field with a SQL type", ""},
		{"too many fields", strings.Replace(strings.Replace(wide, `"R"`, `"W"`, 1), "", `{"type":"record","name":"T","fields":[{"name":"w","type":`, 1) +
			"}" + strings.Repeat(`,{"name":"w%d","type":"n.W"}`, 120) + "]}", plan.Format{}, false, "!more than 10000 fields", ""},
		{"names where there are none", rec(`{"name":"to_","type":{"type":"array","name":"to_","items":{"type":"map","name":"q","values":"int"}}}`), plan.Format{}, false, "`TO_` ARRAY<MAP<STRING, INTEGER>>", ""},
		{"not JSON", `{`, plan.Format{}, false, "!", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Name = "AVRO"
			if strings.Contains(c.schema, "%d") {
				k := make([]any, 120)
				for i := range k {
					k[i] = i
				}
				c.schema = fmt.Sprintf(c.schema, k...)
			}
			in, err := InferColumns(c.f, Side{Key: c.key}, registry.Schema{Type: registry.Avro, Text: c.schema})
			if strings.HasPrefix(c.want, "!") {
				if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
					t.Fatalf("error is %v, want %q", err, c.want[1:])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := types.Schema{Value: in.Columns}.String("")
			if in.Unwrapped {
				got += " unwrapped"
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := strings.Join(in.Dropped, "; "); !strings.HasPrefix(got, c.dropped) || c.dropped == "" && got != "" {
				t.Errorf("dropped %q, want %q", got, c.dropped)
			}
		})
	}
}

func TestAvroReferences(t *testing.T) {
	r := avroRegistry(t)
	register(t, r, "base", avroText(`{"type":"enum","name":"a.Color","symbols":["RED","BLUE"]}`))
	mid := avroText(`{"type":"record","name":"a.Paint","fields":[{"name":"c","type":"Color"}]}`)
	mid.References = []registry.Reference{{Name: "a.Color", Subject: "base", Version: 1}}
	register(t, r, "mid", mid)
	top := avroText(`{"type":"record","name":"b.Wall","fields":[{"name":"paint","type":"a.Paint"},{"name":"second","type":["null","a.Color"],"default":null}]}`)
	top.References = []registry.Reference{{Name: "a.Color", Subject: "base", Version: 1}, {Name: "a.Paint", Subject: "mid", Version: 1}}
	id := register(t, r, "top", top)
	in, err := InferColumns(plan.Format{Name: "AVRO"}, Side{Schemas: r}, top)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := (types.Schema{Value: in.Columns}).String(""), "`PAINT` STRUCT<`C` STRING>, `SECOND` STRING"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	row := avroRow(t, r, plan.Format{SchemaID: id}, in.Columns)
	payload, err := row.Encode([]types.Value{types.NewStruct([]types.Value{types.NewString("BLUE")}), types.NullValue})
	if err != nil || string(payload) != string(envelope(id, "\x02\x00")) {
		t.Fatalf("%x, %v", payload, err)
	}
	back, err := row.Decode(payload)
	if err != nil || text(t, in.Columns, back) != `{"C":"BLUE"} null` {
		t.Fatalf("%v, %v", back, err)
	}
	if _, _, err := r.Propose("x", avroText(top.Text)); err == nil {
		t.Fatal("a schema with undefined names is valid")
	}
}
