package format

import (
	"runtime"
	"strings"
	"testing"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TestAvroHostile: what a payload may make the codec allocate follows from its
// length and the limits, not from the numbers in it.
func TestAvroHostile(t *testing.T) {
	r := avroRegistry(t)
	elem := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "Y", Type: types.Integer}, types.Field{Name: "Z", Type: types.Integer})
	cs := cols(types.Array(elem), types.String, types.Map(types.String, types.Integer))
	row := avroRow(t, r, plan.Format{}, cs)
	empty := register(t, r, "s", avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[]}}}]}`))
	small := register(t, r, "s", avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"q","type":"boolean"}]}}}]}`))
	many := strings.Repeat("\x00", 4<<20)
	for name, payload := range map[string][]byte{
		"items without bytes":        envelope(empty, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
		"blocks without bytes":       envelope(empty, strings.Repeat("\xfe\xff\x03", 1<<20)+"\x00"),
		"many fields of few bytes":   envelope(small, "\x80\x80\x80\x04"+many+"\x00"),
		"count beyond the end":       envelope(small, "\xfe\xff\xff\xff\x0f"),
		"negative count, wrong size": envelope(small, "\x01\xfe\xff\xff\xff\x0f"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := row.Decode(payload)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		// A value takes 48 bytes, and lists of them grow by copying.
		if made := int(after.TotalAlloc - before.TotalAlloc); made > 200*(maxAvroValues+len(payload)) {
			t.Errorf("%s: %d bytes were allocated", name, made)
		}
	}
}

// FuzzAvroDecode feeds payloads of several schemas. What is accepted must encode
// again and read back the same.
func FuzzAvroDecode(f *testing.F) {
	r := avroRegistry(f)
	all := allTypes()
	row := avroRow(f, r, plan.Format{}, all)
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	for _, s := range []string{
		rec(`{"name":"a","type":"boolean"},{"name":"b","type":"int"},{"name":"c","type":"int"},{"name":"d","type":"float"},{"name":"e","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}},{"name":"g","type":"double"},{"name":"h","type":{"type":"fixed","name":"F","size":3}}`),
		rec(`{"name":"z","type":["null","R"]},{"name":"g","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"l","type":{"type":"array","items":["null",{"type":"array","items":"string"}]}}`),
		rec(`{"name":"m","type":{"type":"map","values":["bytes","null"]}},{"name":"n","type":["null","int",{"type":"record","name":"N","fields":[{"name":"x","type":["int","null"]},{"name":"w","type":"string"}]}]},{"name":"i","type":{"type":"long","logicalType":"time-micros"}},{"name":"k","type":{"type":"long","logicalType":"timestamp-micros"}}`),
		rec(`{"name":"o","type":{"type":"array","items":"boolean"}},{"name":"y","type":{"type":"array","items":{"type":"record","name":"Z","fields":[]}}},{"name":"f","type":{"type":"fixed","name":"D","size":9,"logicalType":"decimal","precision":20,"scale":3}}`),
		`["null",` + rec(`{"name":"a","type":"boolean"}`) + `,"int"]`,
	} {
		register(f, r, "others", avroText(s))
	}
	for id := range byte(7) {
		f.Add(append([]byte{0, 0, 0, 0, id}, 2, 1, 2, 3, 2, 4, 0, 0, 0, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > envelopeLen {
			b[0], b[1], b[2], b[3], b[4] = 0, 0, 0, 0, b[4]%6+1
		}
		v, err := row.Decode(b)
		if err != nil {
			return
		}
		out, err := row.Encode(v)
		if err != nil {
			t.Fatalf("%x: what was read as %s does not encode: %v", b, text(t, all, v), err)
		}
		back, err := row.Decode(out)
		if err != nil || text(t, all, back) != text(t, all, v) {
			t.Fatalf("%x reads back as %v, %v", out, back, err)
		}
	})
}
