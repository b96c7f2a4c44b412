package function

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// Resolve finds the overload for a call: an exact match first, then one that
// implicit casts reach. Of several matches a non-variadic one wins, then the one
// with fewest generic parameters; a tie is an error that asks for a CAST. No match
// is an error that lists the signatures. The error's text is for users.
func (f *Function) Resolve(args []Argument) (Resolved, error) {
	for _, casts := range []bool{false, true} {
		var found []*match
		for _, o := range f.Overloads {
			if m := o.match(args, casts); m != nil {
				found = append(found, m)
			}
		}
		slices.SortStableFunc(found, compareMatches)
		switch {
		case len(found) == 1, len(found) > 1 && compareMatches(found[0], found[1]) < 0:
			return found[0].resolved(args)
		case len(found) > 1:
			return Resolved{}, ambiguous(f, args, found)
		}
	}
	return Resolved{}, noMatch(f, args)
}

func compareMatches(a, b *match) int {
	rank := func(m *match) int {
		n := 0
		if m.overload.Variadic >= 0 {
			n = 1 << 16
		}
		for _, p := range m.overload.Params {
			if p.Shape != "" {
				n++
			}
		}
		return n
	}
	return rank(a) - rank(b)
}

func argumentTypes(args []Argument) string {
	parts := make([]string, len(args))
	for i, a := range args {
		switch {
		case a.LambdaParams > 0:
			parts[i] = "LAMBDA"
		case a.Unit:
			parts[i] = "UNIT"
		default:
			parts[i] = a.Type.String()
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func noMatch(f *Function, args []Argument) error {
	return fmt.Errorf("function %s does not take %s; it takes %s", f.Name, argumentTypes(args), signatures(f.Overloads))
}

func ambiguous(f *Function, args []Argument, found []*match) error {
	list := make([]*Overload, len(found))
	for i, m := range found {
		list[i] = m.overload
	}
	return fmt.Errorf("function %s is ambiguous for %s, use CAST: it could be %s", f.Name, argumentTypes(args), signatures(list))
}

func signatures(list []*Overload) string {
	parts := make([]string, len(list))
	for i, o := range list {
		parts[i] = o.String()
	}
	return strings.Join(parts, ", ")
}

// match is an overload that takes the arguments.
type match struct {
	overload *Overload
	bound    bindings
	lambdas  [][]types.Type // by argument
}

// match tries an overload; nil means that it does not take the arguments.
func (o *Overload) match(args []Argument, casts bool) *match {
	if n := len(args); o.Variadic < 0 && n != len(o.Params) || o.Variadic >= 0 && n < len(o.Params)-1 {
		return nil
	}
	m := &match{overload: o, bound: bindings{}, lambdas: make([][]types.Type, len(args))}
	for i, a := range args {
		p := o.param(i, len(args))
		s := shapeOf(p)
		switch {
		case a.Unit != p.Unit, (a.LambdaParams > 0) != (s.lambda != nil), p.Literal && a.Literal == nil:
			return nil
		case s.lambda != nil && a.LambdaParams != len(s.lambda)-1:
			return nil
		case s.lambda != nil || a.Unit:
		case !s.match(a.Type, m.bound, casts):
			return nil
		}
	}
	if !m.matchLambdas(args, casts) {
		return nil
	}
	return m
}

// matchLambdas types the bodies of lambdas from left to right, with what the
// other arguments bound; a body's type binds the lambda's result. A body that is
// wider than a bound result widens it, as REDUCE(a, 0, (s, x) => s + x) over
// BIGINT, and then all are typed once more.
func (m *match) matchLambdas(args []Argument, casts bool) bool {
	for again := 0; again < 2; again++ {
		widened := false
		for i, a := range args {
			if a.LambdaParams == 0 {
				continue
			}
			s := shapeOf(m.overload.param(i, len(args)))
			params := make([]types.Type, a.LambdaParams)
			for j := range params {
				params[j] = s.lambda[j].apply(m.bound)
			}
			body, err := a.LambdaBody(params)
			if err != nil {
				return false
			}
			result := s.lambda[len(s.lambda)-1]
			before := result.apply(m.bound)
			if !result.match(body, m.bound, casts) {
				return false
			}
			widened = widened || before.Kind != types.KindNull && !before.Equal(result.apply(m.bound))
			m.lambdas[i] = params
		}
		if !widened {
			return true
		}
	}
	return true
}

// match binds the letters of a shape so that it takes t. With casts, t may also
// be cast to it, and a bound letter may widen.
func (s shape) match(t types.Type, b bindings, casts bool) bool {
	switch {
	case t.Kind == types.KindNull:
		return true
	case s.letter != "":
		bound, ok := b[s.letter]
		switch {
		case !ok || bound.Kind == types.KindNull:
			b[s.letter] = t
		case bound.Equal(t):
		case !casts:
			return false
		case bound.Kind.Numeric() && t.Kind.Numeric():
			b[s.letter] = types.WidenNumeric(bound, t)
		case types.CanImplicitlyCast(bound, t):
			b[s.letter] = t
		default:
			return types.CanImplicitlyCast(t, bound)
		}
		return true
	case s.key != nil:
		return t.Kind == types.KindMap && s.key.match(*t.Key, b, casts) && s.elem.match(*t.Elem, b, casts)
	case s.elem != nil:
		return t.Kind == types.KindArray && s.elem.match(*t.Elem, b, casts)
	case s.lambda != nil:
		return false
	}
	return takes(s.concrete, t, casts)
}

// takes reports whether a concrete parameter takes a type.
func takes(param, t types.Type, casts bool) bool {
	if anyDecimal(param) {
		return t.Kind == types.KindDecimal || casts && (t.Kind == types.KindInteger || t.Kind == types.KindBigint)
	}
	return param.Equal(t) || casts && types.CanImplicitlyCast(t, param)
}

func anyDecimal(t types.Type) bool { return t.Kind == types.KindDecimal && t.Precision == 0 }

// resolved computes casts and the result type.
func (m *match) resolved(args []Argument) (Resolved, error) {
	r := Resolved{Overload: m.overload, Casts: make([]types.Type, len(args)), LambdaParams: m.lambdas}
	after := make([]types.Type, len(args))
	literals := make([]*types.Value, len(args))
	for i, a := range args {
		after[i], literals[i] = a.Type, a.Literal
		s := shapeOf(m.overload.param(i, len(args)))
		if s.lambda != nil || a.Unit {
			continue
		}
		want := s.apply(m.bound)
		if anyDecimal(want) {
			want = types.AsDecimal(a.Type)
		}
		if a.Type.Kind == types.KindNull {
			after[i] = want
			continue
		}
		if !want.Equal(a.Type) {
			r.Casts[i], after[i] = want, want
			if a.Literal != nil {
				v, err := types.Coerce(*a.Literal, a.Type, want)
				if err != nil {
					return Resolved{}, err
				}
				literals[i] = &v
			}
		}
	}
	var err error
	if m.overload.result != nil {
		r.Result = m.overload.result.apply(m.bound)
	} else {
		r.Result, err = m.overload.Returns(after, literals)
	}
	return r, err
}
