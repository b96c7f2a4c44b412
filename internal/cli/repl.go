package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/repl"
)

type replOptions struct{ data, server, registry, keyFile string }

// addRepl adds `millrace repl`, `millrace quickstart`, and makes the REPL what
// millrace does without a command.
func addRepl(root *cobra.Command, std Stdio) {
	var o replOptions
	c := &cobra.Command{
		Use: "repl", Short: "Start the REPL (the default command)", Args: noArgs,
		Long: `Start the REPL over an embedded engine, which also opens the Kafka and HTTP ports
like a server (a default port that is taken becomes a free one), or over a running
server. When standard input is not a terminal, statements are read from it.`,
		Example: "  millrace repl --data ./shop\n  millrace repl --server http://127.0.0.1:8088",
		RunE:    func(c *cobra.Command, _ []string) error { return runRepl(c.Context(), std, o) },
	}
	flags := func(c *cobra.Command) {
		c.Flags().StringVar(&o.data, "data", DefaultDataDir, "data directory of the embedded engine")
		c.Flags().StringVar(&o.server, "server", "", "URL of a running server to use instead")
		addRegistryFlag(c, &o.registry)
		c.MarkFlagsMutuallyExclusive("schema-registry-url", "server")
		addEncryptionFlag(c, &o.keyFile)
		c.MarkFlagsMutuallyExclusive("encryption-key-file", "server")
	}
	flags(c)
	flags(root)
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return needSubcommand(c, args)
		}
		return runRepl(c.Context(), std, o)
	}
	root.AddCommand(c, newQuickstart(std))
}

func runRepl(ctx context.Context, std Stdio, o replOptions) (err error) {
	if !isTerminal(std.In) {
		return runSQL(ctx, std, sqlOptions{data: o.data, server: o.server, registry: o.registry, keyFile: o.keyFile, output: "table", scripts: []scriptArg{{true, "-"}}})
	}
	if o.server != "" {
		return runRemoteRepl(ctx, std, o.server)
	}
	n, err := startNode(serverOptions{data: o.data, registry: o.registry, keyFile: o.keyFile, http: DefaultHTTPAddr, kafka: DefaultKafkaAddr}, quietLogger(std.Err), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	return startRepl(ctx, std, n, n.engine.NewSession())
}

// startRepl runs the REPL over a node's engine until the user leaves it.
func startRepl(ctx context.Context, std Stdio, n *node, session *engine.Session) error {
	if err := session.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "millrace %s  http=%s kafka=%s  help: `help`, end: `\\q`\n", engine.Version, n.httpAddr, n.kafkaAddr)
	return readStatements(ctx, std, session, func() repl.Names { return knownNames(n.engine) })
}

// namesTimeout bounds how long completion waits for a server's names.
const namesTimeout = 2 * time.Second

// runRemoteRepl runs the REPL over a server.
func runRemoteRepl(ctx context.Context, std Stdio, address string) error {
	remote, err := repl.NewRemote(address)
	if err != nil {
		return err
	}
	remote.Notices = std.Err
	if err := remote.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "millrace %s  server=%s  help: `help`, end: `\\q`\n", engine.Version, address)
	return readStatements(ctx, std, remote, func() repl.Names {
		ctx, cancel := context.WithTimeout(ctx, namesTimeout)
		defer cancel()
		return remote.Names(ctx)
	})
}

func readStatements(ctx context.Context, std Stdio, backend repl.Backend, names func() repl.Names) error {
	out := &repl.Output{Out: std.Out, Err: std.Err, Format: repl.TableFormat, Width: terminalWidth(std.Out)}
	return repl.Run(ctx, repl.Config{In: std.In, Out: out, Backend: backend, Names: names, ReadScript: readFile, HistoryFile: historyFile()})
}

// historyFile is where statements are kept between runs, "" without a home.
func historyFile() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".millrace_history")
}

// knownNames are what completion offers of what was made.
func knownNames(e *engine.Engine) repl.Names {
	cat := e.Catalog()
	names := repl.Names{Queries: e.Queries(), Types: cat.TypeNames()}
	for _, s := range cat.Sources() {
		names.Sources = append(names.Sources, repl.SourceOf(s))
	}
	return names
}
