package repl

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of drawn tables.
const (
	// DefaultWidth is the width of a terminal that does not tell.
	DefaultWidth = 120
	// minColumn is the narrowest that a column is drawn.
	minColumn = 6
	// tinyColumn is the narrowest when there is no other way to fit.
	tinyColumn = 3
	// maxWidthRows is how many rows of a stream decide the columns' widths.
	maxWidthRows = 100
)

// table draws rows in columns with bars between them. Cells that are too long
// for the terminal are wrapped.
type table struct {
	headings []string
	numeric  []bool // right-aligned columns
	widths   []int
	clip     bool // cells are cut, not wrapped
	fixed    bool // the user chose the widths
}

// layout says how a table fits its terminal.
type layout struct {
	width  int // of the terminal
	column int // of every column, 0 to choose
	clip   bool
}

// newTable chooses the widths for the terminal from the headings and the first
// rows.
func newTable(headings []string, numeric []bool, sample [][]string, l layout) *table {
	t := &table{headings: headings, numeric: numeric, widths: make([]int, len(headings)), clip: l.clip}
	if l.column > 0 {
		for i := range t.widths {
			t.widths[i] = l.column
		}
		t.fixed = true
		return t
	}
	for i, h := range headings {
		t.widths[i] = max(textWidth(h), minColumn)
	}
	for _, row := range sample[:min(len(sample), maxWidthRows)] {
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], textWidth(cell))
		}
	}
	t.shrink(l.width)
	return t
}

// shrink takes from the widest columns until the table fits: first as far as the
// words of the headings stay whole, then down to minColumn, and where even that is
// too wide for the terminal down to tinyColumn.
func (t *table) shrink(width int) {
	total := 1
	words, least, tiny := make([]int, len(t.widths)), make([]int, len(t.widths)), make([]int, len(t.widths))
	for i, w := range t.widths {
		total += w + 3
		words[i], least[i], tiny[i] = minColumn, minColumn, tinyColumn
		for _, word := range strings.Fields(t.headings[i]) {
			words[i] = max(words[i], textWidth(word))
		}
	}
	for _, floor := range [][]int{words, least, tiny} {
		for total > width && t.narrow(floor) {
			total--
		}
	}
}

// narrow takes one from the widest column above its floor and reports whether
// there was one.
func (t *table) narrow(floor []int) bool {
	widest := -1
	for i, w := range t.widths {
		if w > floor[i] && (widest < 0 || w > t.widths[widest]) {
			widest = i
		}
	}
	if widest < 0 {
		return false
	}
	t.widths[widest]--
	return true
}

// Limits that make a table crowded.
const (
	crowdedColumns = 7  // at least so many columns
	crowdedWidth   = 24 // and a long cell has less than this
)

// crowded reports whether long cells of a table of many columns would stand in
// narrow ones.
func (t *table) crowded(rows [][]string) bool {
	if len(t.headings) < crowdedColumns || t.fixed || t.clip {
		return false
	}
	for _, row := range rows {
		for i, cell := range row {
			if t.widths[i] < crowdedWidth && textWidth(cell) > t.widths[i] {
				return true
			}
		}
	}
	return false
}

// record draws one row with a line per column.
func (t *table) record(i int, cells []string) string {
	name := 0
	for _, h := range t.headings {
		name = max(name, textWidth(h))
	}
	head := fmt.Sprintf("-[ %d ]", i+1)
	b := head + strings.Repeat("-", max(name+3-len(head), 0)) + "\n"
	for k, h := range t.headings {
		b += h + strings.Repeat(" ", name-textWidth(h)) + " | " + strings.Join(wrap(cells[k], math.MaxInt), "") + "\n"
	}
	return b
}

func (t *table) rule() string {
	var b strings.Builder
	for _, w := range t.widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	return b.String() + "+\n"
}

func (t *table) header() string { return t.rule() + t.row(t.headings) + t.rule() }

// row draws one row, on several lines when a cell is wrapped.
func (t *table) row(cells []string) string {
	lines := make([][]string, len(cells))
	height := 1
	for i, c := range cells {
		lines[i] = wrap(c, t.widths[i])
		if t.clip && len(lines[i]) > 1 {
			lines[i] = []string{clip(c, t.widths[i])}
		}
		height = max(height, len(lines[i]))
	}
	var b strings.Builder
	for y := range height {
		for i, w := range t.widths {
			text := ""
			if y < len(lines[i]) {
				text = lines[i][y]
			}
			pad := strings.Repeat(" ", max(w-textWidth(text), 0))
			if t.numeric[i] {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString("| " + text + " ")
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// clipMark stands behind a value that was cut.
const clipMark = "..."

// clip cuts text to width columns, which must have room for clipMark.
func clip(text string, width int) string {
	text = strings.Join(wrap(text, math.MaxInt), "")
	cut, w := 0, 0
	for i, r := range text {
		if w += runeWidth(r); w > width-len(clipMark) {
			break
		}
		cut = i + utf8.RuneLen(r)
	}
	return text[:cut] + clipMark
}

// wrap cuts text into lines of at most width columns, behind a blank or a comma
// where the line has one in its second half.
func wrap(text string, width int) []string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, text)
	var lines []string
	for textWidth(text) > width {
		cut, w := 0, 0
		for cut < len(text) {
			r, size := utf8.DecodeRuneInString(text[cut:])
			if w += runeWidth(r); w > width {
				break
			}
			cut += size
		}
		if cut == 0 {
			break
		}
		if text[cut] == ' ' {
			lines, text = append(lines, text[:cut]), text[cut+1:]
			continue
		}
		if i := strings.LastIndexAny(text[:cut], " ,"); i >= cut/2 {
			cut = i + 1
		}
		lines = append(lines, strings.TrimRight(text[:cut], " "))
		text = text[cut:]
	}
	return append(lines, text)
}

func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is the number of terminal columns of a rune: 2 for East Asian wide
// ones and emoji, 0 for combining marks.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
		r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1f64f || r >= 0x1f900 && r <= 0x1f9ff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}
