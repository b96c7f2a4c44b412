package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// inferJSONSchema reads columns from a schema.
func inferJSONSchema(f plan.Format, side Side, s registry.Schema) (Inferred, error) {
	r := &jsonSchemaReader{verbatim: f.SchemaID != 0, all: side.Schemas, following: []string{"#"}}
	if err := r.open("", s); err != nil {
		return Inferred{}, err
	}
	t, err := r.typeOf(jsonPlace{r.docs[""], ""}, 0)
	if err != nil {
		return Inferred{}, err
	}
	return topColumns(f, side, t, r.dropped)
}

// jsonSchemaReader turns JSON Schema into types.
type jsonSchemaReader struct {
	verbatim  bool
	all       registry.Resolver
	docs      map[string]json.RawMessage // by the name of the reference, "" for the schema itself
	dropped   []string
	following []string // $refs that are being followed
}

// jsonPlace is a schema within a document.
type jsonPlace struct {
	text json.RawMessage
	doc  string
}

// open reads a schema and what it refers to.
func (r *jsonSchemaReader) open(name string, s registry.Schema) error {
	if r.docs == nil {
		r.docs = map[string]json.RawMessage{}
	}
	r.docs[name] = json.RawMessage(s.Text)
	for _, ref := range s.References {
		if _, ok := r.docs[ref.Name]; ok {
			continue
		}
		v, err := r.all.ByVersion(ref.Subject, ref.Version)
		if err != nil {
			return err
		}
		if err := r.open(ref.Name, v.Schema); err != nil {
			return err
		}
	}
	return nil
}

// typeOf returns the SQL type of a schema; a zero type and nil error when it only
// says null.
func (r *jsonSchemaReader) typeOf(p jsonPlace, depth int) (types.Type, error) {
	if depth > MaxNesting {
		return types.Type{}, fmt.Errorf("the schema nests deeper than %d", MaxNesting)
	}
	o, ok, err := parseJSONObject(p.text)
	if err != nil {
		return types.Type{}, err
	}
	if !ok {
		return types.Type{}, errors.New("a schema that allows everything has no SQL type")
	}
	if ref := o.str("$ref"); ref != "" {
		return r.follow(ref, p.doc, depth)
	}
	for _, union := range []string{"oneOf", "anyOf"} {
		if text, ok := o.values[union]; ok {
			return r.union(text, p.doc, depth)
		}
	}
	if text, ok := o.values["allOf"]; ok {
		return r.allOf(text, p.doc, depth)
	}
	if _, ok := o.values["enum"]; ok {
		return types.String, nil
	}
	kind, err := jsonTypeName(o)
	if err != nil {
		return types.Type{}, err
	}
	return r.named(kind, o, p.doc, depth)
}

// jsonTypeName returns the one type that a schema names beside "null".
func jsonTypeName(o jsonObject) (string, error) {
	text, ok := o.values["type"]
	if !ok {
		if _, ok := o.values["properties"]; ok {
			return "object", nil
		}
		return "", errors.New("a schema without a type has no SQL type")
	}
	if name := o.str("type"); name != "" {
		return name, nil
	}
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return "", fmt.Errorf("type is neither a name nor a list of names: %s", text)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "null" })
	if len(names) != 1 {
		return "", fmt.Errorf("a union of %d types has no SQL type", len(names))
	}
	return names[0], nil
}

func (r *jsonSchemaReader) named(kind string, o jsonObject, doc string, depth int) (types.Type, error) {
	connect, title := o.str("connect.type"), strings.TrimPrefix(o.str("title"), connectTitle)
	switch kind {
	case "null":
		return types.Type{}, nil
	case "boolean":
		return types.Boolean, nil
	case "string":
		if connect == "bytes" {
			return types.Bytes, nil
		}
		return types.String, nil
	case "integer", "number":
		return jsonNumberType(kind, connect, title, o)
	case "array":
		if connect == "map" {
			return types.Type{}, errors.New("a map written as a list of entries has no SQL type")
		}
		items, ok := o.values["items"]
		if !ok {
			return types.Type{}, errors.New("an array without items has no SQL type")
		}
		elem, err := r.typeOf(jsonPlace{items, doc}, depth+1)
		if err != nil {
			return types.Type{}, fmt.Errorf("items: %w", err)
		}
		return types.Array(elem), nil
	case "object":
		return r.object(connect, o, doc, depth)
	}
	return types.Type{}, fmt.Errorf("type %q has no SQL type", kind)
}

func jsonNumberType(kind, connect, title string, o jsonObject) (types.Type, error) {
	switch title {
	case "Decimal":
		precision := o.parameter("connect.decimal.precision", 64)
		scale := o.parameter("scale", 0)
		if precision < 1 || precision > types.MaxDecimalPrecision || scale < 0 || scale > precision {
			return types.Type{}, fmt.Errorf("DECIMAL(%d, %d) is out of range", precision, scale)
		}
		return types.Decimal(precision, scale), nil
	case "Date":
		return types.Date, nil
	case "Time":
		return types.Time, nil
	case "Timestamp":
		return types.Timestamp, nil
	}
	switch {
	case kind == "number":
		return types.Double, nil
	case connect == "int8" || connect == "int16" || connect == "int32":
		return types.Integer, nil
	}
	return types.Bigint, nil
}

