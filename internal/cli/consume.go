package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeOptions struct {
	to            cluster
	group, output string
	fromBeginning bool
	max           int64
	timeout       time.Duration
}

func newConsume(std Stdio) *cobra.Command {
	var o consumeOptions
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Read committed records of a topic", Args: exactArgs("TOPIC"),
		Example: "  millrace consume orders --from-beginning --max 10\n  millrace consume orders --group billing --output json --timeout 5s",
		RunE: func(c *cobra.Command, args []string) error {
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("--output %s: expected text or json", o.output)
			}
			return unreachable(o.to, consume(c.Context(), std.Out, args[0], o))
		},
	}
	clusterFlags(c, &o.to)
	c.Flags().BoolVar(&o.fromBeginning, "from-beginning", false, "start at the first record")
	c.Flags().Int64Var(&o.max, "max", 0, "end after this many records, 0 for no limit")
	c.Flags().StringVar(&o.group, "group", "", "consumer group to read as; partitions are assigned by the client itself without one")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "end when nothing has arrived for this long, 0 for never")
	c.Flags().StringVar(&o.output, "output", "text", "text or json")
	return c
}

func consume(ctx context.Context, out io.Writer, topic string, o consumeOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	if err := requireTopic(ctx, topic, o.to); err != nil {
		return err
	}
	start := kgo.NewOffset().AtEnd()
	if o.fromBeginning {
		start = kgo.NewOffset().AtStart()
	}
	opts := []kgo.Opt{kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(start)}
	if o.group != "" {
		opts = append(opts, kgo.ConsumerGroup(o.group), kgo.DisableAutoCommit())
	}
	cl, err := kafkaClient(o.to, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	w := bufio.NewWriter(out)
	err = consumeLoop(ctx, cl, w, o)
	return errors.Join(err, w.Flush())
}

func requireTopic(ctx context.Context, topic string, to cluster) error {
	return withAdmin(ctx, to, func(ctx context.Context, a *kadm.Client) error {
		topics, err := a.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		if t, ok := topics[topic]; !ok || t.Err != nil {
			return missingTopic(topic)
		}
		return nil
	})
}

func consumeLoop(ctx context.Context, cl *kgo.Client, w *bufio.Writer, o consumeOptions) error {
	left := o.max
	for {
		pollCtx, cancel := ctx, context.CancelFunc(func() {})
		if o.timeout > 0 {
			pollCtx, cancel = context.WithTimeout(ctx, o.timeout)
		}
		fetches := cl.PollFetches(pollCtx)
		cancel()
		if ctx.Err() != nil || pollCtx.Err() != nil && fetches.NumRecords() == 0 {
			return nil // an interrupt or the timeout: both are the end that was asked for
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("read %s-%d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		var last []*kgo.Record
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			if err := writeRecord(w, rec, o.output); err != nil {
				return err
			}
			last = append(last, rec)
			if left--; left == 0 {
				break
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if o.group != "" && len(last) > 0 {
			if err := cl.CommitRecords(ctx, last...); err != nil {
				return fmt.Errorf("commit offsets of group %s: %w", o.group, err)
			}
		}
		if o.max > 0 && left == 0 {
			return nil
		}
	}
}

// consumedRecord is a record as --output json prints it.
type consumedRecord struct {
	Topic     string           `json:"topic"`
	Partition int32            `json:"partition"`
	Offset    int64            `json:"offset"`
	Timestamp int64            `json:"timestamp"`
	Key       any              `json:"key"`
	Value     any              `json:"value"`
	Headers   []consumedHeader `json:"headers"`
}

type consumedHeader struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func writeRecord(w io.Writer, r *kgo.Record, output string) error {
	if output == "text" {
		_, err := fmt.Fprintf(w, "%s\t%s\n", textOf(r.Key), textOf(r.Value))
		return err
	}
	rec := consumedRecord{r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), payload(r.Key), payload(r.Value), []consumedHeader{}}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, consumedHeader{h.Key, payload(h.Value)})
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func textOf(b []byte) string {
	if b == nil {
		return "null"
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// payload returns bytes as JSON where they are JSON, as text where they are
// UTF-8, else as {"base64": ...}. Null stays null.
func payload(b []byte) any {
	switch {
	case b == nil:
		return nil
	case json.Valid(b):
		return json.RawMessage(b)
	case utf8.Valid(b):
		return string(b)
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
}
