package sql

import (
	"fmt"
	"strings"
)

// Substitute replaces ${name} by the value of the variable, whose name counts
// with its case. Where a variable stands for itself its value must be a name, a
// quoted name, a quoted string, a number, TRUE, FALSE or NULL. Inside a string or
// a quoted name the value is inserted as text, with the quotes in it doubled.
// Comments stay as they are, values are not substituted again, and a variable
// that vars does not hold is left as it stands.
func Substitute(text string, vars map[string]string) (string, *Error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var b strings.Builder
	end := 0
	toks := Scan(text)
	for i, t := range toks {
		b.WriteString(text[end:t.Span.Start])
		end = t.Span.End
		lit := text[t.Span.Start:t.Span.End]
		switch t.Kind {
		case TokVariable:
			value, ok := vars[lit[2:len(lit)-1]]
			if !ok {
				b.WriteString(lit)
				continue
			}
			if err := checkSubstitution(toks, i, lit, value); err != nil {
				return "", err
			}
			b.WriteString(value)
		case TokString, TokQuoted:
			b.WriteString(substituteQuoted(lit, vars))
		default:
			b.WriteString(lit)
		}
	}
	return b.String(), nil
}

// checkSubstitution checks the value of the variable at token i, and that
// nothing touches the variable that would make one word with it.
func checkSubstitution(toks []Token, i int, lit, value string) *Error {
	t := toks[i]
	touches := func(o Token) bool {
		return o.Kind != TokOp && o.Kind != TokEOF && o.Kind != TokComment &&
			(o.Span.End == t.Span.Start || o.Span.Start == t.Span.End)
	}
	if i > 0 && touches(toks[i-1]) || touches(toks[i+1]) {
		return &Error{Code: CodeSyntax, Msg: fmt.Sprintf("variable %s is only a part of a word", lit), Span: t.Span,
			Hint: "outside of quotes a variable stands for a whole name or value"}
	}
	if !wholeValue(value) {
		return &Error{Code: CodeSyntax, Msg: fmt.Sprintf("the value of %s is neither a name nor a literal: %s", lit, value), Span: t.Span,
			Hint: "DEFINE name = '''text'''; makes a string, DEFINE name = 'word'; a name"}
	}
	return nil
}

func wholeValue(value string) bool {
	toks := Scan(value)
	if len(toks) == 3 && toks[0].Word == "-" && toks[0].Kind == TokOp && toks[1].Kind >= TokInteger && toks[1].Kind <= TokDouble {
		return true
	}
	if len(toks) != 2 {
		return false
	}
	switch t := toks[0]; t.Kind {
	case TokName, TokQuoted, TokString, TokInteger, TokDecimal, TokDouble:
		return true
	default:
		return t.Word == "TRUE" || t.Word == "FALSE" || t.Word == "NULL"
	}
}

// substituteQuoted replaces the variables in a string or quoted name.
func substituteQuoted(lit string, vars map[string]string) string {
	quote := lit[:1]
	var b strings.Builder
	for {
		start := strings.Index(lit, "${")
		if start < 0 {
			break
		}
		t := scanVariable(lit, start)
		b.WriteString(lit[:start])
		name := lit[start:t.Span.End]
		if value, ok := vars[strings.TrimSuffix(name[2:], "}")]; ok && t.Kind == TokVariable {
			name = strings.ReplaceAll(value, quote, quote+quote)
		}
		b.WriteString(name)
		lit = lit[t.Span.End:]
	}
	b.WriteString(lit)
	return b.String()
}
