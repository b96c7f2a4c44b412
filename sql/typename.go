package sql

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/sql/types"
)

// scalarTypes maps the names of types without parameters.
var scalarTypes = map[string]types.Type{
	"BOOLEAN": types.Boolean, "INT": types.Integer, "INTEGER": types.Integer, "BIGINT": types.Bigint, "DOUBLE": types.Double,
	"STRING": types.String, "VARCHAR": types.String, "BYTES": types.Bytes,
	"TIME": types.Time, "DATE": types.Date, "TIMESTAMP": types.Timestamp,
}

// TypeNames returns the names that types without parameters have, aliases
// included, in no order.
func TypeNames() []string {
	names := make([]string, 0, len(scalarTypes))
	for n := range scalarTypes {
		names = append(names, n)
	}
	return names
}

// Resolve turns the name into a type. custom looks a custom type up; it may be
// nil. Errors: CodeUnknownType, and CodeType for a DECIMAL out of range.
func (t TypeName) Resolve(custom func(name string) (types.Type, bool)) (types.Type, *Error) {
	if len(t.Elems) > 0 || t.Args != nil || t.Name.Name == "STRUCT" && !t.Name.Quoted {
		return t.resolveComposite(custom)
	}
	if typ, ok := scalarTypes[t.Name.Name]; ok {
		return typ, nil
	}
	if custom != nil {
		if typ, ok := custom(t.Name.Name); ok {
			return typ, nil
		}
	}
	err := &Error{Code: CodeUnknownType, Msg: fmt.Sprintf("type %s does not exist", t.Name.Name), Span: t.Span}
	names := TypeNames()
	slices.Sort(names)
	if s := Suggest(t.Name.Name, names); s != "" {
		err.Hint = "did you mean " + s + "?"
	}
	return types.Type{}, err
}

func (t TypeName) resolveComposite(custom func(name string) (types.Type, bool)) (types.Type, *Error) {
	if t.Args != nil {
		d := types.Decimal(t.Args[0], t.Args[1])
		if err := types.CheckDecimal(d); err != nil {
			return types.Type{}, &Error{Code: CodeType, Msg: err.Error(), Span: t.Span}
		}
		return d, nil
	}
	elems := make([]types.Type, len(t.Elems))
	for i, e := range t.Elems {
		var err *Error
		if elems[i], err = e.Resolve(custom); err != nil {
			return types.Type{}, err
		}
	}
	switch t.Name.Name {
	case "ARRAY":
		return types.Array(elems[0]), nil
	case "MAP":
		return types.Map(elems[0], elems[1]), nil
	}
	fields := make([]types.Field, len(elems))
	for i, n := range t.Names {
		for _, f := range fields[:i] {
			if f.Name == n.Name {
				return types.Type{}, &Error{Code: CodeDuplicate, Msg: fmt.Sprintf("field %s is declared twice", n.Name), Span: n.Span}
			}
		}
		fields[i] = types.Field{Name: n.Name, Type: elems[i]}
	}
	return types.Struct(fields...), nil
}
