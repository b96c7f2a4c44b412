package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/internal/clock"
)

type resetOptions struct {
	topics     []string
	to, format string
	dryRun     bool
	create     bool
}

// resetRow is one partition as `group reset-offsets` prints it.
type resetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      *int64 `json:"from"`
	To        int64  `json:"to"`
	wanted    int64  // what was asked for, before the partition's bounds
}

func newGroupReset(to *cluster) *cobra.Command {
	var o resetOptions
	c := &cobra.Command{
		Use: "reset-offsets GROUP", Short: "Move a group's offsets", Args: exactArgs("GROUP"),
		Long: `Move the committed offsets of a group without members. --to says where: earliest,
latest, current, an offset, +N or -N from where the group is, a time (2026-11-22T08:00:00Z)
or a duration back from now (-2h). An offset outside of the partition is moved to
its nearest end, and that is said. A group that does not exist is refused, but with
--create, which needs --topic. --dry-run shows what would be done and does nothing.`,
		Example: "  millrace group reset-offsets billing --topic orders --to earliest --dry-run\n  millrace group reset-offsets billing --topic orders:0,1 --to -100\n  millrace group reset-offsets billing --to 2026-11-22T08:00:00Z",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(o.format); err != nil {
				return err
			}
			target, err := parseTarget(o.to)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				rows, fresh, err := resetOffsets(ctx, a, args[0], o, target)
				if err != nil {
					return err
				}
				if err := writeList(c.OutOrStdout(), o.format, []string{"topic", "partition", "from", "to"}, rows, func(r resetRow) []string {
					return []string{r.Topic, strconv.Itoa(int(r.Partition)), offsetText(r.From), strconv.FormatInt(r.To, 10)}
				}); err != nil {
					return err
				}
				for _, r := range rows {
					if text := r.moved(o.dryRun); text != "" {
						fmt.Fprintln(c.ErrOrStderr(), text)
					}
				}
				if fresh {
					fmt.Fprintf(c.ErrOrStderr(), "group %s is new: %s\n", args[0], done(o.dryRun, "created"))
				}
				if o.dryRun && o.format == "table" {
					fmt.Fprintln(c.ErrOrStderr(), "nothing was changed: this was a dry run")
				}
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&o.topics, "topic", nil, "topic, or TOPIC:PARTITION,PARTITION; may be repeated; default: every topic that the group has offsets of")
	c.Flags().StringVar(&o.to, "to", "", "earliest, latest, current, OFFSET, +N, -N, a time or a duration back from now")
	c.Flags().BoolVar(&o.create, "create", false, "create the group when it does not exist")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would be done")
	outputFlag(c, &o.format)
	completeFlag(c, "topic", completeListed(to, topicNames))
	completeFlag(c, "to", completeValues("earliest", "latest", "current"))
	c.ValidArgsFunction = completeNames(to, groupNames)
	return c
}

// moved says that the offset that was asked for is not in the partition, "" when it
// is.
func (r resetRow) moved(dryRun bool) string {
	where, end := "before the log start", "the first that is there"
	switch {
	case r.wanted == r.To:
		return ""
	case r.wanted > r.To:
		where, end = "behind the end", "the end"
	}
	return fmt.Sprintf("%s-%d: offset %d is %s: %s to %d, %s", r.Topic, r.Partition, r.wanted, where, done(dryRun, "moved"), r.To, end)
}

// resetTarget is where offsets go.
type resetTarget struct {
	kind  string // earliest, latest, current, offset, shift, time, ago
	n     int64
	at    time.Time
	since time.Duration
}

