package repl

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// placeCandidates lists what may stand in the places where nothing but one kind of
// word can: behind WINDOW, DROP STREAM and TERMINATE, in the column lists of CREATE
// and INSERT. ok is false for every other place.
func placeCandidates(toks []placed, names Names) (out []candidate, ok bool) {
	if len(toks) == 0 {
		return nil, false
	}
	last := toks[len(toks)-1]
	switch first := toks[0].Word; {
	case last.Word == "WINDOW" && first != "DROP":
		return []candidate{{text: "HOPPING", kind: "keyword"}, {text: "SESSION", kind: "keyword"}, {text: "TUMBLING", kind: "keyword"}}, true
	case first == "DROP" || first == "ALTER":
		return droppable(toks, names)
	case isControl(toks):
		takes := func(q engine.QueryInfo) bool { return q.Takes(controls[first]) }
		return append(queriesThat(names.Queries, takes), candidate{text: "ALL", kind: "every persistent query"}), true
	case first == "CREATE" && typeDue(toks):
		return typeCandidates(names.Types), true
	case first == "INSERT" && len(toks) > 3 && toks[3].Word == "(" && (last.Word == "(" || last.Word == ",") && !slices.ContainsFunc(toks[4:], closes):
		return insertColumns(toks, names.Sources), true
	}
	return nil, false
}

// controls are the statements about one query or ALL of them.
var controls = map[string]sql.ControlAction{"TERMINATE": sql.Terminate, "PAUSE": sql.Pause, "RESUME": sql.Resume}

// isControl reports whether the tokens end where a query or ALL is due.
func isControl(toks []placed) bool {
	_, ok := controls[toks[0].Word]
	return ok && len(toks) == 1
}

// queriesThat lists the ids of queries.
func queriesThat(queries []engine.QueryInfo, match func(engine.QueryInfo) bool) []candidate {
	var out []candidate
	for _, q := range queries {
		if match(q) {
			out = append(out, candidate{text: q.ID, kind: strings.ToLower(string(q.Status.State))})
		}
	}
	sortCandidates(out)
	return out
}

// droppable lists the streams behind DROP STREAM and ALTER STREAM, the tables
// behind TABLE, the types behind DROP TYPE.
func droppable(toks []placed, names Names) (out []candidate, ok bool) {
	if n := len(toks); n != 2 && (n != 4 || toks[2].Word != "IF" || toks[3].Word != "EXISTS") {
		return nil, false
	}
	switch kind := toks[1].Word; {
	case kind == "TYPE" && toks[0].Word == "DROP":
		for _, name := range names.Types {
			out = append(out, candidate{text: name, kind: "type"})
		}
	case kind == "STREAM" || kind == "TABLE":
		for _, s := range names.Sources {
			if s.Kind == kind {
				out = append(out, candidate{text: s.Name, kind: strings.ToLower(kind)})
			}
		}
	default:
		return nil, false
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

func typeCandidates(made []string) []candidate {
	var out []candidate
	for _, name := range slices.Concat(sql.TypeNames(), []string{"ARRAY", "DECIMAL", "MAP", "STRUCT"}, made) {
		out = append(out, candidate{text: name, kind: "type"})
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
