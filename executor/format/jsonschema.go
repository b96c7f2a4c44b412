package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// JSON_SR: the JSON of format JSON behind a schema id. Schemas are JSON Schema
// with the annotations of Kafka Connect's converter: connect.type narrows
// "integer" and "number", connect.index orders properties, a title names what
// Connect calls a logical type.
var jsonSchemaDialect = &dialect{
	schemaType:   registry.JSON,
	derive:       deriveJSONSchema,
	infer:        inferJSONSchema,
	codec:        newJSONSR,
	check:        checkJSONSchema,
	incompatible: incompatibleJSONSchema,
}

// connectTitle begins the names of Connect's logical types.
const connectTitle = "org.apache.kafka.connect.data."

// jsonLeaf is how a type without parts is written, without "null".
var jsonLeaf = map[types.Kind]string{
	types.KindBoolean:   `{"type":"boolean","connect.type":"boolean"}`,
	types.KindInteger:   `{"type":"integer","connect.type":"int32"}`,
	types.KindBigint:    `{"type":"integer","connect.type":"int64"}`,
	types.KindDouble:    `{"type":"number","connect.type":"float64"}`,
	types.KindString:    `{"type":"string","connect.type":"string"}`,
	types.KindBytes:     `{"type":"string","connect.type":"bytes"}`,
	types.KindTime:      `{"type":"integer","title":"` + connectTitle + `Time","connect.version":1,"connect.type":"int32"}`,
	types.KindDate:      `{"type":"integer","title":"` + connectTitle + `Date","connect.version":1,"connect.type":"int32"}`,
	types.KindTimestamp: `{"type":"integer","title":"` + connectTitle + `Timestamp","connect.version":1,"connect.type":"int64"}`,
}

// deriveJSONSchema writes the schema of columns: an object with a property per
// column, or the one column itself.
func deriveJSONSchema(f plan.Format, cols []types.Column) (string, error) {
	if f.Unwrapped && len(cols) == 1 {
		return `{"oneOf":[{"type":"null"},` + jsonSchemaOf(cols[0].Type) + `]}`, nil
	}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field(c)
	}
	return jsonSchemaOf(types.Struct(fields...)), nil
}

func jsonSchemaOf(t types.Type) string {
	switch t.Kind {
	case types.KindDecimal:
		return fmt.Sprintf(`{"type":"number","title":"%sDecimal","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"%d","connect.decimal.precision":"%d"}}`, connectTitle, t.Scale, t.Precision)
	case types.KindArray:
		return `{"type":"array","items":` + nullableJSONSchema(*t.Elem) + `}`
	case types.KindMap:
		return `{"type":"object","connect.type":"map","additionalProperties":` + nullableJSONSchema(*t.Elem) + `}`
	case types.KindStruct:
		var b bytes.Buffer
		b.WriteString(`{"type":"object","properties":{`)
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(appendJSONString(nil, []byte(f.Name)))
			fmt.Fprintf(&b, `:{"connect.index":%d,"oneOf":[{"type":"null"},%s]}`, i, jsonSchemaOf(f.Type))
		}
		b.WriteString(`}}`)
		return b.String()
	}
	return jsonLeaf[t.Kind]
}

func nullableJSONSchema(t types.Type) string {
	return `{"oneOf":[{"type":"null"},` + jsonSchemaOf(t) + `]}`
}

// jsonSR is the codec of JSON_SR.
type jsonSR struct {
	json *jsonCodec
	// rest are the fields that a physical schema has beside the columns, as null.
	rest    []byte
	schemas Schemas
	known   int32 // the id of the payload before
	writer  writerID
}

func newJSONSR(f plan.Format, cols []types.Column, side Side) (Codec, error) {
	c := &jsonSR{json: newJSON(cols, f.Unwrapped), schemas: side.Schemas}
	if f.SchemaID != 0 && !f.Unwrapped {
		s, err := side.Schemas.ByID(f.SchemaID)
		if err != nil {
			return nil, err
		}
		physical, err := inferJSONSchema(f, side, s)
		if err != nil {
			return nil, err
		}
		for _, p := range physical.Columns {
			if !slices.ContainsFunc(cols, func(c types.Column) bool { return c.Name == p.Name }) {
				c.rest = append(appendJSONString(append(c.rest, ','), []byte(p.Name)), ":null"...)
			}
		}
	}
	c.writer.find = func() (int32, error) {
		if f.SchemaID != 0 {
			return f.SchemaID, nil
		}
		text, err := deriveJSONSchema(f, cols)
		if err != nil {
			return 0, err
		}
		return side.Schemas.ID(side.Subject(), registry.Schema{Type: registry.JSON, Text: text})
	}
	return c, nil
}

// Decode reads the JSON behind the schema id. Fields are matched as those of
// format JSON: the schema that they were written by adds nothing to that, but it
// must exist.
func (c *jsonSR) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	id, rest, err := openEnvelope(payload)
	if err != nil {
		return fmt.Errorf("%w; format JSON reads plain JSON", err)
	}
	if id != c.known {
		s, err := c.schemas.ByID(id)
		if err != nil {
			return err
		}
		if s.Type != registry.JSON {
			return fmt.Errorf("the payload's schema, id %d, is %s, not JSON Schema", id, s.Type)
		}
		c.known = id
	}
	return c.json.Decode(cols, i, rest)
}

func (c *jsonSR) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	id, err := c.writer.get()
	if err != nil {
		return dst, false, err
	}
	out, null, err := c.json.Append(appendEnvelope(dst, id), cols, i)
	if err != nil || null {
		return dst, null, err
	}
	if len(c.rest) > 0 {
		out = append(append(out[:len(out)-1], c.rest...), '}')
	}
	return out, false, nil
}

// jsonObject is a JSON object whose members keep their order.
type jsonObject struct {
	names  []string
	values map[string]json.RawMessage
}

// parseJSONObject reads an object; false for any other value.
func parseJSONObject(text json.RawMessage) (jsonObject, bool, error) {
	o := jsonObject{values: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(text))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return o, false, err
	}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return o, false, err
		}
		name := tok.(string) // what stands before a colon
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return o, false, err
		}
		if _, twice := o.values[name]; !twice {
			o.names = append(o.names, name)
		}
		o.values[name] = v
	}
	_, err := d.Token()
	return o, true, err
}

// str returns a member that is a string, else "".
func (o jsonObject) str(name string) string {
	var s string
	if v, ok := o.values[name]; !ok || json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

// parameter returns a whole number among connect.parameters, or def.
func (o jsonObject) parameter(name string, def int32) int32 {
	params, ok, err := parseJSONObject(o.values["connect.parameters"])
	if err != nil || !ok {
		return def
	}
	n, err := strconv.ParseInt(params.str(name), 10, 32)
	if err != nil {
		return def
	}
	return int32(n)
}
