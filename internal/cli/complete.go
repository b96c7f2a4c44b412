package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// completionTimeout bounds what the shell waits for when it completes a name.
const completionTimeout = 2 * time.Second

// completeNames completes a command's first argument with the names that a
// running server has; without one there is nothing to complete.
func completeNames(to *cluster, list func(context.Context, *kadm.Client) ([]string, error)) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
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
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func topicNames(ctx context.Context, a *kadm.Client) ([]string, error) {
	topics, err := a.ListTopics(ctx)
	return topics.Names(), err
}

func groupNames(ctx context.Context, a *kadm.Client) ([]string, error) {
	groups, err := a.ListGroups(ctx)
	return groups.Groups(), err
}
