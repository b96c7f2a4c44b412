package function

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// Signatures are written as text and read once:
//
//	"text STRING, pos INTEGER!, more STRING..."
//
// A parameter is a name and a type. A type may be a generic letter, or hold some
// (T, ARRAY<T>, MAP<STRING, V>, LAMBDA<T, U>), DECIMAL without digits takes every
// DECIMAL, and UNIT is an interval unit keyword. Marks follow the type: ~ and the
// name of a PatternKind says what a STRING must hold, ! cannot be NULL, # must be
// a constant, ... may repeat.

type body func(args []types.Value) (types.Value, error)

// fn describes a scalar function.
func fn(name, category, description string, overloads ...*Overload) *Function {
	return build(&Function{Name: name, Category: category, Description: description, Overloads: overloads})
}

func build(f *Function) *Function {
	for _, o := range f.Overloads {
		o.Function = f
		parts := make([]string, len(o.Params))
		for i, p := range o.Params {
			parts[i] = p.text()
			if i == o.Variadic {
				parts[i] += "..."
			}
		}
		o.ID = f.Name + "(" + strings.Join(parts, ", ") + ")"
	}
	return f
}

// over describes an overload that answers NULL when an argument is NULL. ret is
// a type or a shape.
func over(params, ret string, f body) *Overload {
	return overEnv(params, ret, func(_ *Env, args []types.Value) (types.Value, error) { return f(args) })
}

// overEnv is over for a body that needs its surroundings.
func overEnv(params, ret string, f func(*Env, []types.Value) (types.Value, error)) *Overload {
	o := signature(params)
	o.NullOnNull = true
	o.Returns = returnShape(o, ret)
	o.Body = f
	return o
}

func signature(params string) *Overload {
	o := &Overload{Variadic: -1}
	for i, text := range splitParams(params) {
		p, repeats := parseParam(text)
		if repeats {
			o.Variadic = i
		}
		o.Params = append(o.Params, p)
	}
	return o
}

// nullable makes the body see NULL arguments.
func (o *Overload) nullable() *Overload {
	o.NullOnNull = false
	return o
}

func (o *Overload) volatile() *Overload {
	o.Volatile = true
	return o
}

// returning replaces the rule for the result type.
func (o *Overload) returning(f func(args []types.Type) (types.Type, error)) *Overload {
	o.result = nil
	o.Returns = func(args []types.Type, _ []*types.Value) (types.Type, error) { return f(args) }
	return o
}

// sameAsFirst is the result type of argument 0.
func sameAsFirst(args []types.Type) (types.Type, error) { return args[0], nil }

func splitParams(s string) []string {
	var parts []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '<':
			depth++
		case '>':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	if s != "" {
		parts = append(parts, s[start:])
	}
	return parts
}

func parseParam(text string) (p Param, repeats bool) {
	name, t, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		panic("function: parameter without a type: " + text)
	}
	t, repeats = strings.CutSuffix(t, "...")
	t, p.NotNull = strings.CutSuffix(t, "!")
	t, p.Literal = strings.CutSuffix(t, "#")
	if typ, kind, ok := strings.Cut(t, "~"); ok {
		t, p.Pattern = typ, patternKinds[kind]
		if p.Pattern == NoPattern {
			panic("function: no such pattern: " + text)
		}
	}
	p.Name = name
	switch {
	case t == "UNIT":
		p.Unit = true
	case t == "DECIMAL":
		p.Type = types.Type{Kind: types.KindDecimal}
	default:
		if typ, err := types.ParseType(t); err == nil {
			p.Type = typ
		} else {
			p.Shape = t
			parseShape(t) // panics on a slip in the table
		}
	}
	return p, repeats
}

// text returns the parameter's type as signatures print it.
func (p Param) text() string {
	switch {
	case p.Unit:
		return "UNIT"
	case p.Shape != "":
		return p.Shape
	case p.Type.Kind == types.KindDecimal && p.Type.Precision == 0:
		return "DECIMAL"
	}
	return p.Type.String()
}

// String returns the signature as messages show it: SUBSTRING(text STRING, pos
// INTEGER).
func (o *Overload) String() string {
	parts := make([]string, len(o.Params))
	for i, p := range o.Params {
		parts[i] = p.Name + " " + p.text()
		if i == o.Variadic {
			parts[i] += "..."
		}
	}
	return o.Function.Name + "(" + strings.Join(parts, ", ") + ")"
}

// shape is a parsed type pattern. Exactly one of letter, concrete, elem and
// lambda is set; key goes with elem for a MAP.
type shape struct {
	letter   string
	concrete types.Type
	key      *shape
	elem     *shape
	lambda   []shape // parameters, then the result
}

func parseShape(s string) shape {
	s = strings.TrimSpace(s)
	inner := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(s, prefix+"<")
		return strings.TrimSuffix(rest, ">"), ok
	}
	if rest, ok := inner("ARRAY"); ok {
		elem := parseShape(rest)
		return shape{elem: &elem}
	}
	if rest, ok := inner("MAP"); ok {
		parts := splitParams(rest)
		key, elem := parseShape(parts[0]), parseShape(parts[1])
		return shape{key: &key, elem: &elem}
	}
	if rest, ok := inner("LAMBDA"); ok {
		var list []shape
		for _, part := range splitParams(rest) {
			list = append(list, parseShape(part))
		}
		return shape{lambda: list}
	}
	if len(s) == 1 {
		return shape{letter: s}
	}
	t, err := types.ParseType(s)
	if err != nil {
		panic(fmt.Sprintf("function: shape %q: %v", s, err))
	}
	return shape{concrete: t}
}

// shapeOf returns the pattern of a parameter.
func shapeOf(p Param) shape {
	switch {
	case p.Shape != "":
		return parseShape(p.Shape)
	case p.Unit:
		return shape{concrete: types.String}
	}
	return shape{concrete: p.Type}
}

// bindings maps generic letters to types.
type bindings map[string]types.Type

// apply returns the type that a shape stands for. An unbound letter is NULL.
func (s shape) apply(b bindings) types.Type {
	switch {
	case s.letter != "":
		return b[s.letter]
	case s.key != nil:
		return types.Map(s.key.apply(b), s.elem.apply(b))
	case s.elem != nil:
		return types.Array(s.elem.apply(b))
	}
	return s.concrete
}

// returnShape computes the result type from a shape over the parameters'
// letters. A letter that only a lambda's result binds is found by Resolve.
func returnShape(o *Overload, ret string) func([]types.Type, []*types.Value) (types.Type, error) {
	if ret == "" {
		return nil // returning sets it
	}
	if t, err := types.ParseType(ret); err == nil {
		return func([]types.Type, []*types.Value) (types.Type, error) { return t, nil }
	}
	s := parseShape(ret)
	o.result = &s
	return func(args []types.Type, _ []*types.Value) (types.Type, error) {
		b := bindings{}
		for i, t := range args {
			if sh := shapeOf(o.param(i, len(args))); sh.lambda == nil {
				sh.match(t, b, true)
			}
		}
		return s.apply(b), nil
	}
}

// ParamOf returns the parameter of argument i of n.
func (o *Overload) ParamOf(i, n int) Param { return o.param(i, n) }

// param returns the parameter of argument i of n.
func (o *Overload) param(i, n int) Param {
	if o.Variadic < 0 || i < o.Variadic {
		return o.Params[i]
	}
	if after := len(o.Params) - 1 - o.Variadic; i >= n-after {
		return o.Params[len(o.Params)-(n-i)]
	}
	return o.Params[o.Variadic]
}
