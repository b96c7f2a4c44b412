package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// aclOptions name rules: those to add, or those that a list or a deletion is
// about.
type aclOptions struct {
	to                                cluster
	topics, groups, transactionalIDs  []string
	cluster                           bool
	prefixed, anyPattern              bool
	format                            string
	allow, deny, allowHost, denyHosts []string
	operations                        []string
}

func newACL(Stdio) *cobra.Command {
	var o aclOptions
	c := &cobra.Command{
		Use: "acl", Short: "Say who may do what: add, list and delete access rules",
		Example: "  millrace acl add --allow User:alice --operation read,describe --topic orders --group billing --user admin\n" +
			"  millrace acl add --allow User:etl --operation write --topic raw- --prefixed --user admin\n  millrace acl list --user admin\n  millrace acl delete --allow User:alice --user admin",
		RunE: func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &o.to)
	f := c.PersistentFlags()
	f.StringSliceVar(&o.topics, "topic", nil, "topics, * for all")
	f.StringSliceVar(&o.groups, "group", nil, "consumer groups, * for all")
	f.StringSliceVar(&o.transactionalIDs, "transactional-id", nil, "transactional ids, * for all")
	f.BoolVar(&o.cluster, "cluster", false, "the cluster itself")
	f.BoolVar(&o.prefixed, "prefixed", false, "the names are prefixes; in a list or deletion: only rules with such names")
	f.BoolVar(&o.anyPattern, "any-pattern", false, "in a deletion: both literal and prefixed rules with these names")
	f.StringSliceVar(&o.allow, "allow", nil, "principals that are allowed, like User:alice or User:*")
	f.StringSliceVar(&o.deny, "deny", nil, "principals that are denied; a denial wins over any rule that allows")
	f.StringSliceVar(&o.allowHost, "allow-host", nil, "IP addresses that allowed principals come from, default any; ranges never match")
	f.StringSliceVar(&o.denyHosts, "deny-host", nil, "IP addresses that denied principals come from, default any; ranges never match")
	f.StringSliceVar(&o.operations, "operation", nil, strings.Join(aclOperations, ", "))
	outputFlags(f, c, &o.format)
	completeFlag(c, "operation", completeValues(aclOperations...))
	completeFlag(c, "topic", completeListed(&o.to, topicNames))
	completeFlag(c, "group", completeListed(&o.to, groupNames))
	completeFlag(c, "transactional-id", completeListed(&o.to, transactionalIDs))
	c.AddCommand(newACLAdd(&o), newACLList(&o), newACLDelete(&o))
	return c
}

func newACLAdd(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "add", Short: "Add rules, and print them: every principal, operation and name together", Args: noArgs,
		Example: "  millrace acl add --allow User:alice --operation read --topic orders --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case len(o.topics)+len(o.groups)+len(o.transactionalIDs) == 0 && !o.cluster:
				return errors.New("say what the rules are about: --topic, --group, --transactional-id or --cluster")
			case len(o.allow)+len(o.deny) == 0:
				return errors.New("say whom the rules are about: --allow User:NAME or --deny User:NAME")
			case len(o.operations) == 0:
				return errors.New("say what is allowed or denied: --operation read, ... or all")
			}
			if err := checkOutput(o.format); err != nil {
				return err
			}
			b, err := o.builder(toAdd)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.CreateACLs(ctx, b)
				if err != nil {
					return err
				}
				var rows []ruleRow
				var errs []error
				for _, r := range results {
					what := fmt.Sprintf("add the rule for %s on %s %s", r.Principal, strings.ToLower(r.Type.String()), r.Name)
					if err := refusal(what, r.Err, r.ErrMessage); err != nil {
						errs = append(errs, err)
						continue
					}
					rows = append(rows, ruleRow{r.Type.String(), r.Name, r.Pattern.String(), r.Permission.String(), r.Principal, r.Operation.String(), r.Host})
				}
				if len(rows) == 0 && len(errs) > 0 {
					return errors.Join(errs...)
				}
				return errors.Join(append(errs, printRules(c, o.format, rows))...)
			})
		},
	}
}

func newACLList(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List rules; flags narrow the list", Args: noArgs,
		Example: "  millrace acl list --user admin\n  millrace acl list --topic orders --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(o.format); err != nil {
				return err
			}
			b, err := o.builder(toList)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.DescribeACLs(ctx, b)
				if err != nil {
					return err
				}
				var rows []ruleRow
				for _, r := range results {
					if err := refusal("list rules", r.Err, r.ErrMessage); err != nil {
						return err
					}
					for _, d := range r.Described {
						rows = append(rows, ruleRow{d.Type.String(), d.Name, d.Pattern.String(), d.Permission.String(), d.Principal, d.Operation.String(), d.Host})
					}
				}
				return printRules(c, o.format, rows)
			})
		},
	}
}

// ruleRow is a rule as these commands print it.
type ruleRow struct {
	Resource   string `json:"resourceType"`
	Name       string `json:"resourceName"`
	Pattern    string `json:"patternType"`
	Permission string `json:"permission"`
	Principal  string `json:"principal"`
	Operation  string `json:"operation"`
	Host       string `json:"host"`
}

func (r ruleRow) cells() []string {
	return []string{r.Resource, r.Name, r.Pattern, r.Permission, r.Principal, r.Operation, r.Host}
}

// printRules prints each rule once: several filters may select the same one.
func printRules(c *cobra.Command, format string, rows []ruleRow) error {
	slices.SortFunc(rows, func(x, y ruleRow) int { return slices.Compare(x.cells(), y.cells()) })
	return writeList(c.OutOrStdout(), format, []string{"resource", "name", "pattern", "permission", "principal", "operation", "host"}, slices.Compact(rows), ruleRow.cells)
}

func newACLDelete(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "delete", Short: "Delete the rules that the flags select, and print them", Args: noArgs,
		Long: `Delete the rules that the flags select, and print them. A name selects the literal
rules of that name; --prefixed selects the rules whose prefix is that name, and
--any-pattern both. Without a name rules of every name and pattern are selected.`,
		Example: "  millrace acl delete --allow User:alice --topic orders --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(o.topics)+len(o.groups)+len(o.transactionalIDs)+len(o.allow)+len(o.deny)+len(o.operations) == 0 && !o.cluster {
				return errors.New("no flag selects rules: this would delete them all")
			}
			if err := checkOutput(o.format); err != nil {
				return err
			}
			b, err := o.builder(toDelete)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.DeleteACLs(ctx, b)
				if err != nil {
					return err
				}
				var rows []ruleRow
				for _, r := range results {
					if err := refusal("delete rules", r.Err, r.ErrMessage); err != nil {
						return err
					}
					for _, d := range r.Deleted {
						rows = append(rows, ruleRow{d.Type.String(), d.Name, d.Pattern.String(), d.Permission.String(), d.Principal, d.Operation.String(), d.Host})
					}
				}
				if len(rows) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no rule was deleted: none is selected (`millrace acl list` shows all)")
				}
				return printRules(c, o.format, rows)
			})
		},
	}
}
