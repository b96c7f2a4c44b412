package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/sql"
)

func newTopic(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "topic", Short: "Create, list, describe, alter and delete topics",
		Example: "  millrace topic create orders --partitions 4\n  millrace topic list\n  millrace topic describe orders\n  millrace topic alter orders --partitions 8 --set retention.ms=86400000\n  millrace topic delete orders",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newTopicCreate(&to), newTopicList(&to), newTopicDescribe(&to), newTopicAlter(&to), newTopicDeleteRecords(&to), newTopicDelete(&to))
	return c
}

// needSubcommand reports a missing or unknown subcommand with the nearest one.
func needSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	if s := sql.Suggest(args[0], names); s != "" {
		return fmt.Errorf("unknown command %q for %q: did you mean %s?", args[0], c.CommandPath(), s)
	}
	return fmt.Errorf("unknown command %q for %q: expected one of %s (%s --help)", args[0], c.CommandPath(), strings.Join(names, ", "), c.CommandPath())
}

func newTopicCreate(to *cluster) *cobra.Command {
	var partitions int32
	var configs []string
	var ifNotExists, dryRun bool
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a topic", Args: exactArgs("NAME"),
		Example: "  millrace topic create orders --partitions 4 --config retention.ms=86400000",
		RunE: func(c *cobra.Command, args []string) error {
			if partitions < 1 && partitions != brokerDefault {
				return fmt.Errorf("--partitions %d: expected 1 or more, or -1 for the broker's default", partitions)
			}
			set, err := parseConfigs("--config", configs)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				create := a.CreateTopics
				if dryRun {
					create = a.ValidateCreateTopics
				}
				resp, err := create(ctx, partitions, brokerDefault, set, args[0])
				if err != nil {
					return topicError("create", args[0], err, "")
				}
				r := resp[args[0]]
				if errors.Is(r.Err, kerr.TopicAlreadyExists) && ifNotExists {
					fmt.Fprintf(c.ErrOrStderr(), "topic %s exists already\n", args[0])
					return nil
				}
				if r.Err != nil {
					return topicError("create", args[0], r.Err, r.ErrMessage)
				}
				with := ""
				if r.NumPartitions > 0 { // brokers before 2.4 do not say
					with = " with " + count(int64(r.NumPartitions), "partition")
				}
				fmt.Fprintf(c.ErrOrStderr(), "topic %s %s%s\n", args[0], done(dryRun, "created"), with)
				return nil
			})
		},
	}
	c.Flags().Int32Var(&partitions, "partitions", 1, "number of partitions, -1 for the broker's default")
	c.Flags().StringArrayVar(&configs, "config", nil, "configuration `key=value`, may be repeated; --set is the same")
	sameFlag(c, "set", "config")
	completeFlag(c, "config", completeTopicConfig)
	c.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "succeed when the topic exists")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only check")
	return c
}

// brokerDefault leaves a number of partitions or replicas to the broker.
const brokerDefault = -1

// done says what a command did, or that it would have.
func done(dryRun bool, what string) string {
	if dryRun {
		return "would be " + what
	}
	return what
}

// topicError says what a broker's refusal means. detail is the broker's own text.
func topicError(action, topic string, err error, detail string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return missingTopic(topic)
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("topic %s exists already", topic)
	}
	return refusal(action+" topic "+topic, err, detail)
}

// findTopic describes a topic. Its errors say what was to be done to it: the client
// hands out some without the topic's name.
func findTopic(ctx context.Context, a *kadm.Client, action, topic string) (kadm.TopicDetail, error) {
	topics, err := a.ListTopics(ctx, topic)
	if err != nil {
		return kadm.TopicDetail{}, topicError(action, topic, err, "")
	}
	t, ok := topics[topic]
	if !ok {
		return t, missingTopic(topic)
	}
	return t, topicError(action, topic, t.Err, "")
}

func missingPartition(topic string, partition int32, t kadm.TopicDetail) error {
	return fmt.Errorf("topic %s has no partition %d: it has %s, counted from 0", topic, partition, count(int64(len(t.Partitions)), "partition"))
}

// topicID is a topic id as Kafka's own tools print it: base64 with - and _, without
// padding.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func missingTopic(topic string) error {
	return fmt.Errorf("topic %s does not exist: `millrace topic list` shows those that do", topic)
}

// topicRow is a topic as `topic list --output json` prints it.
type topicRow struct {
	Topic      string `json:"topic"`
	ID         string `json:"id"`
	Partitions int    `json:"partitions"`
	Internal   bool   `json:"internal"`
}

