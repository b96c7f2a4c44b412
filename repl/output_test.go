package repl

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql/types"
)

// rowsOf returns a finished push query.
func rowsOf(columns []types.Column, rows ...executor.Row) *engine.Rows {
	list := [][]executor.Row{rows}
	return engine.NewRows(engine.Rows{Push: true, Columns: columns}, func(context.Context) ([]executor.Row, error) {
		if len(list) == 0 {
			return nil, io.EOF
		}
		next := list[0]
		list = list[1:]
		return next, nil
	}, func() []executor.Problem { return nil }, func() {})
}

func write(t *testing.T, format Format, width int, result engine.Result) (out, messages string) {
	t.Helper()
	var o, e strings.Builder
	w := &Output{Out: &o, Err: &e, Format: format, Width: width}
	if err := w.Write(t.Context(), result); err != nil {
		t.Fatal(err)
	}
	return o.String(), e.String()
}

func TestRows(t *testing.T) {
	columns := []types.Column{{Name: "ID", Type: types.Integer}, {Name: "Näme, \"q\"", Type: types.String}, {Name: "LIST", Type: types.Array(types.Double)}}
	result := func() engine.Result {
		return rowsOf(columns,
			executor.Row{Values: []types.Value{types.NewInteger(1), types.NewString("héllo 世界\n🎉"), types.NewArray([]types.Value{types.NewDouble(1.5), types.NullValue})}},
			executor.Row{Values: []types.Value{types.NewInteger(-2), types.NullValue, types.NullValue}},
			executor.Row{Op: batch.Delete, Values: []types.Value{types.NewInteger(1), types.NullValue, types.NullValue}})
	}
	for _, c := range []struct {
		format Format
		want   string
	}{
		{JSONFormat, `{"ID":1,"Näme, \"q\"":"héllo 世界\n🎉","LIST":[1.5,null]}
{"ID":-2,"Näme, \"q\"":null,"LIST":null}
`},
		{CSVFormat, `ID,"Näme, ""q""",LIST
1,"héllo 世界
🎉","[1.5, null]"
-2,,
`},
		{TableFormat, `+--------+---------------+-------------+
|     ID | Näme, "q"     | LIST        |
+--------+---------------+-------------+
|      1 | héllo 世界 🎉 | [1.5, null] |
|     -2 | null          | null        |
|      1 | <TOMBSTONE>   | <TOMBSTONE> |
+--------+---------------+-------------+
`},
	} {
		out, messages := write(t, c.format, 80, result())
		if out != c.want || messages != "3 rows. Limit Reached. Query terminated\n" {
			t.Errorf("%s:\n%s%s\nexpected\n%s", c.format, out, messages, c.want)
		}
	}
	out, _ := write(t, TableFormat, 32, result())
	if want := `+--------+----------+----------+
|     ID | Näme,    | LIST     |
|        | "q"      |          |
+--------+----------+----------+
|      1 | héllo    | [1.5,    |
|        | 世界 🎉  | null]    |
|     -2 | null     | null     |
|      1 | <TOMBSTO | <TOMBSTO |
|        | NE>      | NE>      |
+--------+----------+----------+
`; out != want {
		t.Errorf("narrow:\n%s\nexpected\n%s", out, want)
	}
}

func TestEmptyRows(t *testing.T) {
	columns := []types.Column{{Name: "A", Type: types.String}}
	for format, want := range map[Format]string{JSONFormat: "", CSVFormat: "A\n", TableFormat: "+--------+\n| A      |\n+--------+\n+--------+\n"} {
		if out, _ := write(t, format, 80, rowsOf(columns)); out != want {
			t.Errorf("%s: %q", format, out)
		}
	}
}

