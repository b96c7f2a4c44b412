package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/broker"
)

// completionTimeout bounds what the shell waits for when it completes a name.
const completionTimeout = 2 * time.Second

// lister returns names that a running server has.
type lister func(context.Context, *kadm.Client) ([]string, error)

// completeNames completes a command's first argument with the names that a
// running server has; without one there is nothing to complete.
func completeNames(to *cluster, list lister) cobra.CompletionFunc {
	complete := completeListed(to, list)
	return func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, word)
	}
}

// completeListed completes a word of a comma-separated list with names that a
// running server has.
func completeListed(to *cluster, list lister) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
		defer cancel()
		var names []string
		err := withAdmin(ctx, *to, func(ctx context.Context, a *kadm.Client) (err error) {
			names, err = list(ctx, a)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
		}
		return ofList(word, names), cobra.ShellCompDirectiveNoFileComp
	}
}

// ofList puts what stands before the last comma of a word in front of the names
// that may follow it.
func ofList(word string, names []string) []string {
	before := word[:strings.LastIndexByte(word, ',')+1]
	if before == "" {
		return names
	}
	given := strings.Split(before, ",")
	var list []string
	for _, name := range names {
		if !slices.Contains(given, name) {
			list = append(list, before+name)
		}
	}
	return list
}

// completeFlag completes the value of a flag of a command.
func completeFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(fmt.Sprintf("cli: completion of --%s: %v", flag, err)) // the flag is not there: every test sees it
	}
}

// completeValues completes one of fixed values, or a word of a list of them.
func completeValues(values ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return ofList(word, values), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeKeys completes the key of key=value.
func completeKeys(keys ...string) cobra.CompletionFunc {
	var texts []string
	for _, k := range keys {
		texts = append(texts, k+"=")
	}
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return texts, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// topicConfigNames are the keys of --config, --set and --delete.
var topicConfigNames = broker.TopicConfigNames()

// completeTopicConfig completes key=value of a topic's configuration: the key, and
// behind it the value where those are a fixed set.
func completeTopicConfig(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	key, value, ok := strings.Cut(word, "=")
	if !ok {
		return completeKeys(topicConfigNames...)(nil, nil, word)
	}
	values, list := broker.TopicConfigValues(key)
	if list {
		values = ofList(value, values)
	}
	texts := make([]string, 0, len(values))
	for _, v := range values {
		texts = append(texts, key+"="+v)
	}
	return texts, cobra.ShellCompDirectiveNoFileComp
}

func transactionalIDs(ctx context.Context, a *kadm.Client) ([]string, error) {
	list, err := a.ListTransactions(ctx, nil, nil)
	return list.TransactionalIDs(), err
}

func userNames(ctx context.Context, a *kadm.Client) ([]string, error) {
	users, err := a.DescribeUserSCRAMs(ctx)
	var names []string
	for _, u := range users.Sorted() {
		names = append(names, u.User)
	}
	return names, err
}

func topicNames(ctx context.Context, a *kadm.Client) ([]string, error) {
	topics, err := a.ListTopics(ctx)
	return topics.Names(), err
}

func groupNames(ctx context.Context, a *kadm.Client) ([]string, error) {
	groups, err := a.ListGroups(ctx)
	return groups.Groups(), err
}
