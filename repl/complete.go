package repl

import (
	"slices"
	"strings"

	"github.com/c-bata/go-prompt"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
)

// Source is a stream or table that completion knows.
type Source struct {
	Name    string
	Columns []string
	Kind    string // STREAM or TABLE
}

// Names are what the statements before have made, which completion offers.
type Names struct {
	Sources []Source
	Queries []engine.QueryInfo
	Types   []string
}

// SourceOf returns what completion knows of a stream or table.
func SourceOf(s *catalog.Source) Source {
	out := Source{Name: s.Name, Kind: string(s.Kind)}
	for i := range s.Schema.Len() {
		out.Columns = append(out.Columns, s.Schema.Column(i).Name)
	}
	return out
}

// wordSeparators end the word that completion looks at.
const wordSeparators = " \t\n,()[]=<>+-*/%'\";.|"

// complete offers what may stand at the cursor and begins with the word there.
func (r *repl) complete(d prompt.Document) []prompt.Suggest {
	r.history.typed(d.Text)
	return offers(r.statement+d.TextBeforeCursor(), d.TextAfterCursor(), r.names)
}

// offers lists what may stand between two texts and begins with the word that the
// first one ends in.
func offers(before, after string, names Names) []prompt.Suggest {
	word := before[strings.LastIndexAny(before, wordSeparators)+1:]
	before = strings.TrimSuffix(before, word)
	if insideString(before) {
		return suggestions(word, stringCandidates(before, after))
	}
	return suggestions(word, candidates(before, after, names, word == ""))
}

// candidate is a word that completion may offer, and what it is. One that is exact
// is written as it is whatever the case of its beginning.
type candidate struct {
	text, kind string
	exact      bool
}

// suggestions lists the candidates that begin with word, in the word's own case.
func suggestions(word string, list []candidate) []prompt.Suggest {
	prefix := strings.ToUpper(word)
	lower := word == strings.ToLower(word)
	var out []prompt.Suggest
	seen := map[string]bool{}
	for _, c := range list {
		text := c.text
		if !strings.HasPrefix(strings.ToUpper(text), prefix) || seen[text] || strings.EqualFold(text, word) {
			continue
		}
		seen[text] = true
		if lower && !c.exact && text == strings.ToUpper(text) {
			text = strings.ToLower(text)
		}
		out = append(out, prompt.Suggest{Text: text, Description: c.kind})
	}
	return out
}

// candidates lists what may stand between two texts, the likeliest first. Without a
// word to begin with there is too much to offer but for names: columns where an
// operand is due, streams and tables where a source is.
func candidates(before, after string, names Names, namesOnly bool) []candidate {
	toks, sources := lastStatement(before), names.Sources
	if out, ok := placeCandidates(toks, names); ok {
		return out
	}
	if at, ok := propertyAt(toks); ok {
		return propertyCandidates(toks, firstStatement(after), at)
	}
	if len(toks) == 1 && toks[0].Word == "EXPLAIN" {
		out := queriesThat(names.Queries, func(engine.QueryInfo) bool { return true })
		if !namesOnly {
			out = append(out, keywords()...)
		}
		return out
	}
	in := clauseAt(toks)
	scope := sourcesOf(append(slices.Clone(toks), firstStatement(after)...), sources)
	var out []candidate
	switch {
	case in == expressionClause && qualified(toks):
		return columnsOf(scope, toks[len(toks)-2].name)
	case in == sourceClause:
		out = sourceNames(sources)
	case in == expressionClause && operandDue(toks):
		out = columnsOf(scope, "")
		if len(scope) == 0 && !namesOnly {
			out = allColumns(sources)
		}
		if namesOnly {
			return out
		}
		for _, s := range scope {
			out = append(out, candidate{text: s.alias, kind: "source"})
		}
		return append(append(out, functions()...), keywords()...)
	case in == expressionClause:
		out = keywords()
	case !namesOnly:
		out = append(append(append(sourceNames(sources), allColumns(sources)...), keywords()...), functions()...)
	}
	if namesOnly && in != sourceClause {
		return nil
	}
	return out
}

func columnsOf(scope []scoped, alias string) []candidate {
	var out []candidate
	for _, s := range scope {
		if alias != "" && s.alias != alias {
			continue
		}
		for _, c := range s.source.Columns {
			out = append(out, candidate{text: c, kind: "column of " + s.source.Name})
		}
	}
	return out
}

func allColumns(sources []Source) []candidate {
	var out []candidate
	for _, s := range sources {
		for _, c := range s.Columns {
			out = append(out, candidate{text: c, kind: "column of " + s.Name})
		}
	}
	sortCandidates(out)
	return out
}

func sourceNames(sources []Source) []candidate {
	var out []candidate
	for _, s := range sources {
		out = append(out, candidate{text: s.Name, kind: "source"})
	}
	sortCandidates(out)
	return out
}

func sortCandidates(list []candidate) {
	slices.SortStableFunc(list, func(a, b candidate) int { return strings.Compare(a.text, b.text) })
}

func keywords() []candidate {
	var out []candidate
	reserved, nonReserved := sql.Keywords()
	for _, w := range append(slices.Clone(reserved), nonReserved...) {
		out = append(out, candidate{text: w, kind: "keyword"})
	}
	sortCandidates(out)
	return out
}

func functions() []candidate {
	var out []candidate
	for _, f := range function.All() {
		out = append(out, candidate{text: f.Name, kind: "function"})
	}
	return out
}

// insideString reports whether text ends inside a string literal.
func insideString(text string) bool { return strings.Count(text, "'")%2 == 1 }
