package cli

import (
	"fmt"
	"io"
	"strings"
)

// progress draws a bar at a terminal, and nothing elsewhere.
type progress struct {
	out         io.Writer // nil when there is nothing to draw
	total, seen int64
	shown       int64
}

const progressWidth = 40

func newProgress(out io.Writer, total int64) *progress {
	p := &progress{total: total, shown: -1}
	if isTerminal(out) && total > 0 {
		p.out = out
	}
	return p
}

func (p *progress) add(n int) {
	p.seen += int64(n)
	if p.out == nil {
		return
	}
	percent := min(p.seen*100/p.total, 100)
	if percent == p.shown {
		return
	}
	p.shown = percent
	filled := int(percent * progressWidth / 100)
	fmt.Fprintf(p.out, "\r[%s%s] %3d%%", strings.Repeat("=", filled), strings.Repeat(" ", progressWidth-filled), percent)
}

func (p *progress) done() {
	if p.out != nil {
		fmt.Fprintln(p.out)
	}
}
