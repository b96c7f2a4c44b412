package repl

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/sql/types"
)

// listed answers every script with the same list.
type listed struct{}

func (listed) Execute(_ context.Context, _ string, yield func(engine.Result) error) error {
	return yield(&engine.TypeList{Types: []types.Column{{Name: "A_LONG_NAME", Type: types.Map(types.String, types.Array(types.Bigint))}}})
}

func newTestRepl() (r *repl, shown *strings.Builder) {
	shown = new(strings.Builder)
	out := &Output{Out: shown, Err: shown, Format: TableFormat}
	return &repl{Config: Config{Out: out, Backend: listed{}}, fs: vfs.NewMem(), history: openHistory(""), width: func() int { return 0 }}, shown
}

func TestSpool(t *testing.T) {
	r, shown := newTestRepl()
	for _, line := range []string{"SPOOL OFF", "spool", "SPOOL 'no/such/directory/x';"} {
		r.enter(t.Context(), line)
		if !strings.Contains(shown.String(), "error: ") || r.spool != nil {
			t.Errorf("%s: %s", line, shown)
		}
		shown.Reset()
	}
	r.enter(t.Context(), "spool 'out.txt';")
	start := shown.Len()
	r.enter(t.Context(), "SPOOL other.txt") // refused, and the first one goes on
	r.enter(t.Context(), "SHOW TYPES;")
	end := shown.Len()
	r.enter(t.Context(), "SPOOL OFF;")
	r.enter(t.Context(), "SHOW TYPES;")
	got, err := vfs.ReadFile(r.fs, "out.txt", 1<<20)
	want := shown.String()[start:end]
	if err != nil || string(got) != want || !strings.Contains(want, "A_LONG_NAME") || !strings.Contains(want, "already") {
		t.Errorf("%v: the file has\n%s\nexpected\n%s", err, got, want)
	}
	if _, err := r.fs.Stat("other.txt"); !vfs.IsNotExist(err) {
		t.Errorf("the refused file: %v", err)
	}
}

// fullDisk fails every write.
type fullDisk struct{ vfs.File }

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestSpoolFails shows that a file that cannot be written costs no result and is
// reported once as it happens and at the end.
func TestSpoolFails(t *testing.T) {
	r, shown := newTestRepl()
	r.enter(t.Context(), "SPOOL 'out.txt'")
	r.spool.file = fullDisk{r.spool.file}
	r.enter(t.Context(), "SHOW TYPES;")
	r.enter(t.Context(), "SHOW TYPES;")
	r.enter(t.Context(), "SPOOL OFF")
	for text, times := range map[string]int{"nothing more is written": 1, "is not complete: disk full": 1, "A_LONG_NAME": 2} {
		if strings.Count(shown.String(), text) != times {
			t.Errorf("%q is not there %d times:\n%s", text, times, shown)
		}
	}
}

func TestSetCLI(t *testing.T) {
	r, shown := newTestRepl()
	for _, c := range []struct{ line, want string }{
		{"set cli wrap off;", "cut"},
		{"SET CLI WRAP 'ON'", "next line"},
		{"SET CLI WRAP;", "error: SET CLI WRAP takes ON or OFF"},
		{"SET CLI COLUMN-WIDTH 2;", "error: SET CLI COLUMN-WIDTH takes a number of characters from 3 to 10000, or 0"},
		{"SET CLI COLUMN-WIDTH ten;", "error: SET CLI COLUMN-WIDTH takes"},
		{"SET CLI WRAPP OFF;", "did you mean WRAP?"},
		{"SET CLI;", "the options are COLUMN-WIDTH and WRAP"},
	} {
		shown.Reset()
		if r.enter(t.Context(), c.line); !strings.Contains(shown.String(), c.want) {
			t.Errorf("%s: %q, expected %q", c.line, shown, c.want)
		}
	}
	for _, c := range []struct{ line, want string }{
		{"SET CLI COLUMN-WIDTH 8;", "+----------+----------+\n| Name     | Type     |\n+----------+----------+\n| A_LONG_N | MAP<STRI |\n| AME      | NG, ARRA |\n|          | Y<BIGINT |\n|          | >>       |\n+----------+----------+\n"},
		{"SET CLI WRAP OFF;", "+----------+----------+\n| Name     | Type     |\n+----------+----------+\n| A_LON... | MAP<S... |\n+----------+----------+\n"},
		{"SET CLI COLUMN-WIDTH 0;", "+-------------+----------------------------+\n| Name        | Type                       |\n+-------------+----------------------------+\n| A_LONG_NAME | MAP<STRING, ARRAY<BIGINT>> |\n+-------------+----------------------------+\n"},
	} {
		r.enter(t.Context(), c.line)
		shown.Reset()
		if r.enter(t.Context(), "SHOW TYPES;"); shown.String() != c.want {
			t.Errorf("%s\n%s\nexpected\n%s", c.line, shown, c.want)
		}
	}
}

// TestClip shows that wide characters are cut whole.
func TestClip(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"abcdef", 5, "ab..."}, {"日本語日本語", 8, "日本..."}, {"abcdef", 3, "..."}, {"a\xffbcdef", 6, "a\uFFFDb..."}, {"ab\ncdef", 6, "ab ..."},
	} {
		if got := clip(c.text, c.width); got != c.want || textWidth(got) > c.width {
			t.Errorf("%q to %d: %q, expected %q", c.text, c.width, got, c.want)
		}
	}
}