func newTopicList(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List topics, one per line", Args: noArgs,
		Example: "  millrace topic list\n  millrace topic list --output table\n  millrace topic list --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "names" {
				if err := checkOutput(format); err != nil {
					return fmt.Errorf("%w or names", err)
				}
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				topics, err := a.ListTopics(ctx)
				if err != nil {
					return refusal("list topics", err, "")
				}
				if format == "names" {
					for _, name := range topics.Names() {
						fmt.Fprintln(c.OutOrStdout(), name)
					}
					return nil
				}
				var rows []topicRow
				for _, t := range topics.Sorted() {
					rows = append(rows, topicRow{t.Topic, topicID(t.ID), len(t.Partitions), t.IsInternal})
				}
				return writeList(c.OutOrStdout(), format, []string{"topic", "id", "partitions", "internal"}, rows, func(r topicRow) []string {
					return []string{r.Topic, r.ID, strconv.Itoa(r.Partitions), strconv.FormatBool(r.Internal)}
				})
			})
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "names", "names (one per line), table or json")
	completeFlag(c, "output", completeValues("names", "table", "json"))
	return c
}

func newTopicDescribe(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "describe NAME", Short: "Show partitions, offsets and configuration of a topic", Args: exactArgs("NAME"),
		Example: "  millrace topic describe orders\n  millrace topic describe orders --output json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				return describeTopic(ctx, c, a, args[0], format)
			})
		},
	}
	outputFlag(c, &format)
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}

// topicDescription is a topic as `topic describe --output json` prints it.
type topicDescription struct {
	Topic      string            `json:"topic"`
	ID         string            `json:"id"`
	Internal   bool              `json:"internal"`
	Configs    map[string]string `json:"configs"`
	Partitions []partitionRow    `json:"partitions"`
}

type partitionRow struct {
	Partition int32 `json:"partition"`
	LogStart  int64 `json:"logStart"`
	End       int64 `json:"end"`
}

func describeTopic(ctx context.Context, c *cobra.Command, a *kadm.Client, name, format string) error {
	t, err := findTopic(ctx, a, "describe", name)
	if err != nil {
		return err
	}
	starts, err := a.ListStartOffsets(ctx, name)
	if err != nil {
		return err
	}
	ends, err := a.ListEndOffsets(ctx, name)
	if err != nil {
		return err
	}
	configs, err := describeConfigs(ctx, a, []string{"topic", name}, true)
	if err != nil {
		return err
	}
	d := topicDescription{Topic: name, ID: topicID(t.ID), Internal: t.IsInternal, Configs: map[string]string{}}
	for _, p := range t.Partitions.Sorted() {
		s, _ := starts.Lookup(name, p.Partition)
		e, _ := ends.Lookup(name, p.Partition)
		d.Partitions = append(d.Partitions, partitionRow{p.Partition, s.Offset, e.Offset})
	}
	for _, r := range configs {
		if r.Value != nil {
			d.Configs[r.Name] = *r.Value
		}
	}
	if format == "json" {
		return writeList(c.OutOrStdout(), format, nil, []topicDescription{d}, nil)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "topic\t%s\nid\t%s\npartitions\t%d\n", name, d.ID, len(d.Partitions))
	for _, r := range configs {
		if r.Value != nil {
			fmt.Fprintf(w, "%s\t%s\n", r.Name, *r.Value)
		}
	}
	fmt.Fprintln(w, "\npartition\tlog start\tend")
	for _, p := range d.Partitions {
		fmt.Fprintf(w, "%d\t%d\t%d\n", p.Partition, p.LogStart, p.End)
	}
	return w.Flush()
}

