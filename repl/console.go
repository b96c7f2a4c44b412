package repl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/c-bata/go-prompt"
	"golang.org/x/term"
)

// Control bytes of the terminal.
const (
	keyCtrlC  = 0x03
	keyCtrlD  = 0x04
	keyCtrlE  = 0x05 // end of line
	keyCtrlU  = 0x15 // delete to the start of the line
	keyEscape = 0x1b
)

// Bracketed paste (xterm): the terminal marks pasted text, so that a tab in it is
// no completion and a whole script can be taken at once.
const (
	pasteOn    = "\x1b[?2004h"
	pasteOff   = "\x1b[?2004l"
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// maxPendingBytes bounds typed or pasted text that waits to be read.
const maxPendingBytes = 16 << 20

// console is a go-prompt parser that cuts what the terminal sends into one key
// or one run of text at a time, keeps what is behind a line end for the next
// line, and leaves the terminal as it found it. go-prompt's own parser hands
// whole reads over, which loses the rest of a paste and leaves the terminal
// without ICRNL.
type console struct {
	*prompt.PosixParser
	fd       int
	original *term.State
	out      *os.File

	pending []byte // read, not yet handed out
	pasting bool   // inside a bracketed paste
	held    bool   // a line end was handed out: nothing more until Setup
	last    byte   // the last key handed out
	stop    <-chan struct{}
	stopped bool // stop was seen

	// history returns the line that an arrow key asks for. go-prompt's own history
	// holds lines, not statements.
	history func(older bool) (line string, ok bool)
}

func newConsole(in, out *os.File, stop <-chan struct{}) (*console, error) {
	// go-prompt opens the controlling terminal, and panics when there is none.
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return nil, fmt.Errorf("the REPL needs a controlling terminal (statements can come from a pipe, too): %w", err)
	}
	if err := tty.Close(); err != nil {
		return nil, err
	}
	state, err := term.GetState(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	return &console{PosixParser: prompt.NewStandardInputParser(), fd: int(in.Fd()), original: state, out: out, stop: stop}, nil
}

// Setup puts the terminal into raw mode for one line.
func (c *console) Setup() error {
	c.held = false
	if _, err := c.out.WriteString(pasteOn); err != nil {
		return err
	}
	return c.PosixParser.Setup()
}

// TearDown restores the terminal as it was before the first Setup.
func (c *console) TearDown() error {
	_, writeErr := c.out.WriteString(pasteOff)
	return errors.Join(writeErr, c.PosixParser.TearDown(), term.Restore(c.fd, c.original))
}

// Read hands out the next key or run of text; it does not block.
func (c *console) Read() ([]byte, error) {
	if c.held {
		return nil, syscall.EAGAIN
	}
	select {
	case <-c.stop:
		if !c.stopped { // clear the line, on which Ctrl-D would delete, and leave
			c.stopped, c.pasting, c.pending = true, false, []byte{keyCtrlE, keyCtrlU, keyCtrlD}
		}
	default:
	}
	if len(c.pending) == 0 && !c.stopped {
		c.fill()
	}
	if len(c.pending) == 0 {
		return nil, syscall.EAGAIN
	}
	piece := c.next()
	if len(piece) == 0 {
		return nil, syscall.EAGAIN
	}
	if piece[0] == keyCtrlC && !c.pasting {
		// Clear the line, then end it: the loop sees the key and drops the
		// statement.
		c.pending = append([]byte{keyCtrlE, keyCtrlU, '\r'}, c.pending...)
		c.last = keyCtrlC
		return c.Read()
	}
	if older, ok := historyKey(piece); ok && !c.pasting && c.history != nil {
		line, ok := c.history(older)
		if !ok {
			return nil, syscall.EAGAIN
		}
		// Clear the line, then type the entry.
		c.pending = append(append([]byte{keyCtrlE, keyCtrlU}, line...), c.pending...)
		return c.Read()
	}
	if c.last != keyCtrlC || piece[0] != keyCtrlE && piece[0] != keyCtrlU && piece[0] != '\r' {
		c.last = piece[0]
	}
	if piece[0] == '\r' || piece[0] == '\n' {
		c.held = true
		return []byte{'\r'}, nil
	}
	return piece, nil
}

// historyKey reports whether a key walks through the history, and which way.
func historyKey(key []byte) (older, ok bool) {
	switch string(key) {
	case "\x1b[A", "\x1bOA", "\x10": // up, Ctrl-P
		return true, true
	case "\x1b[B", "\x1bOB", "\x0e": // down, Ctrl-N
		return false, true
	}
	return false, false
}

// fill reads what the terminal has.
func (c *console) fill() {
	b, err := c.PosixParser.Read()
	if err == nil && len(c.pending)+len(b) <= maxPendingBytes {
		c.pending = append(c.pending, b...)
	}
}

// next takes one key or run of text off the pending bytes.
func (c *console) next() []byte {
	for {
		switch {
		case bytes.HasPrefix(c.pending, []byte(pasteStart)):
			c.pasting, c.pending = true, c.pending[len(pasteStart):]
			continue
		case bytes.HasPrefix(c.pending, []byte(pasteEnd)):
			c.pasting, c.pending = false, c.pending[len(pasteEnd):]
			continue
		}
		break
	}
	if len(c.pending) == 0 {
		return nil
	}
	n := 1
	switch b := c.pending[0]; {
	case b == keyEscape:
		n = escapeLength(c.pending)
	case b == '\t' && c.pasting:
		c.pending = c.pending[1:]
		return []byte("  ")
	case b >= ' ' && b != 0x7f:
		for n < len(c.pending) && c.pending[n] >= ' ' && c.pending[n] != 0x7f {
			n++
		}
		if !c.pasting && n > 1 && c.pending[0] < utf8.RuneSelf && n < 4 {
			n = 1 // typed keys one by one, so that completion follows
		}
	}
	piece := c.pending[:n]
	c.pending = c.pending[n:]
	return piece
}

// escapeLength is the length of the key sequence that starts b.
func escapeLength(b []byte) int {
	if len(b) == 1 {
		return 1
	}
	if b[1] == 'O' && len(b) > 2 {
		return 3
	}
	if b[1] != '[' {
		return 2
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			return i + 1
		}
	}
	return len(b)
}

// takeLine returns a whole line that was typed or pasted ahead, so that a paste
// of many lines needs no editing.
func (c *console) takeLine() (string, bool) {
	i := bytes.IndexAny(c.pending, "\r\n")
	if i < 0 || bytes.IndexByte(c.pending[:i], keyEscape) > 0 && !c.pasting {
		return "", false
	}
	line := strings.NewReplacer(pasteStart, "", pasteEnd, "", "\t", "  ").Replace(string(c.pending[:i]))
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
		return "", false
	}
	if strings.Contains(string(c.pending[:i]), pasteStart) {
		c.pasting = true
	}
	c.pending = c.pending[i+1:]
	if bytes.HasPrefix(c.pending, []byte(pasteEnd)) {
		c.pasting, c.pending = false, c.pending[len(pasteEnd):]
	}
	return line, true
}
