package format

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

var avroDialect = &dialect{
	schemaType: registry.Avro, derive: deriveAvro, infer: inferAvro, codec: newAvro,
	check: func(s registry.Schema, all registry.Resolver) error {
		_, err := parseAvro(s, all)
		return err
	},
	incompatible: incompatibleAvro,
}

// maxAvroPrograms is how many writers' schemas a codec keeps compiled. When more
// are met it starts again.
const maxAvroPrograms = 64

// avroCodec reads and writes Avro binary behind a schema id. A payload is read by
// the schema that it was written with, compiled into a reader of the wanted
// columns when its id is first met.
type avroCodec struct {
	row       types.Type // the columns as a STRUCT, or the type of the unwrapped one
	unwrapped bool
	schemas   Schemas
	programs  map[int32]avroProgram
	last      avroProgram
	lastID    int32 // 0 before the first payload
	read      avroReader

	writer writerID
	// write is nil until the first payload when the schema is a physical one.
	write    *avroWriter
	physical int32
}

// avroProgram is the compiled reader of one schema.
type avroProgram struct {
	node *avroNode
	w    *avroType
}

func newAvro(f plan.Format, cols []types.Column, side Side) (Codec, error) {
	c := &avroCodec{schemas: side.Schemas, programs: map[int32]avroProgram{}, unwrapped: f.Unwrapped && len(cols) == 1}
	fields := make([]types.Field, len(cols))
	for i, col := range cols {
		fields[i] = types.Field(col)
	}
	c.row = types.Struct(fields...)
	if c.unwrapped {
		c.row = cols[0].Type
	}
	if c.physical = f.SchemaID; c.physical != 0 {
		c.writer.id = f.SchemaID
		return c, nil
	}
	derived, err := deriveAvro(f, cols)
	if err != nil {
		return nil, err
	}
	s := registry.Schema{Type: registry.Avro, Text: derived}
	c.writer.find = func() (int32, error) { return side.Schemas.ID(side.Subject(), s) }
	return c, c.compileWrite(s)
}

// compileWrite compiles the writer of a schema.
func (c *avroCodec) compileWrite(s registry.Schema) error {
	w, err := parseAvro(s, c.schemas)
	if err != nil {
		return err
	}
	write, err := compileAvroWriter(w, c.row)
	if err != nil {
		return within("$", err)
	}
	c.write = write
	return nil
}

// Decode reads one whole payload.
func (c *avroCodec) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	id, _, err := openEnvelope(payload)
	if err != nil {
		return err
	}
	if id != c.lastID || c.lastID == 0 {
		if c.last, err = c.program(id); err != nil {
			c.lastID = 0
			return err
		}
		c.lastID = id
	}
	p, r := &c.last, &c.read
	r.reset(payload, envelopeLen)
	switch {
	case !c.unwrapped:
		err = r.root(p.node, cols, i)
	case cols[0] == nil:
		err = r.skip(p.w, 0)
	default:
		err = r.column(p.node, cols[0], i)
	}
	if err != nil {
		return within("$", err)
	}
	if r.at != len(payload) {
		return fmt.Errorf("%d bytes behind the Avro value of schema %d", len(payload)-r.at, id)
	}
	return nil
}

// program returns the compiled reader of a schema. Errors are not kept: another
// try may find the registry in reach.
func (c *avroCodec) program(id int32) (avroProgram, error) {
	if p, ok := c.programs[id]; ok {
		return p, nil
	}
	s, err := c.schemas.ByID(id)
	if err != nil {
		return avroProgram{}, fmt.Errorf("schema %d: %w", id, err)
	}
	w, err := parseAvro(s, c.schemas)
	if err != nil {
		return avroProgram{}, fmt.Errorf("schema %d: %w", id, err)
	}
	p := avroProgram{compileAvro(w, c.row), w}
	if len(c.programs) >= maxAvroPrograms {
		clear(c.programs)
	}
	c.programs[id] = p
	return p, nil
}

// Append writes a record of all columns, or the bare value.
func (c *avroCodec) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	if len(cols) == 0 || c.unwrapped && cols[0].IsNull(i) {
		return dst, true, nil
	}
	if c.write == nil {
		if err := c.compilePhysical(); err != nil {
			return dst, false, err
		}
	}
	id, err := c.writer.get()
	if err != nil {
		return dst, false, err
	}
	out := appendEnvelope(dst, id)
	if c.unwrapped {
		out, err = c.write.appendColumn(append(out, c.write.branch...), cols[0], i)
	} else {
		out, err = c.write.appendRow(out, cols, i)
	}
	if err != nil {
		return dst, false, within("$", err)
	}
	return out, false, nil
}

// compilePhysical compiles the writer of the schema that the statement names.
func (c *avroCodec) compilePhysical() error {
	if c.schemas == nil {
		return errors.New("format AVRO needs a schema registry")
	}
	s, err := c.schemas.ByID(c.physical)
	if err == nil {
		err = c.compileWrite(s)
	}
	if err != nil {
		return fmt.Errorf("schema %d: %w", c.physical, err)
	}
	return nil
}
