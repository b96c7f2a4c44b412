package planner

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// FormatInfo describes what a serialisation format can do (serde.md section 1).
type FormatInfo struct {
	Name string
	// Key and Value say where the format may be used.
	Key, Value bool
	// ManyKeys says that a key may have several columns.
	ManyKeys bool
	// Wrap and Unwrap say whether a single value column may stand in a record,
	// and by itself. WrapDefault is what holds when nothing is said.
	Wrap, Unwrap, WrapDefault bool
	// Delimited says that a delimiter may be given.
	Delimited bool
	// Schemas says that payloads are laid out by a schema made from the columns,
	// Infers that it is registered, so that columns may come from the registry.
	Schemas, Infers bool
	// Named and Nullable say that the schema's full name, and how it holds NULL,
	// may be given.
	Named, Nullable bool
}

// Formats is the table of formats, sorted by name.
var Formats = []FormatInfo{
	{Name: "AVRO", Key: true, Value: true, ManyKeys: true, Wrap: true, Unwrap: true, WrapDefault: true, Schemas: true, Infers: true, Named: true},
	{Name: "DELIMITED", Key: true, Value: true, ManyKeys: true, Unwrap: true, Delimited: true},
	{Name: "JSON", Key: true, Value: true, ManyKeys: true, Wrap: true, Unwrap: true, WrapDefault: true},
	{Name: "JSON_SR", Key: true, Value: true, ManyKeys: true, Wrap: true, Unwrap: true, WrapDefault: true, Schemas: true, Infers: true},
	{Name: "KAFKA", Key: true, Value: true, Unwrap: true},
	{Name: "NONE", Key: true},
	{Name: "PROTOBUF", Key: true, Value: true, ManyKeys: true, Wrap: true, WrapDefault: true, Schemas: true, Infers: true, Named: true, Nullable: true},
	{Name: "PROTOBUF_NOSR", Key: true, Value: true, ManyKeys: true, Wrap: true, WrapDefault: true, Schemas: true, Nullable: true},
}

func formatInfo(name string) *FormatInfo {
	for i := range Formats {
		if Formats[i].Name == name {
			return &Formats[i]
		}
	}
	return nil
}

// formatName checks the name of a format.
func formatName(name string, span sql.Span) *FormatInfo {
	upper := strings.ToUpper(name)
	info := formatInfo(upper)
	if info == nil {
		var names []string
		for _, f := range Formats {
			names = append(names, f.Name)
		}
		hint := "the formats are " + strings.Join(names, ", ")
		if s := sql.Suggest(upper, names); s != "" {
			hint = "did you mean " + s + "?"
		}
		failHint(sql.CodeFormat, span, hint, "Unknown format: %s", upper)
	}
	return info
}

// formatNames returns the key's and the value's format names of a WITH clause,
// "" where not given.
func (w with) formatNames() (key, value string) {
	if w.has("FORMAT") {
		for _, other := range findProperty("FORMAT").excludes {
			if w.has(other) {
				fail(sql.CodeInvalidProperty, w.span(other), "Cannot supply both '%s' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats", other)
			}
		}
		f := w.str("FORMAT", "")
		return f, f
	}
	return w.str("KEY_FORMAT", ""), w.str("VALUE_FORMAT", "")
}

// delimiterOf are what delimiterWords stand for.
var delimiterOf = []string{" ", "\t"}

// delimiter reads a delimiter property.
func (w with) delimiter(name string, info *FormatInfo) string {
	if !w.has(name) {
		return ""
	}
	if !info.Delimited {
		fail(sql.CodeInvalidProperty, w.span(name), "%s does not support the following configs: [delimiter]", info.Name)
	}
	d := w.str(name, "")
	if i := slices.Index(delimiterWords, d); i >= 0 {
		return delimiterOf[i]
	}
	if len([]rune(d)) != 1 {
		fail(sql.CodeInvalidProperty, w.valueSpan(name), "Invalid delimiter value: '%s'. It must be a single character or one of %s", d, strings.Join(delimiterWords, ","))
	}
	return d
}