func newTopicAlter(to *cluster) *cobra.Command {
	var partitions int
	var set, remove []string
	var dryRun bool
	c := &cobra.Command{
		Use: "alter NAME", Short: "Add partitions or change the configuration", Args: exactArgs("NAME"),
		Example: "  millrace topic alter orders --partitions 8\n  millrace topic alter orders --set cleanup.policy=compact --delete retention.ms",
		RunE: func(c *cobra.Command, args []string) error {
			grow, configure := c.Flags().Changed("partitions"), len(set)+len(remove) > 0
			switch {
			case !grow && !configure:
				return errors.New("nothing to change: give --partitions N, --set key=value or --delete key")
			case grow && partitions < 1:
				return fmt.Errorf("--partitions %d: expected 1 or more", partitions)
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				var said []string
				if grow {
					// Checked first: a refusal must not leave half of the change.
					if err := growTopic(ctx, a, args[0], partitions, dryRun || configure); err != nil {
						return err
					}
					said = append(said, "partitions "+done(dryRun, fmt.Sprintf("raised to %d", partitions)))
				}
				if configure {
					if err := alterTopicConfigs(ctx, a, args[0], set, remove, dryRun); err != nil {
						return err
					}
					said = append(said, "configuration "+done(dryRun, "changed"))
				}
				if grow && configure && !dryRun {
					if err := growTopic(ctx, a, args[0], partitions, false); err != nil {
						return err
					}
				}
				fmt.Fprintf(c.ErrOrStderr(), "topic %s: %s\n", args[0], strings.Join(said, ", "))
				return nil
			})
		},
	}
	c.Flags().IntVar(&partitions, "partitions", 0, "new number of partitions; it can only grow")
	c.Flags().StringArrayVar(&set, "set", nil, "configuration `key=value`, may be repeated; --config is the same")
	sameFlag(c, "config", "set")
	c.Flags().StringArrayVar(&remove, "delete", nil, "configuration `key` that falls back to its default, may be repeated")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only check")
	completeFlag(c, "set", completeTopicConfig)
	completeFlag(c, "delete", completeValues(topicConfigNames...))
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}

// growTopic raises a topic's number of partitions.
func growTopic(ctx context.Context, a *kadm.Client, topic string, partitions int, dryRun bool) error {
	grow := a.UpdatePartitions
	if dryRun {
		grow = a.ValidateUpdatePartitions
	}
	resp, err := grow(ctx, partitions, topic)
	if err != nil {
		return topicError("alter", topic, err, "")
	}
	r := resp[topic]
	if errors.Is(r.Err, kerr.InvalidPartitions) {
		topics, err := a.ListTopics(ctx, topic)
		if now := len(topics[topic].Partitions); err == nil && partitions <= now {
			return refusal("alter topic "+topic, r.Err, fmt.Sprintf("it has %s, and the number can only grow: %d is not more", count(int64(now), "partition"), partitions))
		}
	}
	if r.Err != nil {
		return topicError("alter", topic, r.Err, r.ErrMessage)
	}
	return nil
}

func newTopicDeleteRecords(to *cluster) *cobra.Command {
	var partition int32
	var before int64
	c := &cobra.Command{
		Use: "delete-records NAME", Short: "Delete the records of a partition before an offset", Args: exactArgs("NAME"),
		Example: "  millrace topic delete-records orders --partition 0 --before 1000\n  millrace topic delete-records orders --partition 0 --before -1",
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("partition") || !c.Flags().Changed("before") {
				return errors.New("--partition and --before are needed: records are gone for ever")
			}
			if before < -1 {
				return fmt.Errorf("--before %d: expected an offset, or -1 for the end", before)
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				t, err := findTopic(ctx, a, "delete records of", args[0])
				if err != nil {
					return err
				}
				if _, ok := t.Partitions[partition]; !ok {
					return missingPartition(args[0], partition, t)
				}
				offsets := kadm.Offsets{}
				offsets.Add(kadm.Offset{Topic: args[0], Partition: partition, At: before})
				resp, err := a.DeleteRecords(ctx, offsets)
				if err != nil {
					return err
				}
				r, ok := resp.Lookup(args[0], partition)
				switch {
				case !ok, errors.Is(r.Err, kerr.UnknownTopicOrPartition):
					return missingPartition(args[0], partition, t)
				case errors.Is(r.Err, kerr.OffsetOutOfRange):
					return refusal("delete records of topic "+args[0], r.Err, fmt.Sprintf("offset %d is not in partition %d", before, partition))
				case r.Err != nil:
					return topicError("delete records of", args[0], r.Err, "")
				}
				fmt.Fprintf(c.OutOrStdout(), "%s-%d begins at offset %d\n", args[0], partition, r.LowWatermark)
				return nil
			})
		},
	}
	c.Flags().Int32Var(&partition, "partition", 0, "partition")
	c.Flags().Int64Var(&before, "before", 0, "first offset that stays; -1 deletes everything")
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}

func newTopicDelete(to *cluster) *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME", Short: "Delete a topic and its records", Args: exactArgs("NAME"),
		Example: "  millrace topic delete orders",
		RunE: func(c *cobra.Command, args []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				r, err := a.DeleteTopic(ctx, args[0])
				if err != nil {
					return topicError("delete", args[0], err, r.ErrMessage)
				}
				fmt.Fprintf(c.ErrOrStderr(), "topic %s deleted\n", args[0])
				return nil
			})
		},
	}
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}
