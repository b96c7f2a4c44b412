package repl

import (
	"reflect"
	"strings"
	"testing"
)

// feed gives bytes to a console without a terminal and returns the pieces that it
// hands out until the end of a line.
func feed(c *console, text string) []string {
	c.pending = append(c.pending, text...)
	var pieces []string
	for len(c.pending) > 0 && !c.held {
		piece, err := c.Read()
		if err != nil {
			break
		}
		pieces = append(pieces, string(piece))
	}
	return pieces
}

func TestConsolePieces(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"typed keys one by one", "ab", []string{"a", "b"}},
		{"wide runes stay whole", "世é", []string{"世é"}},
		{"arrow keys", "\x1b[C\x1b[D\x1bOH", []string{"\x1b[C", "\x1b[D", "\x1bOH"}},
		{"sequences with parameters", "\x1b[1;5C\x1b[3~x", []string{"\x1b[1;5C", "\x1b[3~", "x"}},
		{"escape alone", "\x1b", []string{"\x1b"}},
		{"alt key", "\x1bb", []string{"\x1bb"}},
		{"tab completes", "\t", []string{"\t"}},
		{"end of line, either way", "\n", []string{"\r"}},
		{"interrupt clears and ends the line", "ab\x03", []string{"a", "b", "\x05", "\x15", "\r"}},
		{"a paste is one piece, a tab in it is blanks", "\x1b[200~SELECT\t1;\x1b[201~", []string{"SELECT", "  ", "1;"}},
		{"an interrupt in a paste is text of the paste", "\x1b[200~a\x03", []string{"a", "\x03"}},
		{"unfinished sequence", "\x1b[1;", []string{"\x1b[1;"}},
	} {
		if got := feed(&console{}, c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}

// TestConsoleHolds shows that nothing behind a line end is handed out before the
// next line starts, and that it is not lost.
func TestConsoleHolds(t *testing.T) {
	c := &console{}
	if got := feed(c, "\x1b[200~one;\ntwo;\n\tthree\x1b[201~"); !reflect.DeepEqual(got, []string{"one;", "\r"}) {
		t.Fatalf("first line: %q", got)
	}
	if _, err := c.Read(); err == nil {
		t.Error("read behind the end of the line")
	}
	line, ok := c.takeLine()
	if !ok || line != "two;" {
		t.Errorf("second line: %q %v", line, ok)
	}
	if _, ok := c.takeLine(); ok {
		t.Error("took a line without an end")
	}
	c.held = false // what Setup does
	if got := strings.Join(feed(c, ""), ""); got != "  three" || c.pasting {
		t.Errorf("rest: %q, pasting %v", got, c.pasting)
	}
}

func TestConsoleTakeLine(t *testing.T) {
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"SHOW TABLES;\nrest", "SHOW TABLES;", true},
		{"\r\n", "", true},
		{"a\x1b[Db\n", "", false}, // editing keys need the prompt
		{"a\x03\n", "", false},
		{"no end", "", false},
		{"\x1b[200~a\tb\n", "a  b", true},
	} {
		line, ok := (&console{pending: []byte(c.in)}).takeLine()
		if line != c.want || ok != c.ok {
			t.Errorf("%q: %q %v, expected %q %v", c.in, line, ok, c.want, c.ok)
		}
	}
}

func TestConsoleStops(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	c := &console{stop: stop}
	if got := feed(c, "half a line"); !reflect.DeepEqual(got, []string{"\x05", "\x15", "\x04"}) || c.last != keyCtrlD {
		t.Errorf("%q", got)
	}
}

func TestConsoleHistory(t *testing.T) {
	h := &history{}
	for _, s := range []string{"one;", "two;", "two;"} {
		h.add(s)
	}
	h.typed("draft")
	c := &console{history: h.step}
	for _, step := range []struct{ key, want string }{
		{"\x1b[A", "two;"}, {"\x1b[A", "one;"}, {"\x1b[A", ""}, {"\x1b[B", "two;"}, {"\x0e", "draft"}, {"\x1bOB", ""}, {"\x10", "two;"},
	} {
		got := strings.Join(feed(c, step.key), "")
		want := step.want
		if want != "" {
			want = "\x05\x15" + want
		}
		if got != want {
			t.Errorf("key %q: %q, expected %q", step.key, got, want)
		}
	}
}

func TestHistoryEntries(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"SHOW -- all of them\n  STREAMS;", "SHOW STREAMS;"},
		{"SELECT 'a  b',\n\t`c  d` /* why */ FROM s;", "SELECT 'a  b', `c  d` FROM s;"},
		{"SELECT 'a\nb';", ""},
		{"", ""},
	} {
		if got := oneLine(c.in); got != c.want {
			t.Errorf("%q: %q, expected %q", c.in, got, c.want)
		}
	}
}
