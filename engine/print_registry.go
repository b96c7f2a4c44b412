package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// maxPrintDecoders bounds the decoders that one PRINT keeps, one a schema and side.
// When they are more, all are dropped and made again as needed.
const maxPrintDecoders = 200

// registryFormats are the formats that read schemas of a type.
var registryFormats = map[registry.Type]string{registry.Avro: "AVRO", registry.JSON: "JSON_SR", registry.Protobuf: "PROTOBUF"}

var errNotRegistered = errors.New("the payload does not begin with the id of a registered schema")

// payloadPrinter renders keys and values for PRINT: those that begin with the id
// of a registered schema by that schema, others as PrintPayload guesses.
type payloadPrinter struct {
	topic    string
	schemas  format.Schemas
	decoders map[printSide]*printDecoder
	// declared is what the catalog says about payloads that carry no schema id.
	declared map[bool]*declaredSide
	// shown are the formats that were named in a line, by side.
	shown map[bool]string
}

type printSide struct {
	key bool
	id  int32
}

// printDecoder reads payloads of one schema. err says why it cannot.
type printDecoder struct {
	name     string
	inferred format.Inferred
	row      *format.Row
	err      error
}

func newPayloadPrinter(topic string, schemas format.Schemas) *payloadPrinter {
	return &payloadPrinter{topic: topic, schemas: schemas, decoders: map[printSide]*printDecoder{}, declared: map[bool]*declaredSide{}, shown: map[bool]string{}}
}

// render returns a payload's text, and before it a line that names its format where
// that is one of the registry's and was not named yet.
func (p *payloadPrinter) render(key bool, payload []byte) (text string, lines []string) {
	if d := p.declared[key]; d != nil {
		return d.text(payload), p.formatLine(key, d.note)
	}
	text, name, err := p.decode(key, payload)
	if err != nil && key {
		text, name, err = p.decodeWindowed(payload)
	}
	if err != nil {
		return PrintPayload(payload), nil
	}
	return text, p.formatLine(key, name)
}

// formatLine is the line about a side's format where it was not shown yet.
func (p *payloadPrinter) formatLine(key bool, name string) (lines []string) {
	if p.shown[key] != name {
		p.shown[key] = name
		side := "Value"
		if key {
			side = "Key"
		}
		lines = []string{side + " format: " + name}
	}
	return lines
}

// decodeWindowed reads a key with a window start, or an end and a start, behind it.
func (p *payloadPrinter) decodeWindowed(payload []byte) (text, name string, err error) {
	n := len(payload) - windowSuffixBytes
	if n < 0 {
		return "", "", errNotRegistered
	}
	start := int64(binary.BigEndian.Uint64(payload[n:]))
	if text, name, err = p.decode(true, payload[:n]); err == nil {
		return fmt.Sprintf("[%s@%d]", text, start), name, nil
	}
	if n -= windowSuffixBytes; n < 0 {
		return "", "", errNotRegistered
	}
	end := int64(binary.BigEndian.Uint64(payload[n:]))
	text, name, err = p.decode(true, payload[:n])
	return fmt.Sprintf("[%s@%d/%d]", text, start, end), name, err
}

// decode reads a payload by the schema whose id it begins with.
func (p *payloadPrinter) decode(key bool, payload []byte) (text, name string, err error) {
	id, ok := format.SchemaIDOf(payload)
	if !ok {
		return "", "", errNotRegistered
	}
	side := printSide{key, id}
	d := p.decoders[side]
	if d == nil {
		if len(p.decoders) >= maxPrintDecoders {
			clear(p.decoders)
		}
		d = p.decoder(side)
		p.decoders[side] = d
	}
	if d.err != nil {
		return "", "", d.err
	}
	values, err := d.row.Decode(payload)
	if err != nil {
		return "", "", err
	}
	return string(d.text(values)), d.name, nil
}

func (p *payloadPrinter) decoder(s printSide) *printDecoder {
	schema, err := p.schemas.ByID(s.id)
	if err != nil {
		return &printDecoder{err: err}
	}
	d := &printDecoder{name: registryFormats[schema.Type]}
	side := format.Side{Topic: p.topic, Key: s.key, Schemas: p.schemas}
	f := plan.Format{Name: d.name, SchemaID: s.id}
	if d.inferred, d.err = format.InferColumns(f, side, schema); d.err != nil {
		f.Unwrapped = true // the schema is no record
		if d.inferred, d.err = format.InferColumns(f, side, schema); d.err != nil {
			return d
		}
	}
	d.row, d.err = format.NewRow(f, d.inferred.Columns, side)
	return d
}

// text renders a row as a JSON object, or the one value of a schema that is no
// record.
func (d *printDecoder) text(values []types.Value) []byte {
	if d.inferred.Unwrapped {
		return AppendJSON(nil, values[0], d.inferred.Columns[0].Type)
	}
	b := []byte{'{'}
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		c := d.inferred.Columns[i]
		b = AppendJSON(b, types.NewString(c.Name), types.String)
		b = AppendJSON(append(b, ": "...), v, c.Type)
	}
	return append(b, '}')
}
