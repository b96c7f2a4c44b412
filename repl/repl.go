package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/c-bata/go-prompt"
	"golang.org/x/term"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/sql"
)

// Config is what a REPL is made of.
type Config struct {
	// In is the terminal.
	In      *os.File
	Out     *Output
	Backend Backend
	// Names returns what completion offers of what was made; it is asked after
	// every statement.
	Names func() Names
	// ReadScript reads the file of RUN SCRIPT.
	ReadScript func(name string) (string, error)
	// HistoryFile keeps the statements between runs, "" for none.
	HistoryFile string
}

const (
	firstPrompt = "millrace> "
	nextPrompt  = "     ...> "
)

// maxScriptDepth bounds RUN SCRIPT inside scripts.
const maxScriptDepth = 16

// repl is a running REPL.
type repl struct {
	Config
	console *console
	fs      vfs.FS
	spool   *spool // nil while nothing is spooled
	history *history
	prompt  *prompt.Prompt
	// statement is what was entered so far of a statement of several lines.
	statement string
	// names are what Names gave after the last statement.
	names Names
	// width asks the terminal, whose size may change.
	width func() int
}

// terminalWidth returns the width of a terminal in columns, 0 when it does not
// tell.
func terminalWidth(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// refresh asks for what statements may have changed.
func (r *repl) refresh() {
	if r.Names != nil {
		r.names = r.Names()
	}
}

// Run reads statements from the terminal and executes them until the user leaves
// (\q, exit, Ctrl-D) or ctx ends. The terminal is left as it was found. Ctrl-C
// ends a running query or drops the line, never the program.
func Run(ctx context.Context, cfg Config) error {
	out, ok := cfg.Out.Out.(*os.File)
	if !ok {
		out = os.Stdout
	}
	c, err := newConsole(cfg.In, out, ctx.Done())
	if err != nil {
		return err
	}
	r := &repl{Config: cfg, console: c, fs: vfs.Default, history: openHistory(cfg.HistoryFile), width: func() int { return terminalWidth(out) }}
	c.history = r.history.step
	r.Out.Interactive = true
	defer r.endSpool()
	r.refresh()
	r.prompt = prompt.New(func(string) {}, r.complete,
		prompt.OptionParser(c), prompt.OptionPrefix(firstPrompt), prompt.OptionLivePrefix(r.prefix),
		prompt.OptionMaxSuggestion(8),
		prompt.OptionCompletionWordSeparator(wordSeparators),
		prompt.OptionPrefixTextColor(prompt.DefaultColor), prompt.OptionSuggestionBGColor(prompt.DarkGray),
		prompt.OptionSuggestionTextColor(prompt.White), prompt.OptionSelectedSuggestionBGColor(prompt.Cyan),
		prompt.OptionSelectedSuggestionTextColor(prompt.Black), prompt.OptionPreviewSuggestionTextColor(prompt.DefaultColor))
	defer signal.Reset(os.Interrupt)
	ignored := make(chan os.Signal, 1) // an interrupt between lines ends nothing
	signal.Notify(ignored, os.Interrupt)
	defer signal.Stop(ignored)
	for {
		line, more := r.readLine()
		if !more || ctx.Err() != nil {
			fmt.Fprintln(cfg.Out.Err)
			return nil
		}
		if r.enter(ctx, line) {
			return nil
		}
	}
}

func (r *repl) prefix() (string, bool) {
	if r.statement == "" {
		return firstPrompt, true
	}
	return nextPrompt, true
}

// readLine returns the next line; more is false at the end of input.
func (r *repl) readLine() (line string, more bool) {
	if line, ok := r.console.takeLine(); ok {
		p, _ := r.prefix()
		fmt.Fprintln(r.Out.Out, p+line)
		return line, true
	}
	r.history.reset()
	line = r.prompt.Input()
	if p, _ := r.prefix(); line != "" {
		r.spool.copy([]byte(p + line + "\n"))
	}
	switch {
	case line == "" && r.console.last == keyCtrlC:
		r.statement, r.console.last = "", 0
	case line == "" && r.console.last == keyCtrlD:
		return "", false
	}
	return line, true
}

// enter takes one line and executes the statements that it completes. It reports
// whether the user leaves.
func (r *repl) enter(ctx context.Context, line string) (leave bool) {
	trimmed := strings.TrimSpace(line)
	if r.statement == "" {
		switch strings.ToLower(strings.TrimSuffix(trimmed, ";")) {
		case "":
			return false
		case `\q`, "exit", "quit":
			return true
		case "help", `\h`, `\?`, "?":
			fmt.Fprint(r.Out.Out, helpText)
			r.history.add(trimmed)
			return false
		case "clear":
			fmt.Fprint(r.console.out, "\x1b[H\x1b[2J")
			return false
		case "history":
			for i, h := range r.history.list() {
				fmt.Fprintf(r.Out.Out, "%4d  %s\n", i+1, h)
			}
			return false
		case "version":
			fmt.Fprintln(r.Out.Out, "millrace "+engine.Version)
			return false
		}
		if word, rest, _ := strings.Cut(trimmed, " "); strings.EqualFold(word, "output") {
			r.setOutput(rest)
			return false
		} else if strings.EqualFold(strings.TrimSuffix(word, ";"), "spool") {
			r.setSpool(rest)
			return false
		}
		if rest, ok := cliOption(trimmed); ok {
			r.setCLI(rest)
			return false
		}
	}
	r.statement += line + "\n"
	statements, rest := sql.Split(r.statement)
	if len(statements) == 0 {
		if rest == (sql.Span{}) {
			r.statement = "" // comments only
		}
		return false
	}
	end := statements[len(statements)-1].End
	script, tail := r.statement[:end], r.statement[end:]
	r.statement = ""
	if strings.TrimSpace(tail) != "" {
		r.statement = strings.TrimLeft(tail, " \t\n")
	}
	for _, s := range statements {
		r.history.add(oneLine(script[s.Start:s.End]))
	}
	r.execute(ctx, script)
	return false
}

func (r *repl) setOutput(name string) {
	f, err := ParseFormat(strings.Trim(strings.TrimSuffix(strings.TrimSpace(name), ";"), "'"))
	if err != nil {
		fmt.Fprintln(r.Out.Err, err)
		return
	}
	r.Out.Format = f
	fmt.Fprintf(r.Out.Err, "Output format set to %s\n", f)
}

// execute runs a script; an interrupt ends the query that runs.
func (r *repl) execute(ctx context.Context, script string) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	defer r.refresh()
	if w := r.width(); w > 0 {
		r.Out.Width = w
	}
	if err := r.run(ctx, script, 0); err != nil && ctx.Err() == nil {
		r.report(err)
	}
}

