package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/server"
)

// stopTimeout bounds how long a server waits for requests that run when it is
// told to stop.
const stopTimeout = 10 * time.Second

type serverOptions struct {
	data, http, kafka, bootstrap, config, service, registry string
	keyFile                                                 string
	stateMemory                                             int64
	security                                                securityOptions
	storage                                                 storageOptions
	logLevel                                                string
	offsetsRetention                                        time.Duration
}

func newServer(std Stdio) *cobra.Command {
	var o serverOptions
	c := &cobra.Command{
		Use: "server", Short: "Serve HTTP and the Kafka protocol", Args: noArgs,
		Long: `Serve statements over HTTP and topics over the Kafka protocol until SIGTERM or an
interrupt. When both listeners answer, one line says where: ready http=... kafka=...`,
		Example: "  millrace server --data /var/lib/millrace\n  millrace server --http 127.0.0.1:0 --kafka 127.0.0.1:0\n" +
			"  millrace server --listener SASL_SSL://0.0.0.0:9092@kafka.example.com:9092 --tls-cert server.pem --bootstrap-user admin --bootstrap-password-file password",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := readConfig(c, o.config); err != nil {
				return err
			}
			if o.bootstrap != "" {
				if name := ownBrokerFlag(c); name != "" {
					return fmt.Errorf("--%s has no meaning with --bootstrap: the cluster holds the topics and answers Kafka clients", name)
				}
				fmt.Fprintln(std.Err, "experimental: running over the Kafka cluster at "+o.bootstrap+"; one server per service ID")
			}
			if len(o.security.listeners) > 0 && c.Flags().Changed("kafka") {
				return errors.New("--kafka has no meaning with --listener: add --listener PLAINTEXT://" + o.kafka)
			}
			return runServer(c.Context(), std, o)
		},
	}
	c.Flags().StringVar(&o.data, "data", DefaultDataDir, "data directory")
	c.Flags().StringVar(&o.http, "http", DefaultHTTPAddr, "address of the HTTP listener; port 0 picks a free one")
	c.Flags().StringVar(&o.kafka, "kafka", DefaultKafkaAddr, "address of the Kafka listener; port 0 picks a free one")
	c.Flags().StringVar(&o.bootstrap, "bootstrap", "", "run over an external Kafka cluster (experimental): HOST:PORT,...")
	c.Flags().StringVar(&o.service, "service-id", engine.DefaultServiceID, "name that internal topics and consumer groups carry")
	addRegistryFlag(c, &o.registry)
	addEncryptionFlag(c, &o.keyFile)
	addSecurityFlags(c.Flags(), &o.security)
	addStorageFlags(c.Flags(), &o.storage)
	c.Flags().Int64Var(&o.stateMemory, "state-memory-bytes", executor.DefaultStateMemory, "state that queries keep in memory; more is read from disk")
	c.Flags().DurationVar(&o.offsetsRetention, "offsets-retention", 0, "forget committed offsets of groups that have had no members for so long, 0 for never")
	c.Flags().StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error; debug shows TLS handshakes, logins and what is allowed")
	completeFlag(c, "log-level", completeValues("debug", "info", "warn", "error"))
	completeFlag(c, "tls-client-auth", completeValues(clientAuths...))
	completeFlag(c, "sasl-mechanisms", completeValues(mechanisms...))
	completeFlag(c, "authorize", completeValues("on", "off", "auto"))
	c.Flags().StringVar(&o.config, "config", "", "file of flag=value lines; flags on the command line win")
	return c
}

// ownBrokerFlag returns a flag that was given and is about the embedded broker, ""
// when there is none.
func ownBrokerFlag(c *cobra.Command) string {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	addSecurityFlags(own, new(securityOptions))
	addStorageFlags(own, new(storageOptions))
	given := ""
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "data", "kafka", "offsets-retention", "encryption-key-file":
			given = f.Name
		case "allow-insecure-listener": // is for HTTP too
		default:
			if own.Lookup(f.Name) != nil {
				given = f.Name
			}
		}
	})
	return given
}

// addRegistryFlag adds the flag of commands that open an engine.
func addRegistryFlag(c *cobra.Command, value *string) {
	c.Flags().StringVar(value, "schema-registry-url", "", "use an external schema registry instead of the embedded one: http[s]://[USER:PASSWORD@]HOST[:PORT]")
}

// readRegistryURL reads the flag; without it the embedded registry is used.
func readRegistryURL(text string) (registry.ClientConfig, error) {
	if text == "" {
		return registry.ClientConfig{}, nil
	}
	cfg, err := registry.ParseURL(text)
	if err != nil {
		return cfg, fmt.Errorf("--schema-registry-url: %w", err)
	}
	return cfg, nil
}

// node is an engine with its listeners.
type node struct {
	engine    *engine.Engine
	http      *server.Server
	httpAddr  string
	kafkaAddr string
	failed    chan error // a listener's failure
}

