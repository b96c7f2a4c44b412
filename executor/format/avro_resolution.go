package format

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/executor/format/registry"
)

// maxProblems bounds the problems that are told of one pair of schemas.
const maxProblems = 20

// incompatibleAvro says why a reader's schema cannot read what was written with
// another one, by the Avro specification ("Schema Resolution").
func incompatibleAvro(reader, writer registry.Schema, all registry.Resolver) ([]string, error) {
	r, err := parseAvro(reader, all)
	if err != nil {
		return nil, fmt.Errorf("reader's schema: %w", err)
	}
	w, err := parseAvro(writer, all)
	if err != nil {
		return nil, fmt.Errorf("writer's schema: %w", err)
	}
	found := avroResolution{}.problems(r, w)
	out := make([]string, len(found))
	for k, p := range found {
		out[k] = "$" + p.path + ": " + p.text
	}
	return out, nil
}

type avroPair struct{ r, w *avroType }

// avroProblem is a difference with its place, relative to the pair it is told of.
type avroProblem struct{ path, text string }

// avroResolution remembers the answer for every pair of types. A pair met inside
// itself counts as compatible: what is wrong is found elsewhere.
type avroResolution map[avroPair][]avroProblem

func (res avroResolution) problems(r, w *avroType) []avroProblem {
	pair := avroPair{r, w}
	if known, ok := res[pair]; ok {
		return known
	}
	res[pair] = nil
	found := res.find(r, w)
	if len(found) > maxProblems {
		found = found[:maxProblems]
	}
	res[pair] = found
	return found
}

func problem(format string, args ...any) []avroProblem {
	return []avroProblem{{text: fmt.Sprintf(format, args...)}}
}

// under puts a path in front of those of problems.
func under(path string, found []avroProblem) []avroProblem {
	out := make([]avroProblem, len(found))
	for k, p := range found {
		out[k] = avroProblem{path + p.path, p.text}
	}
	return out
}

func (res avroResolution) find(r, w *avroType) []avroProblem {
	if w.kind == avroUnion {
		var out []avroProblem
		for _, b := range w.branches {
			out = append(out, res.problems(r, b)...)
		}
		return out
	}
	if r.kind == avroUnion {
		return res.branch(r, w)
	}
	if r.kind != w.kind {
		if promotes(w.kind, r.kind) {
			return nil
		}
		return problem("the reader's %s cannot read the writer's %s", r.label(), w.label())
	}
	switch r.kind {
	case avroArray, avroMap:
		return under("[]", res.problems(r.items, w.items))
	case avroRecord, avroEnum, avroFixed:
		if !r.named(w) {
			return problem("the reader's %s is not the writer's %s, neither by name nor by an alias", r.label(), w.label())
		}
	}
	switch {
	case r.kind == avroRecord:
		return res.fields(r, w)
	case r.kind == avroEnum:
		return symbols(r, w)
	case r.kind == avroFixed && r.size != w.size:
		return problem("the reader's %s has %d bytes, the writer's has %d", r.label(), r.size, w.size)
	case r.logical == avroDecimal && w.logical == avroDecimal && (r.precision != w.precision || r.scale != w.scale):
		return problem("the reader's decimal(%d, %d) cannot read the writer's decimal(%d, %d)", r.precision, r.scale, w.precision, w.scale)
	}
	return nil
}

// promotes reports whether values of a writer's primitive type are read as
// another one.
func promotes(w, r avroKind) bool {
	switch w {
	case avroInt:
		return r == avroLong || r == avroFloat || r == avroDouble
	case avroLong:
		return r == avroFloat || r == avroDouble
	case avroFloat:
		return r == avroDouble
	case avroString:
		return r == avroBytes
	case avroBytes:
		return r == avroString
	}
	return false
}

// named reports whether a reader's type goes by the name of a writer's.
func (t *avroType) named(w *avroType) bool {
	return unqualified(t.name) == unqualified(w.name) || slices.Contains(t.aliases, w.name)
}

// branch looks for the branch of a reader's union that reads the writer's type.
func (res avroResolution) branch(r, w *avroType) []avroProblem {
	var near []avroProblem
	for _, b := range r.branches {
		found := res.problems(b, w)
		if len(found) == 0 {
			return nil
		}
		if b.kind == w.kind && (w.name == "" || b.named(w)) && near == nil {
			near = found
		}
	}
	if near != nil {
		return near
	}
	return problem("no branch of the reader's union reads the writer's %s", w.label())
}

func (res avroResolution) fields(r, w *avroType) []avroProblem {
	written := make(map[string]*avroType, len(w.fields))
	for k := range w.fields {
		written[w.fields[k].name] = w.fields[k].typ
	}
	var out []avroProblem
	for k := range r.fields {
		f := &r.fields[k]
		from := written[f.name]
		for _, alias := range f.aliases {
			if from == nil {
				from = written[alias]
			}
		}
		switch {
		case from != nil:
			out = append(out, under("."+f.name, res.problems(f.typ, from))...)
		case f.initial == nil:
			out = append(out, under("."+f.name, problem("the writer has no such field and the reader no default for it"))...)
		}
	}
	return out
}

func symbols(r, w *avroType) []avroProblem {
	if r.symbolDefault != "" {
		return nil
	}
	var out []avroProblem
	for _, s := range w.symbols {
		if !slices.Contains(r.symbols, s) {
			out = append(out, problem("the reader's %s does not know symbol %s and has no default", r.label(), s)...)
			if len(out) == maxProblems {
				break
			}
		}
	}
	return out
}
