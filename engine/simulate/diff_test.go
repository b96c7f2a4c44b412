package simulate

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// table draws which wanted rows match which actual ones.
func table(t *rapid.T) (n, m int, match func(w, g int) bool) {
	n, m = rapid.IntRange(0, 7).Draw(t, "want"), rapid.IntRange(0, 7).Draw(t, "got")
	cells := rapid.SliceOfN(rapid.Bool(), n*m, n*m).Draw(t, "cells")
	return n, m, func(w, g int) bool { return cells[w*m+g] }
}

// pairs counts the pairs of a diff and checks that it has every row once and pairs
// only what matches.
func pairs(t *rapid.T, edits []edit, n, m int, match func(w, g int) bool) (count int) {
	want, got := make([]bool, n), make([]bool, m)
	for _, e := range edits {
		if e.want >= 0 {
			if want[e.want] {
				t.Fatalf("wanted row %d twice in %v", e.want, edits)
			}
			want[e.want] = true
		}
		if e.got >= 0 {
			if got[e.got] {
				t.Fatalf("actual row %d twice in %v", e.got, edits)
			}
			got[e.got] = true
		}
		if e.want >= 0 && e.got >= 0 {
			if count++; !match(e.want, e.got) {
				t.Fatalf("%v does not match", e)
			}
		}
	}
	for _, all := range [][]bool{want, got} {
		for i, seen := range all {
			if !seen {
				t.Fatalf("row %d is missing in %v", i, edits)
			}
		}
	}
	return count
}

// most is the largest number of pairs, by trying all: in order, or in any.
func most(w, n, m int, used []bool, least int, ordered bool, match func(w, g int) bool) int {
	if w == n {
		return 0
	}
	best := most(w+1, n, m, used, least, ordered, match)
	for g := range m {
		if used[g] || ordered && g < least || !match(w, g) {
			continue
		}
		used[g] = true
		best = max(best, 1+most(w+1, n, m, used, g+1, ordered, match))
		used[g] = false
	}
	return best
}

func TestAlignmentIsTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m, match := table(t)
		edits := align(n, m, match)
		lastWant, lastGot := -1, -1
		for _, e := range edits {
			if e.want >= 0 && e.want < lastWant || e.got >= 0 && e.got < lastGot {
				t.Fatalf("%v is not in order", edits)
			}
			lastWant, lastGot = max(lastWant, e.want), max(lastGot, e.got)
		}
		// A row that matches several can make the trimmed ends choose a shorter
		// alignment, never one that hides a difference.
		got, best := pairs(t, edits, n, m, match), most(0, n, m, make([]bool, m), 0, true, match)
		if got > best || n == m && best == n && got != n {
			t.Fatalf("%d pairs, the best has %d: %v", got, best, edits)
		}
	})
}

func TestPairingIsTheLargest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m, match := table(t)
		edits := pairUp(n, m, match)
		if got, best := pairs(t, edits, n, m, match), most(0, n, m, make([]bool, m), 0, false, match); got != best {
			t.Fatalf("%d pairs, the best has %d: %v", got, best, edits)
		}
	})
}

func TestLongListsAreComparedPlaceByPlace(t *testing.T) {
	const n = 3000 // n*n is more than maxAlignment
	edits := align(n, n-1, func(w, g int) bool { return w%7 == g%7 && w != 5 && g != n-2 })
	missing, extra := 0, 0
	for _, e := range edits {
		if e.got < 0 {
			missing++
		}
		if e.want < 0 {
			extra++
		}
	}
	if missing != extra+1 || missing == 0 {
		t.Errorf("%d missing, %d extra", missing, extra)
	}
}

func TestRenderLeavesOutWhatMatches(t *testing.T) {
	text := func(i int) string { return strings.Repeat("x", i+1) }
	edits := align(20, 20, func(w, g int) bool { return w == g && w != 10 })
	out := render("rows", edits, text, text, func(int, int) string { return "" })
	if strings.Count(out, "\n") != 1+1+3+2+3+1 || !strings.Contains(out, "... 7 more that match") {
		t.Errorf("got\n%s", out)
	}
}