// keyFormat checks a key format against the key columns.
func (p *planner) keyFormat(name string, key []types.Column, span sql.Span) plan.Format {
	info := formatName(name, span)
	if !info.Key {
		fail(sql.CodeFormat, span, "%s is not a key format", info.Name)
	}
	if info.Name == "NONE" && len(key) > 0 {
		fail(sql.CodeFormat, span, "The 'NONE' format can only be used when no columns are defined. Got: %s", columnList(key))
	}
	if len(key) > 1 && !info.ManyKeys {
		fail(sql.CodeFormat, span, "The '%s' format only supports a single field. Got: %s", info.Name, columnList(key))
	}
	for _, c := range key {
		if c.Type.Contains(types.KindMap) {
			fail(sql.CodeKey, span, "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to inconsistent serialization. Key column name: %s. Column type: %s", types.QuoteName(c.Name), c.Type)
		}
	}
	checkFormatTypes(info.Name, key, span)
	return plan.Format{Name: info.Name, Unwrapped: len(key) == 1 && info.Unwrap}
}

// valueFormat checks a value format against the value columns. wrap is the
// WRAP_SINGLE_VALUE given, nil when none is.
func (p *planner) valueFormat(name string, value []types.Column, wrap *bool, span sql.Span) plan.Format {
	info := formatName(name, span)
	if !info.Value {
		fail(sql.CodeFormat, span, "The '%s' format can not be used for values", info.Name)
	}
	if info.Name == "KAFKA" && len(value) > 1 {
		fail(sql.CodeFormat, span, "The 'KAFKA' format only supports a single field. Got: %s", columnList(value))
	}
	checkFormatTypes(info.Name, value, span)
	f := plan.Format{Name: info.Name}
	if wrap != nil {
		if len(value) > 1 {
			fail(sql.CodeInvalidProperty, span, "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas")
		}
		if *wrap && !info.Wrap || !*wrap && !info.Unwrap {
			fail(sql.CodeInvalidProperty, span, "Format '%s' does not support 'WRAP_SINGLE_VALUE' set to '%t'", info.Name, *wrap)
		}
		f.Unwrapped = !*wrap
		return f
	}
	if len(value) == 1 {
		f.Unwrapped = !info.WrapDefault
		if def := p.property("ksql.persistence.wrap.single.values", ""); def != "" {
			if wrapped := strings.EqualFold(def, "true"); wrapped && info.Wrap || !wrapped && info.Unwrap {
				f.Unwrapped = !wrapped
			}
		}
	}
	return f
}

// formatKinds lists the kinds that a format can hold, where it cannot hold all.
var formatKinds = map[string][]types.Kind{
	"KAFKA": {types.KindInteger, types.KindBigint, types.KindDouble, types.KindString, types.KindBytes},
	"DELIMITED": {types.KindBoolean, types.KindInteger, types.KindBigint, types.KindDouble, types.KindDecimal,
		types.KindString, types.KindBytes, types.KindTime, types.KindDate, types.KindTimestamp},
}

func checkFormatTypes(format string, columns []types.Column, span sql.Span) {
	for _, c := range columns {
		if kinds := formatKinds[format]; kinds != nil && !slices.Contains(kinds, c.Type.Kind) {
			fail(sql.CodeFormat, span, "The '%s' format does not support type '%s', column: %s", format, c.Type.Kind, types.QuoteName(c.Name))
		}
		if rule := stringKeysOnly[format]; rule != "" {
			checkMapKeys(rule, c.Type, c.Name, span)
		}
	}
}

// stringKeysOnly says of formats whose maps have strings as keys that it is so.
var stringKeysOnly = map[string]string{
	"AVRO":          "Avro only supports MAPs with STRING keys",
	"JSON":          "JSON only supports MAP types with STRING keys",
	"JSON_SR":       "JSON only supports MAP types with STRING keys",
	"PROTOBUF":      "PROTOBUF format only supports MAP types with STRING keys",
	"PROTOBUF_NOSR": "PROTOBUF format only supports MAP types with STRING keys",
}

// checkMapKeys refuses maps whose keys are not strings.
func checkMapKeys(rule string, t types.Type, column string, span sql.Span) {
	if t.Kind == types.KindMap && t.Key.Kind != types.KindString {
		fail(sql.CodeFormat, span, "%s, column: %s", rule, types.QuoteName(column))
	}
	if t.Elem != nil {
		checkMapKeys(rule, *t.Elem, column, span)
	}
	for _, f := range t.Fields {
		checkMapKeys(rule, f.Type, column, span)
	}
}

func columnList(cols []types.Column) string {
	var parts []string
	for _, c := range cols {
		parts = append(parts, types.QuoteName(c.Name)+" "+c.Type.String())
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
