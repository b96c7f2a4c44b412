package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every reason why a client cannot do something is about a scenario that exists.
func TestTablesAgree(t *testing.T) {
	known := func(name string) bool {
		return slices.ContainsFunc(scenarios, func(s *scenario) bool { return s.name == name })
	}
	for _, c := range clients {
		for name, reason := range all(c.cannot, c.kafkaRefuses) {
			if !known(name) || reason == "" {
				t.Errorf("%s does not do %s: %q", c.name, name, reason)
			}
		}
	}
}

func TestTableIsRewritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("before\n"+tableBegin+"\nold\n"+tableEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &suite{}
	s.record(result{Scenario: "txn", Client: "java", Status: statusFail})
	s.record(result{Scenario: "txn", Client: "java", Status: statusPass})
	s.record(result{Scenario: "txn", Client: "kcat", Status: statusNone})
	if err := s.rewriteTable(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "after\n") || strings.Contains(got, "old") || !strings.Contains(got, "| yes | - |") {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(file, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.rewriteTable(file) == nil {
		t.Error("a file without marks was rewritten")
	}
}

// What was not run is told for the reason of now.
func TestReclassify(t *testing.T) {
	s := &suite{results: []result{{Scenario: "txn-offsets", Client: "kcat", Status: statusNone, Detail: "old"}, {Scenario: "codecs", Client: "java", Status: statusPass}}}
	s.reclassify()
	kcat := clients[slices.IndexFunc(clients, func(c *client) bool { return c.name == "kcat" })]
	if s.results[0].Status != statusNone || s.results[0].Detail != kcat.cannot["txn-offsets"] || s.results[1].Status != statusPass || s.results[1].Detail != "" {
		t.Errorf("got %+v", s.results)
	}
}

func TestReadBatchRefusesLengths(t *testing.T) {
	for _, raw := range [][]byte{{1, 2}, append(make([]byte, 8), 0x7f, 0xff, 0xff, 0xff), append(make([]byte, 8), 0xff, 0xff, 0xff, 0xff)} {
		if _, _, err := readBatch(raw); err == nil {
			t.Errorf("%x was read", raw)
		}
	}
}
