package docs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// Page is a file of docs/.
type Page struct{ Name, Text string }

// generated stands at the top of every page.
const generated = "<!-- Written by `millrace docs` from the tables in code. -->\n\n"

// Pages returns the pages in the order of their names.
func Pages() []Page {
	return []Page{{"arithmetic.md", arithmetic()}, {"formats.md", formats()}, {"functions.md", functions()}, {"properties.md", properties()}, {"statements.md", statements()}}
}

// functions lists every function by category, then name.
func functions() string {
	var b strings.Builder
	b.WriteString(generated + "# Functions\n\nResults are written as query results carry them in JSON. A name between `<` and `>` that is a single letter stands for any type.\n")
	var categories []string
	byCategory := map[string][]*function.Function{}
	for _, f := range function.All() {
		if byCategory[f.Category] == nil {
			categories = append(categories, f.Category)
		}
		byCategory[f.Category] = append(byCategory[f.Category], f)
	}
	slices.Sort(categories)
	for _, c := range categories {
		fmt.Fprintf(&b, "\n## %s\n", c)
		for _, f := range byCategory[c] {
			writeFunction(&b, f)
		}
	}
	return b.String()
}

func writeFunction(b *strings.Builder, f *function.Function) {
	fmt.Fprintf(b, "\n### %s\n\n", f.Name)
	if f.Class == function.Table {
		b.WriteString("Table function. ")
	}
	b.WriteString(escape(f.Description) + "\n\n```\n")
	for _, o := range f.Overloads {
		b.WriteString(signature(o) + "\n")
	}
	b.WriteString("```\n\n")
	for _, e := range f.Examples {
		fmt.Fprintf(b, "- %s => %s", code(e.Expr), code(e.Result))
		if e.Columns != "" {
			fmt.Fprintf(b, " over %s: %s", code(e.Columns), code("("+strings.Join(e.Rows, "), (")+")"))
		}
		b.WriteString("\n")
	}
}

// signature writes an overload with the names of its parameters.
func signature(o *function.Overload) string {
	params := make([]string, len(o.Params))
	for i, p := range o.Params {
		params[i] = strings.TrimSpace(p.Name + " " + p.TypeText())
		if i == o.Variadic {
			params[i] += "..."
		}
	}
	s := o.Function.Name + "(" + strings.Join(params, ", ") + ")"
	if ret := o.ReturnText(); ret != "" {
		s += " -> " + ret
	}
	return s
}

