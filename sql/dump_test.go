package sql

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// dump prints a tree, one node a line with the text that its span covers. With
// text empty it leaves spans and parentheses out, for comparing trees.
func dump(text string, v any) string {
	d := &dumper{text: text}
	d.value("", reflect.ValueOf(v), 0)
	return d.b.String()
}

type dumper struct {
	b    strings.Builder
	text string
}

func (d *dumper) line(depth int, format string, args ...any) {
	d.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

func (d *dumper) value(label string, v reflect.Value, depth int) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if label != "" {
		label += ": "
	}
	switch x := v.Interface().(type) {
	case Ident:
		if x.Name != "" {
			d.line(depth, "%s%s%s", label, x.Name, d.span(x.Span))
		}
		return
	case Duration:
		d.line(depth, "%s%v%s", label, x.Value, d.span(x.Span))
		return
	case Literal:
		d.line(depth, "%sLiteral %s %s%s", label, x.Type, printLiteral(&x), d.span(x.Span))
		return
	case Paren:
		if d.text == "" {
			d.value(strings.TrimSuffix(label, ": "), reflect.ValueOf(x.X), depth)
			return
		}
	case types.Type, types.Value:
		d.line(depth, "%s%v", label, x)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(label, v, depth)
	case reflect.Slice:
		for i := range v.Len() {
			d.value(strings.TrimSuffix(label, ": "), v.Index(i), depth)
		}
	default:
		if !v.IsZero() {
			d.line(depth, "%s%v", label, v.Interface())
		}
	}
}

func (d *dumper) structure(label string, v reflect.Value, depth int) {
	span := ""
	if f := v.FieldByName("Span"); f.IsValid() {
		span = d.span(f.Interface().(Span))
	}
	d.line(depth, "%s%s%s", label, v.Type().Name(), span)
	for i := range v.NumField() {
		switch f := v.Type().Field(i); f.Name {
		case "Node", "StmtNode", "Span", "EmitSpan", "LimitSpan", "NameSpan", "ValueSpan":
		case "Op", "Kind", "What", "Action", "Emit", "Mark", "Limit", "Escape":
			if !v.Field(i).IsZero() || f.Name == "Op" || f.Name == "Kind" {
				d.line(depth+1, "%s: %v", f.Name, v.Field(i).Interface())
			}
		default:
			d.value(f.Name, v.Field(i), depth+1)
		}
	}
}

func (d *dumper) span(s Span) string {
	if d.text == "" {
		return ""
	}
	return " «" + strings.ReplaceAll(d.text[s.Start:s.End], "\n", "⏎") + "»"
}
