package format

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor/format/registry"
)

// incompatibleJSONSchema says why a reader's schema refuses what a writer's
// allows, after the rules of Confluent's JsonSchemaDiff with compatibility policy
// LENIENT: a property may be added to an object that did not forbid unknown ones.
func incompatibleJSONSchema(reader, writer registry.Schema, _ registry.Resolver) ([]string, error) {
	var d jsonSchemaDiff
	err := d.compare("$", json.RawMessage(reader.Text), json.RawMessage(writer.Text), 0)
	return d.problems, err
}

type jsonSchemaDiff struct{ problems []string }

func (d *jsonSchemaDiff) add(path, format string, args ...any) {
	d.problems = append(d.problems, path+": "+fmt.Sprintf(format, args...))
}

// compare holds a reader's schema against a writer's at one place.
func (d *jsonSchemaDiff) compare(path string, reader, writer json.RawMessage, depth int) error {
	if depth > MaxNesting {
		return fmt.Errorf("the schema nests deeper than %d", MaxNesting)
	}
	r, rok, err := parseJSONObject(reader)
	if err != nil {
		return err
	}
	w, wok, err := parseJSONObject(writer)
	if err != nil {
		return err
	}
	if !rok || !wok {
		if !rok && string(reader) == "false" && string(writer) != "false" {
			d.add(path, "nothing is allowed any more")
		}
		return nil
	}
	rb, wb := jsonBranches(r, reader), jsonBranches(w, writer)
	if len(rb) > 1 || len(wb) > 1 {
		return d.branches(path, rb, wb, depth)
	}
	return d.plain(path, r, w, depth)
}

// jsonBranches are the alternatives of a schema: those of oneOf and anyOf, one
// for each name in a list of types, or the schema itself.
func jsonBranches(o jsonObject, self json.RawMessage) []json.RawMessage {
	for _, union := range []string{"oneOf", "anyOf"} {
		var branches []json.RawMessage
		if v, ok := o.values[union]; ok && json.Unmarshal(v, &branches) == nil {
			return branches
		}
	}
	return []json.RawMessage{self}
}

// branches requires of each of the writer's alternatives that one of the reader's
// allows it.
func (d *jsonSchemaDiff) branches(path string, readers, writers []json.RawMessage, depth int) error {
	for i, w := range writers {
		fits := false
		for _, r := range readers {
			var inner jsonSchemaDiff
			if err := inner.compare(path, r, w, depth+1); err != nil {
				return err
			}
			fits = fits || len(inner.problems) == 0
		}
		if !fits {
			d.add(path, "alternative %d of the union, %s, is not allowed any more", i+1, w)
		}
	}
	return nil
}

// plain compares schemas that are not unions.
func (d *jsonSchemaDiff) plain(path string, r, w jsonObject, depth int) error {
	rt, wt := jsonTypeNames(r), jsonTypeNames(w)
	for _, t := range wt {
		if len(rt) > 0 && !slices.Contains(rt, t) && !(t == "integer" && slices.Contains(rt, "number")) {
			d.add(path, "type %s is not allowed any more, only %s", t, strings.Join(rt, ", "))
		}
	}
	if len(wt) == 0 && len(rt) > 0 {
		d.add(path, "only type %s is allowed where any was", strings.Join(rt, ", "))
	}
	d.enum(path, r, w)
	if ri, ok := r.values["items"]; ok {
		if wi, ok := w.values["items"]; ok {
			if err := d.compare(path+"[]", ri, wi, depth+1); err != nil {
				return err
			}
		}
	}
	if slices.Contains(rt, "object") || r.values["properties"] != nil {
		return d.objects(path, r, w, depth)
	}
	return nil
}

func jsonTypeNames(o jsonObject) []string {
	if name := o.str("type"); name != "" {
		return []string{name}
	}
	var names []string
	if v, ok := o.values["type"]; ok && json.Unmarshal(v, &names) != nil {
		return nil
	}
	return names
}

func (d *jsonSchemaDiff) enum(path string, r, w jsonObject) {
	var allowed, written []any
	if v, ok := r.values["enum"]; !ok || json.Unmarshal(v, &allowed) != nil {
		return
	}
	if v, ok := w.values["enum"]; !ok || json.Unmarshal(v, &written) != nil {
		d.add(path, "only listed values are allowed where others were")
		return
	}
	for _, x := range written {
		if !slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == fmt.Sprint(x) }) {
			d.add(path, "value %v is not allowed any more", x)
		}
	}
}

// objects compares properties, what is required and what else is allowed.
func (d *jsonSchemaDiff) objects(path string, r, w jsonObject, depth int) error {
	rp, _, err := parseOptionalObject(r.values["properties"])
	if err != nil {
		return err
	}
	wp, _, err := parseOptionalObject(w.values["properties"])
	if err != nil {
		return err
	}
	open := string(r.values["additionalProperties"]) != "false"
	wOpen := string(w.values["additionalProperties"]) != "false"
	if !open && wOpen {
		d.add(path, "properties that are not listed are not allowed any more")
	}
	for _, name := range wp.names {
		place := path + "." + name
		if text, ok := rp.values[name]; ok {
			if err := d.compare(place, text, wp.values[name], depth+1); err != nil {
				return err
			}
		} else if !open {
			d.add(place, "the property is not allowed any more")
		}
	}
	var required, before []string
	if v, ok := r.values["required"]; ok && json.Unmarshal(v, &required) != nil {
		return fmt.Errorf("%s: required is not a list of names", path)
	}
	if v, ok := w.values["required"]; ok && json.Unmarshal(v, &before) != nil {
		return fmt.Errorf("%s: required is not a list of names", path)
	}
	for _, name := range required {
		prop, _, err := parseOptionalObject(rp.values[name])
		if err != nil {
			return err
		}
		if _, hasDefault := prop.values["default"]; !slices.Contains(before, name) && !hasDefault {
			d.add(path+"."+name, "the property is required and was not")
		}
	}
	ra, rok := r.values["additionalProperties"]
	wa, wok := w.values["additionalProperties"]
	if rok && wok {
		return d.compare(path+".*", ra, wa, depth+1)
	}
	return nil
}

// parseOptionalObject is parseJSONObject for a member that may be missing.
func parseOptionalObject(text json.RawMessage) (jsonObject, bool, error) {
	if text == nil {
		return jsonObject{}, false, nil
	}
	return parseJSONObject(text)
}
