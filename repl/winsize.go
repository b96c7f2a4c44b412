package repl

import "github.com/c-bata/go-prompt"

// Size of a terminal that does not tell, as a serial line or script(1).
const (
	defaultRows    = 24
	defaultColumns = 80
)

// GetWinSize returns the terminal's size. A size of zero would make go-prompt
// divide by it.
func (c *console) GetWinSize() *prompt.WinSize {
	size := c.PosixParser.GetWinSize()
	if size.Row == 0 {
		size.Row = defaultRows
	}
	if size.Col == 0 {
		size.Col = defaultColumns
	}
	return size
}
