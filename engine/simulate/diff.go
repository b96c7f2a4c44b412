package simulate

import (
	"fmt"
	"strings"
)

// maxAlignment bounds the table that aligns two lists, in cells; longer lists are
// compared place by place.
const maxAlignment = 4 << 20

// contextRows is how many equal rows a diff shows around a difference.
const contextRows = 3

// edit is a line of a diff: a pair that matches, or a row of one side, -1 for none.
type edit struct{ want, got int }

// align pairs the rows of two lists in order: the longest common subsequence of
// what match says.
func align(want, got int, match func(w, g int) bool) (edits []edit) {
	first := 0
	for first < want && first < got && match(first, first) {
		edits = append(edits, edit{first, first})
		first++
	}
	last := 0
	for last < want-first && last < got-first && match(want-1-last, got-1-last) {
		last++
	}
	n, m := want-first-last, got-first-last
	if n*m > maxAlignment {
		edits = append(edits, placeByPlace(first, n, m, match)...)
	} else {
		edits = append(edits, alignMiddle(first, n, m, match)...)
	}
	for i := last; i > 0; i-- {
		edits = append(edits, edit{want - i, got - i})
	}
	return edits
}

func placeByPlace(first, n, m int, match func(w, g int) bool) (edits []edit) {
	for i := range max(n, m) {
		if i < n && i < m && match(first+i, first+i) {
			edits = append(edits, edit{first + i, first + i})
			continue
		}
		if i < n {
			edits = append(edits, edit{first + i, -1})
		}
		if i < m {
			edits = append(edits, edit{-1, first + i})
		}
	}
	return edits
}

// alignMiddle is the textbook dynamic programme over suffixes.
func alignMiddle(first, n, m int, match func(w, g int) bool) (edits []edit) {
	length := make([][]int32, n+1)
	same := make([][]bool, n)
	for i := range length {
		length[i] = make([]int32, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		same[i] = make([]bool, m)
		for j := m - 1; j >= 0; j-- {
			same[i][j] = match(first+i, first+j)
			if length[i][j] = max(length[i+1][j], length[i][j+1]); same[i][j] {
				length[i][j] = max(length[i][j], length[i+1][j+1]+1)
			}
		}
	}
	i, j := 0, 0
	for i < n || j < m {
		switch {
		case i < n && j < m && same[i][j] && length[i][j] == length[i+1][j+1]+1:
			edits = append(edits, edit{first + i, first + j})
			i, j = i+1, j+1
		case j == m || i < n && length[i+1][j] >= length[i][j+1]:
			edits = append(edits, edit{first + i, -1})
			i++
		default:
			edits = append(edits, edit{-1, first + j})
			j++
		}
	}
	return edits
}

// pairUp matches the rows of two lists in any order, as many as possible (Kuhn's
// augmenting paths): a partial row may match several.
func pairUp(want, got int, match func(w, g int) bool) []edit {
	owner := make([]int, got) // wanted row + 1
	var place func(w int, seen []bool) bool
	place = func(w int, seen []bool) bool {
		for g := range got {
			if seen[g] || !match(w, g) {
				continue
			}
			seen[g] = true
			if owner[g] == 0 || place(owner[g]-1, seen) {
				owner[g] = w + 1
				return true
			}
		}
		return false
	}
	for w := range want {
		place(w, make([]bool, got))
	}
	placed := make([]bool, want)
	var edits []edit
	for g, w := range owner {
		if w > 0 {
			placed[w-1] = true
			edits = append(edits, edit{w - 1, g})
		}
	}
	for w := range want {
		if !placed[w] {
			edits = append(edits, edit{w, -1})
		}
	}
	for g, w := range owner {
		if w == 0 {
			edits = append(edits, edit{-1, g})
		}
	}
	return edits
}

// render writes a diff, "" when everything matches. Equal rows far from a
// difference are counted only. why says how a wanted row differs from the one in
// its place, "" for nothing to say.
func render(title string, edits []edit, want, got func(i int) string, why func(w, g int) string) string {
	differs := false
	near := make([]bool, len(edits))
	for i, e := range edits {
		if e.want >= 0 && e.got >= 0 {
			continue
		}
		differs = true
		for k := max(0, i-contextRows); k < min(len(edits), i+contextRows+1); k++ {
			near[k] = true
		}
	}
	if !differs {
		return ""
	}
	var b strings.Builder
	b.WriteString(title + "\n")
	for i := 0; i < len(edits); {
		if !near[i] {
			first := i
			for i < len(edits) && !near[i] {
				i++
			}
			fmt.Fprintf(&b, "    ... %d more that match\n", i-first)
			continue
		}
		if e := edits[i]; e.want >= 0 && e.got >= 0 {
			b.WriteString("      " + got(e.got) + "\n")
			i++
			continue
		}
		i = renderBlock(&b, edits, i, want, got, why)
	}
	return b.String()
}

// renderBlock writes a run of rows that do not match, each wanted row beside the
// actual one in its place, and returns where it ends.
func renderBlock(b *strings.Builder, edits []edit, i int, want, got func(i int) string, why func(w, g int) string) int {
	var missing, extra []int
	for ; i < len(edits) && (edits[i].want < 0 || edits[i].got < 0); i++ {
		if edits[i].want >= 0 {
			missing = append(missing, edits[i].want)
		} else {
			extra = append(extra, edits[i].got)
		}
	}
	for k := range max(len(missing), len(extra)) {
		if k < len(missing) {
			b.WriteString("    - " + want(missing[k]) + "\n")
		}
		if k < len(extra) {
			b.WriteString("    + " + got(extra[k]) + "\n")
		}
		if k < len(missing) && k < len(extra) {
			if text := why(missing[k], extra[k]); text != "" {
				b.WriteString("      " + text + "\n")
			}
		}
	}
	return i
}
