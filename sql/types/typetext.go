package types

import (
	"fmt"
	"strconv"
	"strings"
)

// maxTypeDepth bounds the nesting of a type's text.
const maxTypeDepth = 500

// MarshalText returns the SQL text of the type, which UnmarshalText reads.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads SQL text as String prints it.
func (t *Type) UnmarshalText(text []byte) error {
	parsed, err := ParseType(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

var kindByName = map[string]Type{
	"NULL": Null, "BOOLEAN": Boolean, "INTEGER": Integer, "INT": Integer, "BIGINT": Bigint, "DOUBLE": Double, "STRING": String,
	"VARCHAR": String, "BYTES": Bytes, "TIME": Time, "DATE": Date, "TIMESTAMP": Timestamp,
}

// ParseType reads a type from its SQL text. Names have any case; field names
// without back-quotes count in upper case. The text NULL is the zero Type.
func ParseType(text string) (Type, error) {
	p := &typeParser{rest: text}
	t, err := p.parse(0)
	if err == nil && p.skip() != "" {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	if err != nil {
		return Null, fmt.Errorf("type %q: %w", text, err)
	}
	return t, nil
}

type typeParser struct{ rest string }

func (p *typeParser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

func (p *typeParser) accept(s string) bool {
	rest, ok := strings.CutPrefix(p.skip(), s)
	p.rest = rest
	return ok
}

func (p *typeParser) expect(s string) error {
	if !p.accept(s) {
		return fmt.Errorf("expected %s at %q", s, p.rest)
	}
	return nil
}

// word reads letters, digits and _.
func (p *typeParser) word() string {
	s := p.skip()
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	p.rest = s[n:]
	return strings.ToUpper(s[:n])
}

func (p *typeParser) parse(depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Null, fmt.Errorf("nesting is deeper than %d", maxTypeDepth)
	}
	switch name := p.word(); name {
	case "DECIMAL":
		return p.decimal()
	case "ARRAY":
		elems, err := p.elems(depth, 1)
		if err != nil {
			return Null, err
		}
		return Array(elems[0]), nil
	case "MAP":
		elems, err := p.elems(depth, 2)
		if err != nil {
			return Null, err
		}
		return Map(elems[0], elems[1]), nil
	case "STRUCT":
		return p.structure(depth)
	default:
		t, ok := kindByName[name]
		if !ok {
			return Null, fmt.Errorf("unknown type %q", name)
		}
		return t, nil
	}
}

func (p *typeParser) elems(depth, n int) ([]Type, error) {
	if err := p.expect("<"); err != nil {
		return nil, err
	}
	list := make([]Type, n)
	for i := range list {
		if i > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		var err error
		if list[i], err = p.parse(depth + 1); err != nil {
			return nil, err
		}
	}
	return list, p.expect(">")
}

func (p *typeParser) structure(depth int) (Type, error) {
	if err := p.expect("<"); err != nil {
		return Null, err
	}
	t := Struct()
	for !p.accept(">") {
		if len(t.Fields) > 0 {
			if err := p.expect(","); err != nil {
				return Null, err
			}
		}
		name, err := p.fieldName()
		if err != nil {
			return Null, err
		}
		typ, err := p.parse(depth + 1)
		if err != nil {
			return Null, err
		}
		t.Fields = append(t.Fields, Field{name, typ})
	}
	return t, nil
}

func (p *typeParser) fieldName() (string, error) {
	if !p.accept("`") {
		name := p.word()
		if name == "" {
			return "", fmt.Errorf("expected a field name at %q", p.rest)
		}
		return name, nil
	}
	var b strings.Builder
	for {
		part, rest, ok := strings.Cut(p.rest, "`")
		if !ok {
			return "", fmt.Errorf("unterminated field name")
		}
		b.WriteString(part)
		p.rest = rest
		if !strings.HasPrefix(rest, "`") {
			return b.String(), nil
		}
		b.WriteByte('`')
		p.rest = rest[1:]
	}
}

func (p *typeParser) decimal() (Type, error) {
	var args [2]int32
	for i, open := range [2]string{"(", ","} {
		if err := p.expect(open); err != nil {
			return Null, err
		}
		n, err := strconv.ParseInt(p.word(), 10, 32)
		if err != nil {
			return Null, fmt.Errorf("expected a number at %q", p.rest)
		}
		args[i] = int32(n)
	}
	t := Decimal(args[0], args[1])
	if err := CheckDecimal(t); err != nil {
		return Null, err
	}
	return t, p.expect(")")
}
