package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/auth"
)

// newPasswordEnv holds a new user's password when no file does.
const newPasswordEnv = "MILLRACE_NEW_PASSWORD"

func newUser(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "user", Short: "Add, list and delete users that log in with a password",
		Long: `Add, list and delete users that log in with a password. The first user comes from
millrace server --bootstrap-user. What is sent and stored is salted: nobody reads a
password back.`,
		Example: "  millrace user add alice --new-password-file alice.password --user admin --password-file admin.password\n  millrace user list --user admin\n  millrace user delete alice --user admin",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newUserAdd(&to), newUserList(&to), newUserDelete(&to))
	return c
}

func newUserAdd(to *cluster) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a user, or change its password", Args: exactArgs("NAME"),
		Example: "  millrace user add alice --new-password-file alice.password --user admin",
		RunE: func(c *cobra.Command, args []string) error {
			password, err := readPassword(file, newPasswordEnv)
			if err != nil {
				return err
			}
			var upsert []kadm.UpsertSCRAM
			for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
				upsert = append(upsert, kadm.UpsertSCRAM{User: args[0], Mechanism: m, Iterations: auth.DefaultIterations, Password: password})
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				if err := alterUser(ctx, a, "add", args[0], nil, upsert); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "user %s can log in with its password\n", args[0])
				return nil
			})
		},
	}
	c.Flags().StringVar(&file, "new-password-file", "", "file with the user's password; default: "+newPasswordEnv)
	return c
}

// alterUser changes one user and says what a refusal means. A request may change a
// user once (KIP-554), so each mechanism has its own.
func alterUser(ctx context.Context, a *kadm.Client, action, name string, del []kadm.DeleteSCRAM, upsert []kadm.UpsertSCRAM) error {
	alter := func(del []kadm.DeleteSCRAM, upsert []kadm.UpsertSCRAM) error {
		results, err := a.AlterUserSCRAMs(ctx, del, upsert)
		if err != nil {
			return err
		}
		r := results[name]
		return refusal(action+" user "+name, r.Err, r.ErrMessage)
	}
	for i := range del {
		if err := alter(del[i:i+1], nil); err != nil {
			return err
		}
	}
	for i := range upsert {
		if err := alter(nil, upsert[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// userRow is a user as `user list` prints it.
type userRow struct {
	User       string   `json:"user"`
	Mechanisms []string `json:"mechanisms"`
}

func newUserList(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List users with their mechanisms", Args: noArgs,
		Example: "  millrace user list --user admin",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				users, err := a.DescribeUserSCRAMs(ctx)
				if err != nil {
					return refusal("list users", err, "")
				}
				var rows []userRow
				for _, u := range users.Sorted() {
					r := userRow{User: u.User, Mechanisms: []string{}}
					for _, i := range u.CredInfos {
						r.Mechanisms = append(r.Mechanisms, i.Mechanism.String())
					}
					rows = append(rows, r)
				}
				return writeList(c.OutOrStdout(), format, []string{"user", "mechanisms"}, rows, func(r userRow) []string {
					return []string{r.User, strings.Join(r.Mechanisms, ",")}
				})
			})
		},
	}
	outputFlag(c, &format)
	return c
}

func newUserDelete(to *cluster) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user; its connections stay until they end", Args: exactArgs("NAME"),
		Long: `Delete a user; its connections stay until they end. The last super user that logs in
with a password is deleted with --force only: without it nobody could add users, or
change rules, until the server is started with another --bootstrap-user.`,
		Example: "  millrace user delete alice --user admin",
		RunE: func(c *cobra.Command, args []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				users, err := a.DescribeUserSCRAMs(ctx, args[0])
				if err != nil {
					return err
				}
				u := users[args[0]]
				if errors.Is(u.Err, kerr.ResourceNotFound) || u.Err == nil && len(u.CredInfos) == 0 {
					return fmt.Errorf("user %s does not exist: `millrace user list` shows those that do", args[0])
				}
				if u.Err != nil {
					return refusal("delete user "+args[0], u.Err, u.ErrMessage)
				}
				if !force {
					if err := checkNotLast(ctx, a, args[0]); err != nil {
						return err
					}
				}
				var del []kadm.DeleteSCRAM
				for _, i := range u.CredInfos {
					del = append(del, kadm.DeleteSCRAM{User: args[0], Mechanism: i.Mechanism})
				}
				if err := alterUser(ctx, a, "delete", args[0], del, nil); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "user %s deleted\n", args[0])
				return nil
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "delete the last super user, too")
	c.ValidArgsFunction = completeNames(to, userNames)
	return c
}

// checkNotLast refuses to delete the last super user that logs in with a password,
// or, of a broker that does not say who they are, the last user.
func checkNotLast(ctx context.Context, a *kadm.Client, name string) error {
	users, err := a.DescribeUserSCRAMs(ctx)
	if err != nil {
		return refusal("list users", err, "")
	}
	super, known := superUsers(ctx, a)
	if known && !super[name] {
		return nil
	}
	for _, u := range users {
		if u.User != name && u.Err == nil && len(u.CredInfos) > 0 && (super[u.User] || !known) {
			return nil
		}
	}
	what := "super user that logs in with a password"
	if !known {
		what = "user that logs in with a password"
	}
	return fmt.Errorf("%s is the last %s: without it nobody may be able to add users or change rules; --force deletes it all the same", name, what)
}

// superUsers returns the names of the broker's super users (super.users); known is
// false when the broker does not say or there are none.
func superUsers(ctx context.Context, a *kadm.Client) (names map[string]bool, known bool) {
	names = map[string]bool{}
	meta, err := a.BrokerMetadata(ctx)
	if err != nil || len(meta.Brokers) == 0 {
		return names, false
	}
	configs, err := a.DescribeBrokerConfigs(ctx, meta.Brokers[0].NodeID)
	if err != nil {
		return names, false
	}
	for _, r := range configs {
		for _, c := range r.Configs {
			if c.Key != "super.users" || c.Value == nil {
				continue
			}
			for _, principal := range strings.Split(*c.Value, ";") {
				if user, ok := strings.CutPrefix(strings.TrimSpace(principal), "User:"); ok {
					names[user] = true
				}
			}
		}
	}
	return names, len(names) > 0
}