func TestListings(t *testing.T) {
	topics := &engine.TopicList{Topics: []engine.TopicInfo{{Topic: engine.Topic{Name: "orders", Partitions: 12, Replicas: 1}, Consumers: 24, Groups: 2}}}
	extended := &engine.TopicList{Topics: topics.Topics, Extended: true}
	source := &catalog.Source{Name: "ORDERS", Kind: catalog.Table, Topic: "orders",
		Schema: types.Schema{Key: []types.Column{{Name: "K", Type: types.String}}, Value: []types.Column{{Name: "V", Type: types.Array(types.Bigint)}}}}
	detail := &engine.SourceDescriptions{One: true, Extended: true, Sources: []engine.SourceDescription{{Source: source, Partitions: 1, Replicas: 1,
		WrittenBy: []engine.QueryInfo{{ID: "CTAS_ORDERS_1"}},
		Offsets:   []engine.GroupOffsets{{Group: "g", Topic: "orders", Partitions: []engine.PartitionOffsets{{End: 9, ConsumerOffset: 4}}}}}}}
	one := &engine.SourceDescriptions{One: true, Sources: []engine.SourceDescription{{Source: source}}}
	for _, c := range []struct {
		result engine.Result
		format Format
		want   string
	}{
		{topics, JSONFormat, `{"name":"orders","partitions":12,"replicas":1}` + "\n"},
		{extended, JSONFormat, `{"name":"orders","partitions":12,"replicas":1,"consumers":24,"consumerGroups":2}` + "\n"},
		{detail, JSONFormat, `{"name":"ORDERS","type":"TABLE","topic":"orders","partitions":1,"replicas":1,"keyFormat":"","valueFormat":"",` +
			`"fields":[{"field":"K","type":"STRING","mark":"primary key"},{"field":"V","type":"ARRAY<BIGINT>"}],` +
			`"writeQueries":[{"id":"CTAS_ORDERS_1","state":"","rowsIn":0,"rowsOut":0,"late":0,"errors":0,"restarts":0}],"readQueries":[],` +
			`"offsets":[{"group":"g","topic":"orders","partitions":[{"partition":0,"logStartOffset":0,"logEndOffset":9,"consumerOffset":4}]}],"statement":""}` + "\n"},
		{topics, CSVFormat, "name,partitions,replicas\norders,12,1\n"},
		{topics, TableFormat, `+--------+------------+----------+
| Name   | Partitions | Replicas |
+--------+------------+----------+
| orders |         12 |        1 |
+--------+------------+----------+
`},
		{one, JSONFormat, `{"field":"K","type":"STRING","mark":"primary key"}` + "\n" + `{"field":"V","type":"ARRAY<BIGINT>","mark":""}` + "\n"},
		{&engine.QueryList{}, JSONFormat, ""},
		{&engine.VariableList{Variables: []engine.Variable{{Name: "x", Value: "a,b"}}}, CSVFormat, "name,value\nx,\"a,b\"\n"},
		{&engine.Explanation{Plan: "a\n  b\n"}, CSVFormat, "plan\na\n\"  b\"\n"},
	} {
		if out, messages := write(t, c.format, 80, c.result); out != c.want || messages != "" {
			t.Errorf("%T as %s:\n%s%s\nexpected\n%s", c.result, c.format, out, messages, c.want)
		}
	}
	if out, messages := write(t, TableFormat, 80, &engine.Done{Msg: "Stream created"}); out != "" || messages != "Stream created\n" {
		t.Errorf("message: %q %q", out, messages)
	}
}

// TestRecords draws a table of many columns whose long cells do not fit.
func TestRecords(t *testing.T) {
	q := engine.QueryInfo{ID: "CTAS_N_1", Text: "CREATE TABLE n AS\n  SELECT id, COUNT(*) AS c FROM orders GROUP BY id;", SinkName: "N", SinkTopic: "n",
		Status: executor.Status{State: executor.Running, RowsIn: 7}}
	out, _ := write(t, TableFormat, 60, &engine.QueryList{Extended: true, Queries: []engine.QueryInfo{q}})
	want := `-[ 1 ]---------
Id           | CTAS_N_1
Query Type   | PERSISTENT
State        | RUNNING
Sink         | N
Sink Topic   | n
Query String | CREATE TABLE n AS SELECT id, COUNT(*) AS c FROM orders GROUP BY id;
Rows In      | 7
Rows Out     | 0
Late         | 0
Errors       | 0
Restarts     | 0
Reason       | 
`
	if out != want {
		t.Errorf("%s\nexpected\n%s", out, want)
	}
	out, _ = write(t, TableFormat, 60, &engine.Explanation{Query: engine.QueryInfo{ID: "Q", SinkName: "N", Sources: []string{"A", "B"}}, Plan: " > sink\n\n"})
	if want := "A, B -> N\n > sink\n"; out != want {
		t.Errorf("explanation %q, expected %q", out, want)
	}
}

