package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
)

// clientTimeout is how long a command waits for a broker that does not answer.
const clientTimeout = 30 * time.Second

// produceRetries is how often a batch is tried again before the command gives up,
// produceRetryPause how long the client waits for news of the topic in between.
const (
	produceRetries    = 5
	produceRetryPause = 500 * time.Millisecond
)

// maxLineBytes bounds one line of input.
const maxLineBytes = 16 << 20

type produceOptions struct {
	to                             cluster
	file, keyField, timestampField string
	separator, codec, null         string
	headers                        []string
	partition                      int32
	create, raw                    bool
}

func newProduce(std Stdio) *cobra.Command {
	var o produceOptions
	c := &cobra.Command{
		Use: "produce TOPIC", Short: "Write lines to a topic", Args: exactArgs("TOPIC"),
		Long: `Write lines from a file or standard input to a topic: one record per line, in order,
acknowledged by the log (acks=all, idempotent). A line is a JSON object, and one that
is not stops the command; with --raw it is any text, with its key in front of
--key-separator where that is given. Records of one key go to the partition that
every Kafka client would choose.`,
		Example: "  echo '{\"id\":\"a\",\"total\":9.5}' | millrace produce orders --key-field id\n  millrace produce orders --file orders.jsonl --key-field id --timestamp-field ts --create\n  printf 'a\\tone\\nb\\ttwo\\n' | millrace produce notes --raw --key-separator '\\t' --header source=cli --create",
		RunE: func(c *cobra.Command, args []string) error {
			switch given := c.Flags().Changed("partition"); {
			case given && o.partition < 0:
				return fmt.Errorf("--partition %d: expected a partition from 0 on", o.partition)
			case !given:
				o.partition = anyPartition
			}
			if err := o.check(); err != nil {
				return err
			}
			return produce(c.Context(), std, args[0], o)
		},
	}
	clusterFlags(c, &o.to)
	c.Flags().StringVar(&o.file, "file", "", "file to read, standard input by default")
	c.Flags().StringVar(&o.keyField, "key-field", "", "field whose text becomes the key; it stays in the value, and a line without it is refused")
	c.Flags().StringVar(&o.timestampField, "timestamp-field", "", "field that holds the record's timestamp in ms; a line without it is refused")
	c.Flags().BoolVar(&o.create, "create", false, "create the topic when it does not exist")
	c.Flags().BoolVar(&o.raw, "raw", false, "lines are text, not JSON objects")
	c.Flags().StringVar(&o.separator, "key-separator", "", "with --raw: text between key and value; \\t is a tab")
	c.Flags().StringVar(&o.null, "null", "", "with --raw: a value or key that stands for null, which deletes in a compacted topic")
	c.Flags().StringArrayVar(&o.headers, "header", nil, "header `name=value` for every record, may be repeated")
	c.Flags().Int32Var(&o.partition, "partition", 0, "partition for every record; default: by key")
	c.Flags().StringVar(&o.codec, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	completeFlag(c, "compression", completeValues(slices.Sorted(maps.Keys(produceCodecs))...))
	c.ValidArgsFunction = completeNames(&o.to, topicNames)
	return c
}

func produce(ctx context.Context, std Stdio, topic string, o produceOptions) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	in := io.Reader(std.In)
	var size int64
	if o.file != "" {
		f, err := os.Open(o.file)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	if err := prepareTopic(ctx, topic, o); err != nil {
		return err
	}
	opts := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.RecordRetries(produceRetries), kgo.MetadataMinAge(produceRetryPause), kgo.AllowIdempotentProduceCancellation(),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(produceCodecs[o.codec])}
	if o.partition != anyPartition {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	cl, err := kafkaClient(o.to, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	p := &producer{client: cl, options: o, progress: newProgress(std.Err, size)}
	// A delivery timeout of the client's counts from the record's timestamp, which
	// may lie anywhere in the past.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	defer close(watched)
	go p.watchProgress(ctx, watched, cancel) // ends with produce
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, in) }() // ends with produce, or with the process when it waits for a line
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
			return p.interrupted(topic)
		} else if cause != nil {
			err = cause
		}
		err = tellStorage(ctx, cl, refusal("write to "+topic, unreachable(o.to, err), ""), false)
		if n := p.acked.Load(); n > 0 {
			return fmt.Errorf("%w; %s written before", err, wereWritten(n))
		}
		return err
	}
	p.progress.done()
	fmt.Fprintf(std.Err, "%s written to %s\n", count(p.sent.Load(), "record"), topic)
	return nil
}

