package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// delimited reads and writes one CSV record per payload: RFC 4180 with a chosen
// delimiter, minimal quoting, the empty field for NULL. Dates and times are
// numbers.
type delimited struct {
	cols   []types.Column
	comma  byte
	buf    []byte   // unquoted text of the present record
	fields [][]byte // of the present record
}

func newDelimited(cols []types.Column, delimiter string) (*delimited, error) {
	d := &delimited{cols: cols}
	switch {
	case delimiter == "":
		d.comma = ','
	case strings.EqualFold(delimiter, "TAB"):
		d.comma = '\t'
	case strings.EqualFold(delimiter, "SPACE"):
		d.comma = ' '
	case len(delimiter) == 1 && delimiter[0] < utf8.RuneSelf && !strings.ContainsAny(delimiter, "\"\r\n"):
		d.comma = delimiter[0]
	default:
		return nil, fmt.Errorf("delimiter %q is not one ASCII character other than a quote or line end, TAB or SPACE", delimiter)
	}
	for _, c := range cols {
		switch c.Type.Kind {
		case types.KindArray, types.KindMap, types.KindStruct:
			return nil, fmt.Errorf("format DELIMITED cannot hold column %s of type %s", c.Name, c.Type)
		}
	}
	return d, nil
}

// Decode reads the first record of the payload; the count of fields must be
// that of the columns.
func (d *delimited) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	if len(payload) == 0 {
		return errors.New("no fields in an empty payload")
	}
	if !utf8.Valid(payload) {
		return errors.New("payload is not valid UTF-8")
	}
	if err := d.split(payload); err != nil {
		return err
	}
	if len(d.fields) != len(d.cols) {
		return fmt.Errorf("unexpected field count: %d columns, %d fields", len(d.cols), len(d.fields))
	}
	for k, v := range cols {
		if v == nil {
			continue
		}
		if len(d.fields[k]) == 0 {
			v.SetNull(i)
			continue
		}
		if err := setText(v, i, d.fields[k]); err != nil {
			return within(d.cols[k].Name, err)
		}
	}
	return nil
}

// split cuts one record into fields: views of the payload, or of buf where a
// field was quoted.
func (d *delimited) split(b []byte) error {
	d.fields = d.fields[:0]
	if cap(d.buf) < len(b) {
		d.buf = make([]byte, 0, 2*len(b))
	}
	d.buf = d.buf[:0] // never grows below: unquoting only shortens
	for {
		var field []byte
		if len(b) > 0 && b[0] == '"' {
			var err error
			if field, b, err = d.quoted(b[1:]); err != nil {
				return err
			}
		} else {
			n := 0
			for n < len(b) && b[n] != d.comma && b[n] != '\n' && b[n] != '\r' {
				n++
			}
			field, b = b[:n:n], b[n:]
		}
		d.fields = append(d.fields, field)
		if len(b) == 0 || b[0] == '\n' || b[0] == '\r' {
			return nil
		}
		b = b[1:]
	}
}

// quoted reads a quoted field behind its quote, up to the delimiter or end.
func (d *delimited) quoted(b []byte) (field, rest []byte, err error) {
	mark := len(d.buf)
	for {
		n := bytes.IndexByte(b, '"')
		if n < 0 {
			return nil, nil, errors.New("quoted field is not closed")
		}
		d.buf = append(d.buf, b[:n]...)
		b = b[n+1:]
		if len(b) > 0 && b[0] == '"' {
			d.buf = append(d.buf, '"')
			b = b[1:]
			continue
		}
		if len(b) > 0 && b[0] != d.comma && b[0] != '\n' && b[0] != '\r' {
			return nil, nil, fmt.Errorf("unexpected %q behind a quoted field", b[0])
		}
		return d.buf[mark:len(d.buf):len(d.buf)], b, nil
	}
}

// setText reads a field's text by the vector's type.
func setText(v *batch.Vector, i int32, text []byte) error {
	t := v.Type
	switch t.Kind {
	case types.KindString:
		setView(v, i, text)
		return nil
	case types.KindBytes:
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return fmt.Errorf("not base64: %q", clip(string(text)))
		}
		v.SetValid(i)
		v.SetBytes(i, raw)
		return nil
	}
	text = bytes.TrimSpace(text)
	switch t.Kind {
	case types.KindBoolean:
		v.SetValid(i)
		v.Bits.Put(i, strings.EqualFold(string(text), "true"))
	case types.KindDouble:
		f, err := parseDouble(string(text))
		if err != nil {
			return err
		}
		v.SetValid(i)
		v.F64[i] = f
	case types.KindDecimal:
		return setDecimal(v, i, text)
	default:
		bits := 32
		if t.Kind == types.KindBigint || t.Kind == types.KindTimestamp {
			bits = 64
		}
		n, err := parseInteger(string(text), bits)
		if err != nil {
			return err
		}
		v.SetValid(i)
		v.I64[i] = n
	}
	return nil
}

var minus = []byte("-")

// Append writes one record without a line end.
func (d *delimited) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	if len(cols) == 0 || len(cols) == 1 && cols[0].IsNull(i) {
		return dst, true, nil
	}
	out := dst
	for k, v := range cols {
		if k > 0 {
			out = append(out, d.comma)
		}
		if v.IsNull(i) {
			continue
		}
		field, isText := len(out), false
		switch v.Rep {
		case batch.RepInt64:
			out = strconv.AppendInt(out, v.I64[i], 10)
		case batch.RepFloat64:
			out = types.AppendDouble(out, v.F64[i])
		case batch.RepBool:
			out = strconv.AppendBool(out, v.Bits.Get(i))
		case batch.RepDecimal:
			out = v.Dec[i].AppendDecimal(out, int(v.Type.Scale))
		case batch.RepBytes:
			if v.Type.Kind == types.KindBytes {
				out = base64.StdEncoding.AppendEncode(out, v.Bytes(i))
			} else {
				out, isText = d.appendField(out, v.Bytes(i), k == 0), true
			}
		default:
			var err error
			if out, err = appendDecimal(out, v.Boxed[i].Decimal(), v.Type); err != nil {
				return dst, false, within(d.cols[k].Name, err)
			}
		}
		// A negative number in front, or a delimiter that numbers may hold.
		if !isText && (k == 0 && bytes.HasPrefix(out[field:], minus) || bytes.IndexByte(out[field:], d.comma) >= 0) {
			number := string(out[field:])
			out = append(append(append(out[:field], '"'), number...), '"')
		}
	}
	return out, false, nil
}

// appendField quotes a text as Apache Commons CSV's minimal mode does: when it
// holds a delimiter, quote or line end, when its first character sorts up to
// '#', and when its last one is white space. The first field of a record is
// also quoted unless it starts with a letter or digit.
func (d *delimited) appendField(dst, text []byte, first bool) []byte {
	if !d.needsQuotes(text, first) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func (d *delimited) needsQuotes(text []byte, first bool) bool {
	if len(text) == 0 {
		return first
	}
	c := text[0]
	alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	if first && !alnum || c <= '#' || text[len(text)-1] <= ' ' {
		return true
	}
	return bytes.IndexByte(text, d.comma) >= 0 || bytes.ContainsAny(text, "\"\r\n")
}
