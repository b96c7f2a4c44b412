package format

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// The dialects of protobuf: with a registry, and without one, where payloads are
// bare messages of the schema that the columns make.
//
// Gaps: groups are passed over; extensions are not read; a leaf message (a
// wrapper, Decimal, Date, TimeOfDay or Timestamp) that comes in several parts is
// its last part, where protobuf would merge them.
var (
	protobufDialect = &dialect{
		schemaType: registry.Protobuf,
		derive:     deriveProto, infer: inferProto, codec: newProtobuf,
		check: checkProto, incompatible: incompatibleProto,
	}
	protobufBareDialect = &dialect{derive: deriveProto, codec: newBareProtobuf}
)

// maxProtoPrograms is how many writers' schemas a codec keeps plans for. More
// than that at once are a sign of something wrong, and are planned anew.
const maxProtoPrograms = 64

// protoCodec reads and writes protobuf payloads.
//
// What a payload means depends on the schema and the message that stand in front
// of it. For each pair that the data brings, the columns are planned once.
type protoCodec struct {
	f       plan.Format
	cols    []types.Column
	side    Side
	bare    bool // neither schema id nor index path
	derived registry.Schema

	last     *protoProgram
	programs map[string]*protoProgram // by schema id and index path as they stand
	scratch  protoScratch

	id     writerID
	head   []byte // what a written payload begins with
	writer *protoWriter
}

// protoProgram is the plan for one writer's message.
type protoProgram struct {
	head   []byte // schema id and index path as they stand
	reader *protoReader
	err    error
}

func newProtobuf(f plan.Format, cols []types.Column, side Side) (Codec, error) {
	return newProtoCodec(f, cols, side, false)
}

func newBareProtobuf(f plan.Format, cols []types.Column, side Side) (Codec, error) {
	if f.SchemaID != 0 {
		return nil, fmt.Errorf("format %s takes no schema id", f.Name)
	}
	return newProtoCodec(f, cols, side, true)
}

func newProtoCodec(f plan.Format, cols []types.Column, side Side, bare bool) (Codec, error) {
	if f.Unwrapped {
		return nil, fmt.Errorf("format %s cannot hold a single column without a record around it", f.Name)
	}
	text, err := deriveProto(f, cols)
	if err != nil && f.SchemaID == 0 {
		return nil, err
	}
	c := &protoCodec{f: f, cols: cols, side: side, bare: bare, programs: map[string]*protoProgram{}}
	c.derived = registry.Schema{Type: registry.Protobuf, Text: text}
	c.scratch.seen = make([]bool, len(cols))
	c.id.find = c.findID
	return c, nil
}

func (c *protoCodec) findID() (int32, error) {
	if c.f.SchemaID != 0 {
		return c.f.SchemaID, nil
	}
	return c.side.Schemas.ID(c.side.Subject(), c.derived)
}

// Decode reads one message.
func (c *protoCodec) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	p := c.last
	if p == nil || !bytes.HasPrefix(payload, p.head) {
		var err error
		if p, err = c.program(payload); err != nil {
			return err
		}
		c.last = p
	}
	if p.err != nil {
		return p.err
	}
	for k := 0; p.reader.bad && k < len(cols); k++ {
		if err := p.reader.targets[k].err; err != nil && cols[k] != nil {
			return within("$."+c.cols[k].Name, err)
		}
	}
	if err := p.reader.record(&c.scratch, cols, i, payload[len(p.head):]); err != nil {
		return within("$", err)
	}
	return nil
}

// program finds the plan for a payload, or makes it.
func (c *protoCodec) program(payload []byte) (*protoProgram, error) {
	if c.bare {
		file, err := compileProto(c.derived, nil)
		if err != nil {
			return nil, err
		}
		return &protoProgram{reader: c.plan(file.Messages().Get(0))}, nil
	}
	id, rest, err := openEnvelope(payload)
	if err != nil {
		return nil, err
	}
	path, n, err := takeIndexes(rest)
	if err != nil {
		return nil, err
	}
	head := payload[:envelopeLen+n]
	if p := c.programs[string(head)]; p != nil {
		return p, nil
	}
	s, err := c.side.Schemas.ByID(id)
	if err != nil {
		return nil, err
	}
	p := &protoProgram{head: bytes.Clone(head)}
	if m, err := c.message(s, path); err != nil {
		p.err = fmt.Errorf("schema %d: %w", id, err)
	} else {
		p.reader = c.plan(m)
	}
	if len(c.programs) >= maxProtoPrograms {
		clear(c.programs)
	}
	c.programs[string(head)] = p
	return p, nil
}

func (c *protoCodec) message(s registry.Schema, path []int) (protoreflect.MessageDescriptor, error) {
	if s.Type != registry.Protobuf {
		return nil, fmt.Errorf("it is %s, which format %s does not read", s.Type, c.f.Name)
	}
	file, err := compileProto(s, c.side.Schemas)
	if err != nil {
		return nil, err
	}
	return messageAt(file, path)
}

func (c *protoCodec) plan(m protoreflect.MessageDescriptor) *protoReader {
	p := protoPlanner{protoShapes{}}
	return p.reader(m, c.fields())
}

func (c *protoCodec) fields() []types.Field {
	fields := make([]types.Field, len(c.cols))
	for i, col := range c.cols {
		fields[i] = types.Field(col)
	}
	return fields
}

// Append writes one message.
func (c *protoCodec) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	if len(cols) == 0 {
		return dst, true, nil
	}
	if c.writer == nil {
		if err := c.openWriter(); err != nil {
			return dst, false, err
		}
	}
	out, err := c.writer.record(append(dst, c.head...), cols, i)
	if err != nil {
		return dst, false, err
	}
	return out, false, nil
}

// openWriter plans the writing by the derived schema, or by the one whose id
// the statement gave.
func (c *protoCodec) openWriter() error {
	s, name := c.derived, ""
	if c.f.SchemaID != 0 {
		var err error
		if s, err = c.side.Schemas.ByID(c.f.SchemaID); err != nil {
			return err
		}
		name = c.f.SchemaName
	}
	file, err := compileProto(s, c.side.Schemas)
	if err != nil {
		return err
	}
	m, path, err := findMessage(file, name)
	if err != nil {
		return err
	}
	w, err := newProtoWriter(m, c.fields())
	if err != nil {
		return err
	}
	if !c.bare {
		id, err := c.id.get()
		if err != nil {
			return err
		}
		c.head = appendIndexes(appendEnvelope(nil, id), path)
	}
	c.writer = w
	return nil
}

// checkProto compiles a schema.
func checkProto(s registry.Schema, all registry.Resolver) error {
	_, err := compileProto(s, all)
	return err
}
