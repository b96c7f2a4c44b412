package sql

// Split returns the complete statements of text, each with its semicolon, and
// the rest: what follows the last semicolon, a statement that is not complete
// yet. rest is the zero Span when nothing but white space and comments follows.
// Semicolons in strings, quoted names and comments do not count.
func Split(text string) (statements []Span, rest Span) {
	open := false
	for _, t := range Scan(text) {
		switch {
		case t.Kind == TokComment:
		case t.Kind == TokEOF:
			if open {
				rest.End = t.Span.End
			}
			return statements, rest
		case t.Word == ";" && t.Kind == TokOp:
			if !open {
				rest.Start = t.Span.Start
			}
			statements = append(statements, Span{rest.Start, t.Span.End})
			open, rest = false, Span{}
		case !open:
			open, rest.Start = true, t.Span.Start
		}
	}
	return statements, rest
}
