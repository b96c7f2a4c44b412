package format

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// column reads a value into a vector, coercing it as serde.md section 2.1 says.
func (s *scanner) column(v *batch.Vector, i int32, t types.Type) error {
	c := s.peek()
	if c == 'n' && s.null() {
		v.SetNull(i)
		return nil
	}
	switch v.Rep {
	case batch.RepBytes:
		if t.Kind == types.KindString && c == '"' {
			text, err := s.str()
			if err != nil {
				return err
			}
			setView(v, i, text)
			if !s.clean {
				v.Clean = false
			}
			return nil
		}
	case batch.RepInt64:
		if n, ok := s.smallInt(t); ok {
			v.SetValid(i)
			v.I64[i] = n
			return nil
		}
	case batch.RepFloat64:
		if c != '"' {
			text, _, err := s.number()
			if err != nil {
				return err
			}
			f, err := strconv.ParseFloat(string(text), 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return err
			}
			v.SetValid(i)
			v.F64[i] = f
			return nil
		}
	case batch.RepDecimal:
		text, err := s.numeric(t)
		if err != nil {
			return err
		}
		return setDecimal(v, i, text)
	}
	x, err := s.value(t, 0)
	if err != nil {
		return err
	}
	v.Clean = false
	if !v.Set(i, x) {
		return fmt.Errorf("value does not fit %s", t)
	}
	return nil
}

// smallInt reads a whole number of at most 18 digits that fits t; otherwise it
// reads nothing and the general way decides.
func (s *scanner) smallInt(t types.Type) (int64, bool) {
	b, at := s.b, s.at
	neg := at < len(b) && b[at] == '-'
	if neg {
		at++
	}
	from, n := at, int64(0)
	for at < len(b) && b[at]-'0' <= 9 {
		n = n*10 + int64(b[at]-'0')
		at++
		if at-from > 18 {
			return 0, false
		}
	}
	if at == from || b[from] == '0' && at-from > 1 {
		return 0, false
	}
	if at < len(b) && (b[at] == '.' || b[at]|0x20 == 'e') {
		return 0, false
	}
	if neg {
		n = -n
	}
	if t.Kind != types.KindBigint && t.Kind != types.KindTimestamp && int64(int32(n)) != n {
		return 0, false
	}
	s.at = at
	return n, true
}

// numeric reads the text of a number or of a string that should hold one.
func (s *scanner) numeric(t types.Type) ([]byte, error) {
	if s.peek() == '"' {
		return s.str()
	}
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return nil, s.mismatch(t)
	}
	text, _, err := s.number()
	return text, err
}

// mismatch names the JSON type found where a value of type t should be.
func (s *scanner) mismatch(t types.Type) error {
	var found string
	switch c := s.peek(); {
	case c == '{':
		found = "an object"
	case c == '[':
		found = "an array"
	case c == '"':
		found = "a string"
	case c == 't' || c == 'f':
		found = "a boolean"
	case c == '-' || c >= '0' && c <= '9':
		found = "a number"
	default:
		return s.unexpected("a value")
	}
	return fmt.Errorf("cannot read %s as %s", found, t)
}

// value reads a value of type t that is not held in a typed vector.
func (s *scanner) value(t types.Type, depth int) (types.Value, error) {
	if depth > MaxNesting {
		return types.NullValue, fmt.Errorf("JSON nests deeper than %d", MaxNesting)
	}
	if s.null() {
		return types.NullValue, nil
	}
	switch t.Kind {
	case types.KindBoolean:
		if s.word("true") {
			return types.NewBoolean(true), nil
		}
		if s.word("false") {
			return types.NewBoolean(false), nil
		}
		return types.NullValue, s.mismatch(t)
	case types.KindInteger, types.KindTime, types.KindDate, types.KindBigint, types.KindTimestamp:
		return s.integer(t)
	case types.KindDouble:
		text, err := s.numeric(t)
		if err != nil {
			return types.NullValue, err
		}
		f, err := parseDouble(string(text))
		return types.NewDouble(f), err
	case types.KindDecimal:
		text, err := s.numeric(t)
		if err != nil {
			return types.NullValue, err
		}
		d, err := parseDecimal(string(text), t)
		if err != nil {
			return types.NullValue, err
		}
		return types.NewDecimal(d), nil
	case types.KindString:
		text, err := s.text(depth)
		return types.NewString(text), err
	case types.KindBytes:
		if s.peek() != '"' {
			return types.NullValue, s.mismatch(t)
		}
		text, err := s.str()
		if err != nil {
			return types.NullValue, err
		}
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return types.NullValue, fmt.Errorf("not base64: %q", clip(string(text)))
		}
		return types.NewBytes(raw), nil
	case types.KindArray:
		return s.array(t, depth)
	case types.KindMap:
		return s.object(t, depth)
	case types.KindStruct:
		return s.structure(t, depth)
	}
	return types.NullValue, fmt.Errorf("type %s has no JSON form", t)
}