// object reads a record or a map. Without properties an object is a map of what
// additionalProperties allows.
func (r *jsonSchemaReader) object(connect string, o jsonObject, doc string, depth int) (types.Type, error) {
	props, ok, err := parseOptionalObject(o.values["properties"])
	if err != nil {
		return types.Type{}, err
	}
	if connect == "map" || !ok {
		values, ok := o.values["additionalProperties"]
		if !ok {
			return types.Type{}, errors.New("an object without properties has no SQL type")
		}
		elem, err := r.typeOf(jsonPlace{values, doc}, depth+1)
		if err != nil {
			return types.Type{}, fmt.Errorf("additionalProperties: %w", err)
		}
		return types.Map(types.String, elem), nil
	}
	return r.record(props, doc, depth)
}

// record reads properties in the order of connect.index, those without one in
// the order of the text behind them.
func (r *jsonSchemaReader) record(props jsonObject, doc string, depth int) (types.Type, error) {
	names := slices.Clone(props.names)
	index := map[string]float64{}
	for _, n := range names {
		index[n] = math.Inf(1)
		if p, ok, err := parseJSONObject(props.values[n]); err == nil && ok {
			if v, ok := p.values["connect.index"]; ok {
				var f float64
				if json.Unmarshal(v, &f) == nil {
					index[n] = f
				}
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case index[a] < index[b]:
			return -1
		case index[a] > index[b]:
			return 1
		}
		return 0
	})
	var fields []types.Field
	for _, n := range names {
		t, err := r.typeOf(jsonPlace{props.values[n], doc}, depth+1)
		if err == nil && t.Kind == types.KindNull {
			err = errors.New("it is always null")
		}
		if err != nil {
			r.dropped = append(r.dropped, fmt.Sprintf("%s (%v)", n, err))
			continue
		}
		if !r.verbatim {
			n = strings.ToUpper(n)
		}
		fields = append(fields, types.Field{Name: n, Type: t})
	}
	if len(fields) == 0 {
		return types.Type{}, errors.New("an object without a property of a SQL type has none")
	}
	return types.Struct(fields...), nil
}

// typesOf returns the SQL types of a list of schemas.
func (r *jsonSchemaReader) typesOf(list json.RawMessage, doc string, depth int) ([]types.Type, error) {
	var schemas []json.RawMessage
	if err := json.Unmarshal(list, &schemas); err != nil {
		return nil, err
	}
	out := make([]types.Type, len(schemas))
	for i, s := range schemas {
		var err error
		if out[i], err = r.typeOf(jsonPlace{s, doc}, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// union reads oneOf and anyOf: null and one other schema.
func (r *jsonSchemaReader) union(text json.RawMessage, doc string, depth int) (types.Type, error) {
	branches, err := r.typesOf(text, doc, depth)
	if err != nil {
		return types.Type{}, err
	}
	var found types.Type
	for _, t := range branches {
		switch {
		case t.Kind == types.KindNull:
		case found.Kind == types.KindNull || found.Equal(t):
			found = t
		default:
			return types.Type{}, fmt.Errorf("a union of %s and %s has no SQL type", found, t)
		}
	}
	return found, nil
}

// allOf reads schemas that hold together: records are joined.
func (r *jsonSchemaReader) allOf(text json.RawMessage, doc string, depth int) (types.Type, error) {
	parts, err := r.typesOf(text, doc, depth)
	if err != nil {
		return types.Type{}, err
	}
	var all types.Type
	for _, t := range parts {
		switch {
		case all.Kind == types.KindNull:
			all = t
		case all.Kind == types.KindStruct && t.Kind == types.KindStruct:
			all = types.Struct(append(slices.Clip(all.Fields), t.Fields...)...)
		case !all.Equal(t):
			return types.Type{}, fmt.Errorf("%s together with %s has no SQL type", all, t)
		}
	}
	return all, nil
}

// follow reads what a $ref points to: another document, a place in one, or both.
func (r *jsonSchemaReader) follow(ref, doc string, depth int) (types.Type, error) {
	name, pointer, _ := strings.Cut(ref, "#")
	if name != "" {
		doc = name
	}
	text, ok := r.docs[doc]
	if !ok {
		return types.Type{}, fmt.Errorf("$ref %q is not among the schema's references", ref)
	}
	full := doc + "#" + pointer
	if slices.Contains(r.following, full) {
		return types.Type{}, fmt.Errorf("the schema is recursive at %q, which no SQL type is", ref)
	}
	for _, step := range strings.Split(strings.Trim(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		o, ok, err := parseJSONObject(text)
		if err != nil {
			return types.Type{}, err
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		if text = o.values[step]; !ok || text == nil {
			return types.Type{}, fmt.Errorf("$ref %q leads nowhere", ref)
		}
	}
	r.following = append(r.following, full)
	defer func() { r.following = r.following[:len(r.following)-1] }()
	return r.typeOf(jsonPlace{text, doc}, depth+1)
}

// checkJSONSchema compiles a schema with what it refers to.
func checkJSONSchema(s registry.Schema, all registry.Resolver) error {
	r := &jsonSchemaReader{all: all}
	if err := r.open("", s); err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(jsonschema.SchemeURLLoader{}) // nothing is fetched
	const base = "schema:///"
	for name, text := range r.docs {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			return err
		}
		if err := c.AddResource(base+name, doc); err != nil {
			return err
		}
	}
	_, err := c.Compile(base)
	return err
}