func parseTarget(text string) (resetTarget, error) {
	switch text {
	case "":
		return resetTarget{}, errors.New("--to is missing: earliest, latest, current, OFFSET, +N, -N, a time or a duration back from now (-2h)")
	case "earliest", "latest", "current":
		return resetTarget{kind: text}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if text[0] == '+' || text[0] == '-' {
			return resetTarget{kind: "shift", n: n}, nil
		}
		return resetTarget{kind: "offset", n: n}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return resetTarget{kind: "time", at: t}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d <= 0 {
		return resetTarget{kind: "ago", since: -d}, nil
	}
	return resetTarget{}, fmt.Errorf("--to %s: expected earliest, latest, current, OFFSET, +N, -N, a time (2026-11-22T08:00:00Z) or a duration back from now (-2h)", text)
}

// resetOffsets works the new offsets out and, unless it is a dry run, commits
// them. fresh: the group does not exist before.
func resetOffsets(ctx context.Context, a *kadm.Client, group string, o resetOptions, target resetTarget) (rows []resetRow, fresh bool, err error) {
	d, err := describeGroup(ctx, a, group)
	fresh = errors.Is(err, errMissingGroup)
	switch {
	case fresh && !o.create:
		return nil, false, fmt.Errorf("%w, --create makes it", err)
	case fresh && len(o.topics) == 0:
		return nil, false, fmt.Errorf("group %s is new, and has no offsets: name the topics with --topic", group)
	case err != nil && !fresh:
		return nil, false, err
	case err == nil && d.State != "Empty" && d.State != "Dead":
		return nil, false, fmt.Errorf("reset offsets of group %s: it is %s: stop its members first (`millrace group describe %s` shows them)", group, d.State, group)
	}
	partitions, err := resetPartitions(ctx, a, d, o.topics)
	if err != nil {
		return nil, false, err
	}
	if len(partitions) == 0 {
		return nil, false, fmt.Errorf("group %s has no offsets: name the topics with --topic", group)
	}
	bounds, err := lookBounds(ctx, a, partitions.Topics(), target)
	if err != nil {
		return nil, false, err
	}
	current := map[topicPartition]*int64{}
	for _, r := range d.Partitions {
		current[topicPartition{Topic: r.Topic, Partition: r.Partition}] = r.Committed
	}
	set := kadm.Offsets{}
	for _, t := range partitions.Sorted() {
		for _, p := range t.Partitions {
			from := current[topicPartition{Topic: t.Topic, Partition: p}]
			to, wanted, err := bounds.resolve(t.Topic, p, from, target)
			if err != nil {
				return nil, false, err
			}
			rows = append(rows, resetRow{t.Topic, p, from, to, wanted})
			set.Add(kadm.Offset{Topic: t.Topic, Partition: p, At: to, LeaderEpoch: -1})
		}
	}
	if o.dryRun {
		return rows, fresh, nil
	}
	if err := a.CommitAllOffsets(ctx, group, set); err != nil {
		return nil, false, groupError("reset offsets of", group, err)
	}
	return rows, fresh, nil
}

// resetPartitions returns the partitions that are meant: those named, else those
// that the group has offsets of.
func resetPartitions(ctx context.Context, a *kadm.Client, d groupDescription, named []string) (kadm.TopicsSet, error) {
	set := kadm.TopicsSet{}
	if len(named) == 0 {
		for _, r := range d.Partitions {
			set.Add(r.Topic, r.Partition)
		}
		return set, nil
	}
	for _, spec := range named {
		topic, list, some := strings.Cut(spec, ":")
		t, err := findTopic(ctx, a, "reset offsets of", topic)
		if err != nil {
			return nil, err
		}
		if !some {
			for _, p := range t.Partitions.Sorted() {
				set.Add(topic, p.Partition)
			}
			continue
		}
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(text, 10, 32)
			if _, ok := t.Partitions[int32(n)]; err != nil || !ok {
				return nil, fmt.Errorf("--topic %s: %s has no partition %q", spec, topic, text)
			}
			set.Add(topic, int32(n))
		}
	}
	return set, nil
}

// resetBounds is what the partitions offer.
type resetBounds struct{ start, end, time kadm.ListedOffsets }

func lookBounds(ctx context.Context, a *kadm.Client, topics []string, target resetTarget) (b resetBounds, err error) {
	slices.Sort(topics)
	if b.start, err = a.ListStartOffsets(ctx, topics...); err != nil {
		return b, err
	}
	if b.end, err = a.ListEndOffsets(ctx, topics...); err != nil {
		return b, err
	}
	switch target.kind {
	case "time":
		b.time, err = a.ListOffsetsAfterMilli(ctx, target.at.UnixMilli(), topics...)
	case "ago":
		b.time, err = a.ListOffsetsAfterMilli(ctx, clock.System.Now().Add(-target.since).UnixMilli(), topics...)
	}
	return b, err
}

// resolve returns the offset for one partition, within its bounds, and the one that
// was asked for.
func (b resetBounds) resolve(topic string, partition int32, from *int64, target resetTarget) (to, wanted int64, err error) {
	start, ok := b.start.Lookup(topic, partition)
	end, ok2 := b.end.Lookup(topic, partition)
	if err := errors.Join(start.Err, end.Err); err != nil || !ok || !ok2 {
		return 0, 0, refusal(fmt.Sprintf("offsets of %s-%d", topic, partition), cmp.Or(err, errNoOffsets), "")
	}
	to = end.Offset
	switch target.kind {
	case "earliest":
		to = start.Offset
	case "current", "shift":
		if from == nil {
			return 0, 0, fmt.Errorf("the group has no offset of %s-%d: give earliest, latest, an offset or a time", topic, partition)
		}
		to = *from + target.n
	case "offset":
		to = target.n
	case "time", "ago":
		if t, ok := b.time.Lookup(topic, partition); ok && t.Err == nil && t.Offset >= 0 {
			to = t.Offset
		}
	}
	return min(max(to, start.Offset), end.Offset), to, nil
}

// errNoOffsets is joined when the broker said nothing about a partition.
var errNoOffsets = errors.New("the broker names none")
