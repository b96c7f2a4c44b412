package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/engine/simulate"
)

// errBrokenTest is returned by `millrace test` when a test file is wrong itself,
// which the user has been told.
var errBrokenTest = errors.New("broken test")

// testSuffixes are the endings of the files that `millrace test DIR` runs.
var testSuffixes = []string{".test.yaml", ".test.yml", ".test.json"}

type testOptions struct {
	run           string
	json, verbose bool
}

func newTest(std Stdio) *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use: "test FILE|DIR...", Short: "Run declarative tests of statements",
		Long: `Run test files: records in, records and table rows out, in simulated time, without
a broker. A directory stands for its *.test.yaml, *.test.yml and *.test.json, however
deep. The exit code is 1 when a test fails and 2 when a test file is wrong itself.
docs/testing.md describes the files.`,
		Example: `  millrace test testdata/quickstart
  millrace test orders.test.yaml --run 'late records' --verbose`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s takes test files or directories (%s --help)", c.CommandPath(), c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runTests(std, o, args) },
	}
	c.Flags().StringVar(&o.run, "run", "", "run only the tests whose name matches a regular expression")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object per test")
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "print what the topics of each test hold")
	return c
}

// testReport counts and prints results.
type testReport struct {
	std     Stdio
	options testOptions
	counts  map[simulate.Outcome]int
}

func runTests(std Stdio, o testOptions, args []string) error {
	wanted, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	files, err := testFiles(args)
	if err != nil {
		fmt.Fprintln(std.Err, "millrace: "+err.Error())
		return errBrokenTest
	}
	r := &testReport{std: std, options: o, counts: map[simulate.Outcome]int{}}
	for _, name := range files {
		f, err := parseTestFile(name)
		if err != nil {
			if err := r.add(brokenFile(name, err)); err != nil {
				return err
			}
			continue
		}
		for _, t := range f.Tests {
			if !wanted.MatchString(t.Name) {
				continue
			}
			if err := r.add(t.Run()); err != nil {
				return err
			}
		}
	}
	return r.finish()
}

// testFiles lists the files to run, those of a directory in order of name.
func testFiles(args []string) (files []string, err error) {
	for _, arg := range args {
		n := len(files)
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (path == arg || hasTestSuffix(path)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == n {
			return nil, fmt.Errorf("%s has no files *%s", arg, strings.Join(testSuffixes, ", *"))
		}
	}
	return files, nil
}

func hasTestSuffix(path string) bool {
	return slices.ContainsFunc(testSuffixes, func(s string) bool { return strings.HasSuffix(path, s) })
}

// parseTestFile reads a test file; the files that it names are beside it.
func parseTestFile(name string) (*simulate.File, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return simulate.Parse(name, text, func(path string) (string, error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		return readFile(path)
	})
}

func brokenFile(name string, err error) simulate.Result {
	res := simulate.Result{File: name, Outcome: simulate.Broken, Failures: []string{err.Error() + "\n"}}
	var fe *simulate.FileError
	if errors.As(err, &fe) {
		res.Line = fe.Line
	}
	return res
}

var outcomeWords = map[simulate.Outcome]string{simulate.Passed: "ok    ", simulate.Failed: "FAIL  ", simulate.Broken: "BROKEN"}

func (r *testReport) add(res simulate.Result) error {
	r.counts[res.Outcome]++
	if r.options.json {
		b, err := engine.MarshalJSON(res)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(r.std.Out, "%s\n", b)
		return err
	}
	var b strings.Builder
	name := res.File
	if res.Name != "" {
		name += ": " + res.Name
	}
	fmt.Fprintf(&b, "%s %s\n", outcomeWords[res.Outcome], name)
	for _, f := range res.Failures {
		b.WriteString(indent(f))
	}
	if r.options.verbose {
		for _, t := range res.Topics {
			b.WriteString("    " + t + "\n")
		}
		for _, e := range res.Log {
			b.WriteString("    processing log: " + e + "\n")
		}
	}
	_, err := fmt.Fprint(r.std.Out, b.String())
	return err
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}

// finish prints the summary and gives the command's error.
func (r *testReport) finish() error {
	passed, failed, broken := r.counts[simulate.Passed], r.counts[simulate.Failed], r.counts[simulate.Broken]
	if passed+failed+broken == 0 {
		return fmt.Errorf("no test has a name that matches %q", r.options.run)
	}
	if !r.options.json {
		summary := fmt.Sprintf("%d passed, %d failed", passed, failed)
		if broken > 0 {
			summary += fmt.Sprintf(", %d broken", broken)
		}
		if _, err := fmt.Fprintln(r.std.Out, summary); err != nil {
			return err
		}
	}
	switch {
	case broken > 0:
		return errBrokenTest
	case failed > 0:
		return errReported
	}
	return nil
}