// interrupted says how far writing got. The broker may have written what it has not
// acknowledged.
func (p *producer) interrupted(topic string) error {
	acked := p.acked.Load()
	text := fmt.Sprintf("interrupted: %s written to %s", wereWritten(acked), topic)
	if more := p.sent.Load() - acked; more > 0 {
		text += fmt.Sprintf(", and %d more may have been", more)
	}
	return errors.New(text)
}

func wereWritten(n int64) string {
	if n == 1 {
		return "1 record was"
	}
	return count(n, "record") + " were"
}

// prepareTopic makes sure that the topic exists: a typing error must not create
// one.
func prepareTopic(ctx context.Context, topic string, o produceOptions) error {
	return withAdmin(ctx, o.to, func(ctx context.Context, a *kadm.Client) error {
		topics, err := a.ListTopics(ctx, topic)
		if err != nil {
			return topicError("write to", topic, err, "")
		}
		switch t, ok := topics[topic]; {
		case ok && t.Err == nil:
			if _, ok := t.Partitions[o.partition]; !ok && o.partition != anyPartition {
				return missingPartition(topic, o.partition, t)
			}
			return nil
		case ok && !errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			return topicError("write to", topic, t.Err, "")
		}
		if !o.create {
			return fmt.Errorf("topic %s does not exist: create it with `millrace topic create %s`, or add --create", topic, topic)
		}
		if r, err := a.CreateTopic(ctx, -1, -1, nil, topic); err != nil {
			return topicError("create", topic, err, r.ErrMessage)
		}
		return nil
	})
}

// producer writes lines as records.
type producer struct {
	client   *kgo.Client
	options  produceOptions
	progress *progress

	sent    atomic.Int64
	waiting atomic.Int64 // records sent and not acknowledged
	acked   atomic.Int64

	mu     sync.Mutex // guards failed
	failed error
}

// stallInterval is how long nothing is acknowledged before the command asks why.
const stallInterval = 3 * time.Second

// watchProgress gives up when records wait and none is acknowledged for
// clientTimeout, or earlier when the broker says that its disk is full or that it
// writes nothing any more: on such a broker a producer does not even get its number,
// which clients try again and again. It ends with done.
func (p *producer) watchProgress(ctx context.Context, done <-chan struct{}, cancel context.CancelCauseFunc) {
	seen, still := int64(0), time.Duration(0)
	for {
		timer := clock.System.NewTimer(stallInterval)
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
			return
		}
		acked, waiting := p.acked.Load(), p.waiting.Load()
		if waiting == 0 || acked != seen {
			seen, still = acked, 0
			continue
		}
		still += stallInterval
		over := still >= clientTimeout
		room := int64(noRoomBytes)
		if over {
			room = fullDiskBytes
		}
		if d := worstDir(logDirs(ctx, p.client)); d != nil && (d.failed || d.usable >= 0 && d.usable < room) {
			cancel(kerr.KafkaStorageError)
			return
		}
		if over {
			cancel(fmt.Errorf("the broker has acknowledged nothing for %s: %s written, %d wait", clientTimeout, count(acked, "record"), waiting))
			return
		}
	}
}

func (p *producer) run(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	number := 0
	var lineErr error
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if !p.options.raw {
			line = bytes.TrimSpace(line)
		}
		p.progress.add(len(lines.Bytes()) + 1)
		if len(line) == 0 && !p.options.raw {
			continue
		}
		rec, err := p.record(line)
		if err != nil {
			lineErr = fmt.Errorf("line %d: %w", number, err)
			break
		}
		p.waiting.Add(1)
		p.sent.Add(1)
		p.client.Produce(ctx, rec, p.acknowledged)
		if p.failure() != nil {
			break
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", maxLineBytes)
		}
		lineErr = fmt.Errorf("line %d: %w", number+1, err)
	}
	if err := p.client.Flush(ctx); err != nil {
		return errors.Join(lineErr, err)
	}
	return errors.Join(lineErr, p.failure())
}

func (p *producer) acknowledged(_ *kgo.Record, err error) {
	p.waiting.Add(-1)
	if err == nil {
		p.acked.Add(1)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

func (p *producer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}
