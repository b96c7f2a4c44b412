package cli

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/broker/quota"
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

// entityKinds are whom limits can be for.
var entityKinds = []string{"user", "client-id", "ip"}

// quotaKeys are the limits that there are.
var quotaKeys = []string{
	string(quota.ProducerByteRate), string(quota.ConsumerByteRate), string(quota.RequestPercentage),
	string(quota.ControllerMutationRate), string(quota.ConnectionCreationRate),
}

// completeEntity completes the value of --for.
func completeEntity(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"user", "user=", "client-id", "client-id=", "ip", "ip="}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// parseEntity reads the values of --for.
func parseEntity(parts []string) (kadm.ClientQuotaEntity, error) {
	var e kadm.ClientQuotaEntity
	for _, text := range parts {
		kind, name, named := strings.Cut(text, "=")
		if !slices.Contains(entityKinds, kind) || named && name == "" {
			return nil, fmt.Errorf("--for %s: expected user, client-id or ip, with or without =NAME", text)
		}
		part := kadm.ClientQuotaEntityComponent{Type: kind}
		if named {
			part.Name = &name
		}
		if kind == "ip" && named && net.ParseIP(name) == nil {
			return nil, fmt.Errorf("--for %s: expected ip=ADDRESS with one IP address", text)
		}
		if slices.ContainsFunc(e, func(p kadm.ClientQuotaEntityComponent) bool { return p.Type == kind }) {
			return nil, fmt.Errorf("--for %s: %s is given twice", text, kind)
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
			if err := refusal("change the limits of "+strings.Join(parts, ", "), r.Err, r.ErrMessage); err != nil {
				return err
			}
		}
		fmt.Fprintf(c.ErrOrStderr(), "limits of %s changed\n", strings.Join(parts, ", "))
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
				if !ok || key == "" || err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
					return fmt.Errorf("%s: expected KEY=NUMBER, where KEY is %s", kv, strings.Join(quotaKeys, ", "))
				}
				ops = append(ops, kadm.AlterClientQuotaOp{Key: key, Value: value})
			}
			return alterQuotas(c, *to, parts, ops)
		},
	}
	c.Flags().StringArrayVar(&parts, "for", nil, "whom the limits are for: `user=NAME`, client-id=NAME or ip=ADDRESS, may be repeated")
	completeFlag(c, "for", completeEntity)
	c.ValidArgsFunction = completeKeys(quotaKeys...)
	return c
}

func newQuotaDelete(to *cluster) *cobra.Command {
	var parts []string
	c := &cobra.Command{
		Use: "delete KEY...", Short: "Delete limits", Args: atLeastOne("KEY"),
		Example: "  millrace quota delete producer_byte_rate --for user=alice --user admin",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkLimits(c, *to, parts, args); err != nil {
				return err
			}
			var ops []kadm.AlterClientQuotaOp
			for _, key := range args {
				ops = append(ops, kadm.AlterClientQuotaOp{Key: key, Remove: true})
			}
			return alterQuotas(c, *to, parts, ops)
		},
	}
	c.Flags().StringArrayVar(&parts, "for", nil, "whom the limits are for: `user=NAME`, client-id=NAME or ip=ADDRESS, may be repeated")
	completeFlag(c, "for", completeEntity)
	c.ValidArgsFunction = completeValues(quotaKeys...)
	return c
}

// checkLimits refuses to delete limits that are not there: brokers take it, so that
// a typing error would look like a success.
func checkLimits(c *cobra.Command, to cluster, parts, keys []string) error {
	e, err := parseEntity(parts)
	if err != nil {
		return err
	}
	whom := entityNames(e)
	return withAdmin(c.Context(), to, func(ctx context.Context, a *kadm.Client) error {
		described, err := a.DescribeClientQuotas(ctx, false, nil)
		if err != nil {
			return refusal("look for the limits of "+entityText(whom), err, "")
		}
		have := map[string]bool{}
		for _, d := range described {
			if entityText(entityNames(d.Entity)) != entityText(whom) {
				continue
			}
			for _, v := range d.Values {
				have[v.Key] = true
			}
		}
		for _, key := range keys {
			if !have[key] {
				return fmt.Errorf("%s has no limit %s: `millrace quota list` shows what there is", entityText(whom), key)
			}
		}
		return nil
	})
}

// entityNames returns whom a limit is for by kind.
func entityNames(e kadm.ClientQuotaEntity) map[string]*string {
	whom := map[string]*string{}
	for _, p := range e {
		whom[p.Type] = p.Name
	}
	return whom
}

// quotaRow is a limit as `quota list` prints it. For has a null for the default of
// all that have no limit of their own.
type quotaRow struct {
	For   map[string]*string `json:"for"`
	Key   string             `json:"key"`
	Value float64            `json:"value"`
}

func newQuotaList(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List all limits", Args: noArgs,
		Example: "  millrace quota list --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				described, err := a.DescribeClientQuotas(ctx, false, nil)
				if err != nil {
					return refusal("list limits", err, "")
				}
				var rows []quotaRow
				for _, d := range described {
					whom := entityNames(d.Entity)
					for _, v := range d.Values {
						rows = append(rows, quotaRow{whom, v.Key, v.Value})
					}
				}
				return writeList(c.OutOrStdout(), format, []string{"for", "key", "value"}, rows, func(r quotaRow) []string {
					return []string{entityText(r.For), r.Key, strconv.FormatFloat(r.Value, 'f', -1, 64)}
				})
			})
		},
	}
	outputFlag(c, &format)
	return c
}

// entityText prints whom a limit is for as --for takes it.
func entityText(whom map[string]*string) string {
	var parts []string
	for _, kind := range entityKinds {
		switch name, ok := whom[kind]; {
		case ok && name == nil:
			parts = append(parts, kind)
		case ok:
			parts = append(parts, kind+"="+*name)
		}
	}
	return strings.Join(parts, ", ")
}
