package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// Stdio is where a command reads and writes.
type Stdio struct {
	In  *os.File
	Out *os.File
	Err *os.File
}

// DefaultDataDir is where an embedded engine keeps its data.
const DefaultDataDir = "./millrace-data"

// The addresses that a server listens on unless told otherwise.
const (
	DefaultHTTPAddr  = "127.0.0.1:8088"
	DefaultKafkaAddr = "127.0.0.1:9092"
)

// interruptible returns ctx ended by an interrupt, for commands that an interrupt
// ends. The REPL is none of them.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt)
}

// errReported is returned by a command that has told the user what went wrong.
var errReported = errors.New("reported")

// Run executes a command line and returns the exit code.
func Run(ctx context.Context, args []string, std Stdio) int {
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	case errors.Is(err, errBrokenTest):
		return 2
	}
	fmt.Fprintln(std.Err, "millrace: "+errorText(err))
	return 1
}

// errorText renders an error for the terminal: one about a statement with its
// excerpt, others as they are.
func errorText(err error) string {
	var st *engine.StatementError
	if errors.As(err, &st) {
		return strings.TrimRight(st.Format(), "\n")
	}
	return err.Error()
}

func newRoot(std Stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Streaming SQL in one binary: Kafka topics, streams and tables, exactly-once queries",
		Example: `  millrace                      start the REPL over ./millrace-data
  millrace quickstart           load real data, run queries over it, stay at the REPL
  millrace server               serve HTTP on 8088 and Kafka on 9092
  millrace sql -e "SHOW TOPICS;"`,
		SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 3,
		Version: engine.Version,
	}
	root.SetIn(std.In)
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	root.SetFlagErrorFunc(suggestFlag)
	root.AddCommand(newServer(std), newSQL(std), newTopic(std), newGroup(std), newConfig(std), newTransaction(std), newUser(std), newACL(std), newQuota(std), newProduce(std), newConsume(std), newTest(std), newBench(std), newLog(std), newDocs())
	addRepl(root, std)
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // an unknown shell printed help, as a success
			c.Args, c.RunE = cobra.ArbitraryArgs, needSubcommand
			completeBash(c)
		}
	}
	return root
}

// suggestFlag adds the nearest known flag to an error about an unknown one.
func suggestFlag(c *cobra.Command, err error) error {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	for _, word := range strings.Fields(err.Error()) {
		if word = strings.TrimRight(word, ":"); strings.HasPrefix(word, "--") {
			if s := sql.Suggest(word, names); s != "" && s != word {
				return fmt.Errorf("%w: did you mean %s? (%s --help)", err, s, c.CommandPath())
			}
		}
	}
	return fmt.Errorf("%w (%s --help)", err, c.CommandPath())
}

// sameFlag makes other a second name of a flag, with its completion. A value under
// either name is one of the same list.
func sameFlag(c *cobra.Command, other, flag string) {
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == other {
			name = flag
		}
		return pflag.NormalizedName(name)
	})
}

// noArgs refuses arguments with a message that names them.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument %q (%s --help)", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// exactArgs asks for the named arguments.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return fmt.Errorf("%s takes %s, got %d arguments (%s --help)", c.CommandPath(), strings.Join(names, " "), len(args), c.CommandPath())
		}
		for i, arg := range args {
			if arg == "" {
				return fmt.Errorf("%s: %s is empty", c.CommandPath(), names[i])
			}
		}
		return nil
	}
}

// isTerminal reports whether a file is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	return term.IsTerminal(int(f.Fd()))
}
