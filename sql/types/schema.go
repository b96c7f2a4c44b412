package types

import "strings"

// Column is a named, typed column.
type Column struct {
	Name string
	Type Type
}

// Schema is the shape of a row: key columns, then value columns. Column indexes
// used by plans count through Key first and go on in Value.
type Schema struct {
	Key   []Column
	Value []Column
}

// Len returns the number of columns.
func (s Schema) Len() int { return len(s.Key) + len(s.Value) }

// Column returns the column at index i of the combined numbering.
func (s Schema) Column(i int) Column {
	if i < len(s.Key) {
		return s.Key[i]
	}
	return s.Value[i-len(s.Key)]
}

// Find returns the index of the column with exactly this name, or -1. A key
// column hides a value column of the same name.
func (s Schema) Find(name string) int {
	for i, c := range s.Key {
		if c.Name == name {
			return i
		}
	}
	for i, c := range s.Value {
		if c.Name == name {
			return len(s.Key) + i
		}
	}
	return -1
}

// String returns the schema as KSQL prints it: "`K` STRING KEY, `V` INTEGER".
// keyMarker is "KEY" or "PRIMARY KEY".
func (s Schema) String(keyMarker string) string {
	var parts []string
	for _, c := range s.Key {
		parts = append(parts, QuoteName(c.Name)+" "+c.Type.String()+" "+keyMarker)
	}
	for _, c := range s.Value {
		parts = append(parts, QuoteName(c.Name)+" "+c.Type.String())
	}
	return strings.Join(parts, ", ")
}

// Equal reports whether two schemas have the same columns in the same order.
func (s Schema) Equal(o Schema) bool {
	return equalColumns(s.Key, o.Key) && equalColumns(s.Value, o.Value)
}

func equalColumns(a, b []Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !a[i].Type.Equal(b[i].Type) {
			return false
		}
	}
	return true
}
