// Package script runs golden scripts: text files of commands with their input and
// the output that is expected below a line of dashes, in the form of
// github.com/cockroachdb/datadriven:
//
//	# A comment on top says what is being learnt.
//	command argument key=value
//	input lines
//	----
//	output lines
//
// go test -rewrite writes the actual output into the files.
package script

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Command is one command of a script.
type Command struct {
	Name  string
	Input string
	// Args are the words behind the name; Options the key=value ones.
	Args    []string
	Options map[string]string
}

// Run runs every *.script file below dir as a subtest: start makes the function
// that runs the commands of one file.
func Run(t *testing.T, dir string, start func(t *testing.T) func(t *testing.T, c Command) string) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".script") {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no scripts in %s", dir)
	}
	for _, file := range files {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.ToSlash(name), ".script"), func(t *testing.T) {
			run := start(t)
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				c := Command{Name: d.Cmd, Input: d.Input, Options: map[string]string{}}
				for _, a := range d.CmdArgs {
					if len(a.Vals) == 0 {
						c.Args = append(c.Args, a.Key)
					} else {
						c.Options[a.Key] = strings.Join(a.Vals, ",")
					}
				}
				out := run(t, c)
				if out != "" && !strings.HasSuffix(out, "\n") {
					out += "\n"
				}
				return out
			})
		})
	}
}
