package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/sql"
)

func newConfig(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "config", Short: "Show and change configurations of topics and the broker",
		Example: "  millrace config describe topic orders\n  millrace config alter topic orders --set retention.ms=86400000 --delete segment.bytes\n  millrace config describe broker",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newConfigDescribe(&to), newConfigAlter(&to))
	return c
}

// completeResource completes the kind of what has a configuration, and a topic's
// name.
func completeResource(to *cluster, kinds ...string) cobra.CompletionFunc {
	names := completeListed(to, topicNames)
	return func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return kinds, cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1 && args[0] == "topic":
			return names(c, args, word)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// resourceArgs asks for a kind of resource and, perhaps, its name.
func resourceArgs(c *cobra.Command, args []string) error {
	if len(args) == 2 {
		return exactArgs("topic|broker", "NAME")(c, args)
	}
	return exactArgs("topic NAME or broker [NUMBER]")(c, args)
}

// configRow is a configuration as `config describe` prints it. Value is null when
// it is secret.
type configRow struct {
	Name     string  `json:"name"`
	Value    *string `json:"value"`
	Source   string  `json:"source"`
	ReadOnly bool    `json:"readOnly"`
}

func newConfigDescribe(to *cluster) *cobra.Command {
	var format string
	var all bool
	c := &cobra.Command{
		Use: "describe topic|broker [NAME]", Short: "Show a configuration", Args: resourceArgs,
		Example: "  millrace config describe topic orders --all\n  millrace config describe broker --output json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				rows, err := describeConfigs(ctx, a, args, all)
				if err != nil {
					return err
				}
				return writeList(c.OutOrStdout(), format, []string{"name", "value", "source"}, rows, func(r configRow) []string {
					value := "(secret)"
					if r.Value != nil {
						value = *r.Value
					}
					return []string{r.Name, value, r.Source}
				})
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "defaults too, not only what was set")
	outputFlag(c, &format)
	c.ValidArgsFunction = completeResource(to, "topic", "broker")
	return c
}

func describeConfigs(ctx context.Context, a *kadm.Client, args []string, all bool) ([]configRow, error) {
	var configs kadm.ResourceConfigs
	var err error
	switch {
	case args[0] == "topic" && len(args) == 2:
		configs, err = a.DescribeTopicConfigs(ctx, args[1])
	case args[0] == "topic":
		return nil, errors.New("config describe topic takes the NAME of a topic")
	case args[0] == "broker":
		id := int32(1)
		if len(args) == 2 {
			n, err := strconv.ParseInt(args[1], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("broker %s: expected its number", args[1])
			}
			id = int32(n)
		}
		configs, err = a.DescribeBrokerConfigs(ctx, id)
		all = true
	default:
		return nil, fmt.Errorf("config describe %s: expected topic or broker", args[0])
	}
	if err != nil {
		return nil, err
	}
	rows := []configRow{}
	for _, rc := range configs {
		if rc.Err != nil {
			return nil, topicError("describe configuration of", rc.Name, rc.Err, rc.ErrMessage)
		}
		for _, kv := range rc.Configs {
			source := strings.ToLower(kv.Source.String())
			if all || !strings.Contains(source, "default") {
				rows = append(rows, configRow{kv.Key, kv.Value, source, kv.Sensitive})
			}
		}
	}
	slices.SortFunc(rows, func(x, y configRow) int { return strings.Compare(x.Name, y.Name) })
	return rows, nil
}

func newConfigAlter(to *cluster) *cobra.Command {
	var set, remove []string
	var dryRun bool
	c := &cobra.Command{
		Use: "alter topic NAME", Short: "Change a topic's configuration", Args: exactArgs("topic", "NAME"),
		Example: "  millrace config alter topic orders --set cleanup.policy=compact\n  millrace config alter topic orders --delete retention.ms --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != "topic" {
				return fmt.Errorf("config alter %s: only topics can be changed while the server runs", args[0])
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				if err := alterTopicConfigs(ctx, a, args[1], set, remove, dryRun); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "topic %s: configuration %s\n", args[1], done(dryRun, "changed"))
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "configuration `key=value`, may be repeated; --config is the same")
	sameFlag(c, "config", "set")
	c.Flags().StringArrayVar(&remove, "delete", nil, "configuration `key` that falls back to its default, may be repeated")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only check")
	completeFlag(c, "set", completeTopicConfig)
	completeFlag(c, "delete", completeValues(topicConfigNames...))
	c.ValidArgsFunction = completeResource(to, "topic")
	return c
}

// checkConfigNames refuses configurations that a topic does not know: brokers take
// deletions of them, so that a typing error would look like a success.
func checkConfigNames(ctx context.Context, a *kadm.Client, topic string, names []string) error {
	rows, err := describeConfigs(ctx, a, []string{"topic", topic}, true)
	if err != nil {
		return err
	}
	var known []string
	for _, r := range rows {
		known = append(known, r.Name)
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		if s := sql.Suggest(name, known); s != "" {
			return fmt.Errorf("--delete %s is not known: did you mean %s?", name, s)
		}
		return fmt.Errorf("--delete %s is not known: `millrace config describe topic %s --all` shows what is", name, topic)
	}
	return nil
}

// parseConfigs reads the key=value texts of a flag.
func parseConfigs(flag string, texts []string) (map[string]*string, error) {
	set := map[string]*string{}
	for _, kv := range texts {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%s %s: expected key=value", flag, kv)
		}
		if _, twice := set[k]; twice {
			return nil, fmt.Errorf("%s %s: %s is given twice", flag, kv, k)
		}
		set[k] = &v
	}
	return set, nil
}

// alterTopicConfigs sets and deletes configurations of a topic, all or none.
func alterTopicConfigs(ctx context.Context, a *kadm.Client, topic string, set, remove []string, dryRun bool) error {
	values, err := parseConfigs("--set", set)
	if err != nil {
		return err
	}
	var changes []kadm.AlterConfig
	for _, k := range slices.Sorted(maps.Keys(values)) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: values[k]})
	}
	for i, k := range remove {
		if _, both := values[k]; both || slices.Contains(remove[:i], k) {
			return fmt.Errorf("--delete %s: %s is given twice", k, k)
		}
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
	}
	if len(remove) > 0 {
		if err := checkConfigNames(ctx, a, topic, remove); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return errors.New("nothing to change: give --set key=value or --delete key")
	}
	alter := a.AlterTopicConfigs
	if dryRun {
		alter = a.ValidateAlterTopicConfigs
	}
	resp, err := alter(ctx, changes, topic)
	if err != nil {
		return topicError("alter", topic, err, "")
	}
	for _, r := range resp {
		if r.Err != nil {
			return topicError("alter", topic, r.Err, r.ErrMessage)
		}
	}
	return nil
}
