package repl

import (
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// Limits of the history file.
const (
	maxHistoryEntries = 1000
	maxHistoryBytes   = 4 << 20
	maxEntryBytes     = 16 << 10
)

// history is the list of statements entered, the oldest first, kept in a file.
type history struct {
	file    string
	entries []string
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
	return h
}

// add appends an entry unless it repeats the last one, and writes the file. A
// history that cannot be written is kept in memory.
func (h *history) add(entry string) {
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
