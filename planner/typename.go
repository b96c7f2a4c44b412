package planner

import (
	"strings"

	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

var scalarTypes = map[string]types.Type{
	"BOOLEAN": types.Boolean, "INT": types.Integer, "INTEGER": types.Integer, "BIGINT": types.Bigint,
	"DOUBLE": types.Double, "STRING": types.String, "VARCHAR": types.String, "BYTES": types.Bytes,
	"TIME": types.Time, "DATE": types.Date, "TIMESTAMP": types.Timestamp,
}

// typeOf resolves a type as written, custom types included.
func (p *planner) typeOf(t sql.TypeName) types.Type {
	switch t.Name.Name {
	case "DECIMAL":
		if len(t.Args) == 2 {
			return p.decimalType(t)
		}
	case "ARRAY":
		if len(t.Elems) == 1 {
			return types.Array(p.typeOf(t.Elems[0]))
		}
	case "MAP":
		if len(t.Elems) == 2 {
			return types.Map(p.typeOf(t.Elems[0]), p.typeOf(t.Elems[1]))
		}
	case "STRUCT":
		if len(t.Names) == len(t.Elems) {
			return p.structType(t)
		}
	}
	if !t.Name.Quoted || scalarTypes[strings.ToUpper(t.Name.Name)].Kind != types.KindNull {
		if s, ok := scalarTypes[strings.ToUpper(t.Name.Name)]; ok {
			return s
		}
	}
	if c, ok := p.Catalog.Type(t.Name.Name); ok {
		return c
	}
	names := append(p.Catalog.TypeNames(), "BOOLEAN", "INT", "INTEGER", "BIGINT", "DOUBLE", "DECIMAL", "STRING", "VARCHAR", "BYTES",
		"TIME", "DATE", "TIMESTAMP", "ARRAY", "MAP", "STRUCT")
	hint := "SHOW TYPES lists the custom types"
	if s := sql.Suggest(t.Name.Name, names); s != "" {
		hint = "did you mean " + s + "?"
	}
	failHint(sql.CodeUnknownType, t.Span, hint, "cannot resolve unknown type: %s", t.Name.Name)
	return types.Type{}
}

func (p *planner) decimalType(t sql.TypeName) types.Type {
	precision, scale := t.Args[0], t.Args[1]
	switch {
	case precision < 1:
		fail(sql.CodeType, t.Span, "DECIMAL precision must be >= 1: DECIMAL(%d,%d)", precision, scale)
	case scale < 0:
		fail(sql.CodeType, t.Span, "DECIMAL scale must be >= 0: DECIMAL(%d,%d)", precision, scale)
	case precision < scale:
		fail(sql.CodeType, t.Span, "DECIMAL precision must be >= scale: DECIMAL(%d,%d)", precision, scale)
	case precision > types.MaxDecimalPrecision:
		fail(sql.CodeLimit, t.Span, "DECIMAL precision is at most %d: DECIMAL(%d,%d)", types.MaxDecimalPrecision, precision, scale)
	}
	return types.Decimal(precision, scale)
}

func (p *planner) structType(t sql.TypeName) types.Type {
	fields := make([]types.Field, len(t.Elems))
	seen := map[string]bool{}
	for i, e := range t.Elems {
		name := t.Names[i]
		if seen[name.Name] {
			fail(sql.CodeDuplicate, name.Span, "duplicate field name %s in STRUCT", name.Name)
		}
		seen[name.Name] = true
		fields[i] = types.Field{Name: name.Name, Type: p.typeOf(e)}
	}
	return types.Struct(fields...)
}

// createType plans CREATE TYPE.
func (p *planner) createType(s *sql.CreateType) Planned {
	name := s.Name.Name
	if _, ok := p.Catalog.Type(name); ok {
		if s.IfNotExists {
			return &Nothing{Msg: "Type " + name + " already exists"}
		}
		fail(sql.CodeExists, s.Name.Span, "cannot register custom type: type %s already exists", name)
	}
	if _, ok := scalarTypes[name]; ok {
		fail(sql.CodeReserved, s.Name.Span, "%s is the name of a built-in type", name)
	}
	return &AddType{Name: name, Type: p.typeOf(s.Type)}
}