func (s *scanner) integer(t types.Type) (types.Value, error) {
	bits := 32
	if t.Kind == types.KindBigint || t.Kind == types.KindTimestamp {
		bits = 64
	}
	quoted := s.peek() == '"'
	text, err := s.numeric(t)
	if err != nil {
		return types.NullValue, err
	}
	var n int64
	if quoted {
		n, err = parseInteger(string(text), bits)
	} else {
		n, err = truncateNumber(string(text), bits)
	}
	if err != nil {
		return types.NullValue, err
	}
	switch t.Kind {
	case types.KindInteger:
		return types.NewInteger(int32(n)), nil
	case types.KindTime:
		return types.NewTime(int32(n)), nil
	case types.KindDate:
		return types.NewDate(int32(n)), nil
	case types.KindTimestamp:
		return types.NewTimestamp(n), nil
	}
	return types.NewBigint(n), nil
}

// text reads any value as STRING: scalars as their text, an object as compact
// JSON, an array as [a, b].
func (s *scanner) text(depth int) (string, error) {
	switch s.peek() {
	case '"':
		b, err := s.str()
		return string(b), err
	case '{':
		return s.compact(depth)
	case '[':
		return s.arrayText(depth)
	}
	from := s.at
	if err := s.skip(depth); err != nil {
		return "", err
	}
	return string(s.b[from:s.at]), nil
}

// compact reads a nested value and returns it without white space.
func (s *scanner) compact(depth int) (string, error) {
	from := s.at
	if err := s.skip(depth); err != nil {
		return "", err
	}
	var out strings.Builder
	quoted := false
	for k := from; k < s.at; k++ {
		c := s.b[k]
		switch {
		case quoted && c == '\\':
			out.WriteByte(c)
			k++
			c = s.b[k]
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

func (s *scanner) arrayText(depth int) (string, error) {
	var out strings.Builder
	err := s.elements('[', depth, func() error {
		if out.Len() > 0 {
			out.WriteString(", ")
		} else {
			out.WriteByte('[')
		}
		if s.null() {
			out.WriteString("null")
			return nil
		}
		text, err := s.text(depth + 1)
		out.WriteString(text)
		return err
	})
	if out.Len() == 0 {
		out.WriteByte('[')
	}
	return out.String() + "]", err
}

// elements walks the elements of an array, calling each in front of every one.
func (s *scanner) elements(open byte, depth int, each func() error) error {
	if depth > MaxNesting {
		return fmt.Errorf("JSON nests deeper than %d", MaxNesting)
	}
	if !s.take(open) {
		return s.unexpected(fmt.Sprintf("'%c'", open))
	}
	closing := open + 2
	s.space()
	if s.take(closing) {
		return nil
	}
	for {
		s.space()
		if err := each(); err != nil {
			return err
		}
		s.space()
		if s.take(closing) {
			return nil
		}
		if !s.take(',') {
			return s.unexpected(fmt.Sprintf("',' or '%c'", closing))
		}
	}
}

func (s *scanner) array(t types.Type, depth int) (types.Value, error) {
	if s.peek() != '[' {
		return types.NullValue, s.mismatch(t)
	}
	elems := []types.Value{}
	err := s.elements('[', depth, func() error {
		v, err := s.value(*t.Elem, depth+1)
		if err != nil {
			return within("["+strconv.Itoa(len(elems))+"]", err)
		}
		elems = append(elems, v)
		return nil
	})
	return types.NewArray(elems), err
}

// name reads an object's field name and its colon.
func (s *scanner) name() (string, error) {
	b, err := s.str()
	if err != nil {
		return "", err
	}
	name := string(b)
	s.space()
	if !s.take(':') {
		return "", s.unexpected("':'")
	}
	s.space()
	return name, nil
}

func (s *scanner) object(t types.Type, depth int) (types.Value, error) {
	if s.peek() != '{' {
		return types.NullValue, s.mismatch(t)
	}
	m := new(types.MapValue)
	at := make(map[string]int)
	err := s.elements('{', depth, func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		v, err := s.value(*t.Elem, depth+1)
		if err != nil {
			return within("."+name, err)
		}
		if k, ok := at[name]; ok {
			m.Values[k] = v
			return nil
		}
		key, err := mapKey(name, *t.Key)
		if err != nil {
			return within("."+name, err)
		}
		at[name] = len(m.Keys)
		m.Keys, m.Values = append(m.Keys, key), append(m.Values, v)
		return nil
	})
	return types.NewMap(m), err
}

// mapKey turns a field name into a map key; JSON has STRING keys only.
func mapKey(name string, t types.Type) (types.Value, error) {
	if t.Kind != types.KindString {
		return types.NullValue, fmt.Errorf("JSON maps have STRING keys, not %s", t)
	}
	return types.NewString(name), nil
}

func (s *scanner) structure(t types.Type, depth int) (types.Value, error) {
	if s.peek() != '{' {
		return types.NullValue, s.mismatch(t)
	}
	fields := make([]types.Value, len(t.Fields))
	seen := make([]match, len(t.Fields))
	err := s.elements('{', depth, func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		k, how := t.Field(name), exact
		if k < 0 {
			k, how = t.Field(strings.ToUpper(name)), folded
		}
		if k < 0 || seen[k] > how {
			return s.skip(depth + 1)
		}
		seen[k] = how
		if fields[k], err = s.value(t.Fields[k].Type, depth+1); err != nil {
			return within("."+t.Fields[k].Name, err)
		}
		return nil
	})
	return types.NewStruct(fields), err
}
