package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/engine"
)

type consumeOptions struct {
	to                      cluster
	group, output           string
	offset, from, isolation string
	partitions              []int32
	fromBeginning, toEnd    bool
	decode, raw             bool
	separator, null         string
	service, registry       string
	max                     int64
	timeout, retryTimeout   time.Duration
}

func newConsume(std Stdio) *cobra.Command {
	var o consumeOptions
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Read records of a topic", Args: exactArgs("TOPIC"),
		Long: `Read records of a topic from now on, or from where --from-beginning, --offset or
--from say: as text (key, a tab, value) or as JSON with partition, offset, timestamp
and headers. Without --group partitions are read without a group and nothing is
committed.

Text is for people: null is printed as null, like a record that holds this text (give
--null another), and what is not UTF-8 in base64, like a record that holds that. JSON
has null, and {"base64":...} for what is not UTF-8. --raw prints bytes as they are,
the value alone, or with --key-separator the key in front of it; with the same options
` + "`millrace produce --raw`" + ` makes the same keys and values of these lines, without
timestamps and headers. A record that such a line cannot hold is an error: one with a
line end (at the end also a carriage return), null without --null, the text of --null.

--max and --to-end say where reading ends. Exit code 0 means that this place was
reached: a --timeout that is over before, an interrupt, and a broker that answers
nothing but errors for --retry-timeout are exit code 1 and a message that says how
many records came. A --timeout without --max and --to-end is itself the end that was
asked for, unless the last answers were errors.`,
		Example: "  millrace consume orders --from-beginning --to-end\n  millrace consume orders --partition 0 --offset -10 --output json\n  millrace consume orders --from 2026-11-22T08:00:00Z --max 100\n  millrace consume orders --group billing --output json --timeout 5s\n  millrace consume orders --from-beginning --to-end --raw --key-separator '\\t' --null NULL",
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c.Flags().Changed("max")); err != nil {
				return err
			}
			return unreachable(o.to, consume(c.Context(), std, args[0], o))
		},
	}
	clusterFlags(c, &o.to)
	c.Flags().BoolVar(&o.fromBeginning, "from-beginning", false, "start at the first record")
	c.Flags().Int64Var(&o.max, "max", 0, "end after this many records (default no limit)")
	c.Flags().StringVar(&o.group, "group", "", "consumer group to read as; partitions are assigned by the client itself without one")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "end when no record has arrived for this long, 0 for never")
	c.Flags().DurationVar(&o.retryTimeout, "retry-timeout", clientTimeout, "fail when a partition, or the broker, answers only errors that may pass for this long")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "text or json")
	c.Flags().Int32SliceVar(&o.partitions, "partition", nil, "only these partitions")
	c.Flags().StringVar(&o.offset, "offset", "", "start at an offset, or with -N at the last N records of each partition")
	c.Flags().StringVar(&o.from, "from", "", "start at the first record of a time (2026-11-22T08:00:00Z, ms) or of a duration back (-2h)")
	c.Flags().BoolVar(&o.toEnd, "to-end", false, "end at what is the end now, with --isolation committed at the first open transaction")
	c.Flags().StringVar(&o.isolation, "isolation", "committed", "committed, or uncommitted to see records of open and aborted transactions")
	c.Flags().BoolVar(&o.decode, "decode", false, "show keys and values of AVRO, PROTOBUF and JSON_SR as JSON, by their registered schemas")
	c.Flags().StringVar(&o.service, "service-id", engine.DefaultServiceID, "with --decode: the service whose embedded schema registry is read")
	c.Flags().StringVar(&o.registry, "schema-registry-url", "", "with --decode: an external schema registry, http[s]://[USER:PASSWORD@]HOST[:PORT]")
	c.Flags().BoolVar(&o.raw, "raw", false, "print values as the bytes that they are, one a line")
	c.Flags().StringVar(&o.separator, "key-separator", "", "with --raw: print the key too, and this text between key and value; \\t is a tab")
	c.Flags().StringVar(&o.null, "null", "", "text that stands for a key or value that is null (default null, none with --raw)")
	completeFlag(c, "output", completeValues("text", "json"))
	completeFlag(c, "isolation", completeValues("committed", "uncommitted"))
	completeFlag(c, "group", completeListed(&o.to, groupNames))
	c.ValidArgsFunction = completeNames(&o.to, topicNames)
	return c
}

// check refuses values that mean nothing and options that cannot go together. max
// says that --max was given.
func (o *consumeOptions) check(max bool) error {
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
	case o.max < 0 || max && o.max == 0:
		return fmt.Errorf("--max %d: expected a number of records from 1 on; without --max there is no limit", o.max)
	case o.timeout < 0:
		return fmt.Errorf("--timeout %s: expected a duration, or 0 for never", o.timeout)
	case o.retryTimeout <= 0:
		return fmt.Errorf("--retry-timeout %s: expected a duration above 0", o.retryTimeout)
	case !o.decode && o.registry != "":
		return errors.New("--schema-registry-url is for --decode")
	case !o.decode && o.service != engine.DefaultServiceID:
		return errors.New("--service-id is for --decode")
	case starts > 1:
		return errors.New("--from-beginning, --offset and --from exclude one another")
	case o.group != "" && (len(o.partitions) > 0 || o.offset != "" || o.from != "" || o.toEnd):
		return errors.New("--group goes on where the group is: --partition, --offset, --from and --to-end are for reading without one")
	}
	return o.checkRaw()
}

func consume(ctx context.Context, std Stdio, topic string, o consumeOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	rd := reading{options: o, topic: topic, isolation: kgo.ReadCommitted()}
	if o.isolation == "uncommitted" {
		rd.isolation = kgo.ReadUncommitted()
	}
	var opts []kgo.Opt
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
		r, err := consumeRange(ctx, topic, o)
		if err != nil {
			return err
		}
		if o.toEnd && len(r.ends) == 0 {
			return nil
		}
		rd.place, rd.ends = r.starts, r.ends
	}
	show := recordWriter{output: o.output, raw: o.raw, separator: o.separator, null: o.null, stamps: &timestamps{rd: &rd}}
	if !o.raw && o.null == "" {
		show.null = "null"
	}
	if o.decode {
		reader, err := openPayloads(ctx, topic, o)
		if err != nil {
			return err
		}
		show.reader = reader
	}
	if err := rd.open(opts...); err != nil {
		return err
	}
	defer rd.close()
	out := bufio.NewWriter(std.Out)
	rd.each = func(rec *kgo.Record) error { return show.write(ctx, out, rec) }
	rd.polled = out.Flush
	err := rd.run(ctx)
	if flushed := out.Flush(); flushed != nil {
		return errors.Join(err, flushed)
	}
	if err == nil && rd.timedOut {
		fmt.Fprintf(std.Err, "--timeout %s is over: %s\n", o.timeout, count(rd.shown, "record"))
	}
	return err
}

func requireTopic(ctx context.Context, topic string, to cluster) error {
	return withAdmin(ctx, to, func(ctx context.Context, a *kadm.Client) error {
		_, err := findTopic(ctx, a, "read", topic)
		return err
	})
}
