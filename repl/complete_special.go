package repl

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/sql"
)

// placeCandidates lists what may stand in the places where nothing but one kind of
// word can: behind WINDOW and DROP STREAM, in the column lists of CREATE and INSERT.
// ok is false for every other place.
func placeCandidates(toks []placed, sources []Source) (out []candidate, ok bool) {
	if len(toks) == 0 {
		return nil, false
	}
	last := toks[len(toks)-1]
	switch first := toks[0].Word; {
	case last.Word == "WINDOW" && first != "DROP":
		return []candidate{{"HOPPING", "keyword"}, {"SESSION", "keyword"}, {"TUMBLING", "keyword"}}, true
	case first == "DROP" || first == "ALTER":
		return droppable(toks, sources)
	case first == "CREATE" && typeDue(toks):
		return typeCandidates(), true
	case first == "INSERT" && len(toks) > 3 && toks[3].Word == "(" && (last.Word == "(" || last.Word == ",") && !slices.ContainsFunc(toks[4:], closes):
		return insertColumns(toks, sources), true
	}
	return nil, false
}

// droppable lists the streams behind DROP STREAM and ALTER STREAM, the tables
// behind TABLE.
func droppable(toks []placed, sources []Source) (out []candidate, ok bool) {
	if n := len(toks); n != 2 && (n != 4 || toks[2].Word != "IF" || toks[3].Word != "EXISTS") {
		return nil, false
	}
	kind := toks[1].Word
	if kind != "STREAM" && kind != "TABLE" {
		return nil, false
	}
	for _, s := range sources {
		if s.Kind == kind {
			out = append(out, candidate{s.Name, strings.ToLower(kind)})
		}
	}
	sortCandidates(out)
	return out, true
}

// typeDue reports whether the tokens end in the name of a column that is declared.
func typeDue(toks []placed) bool {
	n := len(toks)
	if n < 3 || toks[n-1].name == "" || toks[n-2].Word != "(" && toks[n-2].Word != "," || openParens(toks) != 1 {
		return false
	}
	return !slices.ContainsFunc(toks, func(t placed) bool { return t.Word == "WITH" || t.Word == "AS" })
}

func closes(t placed) bool { return t.Word == ")" }

// openParens returns how many parentheses are open where the tokens end.
func openParens(toks []placed) (open int) {
	for _, t := range toks {
		switch t.Word {
		case "(":
			open++
		case ")":
			open--
		}
	}
	return open
}

func typeCandidates() []candidate {
	var out []candidate
	for _, name := range append(sql.TypeNames(), "ARRAY", "DECIMAL", "MAP", "STRUCT") {
		out = append(out, candidate{name, "type"})
	}
	sortCandidates(out)
	return out
}

// insertColumns lists the columns of the source that INSERT INTO names.
func insertColumns(toks []placed, sources []Source) []candidate {
	for _, s := range sources {
		if s.Name == toks[2].name {
			return columnsOf([]scoped{{s.Name, s}}, "")
		}
	}
	return nil
}
