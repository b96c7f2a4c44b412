package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// A pair passed, failed, could not be tried here, or is nothing that the client has
// means for.
const (
	statusPass = "PASS"
	statusFail = "FAIL"
	statusSkip = "SKIP"
	statusNone = "n/a"
)

// result is what became of one pair.
type result struct {
	Scenario string `json:"scenario"`
	Client   string `json:"client"`
	Status   string `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Ms       int64  `json:"ms"`
}

// record keeps and prints a result.
func (s *suite) record(r result) {
	s.results = slices.DeleteFunc(s.results, func(old result) bool { return old.Client == r.Client && old.Scenario == r.Scenario })
	s.results = append(s.results, r)
	detail := fmt.Sprintf("%d ms", r.Ms)
	if r.Detail != "" {
		detail = r.Detail + ", " + detail
	}
	fmt.Printf("%s %s %s (%s)\n", r.Status, r.Scenario, r.Client, detail)
}

func (s *suite) count(status string) (n int) {
	for _, r := range s.results {
		if r.Status == status {
			n++
		}
	}
	return n
}

func (s *suite) summary() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped, %d that the client cannot do",
		s.count(statusPass), s.count(statusFail), s.count(statusSkip), s.count(statusNone))
}

func (s *suite) readJSON(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &s.results); err != nil {
		return err
	}
	s.reclassify()
	return nil
}

// reclassify gives pairs of an earlier run that did not run the reasons of now.
func (s *suite) reclassify() {
	for i := range s.results {
		r := &s.results[i]
		j := slices.IndexFunc(clients, func(c *client) bool { return c.name == r.Client })
		if j < 0 || r.Status != statusNone {
			continue
		}
		if reason, ok := clients[j].cannot[r.Scenario]; ok {
			r.Detail = reason
		}
	}
}

func (s *suite) writeJSON(file string) error {
	text, err := json.MarshalIndent(s.results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// The marks between which the table stands.
const (
	tableBegin = "<!-- interop: begin -->"
	tableEnd   = "<!-- interop: end -->"
)

// rewriteTable puts the results between the marks of a file.
func (s *suite) rewriteTable(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %s ... %s", file, tableBegin, tableEnd)
	}
	return os.WriteFile(file, []byte(before+tableBegin+"\n"+s.table()+tableEnd+after), 0o644)
}

// table renders the results, scenarios down and clients across. A dash is what
// the client cannot do; an empty cell was not run.
func (s *suite) table() string {
	var names []string
	for _, c := range clients {
		if slices.ContainsFunc(s.results, func(r result) bool { return r.Client == c.name && r.Status != statusSkip }) {
			names = append(names, c.name)
		}
	}
	cell := map[string]string{statusPass: "yes", statusFail: "**no**", statusSkip: "", statusNone: "-"}
	var b strings.Builder
	fmt.Fprintf(&b, "| scenario | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, sc := range scenarios {
		row := make([]string, len(names))
		ran := false
		for _, r := range s.results {
			if i := slices.Index(names, r.Client); i >= 0 && r.Scenario == sc.name {
				row[i], ran = cell[r.Status], true
			}
		}
		if ran {
			fmt.Fprintf(&b, "| %s | %s |\n", sc.doc, strings.Join(row, " | "))
		}
	}
	b.WriteString("\nVersions: ")
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		j := slices.IndexFunc(clients, func(c *client) bool { return c.name == n })
		fmt.Fprintf(&b, "%s = %s", n, clients[j].doc)
	}
	b.WriteString(".\n")
	return b.String()
}

// list prints what there is.
func list(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT\t")
	for _, c := range clients {
		fmt.Fprintf(t, "%s\t%s\n", c.name, c.doc)
	}
	fmt.Fprintln(t, "SCENARIO\t")
	for _, sc := range scenarios {
		fmt.Fprintf(t, "%s\t%s\n", sc.name, sc.doc)
	}
	if err := t.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
	}
}
