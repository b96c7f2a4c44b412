package main

import (
	"fmt"
	"os"
	"strings"
)

// rule is a line of accepted.txt: a difference that is meant to be.
type rule struct {
	key, step, path, theirs, ours string
	used                          int
}

// rules are the accepted differences.
type rules struct{ list []*rule }

// readRules reads lines "KEY[@STEP] PATH THEIRS OURS # reason"; a star stands for
// any text, in which blanks are underscores.
func readRules(file string) (*rules, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r rules
	for i, l := range strings.Split(string(text), "\n") {
		body, reason, _ := strings.Cut(l, "#")
		words := strings.Fields(body)
		if len(words) == 0 {
			continue
		}
		if len(words) != 4 || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: expected KEY[@STEP] PATH THEIRS OURS # reason", file, i+1)
		}
		key, step, _ := strings.Cut(words[0], "@")
		r.list = append(r.list, &rule{key, step, words[1], words[2], words[3], 0})
	}
	return &r, nil
}

// accepts says whether a difference is meant to be.
func (r *rules) accepts(key, step string, d difference) bool {
	for _, x := range r.list {
		if x.key == key && (x.step == "" || match(x.step, word(step))) && match(x.path, d.path) && match(x.theirs, word(d.theirs)) && match(x.ours, word(d.ours)) {
			x.used++
			return true
		}
	}
	return false
}

// word writes a value as accepted.txt has it.
func word(value string) string {
	if value == "" {
		return "-"
	}
	return strings.ReplaceAll(value, " ", "_")
}

// match says whether a pattern with stars is all of a text.
func match(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	for i := range len(text) + 1 {
		if match(rest, text[i:]) {
			return true
		}
	}
	return false
}

// unused returns the rules that met nothing.
func (r *rules) unused() []string {
	var lines []string
	for _, x := range r.list {
		if x.used == 0 {
			key := x.key
			if x.step != "" {
				key += "@" + x.step
			}
			lines = append(lines, strings.Join([]string{key, x.path, x.theirs, x.ours}, " "))
		}
	}
	return lines
}
