package types

import (
	"fmt"
	"strings"
)

// Kind is the base of a type.
type Kind uint8

// The kinds. KindNull is the kind of the NULL value and the type of an untyped
// NULL literal; no column has it.
const (
	KindNull Kind = iota
	KindBoolean
	KindInteger
	KindBigint
	KindDouble
	KindDecimal
	KindString
	KindBytes
	KindTime
	KindDate
	KindTimestamp
	KindArray
	KindMap
	KindStruct
)

var kindNames = [...]string{
	"NULL", "BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DECIMAL", "STRING", "BYTES", "TIME", "DATE", "TIMESTAMP",
	"ARRAY", "MAP", "STRUCT",
}

// String returns the SQL name of the kind.
func (k Kind) String() string { return kindNames[k] }

// Numeric reports whether arithmetic is defined on the kind.
func (k Kind) Numeric() bool { return k >= KindInteger && k <= KindDecimal }

// Type is a SQL type. The zero Type is the type of an untyped NULL. Types are
// immutable: what Elem, Key and Fields point to is never changed.
type Type struct {
	Kind      Kind
	Precision int32   // DECIMAL
	Scale     int32   // DECIMAL
	Key       *Type   // MAP
	Elem      *Type   // ARRAY element, MAP value
	Fields    []Field // STRUCT
}

// Field is a field of a STRUCT.
type Field struct {
	Name string
	Type Type
}

// The types without parameters.
var (
	Null      = Type{}
	Boolean   = Type{Kind: KindBoolean}
	Integer   = Type{Kind: KindInteger}
	Bigint    = Type{Kind: KindBigint}
	Double    = Type{Kind: KindDouble}
	String    = Type{Kind: KindString}
	Bytes     = Type{Kind: KindBytes}
	Time      = Type{Kind: KindTime}
	Date      = Type{Kind: KindDate}
	Timestamp = Type{Kind: KindTimestamp}
)

// MaxDecimalPrecision is the largest number of digits of a DECIMAL.
const MaxDecimalPrecision = 76

// Decimal returns DECIMAL(precision, scale).
func Decimal(precision, scale int32) Type {
	return Type{Kind: KindDecimal, Precision: precision, Scale: scale}
}

// Array returns ARRAY<elem>.
func Array(elem Type) Type { return Type{Kind: KindArray, Elem: &elem} }

// Map returns MAP<key, value>.
func Map(key, value Type) Type { return Type{Kind: KindMap, Key: &key, Elem: &value} }

// Struct returns STRUCT<fields>.
func Struct(fields ...Field) Type { return Type{Kind: KindStruct, Fields: fields} }

// Equal reports whether two types are the same in all their parts.
func (t Type) Equal(u Type) bool {
	if t.Kind != u.Kind || t.Precision != u.Precision || t.Scale != u.Scale || len(t.Fields) != len(u.Fields) {
		return false
	}
	if (t.Key == nil) != (u.Key == nil) || t.Key != nil && !t.Key.Equal(*u.Key) {
		return false
	}
	if (t.Elem == nil) != (u.Elem == nil) || t.Elem != nil && !t.Elem.Equal(*u.Elem) {
		return false
	}
	for i, f := range t.Fields {
		if f.Name != u.Fields[i].Name || !f.Type.Equal(u.Fields[i].Type) {
			return false
		}
	}
	return true
}

// Contains reports whether the type or one of its parts is of kind k.
func (t Type) Contains(k Kind) bool {
	if t.Kind == k || t.Key != nil && t.Key.Contains(k) || t.Elem != nil && t.Elem.Contains(k) {
		return true
	}
	for _, f := range t.Fields {
		if f.Type.Contains(k) {
			return true
		}
	}
	return false
}

// Field returns the index of the field with exactly this name, or -1.
func (t Type) Field(name string) int {
	for i, f := range t.Fields {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// String returns the SQL text of the type, with struct field names in
// back-quotes, as schemas are printed: STRUCT<`A` INTEGER>.
func (t Type) String() string {
	switch t.Kind {
	case KindDecimal:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.Precision, t.Scale)
	case KindArray:
		return "ARRAY<" + t.Elem.String() + ">"
	case KindMap:
		return "MAP<" + t.Key.String() + ", " + t.Elem.String() + ">"
	case KindStruct:
		var b strings.Builder
		b.WriteString("STRUCT<")
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(QuoteName(f.Name) + " " + f.Type.String())
		}
		b.WriteString(">")
		return b.String()
	default:
		return t.Kind.String()
	}
}

// QuoteName returns name in back-quotes, doubling those inside.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
