package sql

import (
	"slices"
	"strings"
)

// Suggest returns the candidate nearest to name, or "" when none is near: at
// most one edit per three characters (insertion, deletion, substitution,
// transposition: the optimal string alignment distance), case ignored. Of equals
// the first wins.
func Suggest(name string, candidates []string) string {
	if near := nearest(name, candidates); len(near) > 0 {
		return near[0]
	}
	return ""
}

// nearest returns the candidates that are near to name, as Suggest has it, the
// nearest first.
func nearest(name string, candidates []string) (near []string) {
	most := max(1, len(name)/3)
	upper := strings.ToUpper(name)
	distance := map[string]int{}
	for _, c := range candidates {
		if c == "" || abs(len(c)-len(name)) > most {
			continue
		}
		d := editDistance(upper, strings.ToUpper(c))
		if d == 0 && c == name {
			continue // a suggestion to write what stands there already
		}
		if d <= most && d < len(c) {
			distance[c] = d
			near = append(near, c)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distance[a] - distance[b] })
	return near
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func editDistance(a, b string) int {
	two := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], two[j-2]+1)
			}
		}
		two, prev, cur = prev, cur, two
	}
	return prev[len(b)]
}

// DidYouMean returns the hint that names the nearest candidate, "" when none is
// near.
func DidYouMean(name string, candidates []string) string {
	if s := Suggest(name, candidates); s != "" {
		return "did you mean " + s + "?"
	}
	return ""
}
