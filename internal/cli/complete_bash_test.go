package cli

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestBashCompletion runs the script in a bash without the bash-completion package,
// and with one that has the words put together.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	code, script, _ := run(t, "", "completion", "bash")
	if code != 0 {
		t.Fatal("no script")
	}
	const together = "_get_comp_words_by_ref() { words=(%s); cword=$((${#words[@]}-1)); cur=${words[cword]}; prev=${words[cword-1]}; }\n"
	for _, c := range []struct {
		words, joined string // as bash cuts them, and as they were typed, up to the cursor
		want          string
	}{
		{"millrace topic al", "millrace topic al", "alter"},
		{"millrace consume t --isolation u", "millrace consume t --isolation u", "uncommitted"},
		{"millrace consume t --isolation = u", "millrace consume t --isolation=u", "uncommitted"},
		{"millrace topic create x --config cleanup.policy =", "millrace topic create x --config cleanup.policy=", "delete,compact"},
		{"millrace topic create x --config cleanup.policy = com", "millrace topic create x --config cleanup.policy=com", "compact"},
		{"millrace topic create x --config = cleanup.policy = com", "millrace topic create x --config=cleanup.policy=com", "compact"},
		{"millrace topic create x --config cleanup.po", "millrace topic create x --config cleanup.po", "cleanup.policy="},
	} {
		words := strings.Fields(c.words)
		_, answer, _ := run(t, "", append([]string{"__complete"}, strings.Fields(c.joined)[1:]...)...)
		for _, with := range []bool{false, true} {
			text := script + "\nmillrace() { [[ \"$1 ${*:2}\" == " + quote("__complete "+strings.TrimPrefix(c.joined, "millrace ")) + " ]] && printf %s " + quote(answer) + "; }\n"
			if with {
				text += strings.Replace(together, "%s", c.joined, 1)
			}
			text += "COMP_LINE=" + quote(c.joined) + "\nCOMP_POINT=" + strconv.Itoa(len(c.joined)) + "\nCOMP_TYPE=9\nCOMP_WORDS=(" + strings.Join(words, " ") + ")\nCOMP_CWORD=" + strconv.Itoa(len(words)-1) + "\n" +
				"compopt() { :; }\n__millrace_complete; (IFS=,; echo \"${COMPREPLY[*]}\")\n"
			out, err := exec.Command(bash, "--norc", "--noprofile", "-c", text).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
				t.Errorf("%s, package %v: %q, %v, expected %q", c.joined, with, got, err, c.want)
			}
		}
	}
}

// quote makes a word of the shell of a text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'" }
