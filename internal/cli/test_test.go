package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine/simulate"
	"github.com/millrace/millrace/testdata/quickstart"
)

var rewriteGolden = flag.Bool("rewrite-golden", false, "rewrite the .golden files of testdata")

// golden compares output with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewriteGolden {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test -rewrite-golden rewrites it), got:\n%s", path, got)
	}
}

func TestTestPrintsWhatFailed(t *testing.T) {
	for _, c := range []struct {
		dir  string
		code int
	}{{"pass", 0}, {"fail", 1}, {"broken", 2}} {
		t.Run(c.dir, func(t *testing.T) {
			code, out, errs := run(t, "", "test", "testdata/test/"+c.dir)
			if code != c.code || errs != "" {
				t.Errorf("exit code %d, standard error %q, expected %d and nothing", code, errs, c.code)
			}
			golden(t, "test/"+c.dir+".golden", strings.ReplaceAll(out, string(filepath.Separator), "/"))
		})
	}
}

func TestTestVerbose(t *testing.T) {
	code, out, _ := run(t, "", "test", "-v", "--run", "past grace|in the processing", "testdata/test/pass")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	golden(t, "test/verbose.golden", out)
}

func TestTestJSON(t *testing.T) {
	code, out, _ := run(t, "", "test", "--json", "testdata/test/fail", "testdata/test/broken/fields.test.yaml")
	if code != 2 {
		t.Errorf("exit code %d, expected 2", code)
	}
	counts := map[simulate.Outcome]int{}
	for line := range strings.Lines(out) {
		var res simulate.Result
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if res.Outcome != simulate.Passed && len(res.Failures) == 0 {
			t.Errorf("%s %s says nothing", res.Name, res.Outcome)
		}
		counts[res.Outcome]++
	}
	if counts[simulate.Failed] != 9 || counts[simulate.Broken] != 1 {
		t.Errorf("outcomes %v", counts)
	}
}

func TestTestArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"test"}, 1, "takes test files or directories"},
		{[]string{"test", "testdata/test/nowhere"}, 2, "no such file"},
		{[]string{"test", t.TempDir()}, 2, "has no files *.test.yaml"},
		{[]string{"test", "--run", "(", "testdata/test/pass"}, 1, "--run"},
		{[]string{"test", "--run", "no such", "testdata/test/pass"}, 1, "no test has a name"},
	} {
		code, _, errs := run(t, "", c.args...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit code %d, %q, expected %d and %q", c.args, code, errs, c.code, c.want)
		}
	}
}

func TestQuickstartTests(t *testing.T) {
	if code, out, errs := run(t, "", "test", "../../testdata/quickstart"); code != 0 || !strings.Contains(out, "4 passed, 0 failed") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// yamlBlock is a fenced block of YAML in a document.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocumentedTests runs the test files that the documents show.
func TestDocumentedTests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("quickstart.sql", quickstart.Statements)
	n := 0
	for _, doc := range []string{"README.md", "docs/testing.md"} {
		text, err := os.ReadFile(filepath.Join("../..", doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "statements:") {
				n++
				write(fmt.Sprintf("doc%d.test.yaml", n), m[1])
			}
		}
	}
	if code, out, errs := run(t, "", "test", dir); n != 4 || code != 0 {
		t.Errorf("%d examples, exit code %d\n%s%s", n, code, out, errs)
	}
}
