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
	c := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user; its connections stay until they end", Args: exactArgs("NAME"),
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
	c.ValidArgsFunction = completeNames(to, userNames)
	return c
}
