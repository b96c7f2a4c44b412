package main

import (
	"slices"
	"strings"
)

// difference is a line in which two replies differ; a side that lacks it has "".
type difference struct{ path, at, theirs, ours string }

// diff compares two replies line by line. Lines belong together by the identity of
// their elements, whatever the order of lists. What follows from a difference is
// none of its own: the fields of an element that one side lacks, and those beside
// an error code, when the other side has no error.
func diff(theirs, ours []line) []difference {
	a, b := index(theirs), index(ours)
	if isClosed(a) != isClosed(b) {
		return []difference{{closed[0].path, closed[0].at, a[closed[0].at], b[closed[0].at]}}
	}
	var found []difference
	var void []string // what begins so follows
	for _, l := range slices.Concat(theirs, ours) {
		x, inA := a[l.at]
		y, inB := b[l.at]
		switch {
		case inA && inB && x == y:
			continue
		case !(inA && inB) && strings.HasSuffix(l.path, "[]"):
			void = append(void, l.at+".")
		case strings.HasSuffix(l.path, "ErrorCode") && inA && inB && (x == "0" || y == "0"):
			void = append(void, strings.TrimSuffix(l.at, l.at[strings.LastIndexByte(l.at, '.')+1:]))
		}
	}
	done := map[string]bool{}
	for _, l := range slices.Concat(theirs, ours) {
		x, y := a[l.at], b[l.at]
		if done[l.at] || x == y {
			continue
		}
		done[l.at] = true
		decides := strings.HasSuffix(l.path, "ErrorCode") && x != "" && y != "" && (x == "0" || y == "0")
		if decides || !slices.ContainsFunc(void, func(prefix string) bool { return strings.HasPrefix(l.at, prefix) }) {
			found = append(found, difference{l.path, l.at, x, y})
		}
	}
	return found
}

// index returns the values of lines; an empty one is told from one that is not
// there.
func index(lines []line) map[string]string {
	values := map[string]string{}
	for _, l := range lines {
		values[l.at] = l.value
		if l.value == "" {
			values[l.at] = `""`
		}
	}
	return values
}

func isClosed(values map[string]string) bool { return values[closed[0].at] != "" }
