package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/sql"
)

// kafkaClient returns an ordinary Kafka client.
func kafkaClient(to cluster, opts ...kgo.Opt) (*kgo.Client, error) {
	own, err := to.options()
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append(opts, own...)...)
}

// unreachable turns a connection error into one that says what to do.
func unreachable(to cluster, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("%s does not let %s in: wrong password, unknown user, or --sasl-mechanism %s is not the user's", to.addr, to.user, to.mechanism)
	case strings.Contains(err.Error(), "unable to dial"):
		return fmt.Errorf("no Kafka listener answers at %s: start one with `millrace server`, or give --bootstrap", to.addr)
	}
	return err
}

func newTopic(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "topic", Short: "Create, list, describe and delete topics",
		Example: "  millrace topic create orders --partitions 4\n  millrace topic list\n  millrace topic describe orders\n  millrace topic delete orders",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newTopicCreate(&to), newTopicList(&to), newTopicDescribe(&to), newTopicDelete(&to))
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
	var ifNotExists bool
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a topic", Args: exactArgs("NAME"),
		Example: "  millrace topic create orders --partitions 4 --config retention.ms=86400000",
		RunE: func(c *cobra.Command, args []string) error {
			set := map[string]*string{}
			for _, kv := range configs {
				k, v, ok := strings.Cut(kv, "=")
				if !ok {
					return fmt.Errorf("--config %s: expected key=value", kv)
				}
				set[k] = &v
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				r, err := a.CreateTopic(ctx, partitions, -1, set, args[0])
				if errors.Is(err, kerr.TopicAlreadyExists) && ifNotExists {
					return nil
				}
				if err != nil {
					return topicError("create", args[0], err, r.ErrMessage)
				}
				return nil
			})
		},
	}
	c.Flags().Int32Var(&partitions, "partitions", 1, "number of partitions")
	c.Flags().StringArrayVar(&configs, "config", nil, "configuration `key=value`, may be repeated")
	c.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "succeed when the topic exists")
	return c
}

// topicError says what a broker's refusal means. detail is the broker's own text.
func topicError(action, topic string, err error, detail string) error {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return missingTopic(topic)
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("topic %s exists already", topic)
	}
	if refused := (*kerr.Error)(nil); errors.As(err, &refused) && detail != "" {
		detail = strings.TrimPrefix(detail, action+" topic "+topic+": ")
		return fmt.Errorf("%s topic %s: %s: %s", action, topic, refused.Message, strings.TrimPrefix(detail, "broker: "))
	}
	return fmt.Errorf("%s topic %s: %w", action, topic, err)
}

func missingTopic(topic string) error {
	return fmt.Errorf("topic %s does not exist: `millrace topic list` shows those that do", topic)
}

func withAdmin(ctx context.Context, to cluster, f func(context.Context, *kadm.Client) error) error {
	cl, err := kafkaClient(to, kgo.RequestRetries(3), kgo.RetryTimeout(clientTimeout))
	if err != nil {
		return err
	}
	defer cl.Close()
	return unreachable(to, f(ctx, kadm.NewClient(cl)))
}

func newTopicList(to *cluster) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List topics, one per line", Args: noArgs,
		Example: "  millrace topic list\n  millrace topic list --bootstrap broker:9092",
		RunE: func(c *cobra.Command, _ []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				topics, err := a.ListTopics(ctx)
				if err != nil {
					return err
				}
				for _, name := range topics.Names() {
					fmt.Fprintln(c.OutOrStdout(), name)
				}
				return nil
			})
		},
	}
}

func newTopicDescribe(to *cluster) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "Show partitions, offsets and configuration of a topic", Args: exactArgs("NAME"),
		Example: "  millrace topic describe orders",
		RunE: func(c *cobra.Command, args []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				return describeTopic(ctx, c, a, args[0])
			})
		},
	}
}

func describeTopic(ctx context.Context, c *cobra.Command, a *kadm.Client, name string) error {
	topics, err := a.ListTopics(ctx, name)
	if err != nil {
		return err
	}
	if t := topics[name]; t.Err != nil {
		return topicError("describe", name, t.Err, "")
	}
	starts, err := a.ListStartOffsets(ctx, name)
	if err != nil {
		return err
	}
	ends, err := a.ListEndOffsets(ctx, name)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "topic\t%s\npartitions\t%d\n", name, len(topics[name].Partitions))
	configs, err := a.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return err
	}
	for _, rc := range configs {
		slices.SortFunc(rc.Configs, func(x, y kadm.Config) int { return strings.Compare(x.Key, y.Key) })
		for _, kv := range rc.Configs {
			if kv.Value != nil {
				fmt.Fprintf(w, "%s\t%s\n", kv.Key, *kv.Value)
			}
		}
	}
	fmt.Fprintln(w, "\npartition\tlog start\tend")
	for _, p := range topics[name].Partitions.Sorted() {
		s, _ := starts.Lookup(name, p.Partition)
		e, _ := ends.Lookup(name, p.Partition)
		fmt.Fprintf(w, "%d\t%d\t%d\n", p.Partition, s.Offset, e.Offset)
	}
	return w.Flush()
}

func newTopicDelete(to *cluster) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a topic and its records", Args: exactArgs("NAME"),
		Example: "  millrace topic delete orders",
		RunE: func(c *cobra.Command, args []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				r, err := a.DeleteTopic(ctx, args[0])
				if err != nil {
					return topicError("delete", args[0], err, r.ErrMessage)
				}
				return nil
			})
		},
	}
}