func TestParseSchema(t *testing.T) {
	columns, key, err := parseSchema("`ID` INTEGER KEY, `a, ``b` STRUCT<`x, y` DECIMAL(4, 2), `Z` MAP<STRING, BIGINT>>, `T` TIMESTAMP")
	if err != nil || len(columns) != 3 || !key[0] || key[1] || columns[1].Name != "a, `b" || columns[1].Type.Fields[0].Name != "x, y" || columns[2].Type.Kind != types.KindTimestamp {
		t.Errorf("%v %v %v", columns, key, err)
	}
	for _, bad := range []string{"`A` NOPE", "`A`", "A STRUCT<"} {
		if _, _, err := parseSchema(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if columns, _, err := parseSchema(""); err != nil || len(columns) != 0 {
		t.Errorf("no columns: %v %v", columns, err)
	}
}

// TestWarnings shows when a query tells of records that went wrong: a push query as
// it goes and, where there were more, at the end with their number; a pull query at
// the end.
func TestWarnings(t *testing.T) {
	column := []types.Column{{Name: "Q", Type: types.Integer}}
	row := executor.Row{Values: []types.Value{types.NullValue}}
	for _, push := range []bool{true, false} {
		var seen []executor.Problem
		steps := 0
		rows := engine.NewRows(engine.Rows{QueryID: "id_1", Push: push, Columns: column}, func(context.Context) ([]executor.Row, error) {
			switch steps++; steps {
			case 1:
				return []executor.Row{row}, nil
			case 2: // no rows, but a problem
				seen = []executor.Problem{{Cause: "division by zero", Effect: "column Q is NULL", Records: 1}, {Cause: "bad", Records: 1}}
				return nil, nil
			case 3:
				seen = []executor.Problem{{Cause: "division by zero", Effect: "column Q is NULL", Records: 3}, {Cause: "bad", Records: 1}}
			}
			return nil, io.EOF
		}, func() []executor.Problem { return seen }, func() {})
		_, messages := write(t, JSONFormat, 0, rows)
		want := "warning: division by zero; column Q is NULL\nwarning: bad\nwarning: 3 records: division by zero; column Q is NULL\n" +
			"The records: SELECT * FROM KSQL_PROCESSING_LOG WHERE `QUERY` = 'id_1';\n1 row. Limit Reached. Query terminated\n"
		if !push {
			want = "warning: 3 records: division by zero; column Q is NULL\nwarning: 1 record: bad\n" +
				"The records: SELECT * FROM KSQL_PROCESSING_LOG WHERE `QUERY` = 'id_1';\n1 row\n"
		}
		if messages != want {
			t.Errorf("push %v:\n%s\nexpected\n%s", push, messages, want)
		}
	}
}

// TestWarningsOfAFailure shows that a query that fails tells of the records that
// went wrong before.
func TestWarningsOfAFailure(t *testing.T) {
	failure := errors.New("overflow")
	rows := engine.NewRows(engine.Rows{QueryID: "id_1"}, func(context.Context) ([]executor.Row, error) { return nil, failure },
		func() []executor.Problem { return []executor.Problem{{Cause: "bad", Records: 2}} }, func() {})
	var messages strings.Builder
	o := &Output{Out: io.Discard, Err: &messages, Format: JSONFormat}
	if err := o.Write(t.Context(), rows); !errors.Is(err, failure) || !strings.HasPrefix(messages.String(), "warning: 2 records: bad\n") {
		t.Errorf("%v\n%s", err, messages.String())
	}
}

// TestCSVTellsWhatItLeavesOut checks that a listing with more than its rows says so.
func TestCSVTellsWhatItLeavesOut(t *testing.T) {
	source := &catalog.Source{Name: "S", Kind: catalog.Stream, Topic: "s", Schema: types.Schema{Value: []types.Column{{Name: "A", Type: types.Integer}}}}
	for extended, want := range map[bool]string{false: "", true: "CSV has only the list; table output has what else is known, too.\n"} {
		out, messages := write(t, CSVFormat, 0, &engine.SourceDescriptions{One: true, Extended: extended, Sources: []engine.SourceDescription{{Source: source}}})
		if out != "field,type,mark\nA,INTEGER,\n" || messages != want {
			t.Errorf("extended %v: %q, told %q, expected %q", extended, out, messages, want)
		}
	}
}

func TestSchemaNote(t *testing.T) {
	for _, c := range []struct {
		schema engine.RegisteredSchema
		want   string
	}{
		{engine.RegisteredSchema{Side: "KEY", Subject: "o-key", Version: 2, ID: 7, Type: "AVRO", WrittenID: 7}, "key schema: subject o-key, version 2, id 7 (AVRO)\n"},
		{engine.RegisteredSchema{Side: "VALUE", Subject: "o-value", Version: 2, ID: 7, Type: "AVRO", WrittenID: 3},
			"value schema: subject o-value, version 2, id 7 (AVRO); records are written with id 3\n"},
		{engine.RegisteredSchema{Side: "VALUE", Subject: "o-value"}, "value schema: subject o-value, registered with the first record that a statement writes\n"},
		{engine.RegisteredSchema{Side: "VALUE", Subject: "o-value", Error: "no answer"}, "value schema: subject o-value, no answer\n"},
	} {
		if got := schemaNote(c.schema); got != c.want {
			t.Errorf("%+v: %q, expected %q", c.schema, got, c.want)
		}
	}
}
