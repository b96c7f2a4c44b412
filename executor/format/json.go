package format

import (
	"bytes"
	"strings"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// jsonCodec reads and writes JSON payloads: an object with a field per column,
// or a bare value when the single column is unwrapped.
//
// Field names are guessed from the record before: records of one topic have
// their fields in the same order nearly always, and a comparison of a few bytes
// is cheaper than a lookup.
type jsonCodec struct {
	cols      []types.Column
	unwrapped bool
	prefixes  [][]byte // `{"A":`, `,"B":`
	// exact finds a column by its name, upper by the name in upper case.
	exact map[string]int
	// guesses are the field names of the last record, in order.
	guesses []guess
	// seen tells per column whether this record had its field.
	seen []match
	scan scanner
}

// guess is a field name as it stands in a payload, quotes and colon included,
// with the column that it means (-1 for none).
type guess struct {
	text []byte
	col  int
	how  match
}

// match says how a field found its column.
type match uint8

const (
	unseen match = iota
	folded       // by its name in upper case
	exact
)

// Limits of what is remembered about field names.
const (
	maxGuesses    = 256
	maxGuessBytes = 128
)

func newJSON(cols []types.Column, unwrapped bool) *jsonCodec {
	c := &jsonCodec{
		cols: cols, unwrapped: unwrapped && len(cols) == 1,
		exact: make(map[string]int, len(cols)), seen: make([]match, len(cols)),
	}
	for i, col := range cols {
		c.exact[col.Name] = i
		lead := byte(',')
		if i == 0 {
			lead = '{'
		}
		c.prefixes = append(c.prefixes, append(appendJSONString([]byte{lead}, []byte(col.Name)), ':'))
	}
	return c
}

// Decode reads one whole JSON value.
func (c *jsonCodec) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	s := &c.scan
	if err := s.reset(payload); err != nil {
		return err
	}
	s.space()
	if c.unwrapped {
		if err := s.column(cols[0], i, c.cols[0].Type); err != nil {
			return within("$", err)
		}
		return s.end()
	}
	if s.null() {
		for _, v := range cols {
			if v != nil {
				v.SetNull(i)
			}
		}
		return s.end()
	}
	if err := c.object(cols, i); err != nil {
		return err
	}
	for k, v := range cols {
		if c.seen[k] == unseen && v != nil {
			v.SetNull(i)
		}
	}
	return s.end()
}

// object reads the fields of the record.
func (c *jsonCodec) object(cols []*batch.Vector, i int32) error {
	s := &c.scan
	clear(c.seen)
	if !s.take('{') {
		return s.unexpected("an object")
	}
	s.space()
	if s.take('}') {
		return nil
	}
	for n := 0; ; n++ {
		s.space()
		col, how, err := c.field(n)
		if err != nil {
			return err
		}
		s.space()
		if col >= 0 && how < c.seen[col] {
			col = -1 // an exact name was seen
		}
		if col < 0 {
			if err := s.skip(0); err != nil {
				return err
			}
		} else {
			c.seen[col] = how
			if cols[col] == nil {
				err = s.skip(0)
			} else {
				err = s.column(cols[col], i, c.cols[col].Type)
			}
			if err != nil {
				return within("$."+c.cols[col].Name, err)
			}
		}
		s.space()
		switch {
		case s.take(','):
		case s.take('}'):
			return nil
		default:
			return s.unexpected("',' or '}'")
		}
	}
}

// field reads the n-th field name and its colon and finds its column.
func (c *jsonCodec) field(n int) (col int, how match, err error) {
	s := &c.scan
	if n < len(c.guesses) {
		g := &c.guesses[n]
		if bytes.HasPrefix(s.b[s.at:], g.text) {
			s.at += len(g.text)
			return g.col, g.how, nil
		}
	}
	from := s.at
	name, err := s.str()
	if err != nil {
		return 0, 0, err
	}
	if i, ok := c.exact[string(name)]; ok {
		col, how = i, exact
	} else if i, ok := c.exact[strings.ToUpper(string(name))]; ok {
		col, how = i, folded
	} else {
		col, how = -1, exact
	}
	s.space()
	if !s.take(':') {
		return 0, 0, s.unexpected("':'")
	}
	c.remember(n, s.b[from:s.at], col, how)
	return col, how, nil
}

func (c *jsonCodec) remember(n int, text []byte, col int, how match) {
	if n >= maxGuesses || len(text) > maxGuessBytes || n > len(c.guesses) {
		return
	}
	if n == len(c.guesses) {
		c.guesses = append(c.guesses, guess{})
	}
	g := &c.guesses[n]
	g.text, g.col, g.how = append(g.text[:0], text...), col, how
}

// Append writes a record of all columns, or the bare value.
func (c *jsonCodec) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	if c.unwrapped {
		if cols[0].IsNull(i) {
			return dst, true, nil
		}
		out, err := appendJSONColumn(dst, cols[0], i)
		return out, false, err
	}
	if len(cols) == 0 {
		return dst, true, nil
	}
	out := dst
	var err error
	for k, v := range cols {
		out = append(out, c.prefixes[k]...)
		if v.IsNull(i) {
			out = append(out, "null"...)
			continue
		}
		if out, err = appendJSONColumn(out, v, i); err != nil {
			return dst, false, within(c.cols[k].Name, err)
		}
	}
	return append(out, '}'), false, nil
}
