package repl

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/planner"
)

// propertyPlace is where the tokens end in a WITH clause.
type propertyPlace struct {
	with  int    // the index of WITH
	value string // the property whose value is due, "" where a name is
}

// propertyAt returns the place in the WITH clause of CREATE or INSERT that the tokens
// end in; ok is false elsewhere, and where neither a name nor a value is due.
func propertyAt(toks []placed) (at propertyPlace, ok bool) {
	if len(toks) == 0 || toks[0].Word != "CREATE" && toks[0].Word != "INSERT" {
		return at, false
	}
	at.with = slices.IndexFunc(toks, func(t placed) bool { return t.Word == "WITH" })
	if at.with < 0 || len(toks) < at.with+2 || toks[at.with+1].Word != "(" || openParens(toks[at.with:]) != 1 {
		return at, false
	}
	switch n := len(toks); toks[n-1].Word {
	case "(", ",":
		return at, true
	case "=":
		at.value = toks[n-2].name
		return at, at.value != ""
	}
	return at, false
}

// propertyCandidates lists the names that the statement may have at a place, or the
// values that the property there may have.
func propertyCandidates(toks, after []placed, at propertyPlace) []candidate {
	var out []candidate
	if at.value != "" {
		for _, value := range choicesOf(at.value) {
			out = append(out, candidate{text: value, kind: "value of " + at.value, exact: true})
		}
		return out
	}
	given := propertyNames(append(slices.Clone(toks[at.with:]), after...))
	for _, d := range planner.Properties {
		if slices.ContainsFunc(given, func(name string) bool { return name == d.Name || d.Excludes(name) }) || !takes(toks[:at.with], after, d) {
			continue
		}
		out = append(out, candidate{text: d.Name, kind: d.Type})
	}
	return out
}

// propertyNames returns the names that are given before and after the cursor.
func propertyNames(toks []placed) []string {
	var names []string
	for i := 1; i < len(toks); i++ {
		if toks[i].Word == "=" {
			names = append(names, toks[i-1].name)
		}
	}
	return names
}

// takes reports whether a property is legal in the statement with this head. Whether
// CREATE is followed by a query is known from its columns, or when it is there.
func takes(head, after []placed, d planner.PropertyDoc) bool {
	create, createAs, insertSelect := d.Places()
	has := func(toks []placed, word string) bool {
		return slices.ContainsFunc(toks, func(t placed) bool { return t.Word == word })
	}
	switch {
	case head[0].Word == "INSERT":
		return insertSelect
	case has(head, "(") || has(head, "SOURCE"):
		return create
	case has(after, "AS"):
		return createAs
	}
	return create || createAs
}

// choicesOf returns the values of a property that has a fixed set of them, as they
// are written.
func choicesOf(name string) []string {
	i := slices.IndexFunc(planner.Properties, func(d planner.PropertyDoc) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return planner.Properties[i].Choices()
}

// stringCandidates lists what may stand in the string that before ends in, where the
// string is the value of a property and has just begun. The quote is closed unless
// it stands there.
func stringCandidates(before, after string) []candidate {
	open, ok := strings.CutSuffix(before, "'")
	if !ok {
		return nil
	}
	at, ok := propertyAt(lastStatement(open))
	if !ok || at.value == "" {
		return nil
	}
	var out []candidate
	for _, value := range choicesOf(at.value) {
		text, quoted := strings.CutPrefix(value, "'")
		if !quoted {
			continue
		}
		if strings.HasPrefix(after, "'") {
			text = strings.TrimSuffix(text, "'")
		}
		out = append(out, candidate{text: text, kind: "value of " + at.value, exact: true})
	}
	return out
}
