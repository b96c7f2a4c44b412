package main

import (
	"fmt"
	"os"
	"strings"
)

// rule is a line of accepted.txt: a difference that is meant to be.
type rule struct {
	key, path, theirs, ours, reason string
	used                            int
}

// rules are the accepted differences.
type rules struct{ list []*rule }

// readRules reads lines "KEY PATH THEIRS OURS # reason"; a star stands for
// anything at the end of a word or as the whole of it.
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
			return nil, fmt.Errorf("%s:%d: expected KEY PATH THEIRS OURS # reason", file, i+1)
		}
		r.list = append(r.list, &rule{words[0], words[1], words[2], words[3], strings.TrimSpace(reason), 0})
	}
	return &r, nil
}

// accepts says whether a difference is meant to be.
func (r *rules) accepts(key string, d difference) bool {
	for _, x := range r.list {
		if match(x.key, key) && match(x.path, d.path) && match(x.theirs, word(d.theirs)) && match(x.ours, word(d.ours)) {
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

func match(pattern, text string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(text, prefix)
	}
	return pattern == text
}

// unused returns the rules that met nothing.
func (r *rules) unused() []string {
	var lines []string
	for _, x := range r.list {
		if x.used == 0 {
			lines = append(lines, strings.Join([]string{x.key, x.path, x.theirs, x.ours}, " "))
		}
	}
	return lines
}
