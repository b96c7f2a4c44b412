package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/repl"
	"github.com/millrace/millrace/testdata/quickstart"
)

// quickstartPartitions is the partition count of the quickstart's topics.
const quickstartPartitions = 2

func newQuickstart(std Stdio) *cobra.Command {
	var o replOptions
	c := &cobra.Command{
		Use: "quickstart", Short: "Load real data, run queries over it, stay at the REPL", Args: noArgs,
		Long: `Load a week of earthquakes into the embedded broker, run continuous queries over
them, show some of their results and go on at the REPL (or exit when standard
input is not a terminal). A second run finds the data already there.`,
		Example: "  millrace quickstart\n  millrace quickstart --data ./quakes",
		RunE:    func(c *cobra.Command, _ []string) error { return runQuickstart(c.Context(), std, o) },
	}
	c.Flags().StringVar(&o.data, "data", DefaultDataDir, "data directory")
	addEncryptionFlag(c, &o.keyFile)
	return c
}

func runQuickstart(ctx context.Context, std Stdio, o replOptions) (err error) {
	n, err := startNode(serverOptions{data: o.data, keyFile: o.keyFile, http: DefaultHTTPAddr, kafka: DefaultKafkaAddr}, quietLogger(std.Err), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	out := &repl.Output{Out: std.Out, Err: std.Err, Format: repl.TableFormat, Width: terminalWidth(std.Out)}
	if err := loadQuickstart(ctx, n.engine, out); err != nil {
		return err
	}
	if !isTerminal(std.In) {
		return nil
	}
	return startRepl(ctx, std, n, n.engine.NewSession())
}

// loadQuickstart loads the data unless it is there, runs the statements and shows
// the first results.
func loadQuickstart(ctx context.Context, e *engine.Engine, out *repl.Output) error {
	session := e.NewSession()
	if err := session.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		return err
	}
	if e.Catalog().Source("EARTHQUAKES") == nil {
		if err := loadTopics(ctx, e, out); err != nil {
			return err
		}
		fmt.Fprint(out.Err, "\n"+quickstart.Statements+"\n")
		if err := executeScript(ctx, session, out, quickstart.Statements, 0, 0); err != nil {
			return err
		}
	}
	fmt.Fprint(out.Err, "\n"+quickstart.Show+"\n")
	return executeScript(ctx, session, out, quickstart.Show, 0, 0)
}

func loadTopics(ctx context.Context, e *engine.Engine, out *repl.Output) error {
	for _, t := range []struct {
		name, key, timestamp string
		lines                []byte
	}{
		{"earthquakes", "id", "time", quickstart.Earthquakes},
		{"regions", "region", "", quickstart.Regions},
	} {
		if _, err := e.TopicRecords(ctx, t.name); err != nil {
			if err := e.CreateTopic(ctx, t.name, quickstartPartitions); err != nil {
				return err
			}
		}
		n, err := loadLines(ctx, e, t.name, t.key, t.timestamp, t.lines)
		if err != nil {
			return fmt.Errorf("load %s: %w", t.name, err)
		}
		fmt.Fprintf(out.Err, "%s written to topic %s\n", count(int64(n), "record"), t.name)
	}
	return nil
}

// loadLines writes JSON lines to a topic, keyed by one of their fields.
func loadLines(ctx context.Context, e *engine.Engine, topic, keyField, timestampField string, lines []byte) (int, error) {
	builders := make([]kafka.BatchBuilder, quickstartPartitions)
	p := &producer{options: produceOptions{keyField: keyField}}
	n := 0
	for line := range bytes.Lines(lines) {
		rec, err := p.record(bytes.TrimSpace(line))
		if err != nil {
			return n, fmt.Errorf("line %d: %w", n+1, err)
		}
		var ts int64
		if timestampField != "" {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(rec.Value, &fields); err != nil {
				return n, err
			}
			if err := json.Unmarshal(fields[timestampField], &ts); err != nil {
				return n, fmt.Errorf("line %d: %w", n+1, err)
			}
		}
		builders[kafka.Partition(rec.Key, quickstartPartitions)].Append(kafka.Timestamp(ts), rec.Key, rec.Value, nil)
		n++
	}
	for i := range builders {
		builders[i].Finish()
		if builders[i].Records() == 0 {
			continue
		}
		tp := kafka.TopicPartition{Topic: topic, Partition: int32(i)}
		if err := e.Produce(ctx, tp, builders[i].Bytes(), builders[i].Records()); err != nil {
			return n, err
		}
	}
	return n, nil
}
