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
	"github.com/twmb/franz-go/pkg/kmsg"
)

// aclOptions name rules: those to add, or those that a list or a deletion is
// about.
type aclOptions struct {
	to                                cluster
	topics, groups, transactionalIDs  []string
	cluster                           bool
	prefixed                          bool
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
	f.BoolVar(&o.prefixed, "prefixed", false, "the names are prefixes")
	f.StringSliceVar(&o.allow, "allow", nil, "principals that are allowed, like User:alice or User:*")
	f.StringSliceVar(&o.deny, "deny", nil, "principals that are denied; a denial wins over any rule that allows")
	f.StringSliceVar(&o.allowHost, "allow-host", nil, "addresses that allowed principals come from, default any")
	f.StringSliceVar(&o.denyHosts, "deny-host", nil, "addresses that denied principals come from, default any")
	f.StringSliceVar(&o.operations, "operation", nil, "all, read, write, create, delete, alter, describe, cluster_action, describe_configs, alter_configs or idempotent_write")
	c.AddCommand(newACLAdd(&o), newACLList(&o), newACLDelete(&o))
	return c
}

// builder returns what kadm makes requests of. In filters what is not given
// means any.
func (o *aclOptions) builder(filter bool) (*kadm.ACLBuilder, error) {
	b := kadm.NewACLs()
	named := len(o.topics)+len(o.groups)+len(o.transactionalIDs) > 0 || o.cluster
	if len(o.topics) > 0 {
		b.Topics(o.topics...)
	}
	if len(o.groups) > 0 {
		b.Groups(o.groups...)
	}
	if len(o.transactionalIDs) > 0 {
		b.TransactionalIDs(o.transactionalIDs...)
	}
	if o.cluster {
		b.Clusters()
	}
	pattern := kadm.ACLPatternLiteral
	switch {
	case o.prefixed:
		pattern = kadm.ACLPatternPrefixed
	case filter:
		pattern = kadm.ACLPatternAny
	}
	if filter && !named {
		b.AnyResource()
	}
	b.ResourcePatternType(pattern)
	ops, err := parseOperations(o.operations)
	if err != nil {
		return nil, err
	}
	b.Operations(ops...)
	o.principals(b, filter)
	return b, nil
}

// principals adds whom the rules are about.
func (o *aclOptions) principals(b *kadm.ACLBuilder, filter bool) {
	either := filter && len(o.allow)+len(o.deny) == 0
	hosts := func(list []string) []string {
		if len(list) == 0 && !filter {
			return []string{"*"}
		}
		return list
	}
	if len(o.allow) > 0 || either {
		b.Allow(o.allow...).AllowHosts(hosts(o.allowHost)...)
	}
	if len(o.deny) > 0 || either {
		b.Deny(o.deny...).DenyHosts(hosts(o.denyHosts)...)
	}
}

func parseOperations(names []string) ([]kadm.ACLOperation, error) {
	var ops []kadm.ACLOperation
	for _, name := range names {
		op, err := kmsg.ParseACLOperation(strings.ToLower(name))
		if err != nil || op == kmsg.ACLOperationUnknown {
			return nil, fmt.Errorf("--operation %s: expected all, read, write, create, delete, alter, describe, cluster_action, describe_configs, alter_configs or idempotent_write", name)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func newACLAdd(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "add", Short: "Add rules: every principal, operation and name together", Args: noArgs,
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
			b, err := o.builder(false)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.CreateACLs(ctx, b)
				if err != nil {
					return err
				}
				var errs []error
				for _, r := range results {
					if r.Err != nil {
						errs = append(errs, fmt.Errorf("add rule for %s on %s %s: %w", r.Principal, r.Type, r.Name, r.Err))
					}
				}
				return errors.Join(errs...)
			})
		},
	}
}

func newACLList(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List rules; flags narrow the list", Args: noArgs,
		Example: "  millrace acl list --user admin\n  millrace acl list --topic orders --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := o.builder(true)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.DescribeACLs(ctx, b)
				if err != nil {
					return err
				}
				var lines []string
				for _, r := range results {
					if r.Err != nil {
						return fmt.Errorf("list rules: %w", r.Err)
					}
					for _, d := range r.Described {
						lines = append(lines, ruleLine(d))
					}
				}
				return printRules(c, lines)
			})
		},
	}
}

func ruleLine(d kadm.DescribedACL) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", d.Type, d.Name, d.Pattern, d.Permission, d.Principal, d.Operation, d.Host)
}

// printRules prints each rule once.
func printRules(c *cobra.Command, lines []string) error {
	slices.Sort(lines)
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, line := range slices.Compact(lines) {
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}

func newACLDelete(o *aclOptions) *cobra.Command {
	return &cobra.Command{
		Use: "delete", Short: "Delete the rules that the flags select, and print them", Args: noArgs,
		Example: "  millrace acl delete --allow User:alice --topic orders --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(o.topics)+len(o.groups)+len(o.transactionalIDs)+len(o.allow)+len(o.deny)+len(o.operations) == 0 && !o.cluster {
				return errors.New("no flag selects rules: this would delete them all")
			}
			b, err := o.builder(true)
			if err != nil {
				return err
			}
			return withAdmin(c.Context(), o.to, func(ctx context.Context, a *kadm.Client) error {
				results, err := a.DeleteACLs(ctx, b)
				if err != nil {
					return err
				}
				var lines []string
				for _, r := range results {
					if r.Err != nil {
						return fmt.Errorf("delete rules: %w", r.Err)
					}
					for _, d := range r.Deleted {
						lines = append(lines, ruleLine(kadm.DescribedACL{
							Type: d.Type, Name: d.Name, Pattern: d.Pattern, Permission: d.Permission, Principal: d.Principal, Operation: d.Operation, Host: d.Host,
						}))
					}
				}
				return printRules(c, lines)
			})
		},
	}
}
