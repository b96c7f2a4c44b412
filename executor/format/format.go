package format

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// MaxNesting is how deep arrays and objects of a payload may nest.
const MaxNesting = 200

// Codec decodes and encodes one side of records. Columns are numbered as in the
// declaration of that side.
type Codec interface {
	// Decode sets row i of every column that is not nil from a payload that is
	// not null. Payloads inside the vectors' Data become views. On an error the
	// row's values are undefined; the row may be decoded into again.
	Decode(cols []*batch.Vector, i int32, payload []byte) error
	// Append appends the payload of row i to dst. null says that the payload is
	// null and dst as it was.
	Append(dst []byte, cols []*batch.Vector, i int32) (out []byte, null bool, err error)
}

// New returns the codec of a topic's key or value. side matters to formats with
// schemas only.
func New(f plan.Format, cols []types.Column, side Side) (Codec, error) {
	if d := dialects[strings.ToUpper(f.Name)]; d != nil {
		if d.schemaType != "" && side.Schemas == nil {
			return nil, fmt.Errorf("format %s needs a schema registry", f.Name)
		}
		return d.codec(f, cols, side)
	}
	switch strings.ToUpper(f.Name) {
	case "JSON":
		return newJSON(cols, f.Unwrapped), nil
	case "DELIMITED":
		return newDelimited(cols, f.Delimiter)
	case "KAFKA":
		return newKafka(cols)
	case "NONE":
		if len(cols) != 0 {
			return nil, fmt.Errorf("format NONE takes no columns, got %d", len(cols))
		}
		return none{}, nil
	case "BINARY":
		return NewBinary(cols), nil
	}
	return nil, fmt.Errorf("format %s is not supported", f.Name)
}

// none is the format of sides without columns.
type none struct{}

func (none) Decode([]*batch.Vector, int32, []byte) error { return nil }

func (none) Append(dst []byte, _ []*batch.Vector, _ int32) ([]byte, bool, error) {
	return dst, true, nil
}

// Row is a Codec for rows of values: INSERT VALUES, tools and tests. It belongs
// to one goroutine.
type Row struct {
	codec Codec
	cols  []types.Column
	vecs  []*batch.Vector
}

// NewRow returns the row-wise form of New.
func NewRow(f plan.Format, cols []types.Column, side Side) (*Row, error) {
	c, err := New(f, cols, side)
	if err != nil {
		return nil, err
	}
	r := &Row{codec: c, cols: cols}
	for _, col := range cols {
		r.vecs = append(r.vecs, batch.NewVector(col.Type, 1))
	}
	return r, nil
}

// Encode returns the payload of a row, nil for a null one. Values must be of
// the columns' types or NULL.
func (r *Row) Encode(values []types.Value) ([]byte, error) {
	if len(values) != len(r.cols) {
		return nil, fmt.Errorf("%d values for %d columns", len(values), len(r.cols))
	}
	for i, v := range values {
		r.vecs[i].Reset(r.cols[i].Type, 1)
		if !r.vecs[i].Set(0, v) {
			return nil, fmt.Errorf("column %s: value does not fit %s", r.cols[i].Name, r.cols[i].Type)
		}
	}
	out, null, err := r.codec.Append([]byte{}, r.vecs, 0)
	if err != nil || null {
		return nil, err
	}
	return out, nil
}

// Decode returns the row of a payload that is not null.
func (r *Row) Decode(payload []byte) ([]types.Value, error) {
	for i, c := range r.cols {
		r.vecs[i].Reset(c.Type, 1)
		r.vecs[i].Data = payload
	}
	if err := r.codec.Decode(r.vecs, 0, payload); err != nil {
		return nil, err
	}
	values := make([]types.Value, len(r.cols))
	for i, v := range r.vecs {
		values[i] = v.Value(0)
	}
	return values, nil
}

// offsetIn returns where piece starts in v's data, false when it is elsewhere
// (then its bytes must be copied).
func offsetIn(data, piece []byte) (uint32, bool) {
	if len(piece) == 0 {
		return 0, true
	}
	d := uintptr(unsafe.Pointer(unsafe.SliceData(piece))) - uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	return uint32(d), d < uintptr(len(data))
}

// setView makes value i a view of piece, or a copy when piece is not in Data.
func setView(v *batch.Vector, i int32, piece []byte) {
	v.SetValid(i)
	if off, ok := offsetIn(v.Data, piece); ok {
		v.Str[i] = batch.View{Off: off, Len: uint32(len(piece))}
		return
	}
	v.SetBytes(i, piece)
}