// startNode opens the engine and both listeners. anyPort replaces a taken port by
// a free one.
func startNode(o serverOptions, logger *slog.Logger, anyPort bool) (_ *node, err error) {
	// The engine comes first: who can connect may send statements at once.
	cfg := engine.Config{Dir: o.data, ServiceID: o.service, StateMemory: o.stateMemory, Logger: logger}
	if o.bootstrap != "" {
		cfg.Dir, cfg.Bootstrap = "", strings.Split(o.bootstrap, ",")
	}
	if cfg.SchemaRegistry, err = readRegistryURL(o.registry); err != nil {
		return nil, err
	}
	if cfg.Broker.Keys, err = readKeys(o.keyFile); err != nil {
		return nil, err
	}
	listeners, err := o.security.parse(o.kafka)
	if err != nil {
		return nil, err
	}
	if err := o.security.configure(&cfg.Broker, listeners); err != nil {
		return nil, err
	}
	if err := o.storage.configure(&cfg.Broker.Limits); err != nil {
		return nil, err
	}
	cfg.Broker.Limits.OffsetsRetention = o.offsetsRetention
	e, err := openEngine(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(context.Background()))
		}
	}()
	httpListener, err := openListener(o.http, anyPort)
	if err != nil {
		return nil, err
	}
	if err := o.security.checkHTTP(httpListener, logger); err != nil {
		return nil, errors.Join(err, httpListener.Close())
	}
	if o.bootstrap != "" { // Kafka clients go to the cluster itself
		n := newNode(e, httpListener, o.bootstrap, logger)
		n.serveHTTP(httpListener)
		return n, nil
	}
	if err := o.security.firstUser(e); err != nil {
		return nil, errors.Join(err, httpListener.Close())
	}
	open, addrs, err := openListeners(listeners, anyPort)
	if err != nil {
		return nil, errors.Join(err, httpListener.Close())
	}
	for i := range open {
		// All are checked before one is served.
		if err := e.CheckListener(open[i], listeners[i].cfg); err != nil {
			for _, l := range open {
				err = errors.Join(err, l.Close())
			}
			return nil, errors.Join(insecure(err), httpListener.Close())
		}
	}
	n := newNode(e, httpListener, addrs, logger)
	n.failed = make(chan error, len(open)+1)
	for i := range open {
		go func() { // ends with n.close
			if err := e.ServeListener(open[i], listeners[i].cfg); err != nil {
				n.failed <- fmt.Errorf("Kafka listener %s: %w", listeners[i].cfg.Name, err)
			}
		}()
	}
	n.serveHTTP(httpListener)
	return n, nil
}

// insecure says which flags help when a listener would let in everybody.
func insecure(err error) error {
	if errors.Is(err, broker.ErrInsecure) {
		return fmt.Errorf("%w, or give --allow-insecure-listener", err)
	}
	return err
}

// openEngine opens the engine and says what to do when its data directory is
// locked or needs a key.
func openEngine(cfg engine.Config) (*engine.Engine, error) {
	e, err := engine.Open(cfg)
	if err != nil && strings.Contains(err.Error(), "in use by another process") {
		return nil, fmt.Errorf("data directory %s is in use by another process: send statements to it with --server URL, or give another --data", cfg.Dir)
	}
	return e, keyHint(err)
}

// newNode makes a node whose HTTP listener does not answer yet.
func newNode(e *engine.Engine, httpListener net.Listener, kafkaAddr string, logger *slog.Logger) *node {
	return &node{engine: e, http: server.New(e, logger), httpAddr: httpListener.Addr().String(), kafkaAddr: kafkaAddr, failed: make(chan error, 1)}
}

// serveHTTP starts the HTTP listener.
func (n *node) serveHTTP(l net.Listener) {
	go func() { // ends with n.close
		if err := n.http.Serve(l); err != nil {
			n.failed <- fmt.Errorf("HTTP listener: %w", err)
		}
	}()
}

func (n *node) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	httpErr := n.http.Close(ctx)
	return errors.Join(httpErr, n.engine.Close(ctx))
}

func runServer(ctx context.Context, std Stdio, o serverOptions) error {
	switch {
	case o.stateMemory < 0:
		return fmt.Errorf("--state-memory-bytes %d: expected a number of bytes, or 0 for the default", o.stateMemory)
	case o.offsetsRetention < 0:
		return fmt.Errorf("--offsets-retention %s: expected a duration, or 0 for never", o.offsetsRetention)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("--log-level %s: expected debug, info, warn or error", o.logLevel)
	}
	logger := slog.New(slog.NewTextHandler(std.Err, &slog.HandlerOptions{Level: level}))
	n, err := startNode(o, logger, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "ready http=%s kafka=%s\n", n.httpAddr, n.kafkaAddr)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-n.failed:
	}
	return errors.Join(failure, n.close())
}

// quietLogger logs warnings and errors only: what a terminal user must see.
func quietLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// readConfig sets flags from a file of name=value lines; those given on the
// command line win.
func readConfig(c *cobra.Command, file string) error {
	if file == "" {
		return nil
	}
	text, err := readFile(file)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		flag := c.Flags().Lookup(strings.TrimSpace(name))
		if !ok || flag == nil || flag.Name == "config" {
			return fmt.Errorf("%s line %d: expected flag=value with a flag of `millrace server`, got %q", file, i+1, line)
		}
		if flag.Changed {
			continue
		}
		if err := c.Flags().Set(flag.Name, strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("%s line %d: %w", file, i+1, err)
		}
	}
	return nil
}
