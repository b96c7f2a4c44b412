package format

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TestCompiledSchemasAreShared shows that codecs of many tasks may read and write
// by one compiled schema at once. It is a test for the race detector, too.
func TestCompiledSchemasAreShared(t *testing.T) {
	tree := types.Struct(types.Field{Name: "A", Type: types.Integer}, types.Field{Name: "L", Type: types.Array(types.Struct(types.Field{Name: "D", Type: types.Decimal(6, 2)}))})
	cols := []types.Column{{Name: "K", Type: types.String}, {Name: "T", Type: tree}}
	for _, name := range []string{"AVRO", "PROTOBUF"} {
		f := plan.Format{Name: name}
		schemas := registry.New(Checker{})
		s, err := DeriveSchema(f, cols)
		if err != nil {
			t.Fatal(err)
		}
		_, ev, err := schemas.Propose("t-value", s)
		if err == nil {
			err = schemas.Apply(*ev)
		}
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for task := range 8 {
			all.Add(1)
			go func() { // ends by itself
				defer all.Done()
				row, err := NewRow(f, cols, Side{Topic: "t", Schemas: schemas})
				if err != nil {
					t.Error(err)
					return
				}
				d, err := types.ParseDecimal("1.50")
				if err != nil {
					t.Error(err)
					return
				}
				inner := types.NewStruct([]types.Value{types.NewDecimal(d)})
				in := []types.Value{types.NewString(fmt.Sprint(task)), types.NewStruct([]types.Value{types.NewInteger(int32(task)), types.NewArray([]types.Value{inner})})}
				for range 20 {
					payload, err := row.Encode(in)
					if err != nil {
						t.Error(err)
						return
					}
					out, err := row.Decode(payload)
					if err != nil || len(out) != 2 || out[0].Str() != fmt.Sprint(task) || out[1].String() != in[1].String() {
						t.Errorf("%s: %v %v, expected %v", name, out, err, in)
					}
				}
			}()
		}
		all.Wait()
	}
}

// TestCompiledSchemasAreBounded shows what is kept: few schemas, no long ones, none
// with references, no errors.
func TestCompiledSchemasAreBounded(t *testing.T) {
	var c compiledSchemas[int]
	compiled := 0
	get := func(s registry.Schema) {
		if n, err := c.get(s, func() (int, error) { compiled++; return len(s.Text), nil }); err != nil || n != len(s.Text) {
			t.Errorf("%d %v", n, err)
		}
	}
	for range 2 {
		get(registry.Schema{Text: "a"})
	}
	if compiled != 1 {
		t.Errorf("compiled %d times", compiled)
	}
	for _, s := range []registry.Schema{{Text: "b", References: []registry.Reference{{Name: "r"}}}, {Text: strings.Repeat("x", MaxCompiledSchemaBytes+1)}} {
		compiled = 0
		get(s)
		if get(s); compiled != 2 {
			t.Errorf("schema of %d bytes and %d references was kept", len(s.Text), len(s.References))
		}
	}
	for i := range 3 * MaxCompiledSchemas {
		if get(registry.Schema{Text: strings.Repeat("y", i)}); len(c.m) > MaxCompiledSchemas {
			t.Fatalf("%d schemas are kept", len(c.m))
		}
	}
	bad := fmt.Errorf("bad")
	if _, err := c.get(registry.Schema{Text: "z"}, func() (int, error) { return 0, bad }); err != bad {
		t.Error(err)
	}
	get(registry.Schema{Text: "z"})
}
