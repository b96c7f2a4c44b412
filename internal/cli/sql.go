package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/repl"
)

type sqlOptions struct {
	data, server, output, registry string
	keyFile                        string
	timeout                        time.Duration
	scripts                        []scriptArg
}

// scriptArg is one -e or -f, in the order given.
type scriptArg struct {
	file bool
	text string // SQL, or the file's name
}

// scriptFlag collects -e and -f into one list.
type scriptFlag struct {
	list *[]scriptArg
	file bool
}

func (f scriptFlag) Set(v string) error {
	*f.list = append(*f.list, scriptArg{f.file, v})
	return nil
}

func (f scriptFlag) String() string { return "" }

func (f scriptFlag) Type() string {
	if f.file {
		return "file"
	}
	return "sql"
}

func newSQL(std Stdio) *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use: "sql", Short: "Run statements and exit", Args: noArgs,
		Long: `Run the statements of all -e and -f in one session and exit. A push query ends at
its LIMIT, at the timeout or at an interrupt. Results go to standard output,
messages to standard error; the exit code is 0 only if every statement succeeded.`,
		Example: `  millrace sql -e "SHOW STREAMS;"
  millrace sql -f schema.sql -e "SELECT * FROM totals;" --output json
  millrace sql --server http://127.0.0.1:8088 -e "SHOW QUERIES;"`,
		RunE: func(c *cobra.Command, _ []string) error { return runSQL(c.Context(), std, o) },
	}
	c.Flags().VarP(scriptFlag{&o.scripts, false}, "execute", "e", "statements to run, may be repeated")
	c.Flags().VarP(scriptFlag{&o.scripts, true}, "file", "f", "script to run, - for standard input, may be repeated")
	c.Flags().StringVar(&o.data, "data", DefaultDataDir, "data directory of the embedded engine")
	c.Flags().StringVar(&o.server, "server", "", "URL of a running server to use instead")
	c.Flags().StringVar(&o.output, "output", "table", "table, json or csv")
	completeFlag(c, "output", completeValues("table", "json", "csv"))
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "end push queries after this long, 0 for never")
	addRegistryFlag(c, &o.registry)
	addEncryptionFlag(c, &o.keyFile)
	c.MarkFlagsMutuallyExclusive("encryption-key-file", "server")
	c.MarkFlagsMutuallyExclusive("data", "server")
	c.MarkFlagsMutuallyExclusive("schema-registry-url", "server")
	return c
}

func runSQL(ctx context.Context, std Stdio, o sqlOptions) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	if o.timeout < 0 {
		return fmt.Errorf("--timeout %s: expected a duration, or 0 for never", o.timeout)
	}
	format, err := repl.ParseFormat(o.output)
	if err != nil {
		return err
	}
	if len(o.scripts) == 0 {
		return fmt.Errorf("nothing to run: give -e SQL or -f FILE (millrace sql --help)")
	}
	scripts, err := readScripts(std, o.scripts)
	if err != nil {
		return err
	}
	backend, closeBackend, err := openBackend(std, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBackend()) }()
	out := &repl.Output{Out: std.Out, Err: std.Err, Format: format, Width: terminalWidth(std.Out)}
	for _, script := range scripts {
		if err := executeScript(ctx, backend, out, script.text, o.timeout, 0); err != nil {
			return engine.InFile(err, script.file)
		}
	}
	return nil
}

// maxScriptDepth bounds RUN SCRIPT inside scripts.
const maxScriptDepth = 16

// executeScript runs one script and the scripts that it runs. The timeout is that
// of each push query.
func executeScript(ctx context.Context, b repl.Backend, out *repl.Output, script string, timeout time.Duration, depth int) error {
	err := b.Execute(ctx, script, func(r engine.Result) error {
		if s, ok := r.(*engine.Script); ok {
			if depth == maxScriptDepth {
				return s.Fail("scripts run each other more than %d deep: does %s run itself?", maxScriptDepth, s.File)
			}
			text, err := readFile(s.File)
			if err != nil {
				return s.Fail("%v", err)
			}
			return engine.InFile(executeScript(ctx, b, out, text, timeout, depth+1), s.File)
		}
		resultCtx, cancel := ctx, context.CancelFunc(func() {})
		if timeout > 0 && isStream(r) {
			resultCtx, cancel = context.WithTimeout(ctx, timeout)
		}
		defer cancel()
		return out.Write(resultCtx, r)
	})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errors.New("interrupted: the statements behind this one were not run")
	}
	return err
}

// isStream reports whether a result goes on coming.
func isStream(r engine.Result) bool {
	switch r := r.(type) {
	case *engine.Rows:
		return r.Push
	case *engine.Lines:
		return true
	}
	return false
}

// namedScript is a script and the file that it came from, "" for none.
type namedScript struct{ file, text string }

func readScripts(std Stdio, args []scriptArg) ([]namedScript, error) {
	var scripts []namedScript
	for _, a := range args {
		switch {
		case !a.file:
			scripts = append(scripts, namedScript{text: a.text})
		case a.text == "-":
			text, err := io.ReadAll(io.LimitReader(std.In, maxFileBytes))
			if err != nil {
				return nil, err
			}
			scripts = append(scripts, namedScript{text: string(text)})
		default:
			text, err := readFile(a.text)
			if err != nil {
				return nil, err
			}
			scripts = append(scripts, namedScript{a.text, text})
		}
	}
	return scripts, nil
}

// maxFileBytes bounds a script or configuration file.
const maxFileBytes = 16 << 20

// readFile reads a script or configuration file.
func readFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", unreadable(name, err)
	}
	if info.Size() > maxFileBytes {
		return "", fmt.Errorf("%s is larger than %d bytes", name, maxFileBytes)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", unreadable(name, err)
	}
	return string(b), nil
}

// unreadable says of a file that it cannot be read and why, without the name of the
// system call.
func unreadable(name string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot read the file %s: %w", name, err)
}

// openBackend opens the embedded engine, or the connection to a server.
func openBackend(std Stdio, o sqlOptions) (repl.Backend, func() error, error) {
	if o.server != "" {
		remote, err := repl.NewRemote(o.server)
		if err != nil {
			return nil, nil, err
		}
		remote.Notices = std.Err
		return remote, func() error { return nil }, remote.SetProperty("millrace.pull.wait", "inputs")
	}
	schemas, err := readRegistryURL(o.registry)
	if err != nil {
		return nil, nil, err
	}
	keys, err := readKeys(o.keyFile)
	if err != nil {
		return nil, nil, err
	}
	e, err := openEngine(engine.Config{Dir: o.data, Logger: quietLogger(std.Err), SchemaRegistry: schemas, Broker: broker.Config{Keys: keys}})
	if err != nil {
		return nil, nil, err
	}
	session := e.NewSession()
	if err := session.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		return nil, nil, errors.Join(err, e.Close(context.Background()))
	}
	return session, func() error { return e.Close(context.Background()) }, nil
}
