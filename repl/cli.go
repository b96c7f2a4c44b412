package repl

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/sql"
)

// maxColumnWidth bounds SET CLI COLUMN-WIDTH.
const maxColumnWidth = 10_000

// cliOptions are the options of SET CLI, those of ksqlDB's command line: name, what
// it takes, and what it does with the value in upper case.
var cliOptions = []struct {
	name, takes string
	set         func(o *Output, value string) (msg string, ok bool)
}{
	{"COLUMN-WIDTH", fmt.Sprintf("a number of characters from %d to %d, or 0", tinyColumn, maxColumnWidth), func(o *Output, value string) (string, bool) {
		n, err := strconv.Atoi(value)
		if err != nil || n != 0 && (n < tinyColumn || n > maxColumnWidth) {
			return "", false
		}
		if o.ColumnWidth = n; n == 0 {
			return "Columns are as wide as their values and the terminal allow", true
		}
		return fmt.Sprintf("Columns are %d characters wide; SET CLI COLUMN-WIDTH 0 lets the values decide", n), true
	}},
	{"WRAP", "ON or OFF", func(o *Output, value string) (string, bool) {
		if value != "ON" && value != "OFF" {
			return "", false
		}
		if o.Clip = value == "OFF"; o.Clip {
			return "Values too long for their column are cut; SET CLI WRAP ON shows them whole", true
		}
		return "Values too long for their column go on in the next line", true
	}},
}

// cliOption returns what stands behind SET CLI in a line, if that is what it is.
func cliOption(line string) (rest string, ok bool) {
	words := strings.Fields(strings.TrimSuffix(line, ";"))
	if len(words) < 2 || !strings.EqualFold(words[0], "SET") || !strings.EqualFold(words[1], "CLI") {
		return "", false
	}
	return strings.ToUpper(strings.Join(words[2:], " ")), true
}

// setCLI executes SET CLI.
func (r *repl) setCLI(rest string) {
	name, value, _ := strings.Cut(rest, " ")
	names := make([]string, len(cliOptions))
	for i, o := range cliOptions {
		if names[i] = o.name; o.name != name {
			continue
		}
		msg, ok := o.set(r.Out, strings.Trim(value, "'"))
		if !ok {
			fmt.Fprintf(r.Out.Err, "error: SET CLI %s takes %s\n", o.name, o.takes)
			return
		}
		fmt.Fprintln(r.Out.Err, msg)
		return
	}
	hint := sql.DidYouMean(name, names)
	if hint == "" {
		hint = "the options are " + strings.Join(names, " and ")
	}
	fmt.Fprintf(r.Out.Err, "error: SET CLI has no option %q: %s\n", name, hint)
}