// properties lists what WITH and SET take.
func properties() string {
	var b strings.Builder
	b.WriteString(generated + "# Properties\n\n## WITH\n\nThe last columns say in which statements a property is legal.\n\n" +
		"| property | type | what | CREATE | CREATE AS | INSERT SELECT |\n|---|---|---|---|---|---|\n")
	for _, p := range planner.Properties {
		create, createAs, insert := p.Places()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", p.Name, p.Type, escape(p.Doc), yes(create), yes(createAs), yes(insert))
	}
	b.WriteString("\n## SET\n\nSession properties: `SET 'name' = 'value';`. They may have the prefix `ksql.streams.`. What has no effect is taken for " +
		"compatibility, and says why.\n\n| property | default | what |\n|---|---|---|\n")
	for _, p := range engine.Properties {
		doc := escape(p.Doc)
		if p.NoEffect != "" {
			doc += " (no effect: " + escape(p.NoEffect) + ")"
		}
		def := p.Default
		if def != "" {
			def = code(def)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(p.Name), def, doc)
	}
	return b.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// formats lists the formats, what they can do and how they hold each type.
func formats() string {
	var b strings.Builder
	b.WriteString(generated + "# Formats\n\n`KEY_FORMAT`, `VALUE_FORMAT` or both as `FORMAT` in a WITH clause.\n\n" +
		"| format | key | value | several key columns | single value in a record | by itself | delimiter | schema from columns | registered, columns inferred | schema's name | NULL's form |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range planner.Formats {
		fmt.Fprintf(&b, "| %s |", f.Name)
		for _, can := range []bool{f.Key, f.Value, f.ManyKeys, f.Wrap, f.Unwrap, f.Delimited, f.Schemas, f.Infers, f.Named, f.Nullable} {
			b.WriteString(" " + yes(can) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\nA single value column stands in a record where the format can do both, unless WRAP_SINGLE_VALUE says otherwise.\n\n" +
		"## Types\n\nWhich columns a format holds.\n\n| type |")
	for _, f := range planner.Formats {
		fmt.Fprintf(&b, " %s |", f.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(planner.Formats)) + "\n")
	for _, t := range typeSamples {
		fmt.Fprintf(&b, "| %s |", code(t.String()))
		for _, f := range planner.Formats {
			b.WriteString(" " + yes(holds(f.Name, t)) + " |")
		}
		b.WriteString("\n")
	}
	writePayloads(&b)
	b.WriteString("\n## Schemas\n\nThe schema that a value column of each type gets.\n")
	for _, f := range planner.Formats {
		if f.Schemas {
			writeSchemas(&b, f.Name)
		}
	}
	return b.String()
}

// typeSamples has one type of every kind, and valueSamples a value of each as
// results carry it.
var (
	typeSamples = []types.Type{types.Boolean, types.Integer, types.Bigint, types.Double, types.Decimal(9, 2), types.String, types.Bytes,
		types.Time, types.Date, types.Timestamp,
		{Kind: types.KindArray, Elem: &types.Integer}, {Kind: types.KindMap, Key: &types.String, Elem: &types.Integer},
		{Kind: types.KindStruct, Fields: []types.Field{{Name: "F", Type: types.Integer}}}}
	valueSamples = []string{`true`, `258`, `258`, `1.5`, `12.50`, `"a,b"`, `"AQI="`, `"10:05:00"`, `"2024-05-01"`, `"2024-05-01T10:05:00"`,
		`[1,null]`, `{"k":1}`, `{"F":1}`}
)

// plainFormats are the formats that need no schema to be read.
var plainFormats = []string{"JSON", "DELIMITED", "KAFKA"}

// writePayloads shows what the plain formats make of a value of each type.
func writePayloads(b *strings.Builder) {
	b.WriteString("\n## Payloads\n\nThe value column C of each type in the formats without a schema; KAFKA in hexadecimal.\n\n| type | result |")
	for _, name := range plainFormats {
		fmt.Fprintf(b, " %s |", name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(plainFormats)) + "\n")
	for i, t := range typeSamples {
		fmt.Fprintf(b, "| %s | %s |", code(t.String()), code(valueSamples[i]))
		for _, name := range plainFormats {
			fmt.Fprintf(b, " %s |", payload(name, t, valueSamples[i]))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + jsonNumbers + "\n")
}

// jsonNumbers says what JSON's numbers become; a test holds it against the format.
const jsonNumbers = "A JSON number out of the range of an INTEGER or BIGINT column wraps, as in KSQL, and nothing is logged: " +
	"4294967297 reads as the INTEGER 1. Declare BIGINT or DECIMAL where numbers may be larger."

// payload encodes a sample, "" where the format does not hold its type.
func payload(name string, t types.Type, sample string) string {
	v, err := engine.ParseJSON([]byte(sample), t)
	if err != nil {
		panic(fmt.Sprintf("docs: sample %s of %s: %v", sample, t, err))
	}
	row, err := format.NewRow(plan.Format{Name: name, Delimiter: ","}, []types.Column{{Name: "C", Type: t}}, format.Side{})
	if err != nil {
		return ""
	}
	text, err := row.Encode([]types.Value{v})
	if err != nil {
		return ""
	}
	if name == "KAFKA" {
		return code(fmt.Sprintf("%x", text))
	}
	return code(string(text))
}

// holds reports whether a format holds a column of a type.
func holds(name string, t types.Type) bool {
	_, err := format.New(plan.Format{Name: name, Delimiter: ","}, []types.Column{{Name: "C", Type: t}},
		format.Side{Topic: "t", Schemas: registry.New(format.Checker{})})
	return err == nil
}

// writeSchemas lists the pieces of the schemas that a format makes of columns.
func writeSchemas(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n### %s\n\n| type | schema |\n|---|---|\n", name)
	for _, t := range typeSamples {
		s, err := format.DeriveSchema(plan.Format{Name: name}, []types.Column{{Name: "C", Type: t}})
		text := ""
		if err == nil {
			text = code(fragment(s))
		}
		fmt.Fprintf(b, "| %s | %s |\n", code(t.String()), text)
	}
}

// fragment cuts the column C out of a schema.
func fragment(s registry.Schema) string {
	var doc struct {
		Fields     []struct{ Type json.RawMessage }
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(s.Text), &doc); err == nil {
		if len(doc.Fields) == 1 {
			return string(doc.Fields[0].Type)
		}
		return string(doc.Properties["C"])
	}
	_, body, _ := strings.Cut(s.Text, "{")
	body = strings.TrimSuffix(strings.TrimSpace(body), "}")
	return strings.Join(strings.Fields(body), " ")
}

// code writes text in a code span of a table's cell.
func code(s string) string {
	if strings.Contains(s, "`") {
		return "`` " + strings.ReplaceAll(s, "|", "\\|") + " ``"
	}
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}

// escape keeps Markdown from reading text as markup.
func escape(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_").Replace(s)
}
