package repl

import (
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// spool copies what the terminal shows to a file, from SPOOL 'file' to SPOOL OFF,
// as ksqlDB's command line does. A file that exists is replaced.
type spool struct {
	name     string
	file     vfs.File
	failed   error // why nothing more is copied
	out, err io.Writer
}

// spooled is a writer to the terminal whose text is copied.
type spooled struct {
	terminal io.Writer
	spool    *spool
}

func (w spooled) Write(b []byte) (int, error) {
	n, err := w.terminal.Write(b)
	w.spool.copy(b[:n])
	return n, err
}

// copy appends to the file. The first failure ends copying; the statement whose
// output it is goes on, and SPOOL OFF or the end of the REPL reports it.
func (s *spool) copy(b []byte) {
	if s == nil || s.failed != nil {
		return
	}
	if _, err := s.file.Write(b); err != nil {
		s.failed = err
		fmt.Fprintf(s.err, "error: spool to %s: %v; nothing more is written to it\n", s.name, err)
	}
}

// setSpool starts or ends spooling: SPOOL 'file', SPOOL OFF.
func (r *repl) setSpool(arg string) {
	arg = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(arg), ";"))
	if strings.EqualFold(arg, "OFF") {
		if r.spool == nil {
			fmt.Fprintln(r.Out.Err, "error: nothing is spooled: SPOOL 'file' starts it")
			return
		}
		r.endSpool()
		return
	}
	name := strings.Trim(arg, "'\"")
	switch {
	case name == "":
		fmt.Fprintln(r.Out.Err, "error: SPOOL takes a file's name or OFF: SPOOL 'out.txt'")
		return
	case r.spool != nil:
		fmt.Fprintf(r.Out.Err, "error: what is shown goes to %s already: SPOOL OFF ends that\n", r.spool.name)
		return
	}
	file, err := r.fs.Create(name, vfs.Category)
	if err != nil {
		fmt.Fprintf(r.Out.Err, "error: spool to %s: %v\n", name, err)
		return
	}
	r.spool = &spool{name: name, file: file, out: r.Out.Out, err: r.Out.Err}
	r.Out.Out, r.Out.Err = spooled{r.Out.Out, r.spool}, spooled{r.Out.Err, r.spool}
	fmt.Fprintf(r.spool.err, "What is shown goes to %s as well; SPOOL OFF ends that\n", name)
}

// endSpool closes the file, if there is one.
func (r *repl) endSpool() {
	s := r.spool
	if s == nil {
		return
	}
	r.spool, r.Out.Out, r.Out.Err = nil, s.out, s.err
	err := s.failed
	if closeErr := s.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		fmt.Fprintf(r.Out.Err, "error: %s is not complete: %v\n", s.name, err)
		return
	}
	fmt.Fprintf(r.Out.Err, "Written to %s\n", s.name)
}
