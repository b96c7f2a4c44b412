package repl

import (
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/sql"
)

// Limits of the history file.
const (
	maxHistoryEntries = 1000
	maxHistoryBytes   = 4 << 20
	maxEntryBytes     = 16 << 10
)

// history is the list of statements entered, the oldest first, kept in a file.
// The arrow keys walk through it. Its methods are called by the loop and by the
// goroutine that reads keys.
type history struct {
	file string

	mu      sync.Mutex // guards what follows
	entries []string
	// at is the entry shown, len(entries) for the line being typed; draft is that
	// line while an entry is shown.
	at    int
	draft string
}

// typed tells what is on the line; it is the draft unless an entry is shown.
func (h *history) typed(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == len(h.entries) {
		h.draft = line
	}
}

// step returns the entry before or behind the one shown; ok is false at the ends.
func (h *history) step(older bool) (line string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case older && h.at > 0:
		h.at--
	case !older && h.at < len(h.entries):
		h.at++
	default:
		return "", false
	}
	if h.at == len(h.entries) {
		return h.draft, true
	}
	return h.entries[h.at], true
}

// reset goes back to an empty line.
func (h *history) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.draft = len(h.entries), ""
}

// list returns the entries, the oldest first.
func (h *history) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.entries)
}

// openHistory reads the file; one that cannot be read is an empty history.
func openHistory(file string) *history {
	h := &history{file: file}
	if file == "" {
		return h
	}
	text, err := vfs.ReadFile(vfs.Default, file, maxHistoryBytes)
	if err != nil {
		return h
	}
	for _, line := range strings.Split(string(text), "\n") {
		if line != "" {
			h.entries = append(h.entries, line)
		}
	}
	h.at = len(h.entries)
	return h
}

// add appends an entry unless it repeats the last one, and writes the file. A
// history that cannot be written is kept in memory.
func (h *history) add(entry string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.at, h.draft = len(h.entries), "" }()
	if entry == "" || len(entry) > maxEntryBytes || len(h.entries) > 0 && h.entries[len(h.entries)-1] == entry {
		return
	}
	h.entries = append(h.entries, entry)
	if len(h.entries) > maxHistoryEntries {
		h.entries = h.entries[len(h.entries)-maxHistoryEntries:]
	}
	if h.file != "" {
		if err := vfs.WriteFileAtomic(vfs.Default, h.file, []byte(strings.Join(h.entries, "\n")+"\n")); err != nil {
			h.file = ""
		}
	}
}

// oneLine returns a statement on one line, without its comments and with the
// white space between its tokens made one blank; "" when that is not possible,
// because a string or a name holds a line end.
func oneLine(statement string) string {
	var b strings.Builder
	end := 0
	for _, tok := range sql.Scan(statement) {
		if tok.Kind == sql.TokComment {
			continue
		}
		text := statement[tok.Span.Start:tok.Span.End]
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			return ""
		}
		if b.Len() > 0 && tok.Span.Start > end {
			b.WriteByte(' ')
		}
		b.WriteString(text)
		end = tok.Span.End
	}
	return b.String()
}
