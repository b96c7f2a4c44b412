package sql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxExcerpt bounds the characters of a line that an excerpt shows.
const maxExcerpt = 120

// Format prints an error with the lines of text that it is about:
//
//	error[unknown-column]: column ADDRES does not exist in ORDERS
//	 --> 2:8
//	  |
//	2 | SELECT addres, total FROM orders EMIT CHANGES;
//	  |        ^^^^^^
//	  = hint: did you mean ADDRESS?
//
// Line and column count from 1, in characters. A span over several lines shows
// its first and its last. An error without a span prints without an excerpt. The
// result ends with a newline.
func Format(text string, e *Error) string { return FormatAt(Origin{}, text, e) }

// Origin is where a text stands in a file. The zero Origin is a text that is shown
// by itself.
type Origin struct {
	// File is the name of the file, or "".
	File string
	// Lines are in front of the text, and Columns in front of each of its lines.
	Lines, Columns int
}

// FormatAt is Format for a text that stands somewhere: the arrow names the file,
// and lines and columns are the file's.
func FormatAt(o Origin, text string, e *Error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "error[%s]: %s\n", e.Code, e.Msg)
	width := 1
	for _, n := range e.Notes {
		width = max(width, o.gutter(text, n.Span))
	}
	width = max(width, o.gutter(text, e.Span))
	if e.Span != (Span{}) {
		o.excerpt(&b, text, e.Span, width)
	}
	pad := strings.Repeat(" ", width)
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "%s = note: %s\n", pad, n.Msg)
		if n.Span != (Span{}) {
			o.excerpt(&b, text, n.Span, width)
		}
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "%s = hint: %s\n", pad, e.Hint)
	}
	return b.String()
}

// Position returns the line and column of a byte offset, both from 1; columns
// count characters.
func Position(text string, offset int) (line, column int) {
	offset = min(max(offset, 0), len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	return strings.Count(text[:offset], "\n") + 1, utf8.RuneCountInString(text[start:offset]) + 1
}

// gutter returns the digits of the largest line number of a span.
func (o Origin) gutter(text string, s Span) int {
	line, _ := Position(text, s.End)
	return len(strconv.Itoa(line + o.Lines))
}

func (o Origin) excerpt(b *strings.Builder, text string, s Span, width int) {
	s.Start = min(max(s.Start, 0), len(text))
	s.End = min(max(s.End, s.Start), len(text))
	line, column := Position(text, s.Start)
	last, _ := Position(text, max(s.Start, s.End-1))
	pad := strings.Repeat(" ", width)
	file := o.File
	if file != "" {
		file += ":"
	}
	fmt.Fprintf(b, "%s--> %s%d:%d\n%s |\n", pad, file, line+o.Lines, column+o.Columns, pad)
	lineStart := strings.LastIndexByte(text[:s.Start], '\n') + 1
	marked(b, text, lineStart, s, line+o.Lines, width)
	if last == line {
		return
	}
	if last > line+1 {
		fmt.Fprintf(b, "%s ...\n", pad)
	}
	lastStart := strings.LastIndexByte(text[:s.End-1], '\n') + 1
	indent := lastStart
	for indent < s.End-1 && isSpace(text[indent]) {
		indent++
	}
	marked(b, text, lastStart, Span{indent, s.End}, last+o.Lines, width)
}

// marked prints the line that starts at lineStart with carets under the part of
// span in it, at least one.
func marked(b *strings.Builder, text string, lineStart int, span Span, number, width int) {
	lineEnd := len(text)
	if i := strings.IndexByte(text[lineStart:], '\n'); i >= 0 {
		lineEnd = lineStart + i
	}
	line := []rune(strings.TrimRight(text[lineStart:lineEnd], "\r"))
	from := utf8.RuneCountInString(text[lineStart:min(span.Start, lineEnd)])
	to := utf8.RuneCountInString(text[lineStart:min(span.End, lineEnd)])
	prefix, suffix := "", ""
	if len(line) > maxExcerpt {
		cut := max(0, min(from-maxExcerpt/3, len(line)-maxExcerpt))
		if cut > 0 {
			prefix = "..."
		}
		if cut+maxExcerpt < len(line) {
			suffix = "..."
		}
		line = line[cut:min(len(line), cut+maxExcerpt)]
		from, to = from-cut, min(to-cut, len(line))
	}
	// Tabs stay tabs in the padding so that the caret lands where the text does.
	var padding strings.Builder
	padding.WriteString(strings.Repeat(" ", len(prefix)))
	for i := 0; i < from; i++ {
		if i < len(line) && line[i] == '\t' {
			padding.WriteByte('\t')
		} else {
			padding.WriteByte(' ')
		}
	}
	fmt.Fprintf(b, "%*d | %s%s%s\n", width, number, prefix, string(line), suffix)
	fmt.Fprintf(b, "%s | %s%s\n", strings.Repeat(" ", width), padding.String(), strings.Repeat("^", max(1, to-from)))
}
