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

	"github.com/millrace/millrace/engine"
)

// toEndIdle ends --to-end when compaction or a transaction has left no record at
// the end of a partition that could be seen.
const toEndIdle = 3 * time.Second

type consumeOptions struct {
	to                      cluster
	group, output           string
	offset, from, isolation string
	partitions              []int32
	fromBeginning, toEnd    bool
	decode                  bool
	service, registry       string
	max                     int64
	timeout                 time.Duration
}

func newConsume(std Stdio) *cobra.Command {
	var o consumeOptions
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Read records of a topic", Args: exactArgs("TOPIC"),
		Long: `Read records of a topic from now on, or from where --from-beginning, --offset or
--from say: as text (key, a tab, value) or as JSON with partition, offset, timestamp
and headers. Without --group partitions are read without a group and nothing is
committed.`,
		Example: "  millrace consume orders --from-beginning --to-end\n  millrace consume orders --partition 0 --offset -10 --output json\n  millrace consume orders --from 2026-11-22T08:00:00Z --max 100\n  millrace consume orders --group billing --output json --timeout 5s",
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.toEnd && o.timeout == 0 {
				o.timeout = toEndIdle
			}
			return unreachable(o.to, consume(c.Context(), std.Out, args[0], o))
		},
	}
	clusterFlags(c, &o.to)
	c.Flags().BoolVar(&o.fromBeginning, "from-beginning", false, "start at the first record")
	c.Flags().Int64Var(&o.max, "max", 0, "end after this many records, 0 for no limit")
	c.Flags().StringVar(&o.group, "group", "", "consumer group to read as; partitions are assigned by the client itself without one")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "end when nothing has arrived for this long, 0 for never")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "text or json")
	c.Flags().Int32SliceVar(&o.partitions, "partition", nil, "only these partitions")
	c.Flags().StringVar(&o.offset, "offset", "", "start at an offset, or with -N at the last N records of each partition")
	c.Flags().StringVar(&o.from, "from", "", "start at the first record of a time (2026-11-22T08:00:00Z, ms) or of a duration back (-2h)")
	c.Flags().BoolVar(&o.toEnd, "to-end", false, "end at what is the end now")
	c.Flags().StringVar(&o.isolation, "isolation", "committed", "committed, or uncommitted to see records of open and aborted transactions")
	c.Flags().BoolVar(&o.decode, "decode", false, "show keys and values of AVRO, PROTOBUF and JSON_SR as JSON, by their registered schemas")
	c.Flags().StringVar(&o.service, "service-id", engine.DefaultServiceID, "with --decode: the service whose embedded schema registry is read")
	c.Flags().StringVar(&o.registry, "schema-registry-url", "", "with --decode: an external schema registry, http[s]://[USER:PASSWORD@]HOST[:PORT]")
	c.ValidArgsFunction = completeNames(&o.to, topicNames)
	return c
}

// check refuses options that cannot go together.
func (o *consumeOptions) check() error {
	starts := 0
	for _, given := range []bool{o.fromBeginning, o.offset != "", o.from != ""} {
		if given {
			starts++
		}
	}
	switch {
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("--output %s: expected text or json", o.output)
	case o.isolation != "committed" && o.isolation != "uncommitted":
		return fmt.Errorf("--isolation %s: expected committed or uncommitted", o.isolation)
	case !o.decode && o.registry != "":
		return errors.New("--schema-registry-url is for --decode")
	case starts > 1:
		return errors.New("--from-beginning, --offset and --from exclude one another")
	case o.group != "" && (len(o.partitions) > 0 || o.offset != "" || o.from != "" || o.toEnd):
		return errors.New("--group goes on where the group is: --partition, --offset, --from and --to-end are for reading without one")
	}
	return nil
}

func consume(ctx context.Context, out io.Writer, topic string, o consumeOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	isolation := kgo.ReadCommitted()
	if o.isolation == "uncommitted" {
		isolation = kgo.ReadUncommitted()
	}
	opts := []kgo.Opt{kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords()}
	var ends consumeEnds
	if o.group != "" {
		if err := requireTopic(ctx, topic, o.to); err != nil {
			return err
		}
		start := kgo.NewOffset().AtEnd()
		if o.fromBeginning {
			start = kgo.NewOffset().AtStart()
		}
		opts = append(opts, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(start), kgo.ConsumerGroup(o.group), kgo.DisableAutoCommit())
	} else {
		starts, err := consumeRange(ctx, topic, o, &ends)
		if err != nil {
			return err
		}
		if o.toEnd && len(ends) == 0 {
			return nil
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))
	}
	cl, err := kafkaClient(o.to, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	show := recordWriter{output: o.output}
	if o.decode {
		if show.reader, err = openPayloads(ctx, topic, o); err != nil {
			return err
		}
	}
	w := bufio.NewWriter(out)
	err = consumeLoop(ctx, cl, w, o, ends, show)
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

func consumeLoop(ctx context.Context, cl *kgo.Client, w *bufio.Writer, o consumeOptions, ends consumeEnds, show recordWriter) error {
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
			past := ends.pass(rec)
			if past || rec.Attrs.IsControl() {
				continue
			}
			if err := show.write(w, rec); err != nil {
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
		if o.max > 0 && left == 0 || o.toEnd && len(ends) == 0 {
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

// recordWriter prints records; reader is nil where nothing is decoded.
type recordWriter struct {
	output string
	reader *engine.PayloadReader
}

func (r recordWriter) write(w io.Writer, rec *kgo.Record) error {
	if r.output == "text" {
		_, err := fmt.Fprintf(w, "%s\t%s\n", r.text(true, rec.Key), r.text(false, rec.Value))
		return err
	}
	line := consumedRecord{rec.Topic, rec.Partition, rec.Offset, rec.Timestamp.UnixMilli(), r.json(true, rec.Key), r.json(false, rec.Value), []consumedHeader{}}
	for _, h := range rec.Headers {
		line.Headers = append(line.Headers, consumedHeader{h.Key, payload(h.Value)})
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func (r recordWriter) text(key bool, b []byte) string {
	if r.reader != nil {
		if text, ok := r.reader.JSON(key, b); ok {
			return text
		}
	}
	return textOf(b)
}

func (r recordWriter) json(key bool, b []byte) any {
	if r.reader != nil {
		if text, ok := r.reader.JSON(key, b); ok {
			return json.RawMessage(text)
		}
	}
	return payload(b)
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
