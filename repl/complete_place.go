package repl

import (
	"strings"

	"github.com/millrace/millrace/sql"
)

// placed is a token of the statement at the cursor. A word of the language has it
// in Word, and so has an operator; name is what a name stands for.
type placed struct {
	sql.Token
	name string
}

// lastStatement returns the tokens of the statement that a text ends in.
func lastStatement(text string) []placed {
	toks := placedTokens(text)
	for i := len(toks) - 1; i >= 0; i-- {
		if toks[i].Word == ";" {
			return toks[i+1:]
		}
	}
	return toks
}

// firstStatement returns the tokens of a text up to its semicolon.
func firstStatement(text string) []placed {
	toks := placedTokens(text)
	for i := range toks {
		if toks[i].Word == ";" {
			return toks[:i]
		}
	}
	return toks
}

func placedTokens(text string) []placed {
	var out []placed
	for _, t := range sql.Scan(text) {
		p := placed{Token: t}
		switch t.Kind {
		case sql.TokComment, sql.TokEOF:
			continue
		case sql.TokName:
			p.name = strings.ToUpper(text[t.Span.Start:t.Span.End])
		case sql.TokQuoted:
			p.name = text[t.Span.Start+1 : t.Span.End-1]
		}
		out = append(out, p)
	}
	return out
}

// clause is what kind of names go where the cursor is.
type clause uint8

const (
	otherClause      clause = iota
	expressionClause        // columns and functions
	sourceClause            // streams and tables
)

// clauseAt returns the kind of the clause that the tokens end in.
func clauseAt(toks []placed) clause {
	in := otherClause
	for i, t := range toks {
		switch t.Word {
		case "SELECT", "WHERE", "HAVING", "BY", "ON":
			in = expressionClause
		case "FROM", "JOIN", "INTO", "DESCRIBE":
			in = sourceClause
		case "STREAM", "TABLE":
			if i > 0 && (toks[i-1].Word == "DROP" || toks[i-1].Word == "ALTER") {
				in = sourceClause
			}
		case "WINDOW", "WITHIN", "EMIT", "LIMIT", "WITH", "VALUES", "INNER", "LEFT", "RIGHT", "FULL", "GROUP":
			in = otherClause
		default:
			if in == sourceClause {
				in = otherClause // the name stands already
			}
		}
	}
	return in
}

// operandDue reports whether an expression goes on with an operand, not with an
// operator or the next clause.
func operandDue(toks []placed) bool {
	if len(toks) == 0 {
		return true
	}
	switch t := toks[len(toks)-1]; t.Kind {
	case sql.TokName, sql.TokQuoted:
		return t.Word == "PARTITION"
	case sql.TokString, sql.TokInteger, sql.TokDecimal, sql.TokDouble:
		return false
	case sql.TokReserved:
		switch t.Word {
		case "NULL", "TRUE", "FALSE", "END":
			return false
		}
		return true
	default:
		return t.Word != ")" && t.Word != "]"
	}
}

// qualified reports whether a source's name and a dot stand before the cursor.
func qualified(toks []placed) bool {
	n := len(toks)
	return n >= 2 && toks[n-1].Word == "." && toks[n-2].name != ""
}

// scoped is a source that a query reads and what it is called there.
type scoped struct {
	alias  string
	source Source
}

// sourcesOf returns the known sources behind FROM and JOIN.
func sourcesOf(toks []placed, sources []Source) (scope []scoped) {
	for i := 0; i+1 < len(toks); i++ {
		if w := toks[i].Word; w != "FROM" && w != "JOIN" {
			continue
		}
		for _, s := range sources {
			if s.Name == toks[i+1].name {
				scope = append(scope, scoped{aliasAt(toks, i+2, s.Name), s})
			}
		}
	}
	return scope
}

// aliasAt returns the alias at toks[i], or name where there is none.
func aliasAt(toks []placed, i int, name string) string {
	if i < len(toks) && toks[i].Word == "AS" {
		i++
	}
	if i < len(toks) && toks[i].name != "" && toks[i].Word == "" {
		return toks[i].name
	}
	return name
}
