// Command millrace is a streaming SQL engine in one binary: topics on an embedded
// broker that speaks the Kafka protocol, streams and tables over them in KSQL,
// continuous queries that lose nothing and count nothing twice.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace/millrace/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