func (r *repl) run(ctx context.Context, script string, depth int) error {
	return r.Backend.Execute(ctx, script, func(result engine.Result) error {
		if s, ok := result.(*engine.Script); ok {
			if depth == maxScriptDepth {
				return s.Fail("scripts run each other more than %d deep: does %s run itself?", maxScriptDepth, s.File)
			}
			text, err := r.ReadScript(s.File)
			if err != nil {
				return s.Fail("%v", err)
			}
			return engine.InFile(r.run(ctx, text, depth+1), s.File)
		}
		return r.Out.Write(ctx, result)
	})
}

func (r *repl) report(err error) {
	var st *engine.StatementError
	if errors.As(err, &st) {
		io.WriteString(r.Out.Err, strings.TrimRight(st.Format(), "\n")+"\n") //nolint:errcheck // the terminal has gone
		return
	}
	fmt.Fprintln(r.Out.Err, "error: "+err.Error())
}

const helpText = `Statements end with a semicolon and may span lines.

  CREATE STREAM orders (id INT KEY, total DOUBLE)
    WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);
  INSERT INTO orders VALUES (1, 9.5);
  SELECT * FROM orders EMIT CHANGES;            a push query: Ctrl-C ends it
  CREATE TABLE totals AS SELECT id, SUM(total) AS sum FROM orders GROUP BY id;
  SELECT * FROM totals WHERE id = 1;            a pull query: answers once

  SHOW STREAMS | TABLES | TOPICS | QUERIES | FUNCTIONS | PROPERTIES;
  DESCRIBE name [EXTENDED];   DESCRIBE FUNCTION name;   EXPLAIN statement or query id;
  PRINT topic FROM BEGINNING LIMIT 3;           the records of a topic
  SET 'auto.offset.reset'='earliest';           new queries read what is there already
  RUN SCRIPT 'file.sql';
  SELECT * FROM KSQL_PROCESSING_LOG EMIT CHANGES;   the records that queries left out, and why

  output table|json|csv    how results are written     history    earlier statements
  SPOOL 'file'             copies what is shown to a file, which is replaced; SPOOL OFF ends that
  SET CLI WRAP ON|OFF      whether long values of a table go on in the next line or are cut
  SET CLI COLUMN-WIDTH n   every column is n characters wide; 0 lets the values decide
  clear   version   help   \q (or exit, Ctrl-D) leaves
`
