package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newQuota(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "quota", Short: "Limit what users, clients and addresses use: set, list and delete",
		Long: `Limit what users, clients and addresses use. --for says whom: user=NAME,
client-id=NAME, both, or ip=ADDRESS; without =NAME it is the default of all that
have no limit of their own. Keys: producer_byte_rate and consumer_byte_rate in
bytes per second, request_percentage of one processor, controller_mutation_rate in
partitions per second, and for addresses connection_creation_rate per second.`,
		Example: "  millrace quota set producer_byte_rate=1048576 --for user=alice --for client-id --user admin\n" +
			"  millrace quota set connection_creation_rate=50 --for ip --user admin\n  millrace quota list --user admin\n  millrace quota delete producer_byte_rate --for user=alice --user admin",
		RunE: func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newQuotaSet(&to), newQuotaList(&to), newQuotaDelete(&to))
	return c
}

// parseEntity reads the values of --for.
func parseEntity(parts []string) (kadm.ClientQuotaEntity, error) {
	var e kadm.ClientQuotaEntity
	for _, text := range parts {
		kind, name, named := strings.Cut(text, "=")
		if !slices.Contains([]string{"user", "client-id", "ip"}, kind) || named && name == "" {
			return nil, fmt.Errorf("--for %s: expected user, client-id or ip, with or without =NAME", text)
		}
		part := kadm.ClientQuotaEntityComponent{Type: kind}
		if named {
			part.Name = &name
		}
		e = append(e, part)
	}
	if len(e) == 0 {
		return nil, fmt.Errorf("say whom the limit is for: --for user=NAME, client-id=NAME or ip=ADDRESS")
	}
	return e, nil
}

// alterQuotas changes the limits of one entity.
func alterQuotas(c *cobra.Command, to cluster, parts []string, ops []kadm.AlterClientQuotaOp) error {
	e, err := parseEntity(parts)
	if err != nil {
		return err
	}
	return withAdmin(c.Context(), to, func(ctx context.Context, a *kadm.Client) error {
		results, err := a.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: e, Ops: ops}})
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Err != nil {
				return fmt.Errorf("change the limits of %s: %w: %s", strings.Join(parts, ", "), r.Err, r.ErrMessage)
			}
		}
		return nil
	})
}

// atLeastOne asks for arguments of a kind.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s takes at least one %s (%s --help)", c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}

func newQuotaSet(to *cluster) *cobra.Command {
	var parts []string
	c := &cobra.Command{
		Use: "set KEY=VALUE...", Short: "Set limits", Args: atLeastOne("KEY=VALUE"),
		Example: "  millrace quota set producer_byte_rate=1048576 --for user=alice --user admin",
		RunE: func(c *cobra.Command, args []string) error {
			var ops []kadm.AlterClientQuotaOp
			for _, kv := range args {
				key, text, ok := strings.Cut(kv, "=")
				value, err := strconv.ParseFloat(text, 64)
				if !ok || err != nil {
					return fmt.Errorf("%s: expected KEY=NUMBER", kv)
				}
				ops = append(ops, kadm.AlterClientQuotaOp{Key: key, Value: value})
			}
			return alterQuotas(c, *to, parts, ops)
		},
	}
	c.Flags().StringArrayVar(&parts, "for", nil, "whom the limits are for: `user=NAME`, client-id=NAME or ip=ADDRESS, may be repeated")
	return c
}

func newQuotaDelete(to *cluster) *cobra.Command {
	var parts []string
	c := &cobra.Command{
		Use: "delete KEY...", Short: "Delete limits", Args: atLeastOne("KEY"),
		Example: "  millrace quota delete producer_byte_rate --for user=alice --user admin",
		RunE: func(c *cobra.Command, args []string) error {
			var ops []kadm.AlterClientQuotaOp
			for _, key := range args {
				ops = append(ops, kadm.AlterClientQuotaOp{Key: key, Remove: true})
			}
			return alterQuotas(c, *to, parts, ops)
		},
	}
	c.Flags().StringArrayVar(&parts, "for", nil, "whom the limits are for: `user=NAME`, client-id=NAME or ip=ADDRESS, may be repeated")
	return c
}

func newQuotaList(to *cluster) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all limits", Args: noArgs,
		Example: "  millrace quota list --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				described, err := a.DescribeClientQuotas(ctx, false, nil)
				if err != nil {
					return err
				}
				for _, d := range described {
					var parts []string
					for _, p := range d.Entity {
						if p.Name == nil {
							parts = append(parts, p.Type)
							continue
						}
						parts = append(parts, p.Type+"="+*p.Name)
					}
					for _, v := range d.Values {
						fmt.Fprintf(c.OutOrStdout(), "%s\t%s=%s\n", strings.Join(parts, ", "), v.Key, strconv.FormatFloat(v.Value, 'f', -1, 64))
					}
				}
				return nil
			})
		},
	}
}
