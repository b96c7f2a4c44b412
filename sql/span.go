package sql

// Span is a byte range [Start, End) of the text as the user typed it. The zero
// Span means that a node stands for no text of its own.
type Span struct{ Start, End int }

// Cover returns the smallest span that holds both, ignoring zero spans.
func (s Span) Cover(o Span) Span {
	if s == (Span{}) {
		return o
	}
	if o == (Span{}) {
		return s
	}
	return Span{min(s.Start, o.Start), max(s.End, o.End)}
}
