package expr

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// likePattern is a LIKE pattern: runes, with the wildcards as negative ones.
type likePattern []rune

const (
	anyRune rune = -1 // _
	anyRun  rune = -2 // %
)

// rowLike compiles LIKE; a constant pattern is parsed once.
func rowLike(e *plan.Expr, args []rowFunc) (rowFunc, error) {
	escape := rune(-3)
	if e.Name != "" {
		r, n := utf8.DecodeRuneInString(e.Name)
		if n != len(e.Name) {
			return nil, fmt.Errorf("LIKE escape %q is not one character", e.Name)
		}
		escape = r
	}
	var constant likePattern
	if l := e.Args[1]; l.Op == plan.OpLiteral && !l.Value.IsNull() {
		var err error
		if constant, err = parseLike(l.Value.Str(), escape); err != nil {
			return nil, err
		}
	}
	return func(r *row) (types.Value, error) {
		text, err := args[0](r)
		if err != nil || text.IsNull() {
			return types.NewBoolean(false), err
		}
		p := constant
		if p == nil {
			pattern, err := args[1](r)
			if err != nil || pattern.IsNull() {
				return types.NewBoolean(false), err
			}
			if p, err = parseLike(pattern.Str(), escape); err != nil {
				return types.NullValue, err
			}
		}
		return types.NewBoolean(p.match(text.Str())), nil
	}, nil
}

func parseLike(s string, escape rune) (likePattern, error) {
	p := likePattern{}
	escaped := false
	for _, r := range s {
		switch {
		case escaped:
			escaped = false
		case r == escape:
			escaped = true
			continue
		case r == '_':
			r = anyRune
		case r == '%':
			r = anyRun
		}
		p = append(p, r)
	}
	if escaped {
		return nil, errors.New("LIKE pattern ends with its escape character")
	}
	return p, nil
}

// match goes back to the last % on a mismatch: linear for usual patterns,
// quadratic at worst.
func (p likePattern) match(s string) bool {
	at, k := 0, 0
	backAt, backK := -1, -1
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case k < len(p) && p[k] == anyRun:
			backAt, backK = at, k
			k++
		case k < len(p) && (p[k] == anyRune || p[k] == r):
			at, k = at+n, k+1
		case backK >= 0:
			_, n := utf8.DecodeRuneInString(s[backAt:])
			backAt += n
			at, k = backAt, backK+1
		default:
			return false
		}
	}
	for k < len(p) && p[k] == anyRun {
		k++
	}
	return k == len(p)
}
