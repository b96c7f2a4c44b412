package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newGroup(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "group", Short: "List, describe, reset and delete consumer groups",
		Example: "  millrace group list\n  millrace group describe billing\n  millrace group reset-offsets billing --topic orders --to earliest --dry-run\n  millrace group delete billing",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newGroupList(&to), newGroupDescribe(&to), newGroupReset(&to), newGroupDelete(&to), newGroupDeleteOffsets(&to))
	return c
}

// groupRow is a group as `group list` prints it.
type groupRow struct {
	Group    string `json:"group"`
	Type     string `json:"type"`
	State    string `json:"state"`
	Protocol string `json:"protocolType"`
}

func newGroupList(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List consumer groups", Args: noArgs,
		Example: "  millrace group list\n  millrace group list --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				groups, err := a.ListGroups(ctx)
				if err != nil {
					return err
				}
				consumers, err := a.ListGroupsByType(ctx, []string{"consumer"})
				if err != nil {
					return err
				}
				var rows []groupRow
				for _, g := range groups.Sorted() {
					kind := "classic"
					if _, ok := consumers[g.Group]; ok {
						kind = "consumer"
					}
					rows = append(rows, groupRow{g.Group, kind, g.State, g.ProtocolType})
				}
				return writeList(c.OutOrStdout(), format, []string{"group", "type", "state", "protocol"}, rows, func(r groupRow) []string {
					return []string{r.Group, r.Type, r.State, r.Protocol}
				})
			})
		},
	}
	outputFlag(c, &format)
	return c
}

// lagRow is one partition of a group as `group describe` prints it. Offsets that
// are not known are null.
type lagRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"`
	End       *int64 `json:"end"`
	Lag       *int64 `json:"lag"`
	Member    string `json:"member"`
	Client    string `json:"client"`
	Host      string `json:"host"`
}

// groupDescription is a group as `group describe --output json` prints it.
type groupDescription struct {
	Group      string   `json:"group"`
	State      string   `json:"state"`
	Assignor   string   `json:"assignor"`
	Partitions []lagRow `json:"partitions"`
}

func newGroupDescribe(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "describe GROUP", Short: "Show a group's members, offsets and lag", Args: exactArgs("GROUP"),
		Example: "  millrace group describe billing\n  millrace group describe billing --output json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				d, err := describeGroup(ctx, a, args[0])
				if err != nil {
					return err
				}
				if format == "json" {
					return writeList(c.OutOrStdout(), format, nil, []groupDescription{d}, nil)
				}
				fmt.Fprintf(c.OutOrStdout(), "group %s: %s%s\n", d.Group, d.State, assignorText(d.Assignor))
				return writeList(c.OutOrStdout(), format, []string{"topic", "partition", "committed", "end", "lag", "member", "client", "host"}, d.Partitions, func(r lagRow) []string {
					return []string{r.Topic, strconv.Itoa(int(r.Partition)), offsetText(r.Committed), offsetText(r.End), offsetText(r.Lag), r.Member, r.Client, r.Host}
				})
			})
		},
	}
	outputFlag(c, &format)
	c.ValidArgsFunction = completeNames(to, groupNames)
	return c
}

func assignorText(name string) string {
	if name == "" {
		return ""
	}
	return ", assigned by " + name
}

func offsetText(o *int64) string {
	if o == nil {
		return ""
	}
	return strconv.FormatInt(*o, 10)
}

// errMissingGroup is wrapped by the error about a group that does not exist.
var errMissingGroup = errors.New("does not exist: `millrace group list` shows those that do")

func missingGroup(name string) error { return fmt.Errorf("group %s %w", name, errMissingGroup) }

// topicPartition names a partition.
type topicPartition struct {
	Topic     string
	Partition int32
}

// owner is the member that reads a partition.
type owner struct{ member, client, host string }

// describeGroup gathers a group of either protocol.
func describeGroup(ctx context.Context, a *kadm.Client, name string) (groupDescription, error) {
	d := groupDescription{Group: name, Partitions: []lagRow{}}
	owners := map[topicPartition]owner{}
	consumers, err := a.DescribeConsumerGroups(ctx, name)
	if g := consumers[name]; err == nil && g.Err == nil {
		d.State, d.Assignor = g.State, g.AssignorName
		for _, m := range g.Members {
			m.Assignment.Each(func(topic string, partition int32) {
				owners[topicPartition{Topic: topic, Partition: partition}] = owner{m.MemberID, m.ClientID, m.ClientHost}
			})
		}
	} else {
		groups, err := a.DescribeGroups(ctx, name)
		if err != nil {
			return d, err
		}
		g := groups[name]
		if errors.Is(g.Err, kerr.GroupIDNotFound) || g.State == "Dead" {
			return d, missingGroup(name)
		}
		if g.Err != nil {
			return d, refusal("describe group "+name, g.Err, "")
		}
		d.State, d.Assignor = g.State, g.Protocol
		for _, m := range g.Members {
			assigned, ok := m.Assigned.AsConsumer()
			if !ok {
				continue
			}
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					owners[topicPartition{Topic: t.Topic, Partition: p}] = owner{m.MemberID, m.ClientID, m.ClientHost}
				}
			}
		}
	}
	d.Partitions, err = groupLag(ctx, a, name, owners)
	return d, err
}

// groupLag compares the committed offsets with the ends of the partitions that
// have an offset or an owner.
func groupLag(ctx context.Context, a *kadm.Client, name string, owners map[topicPartition]owner) ([]lagRow, error) {
	offsets, err := a.FetchOffsets(ctx, name)
	if err != nil {
		return nil, refusal("offsets of group "+name, err, "")
	}
	rows := map[topicPartition]*lagRow{}
	var topics []string
	row := func(topic string, partition int32) *lagRow {
		tp := topicPartition{Topic: topic, Partition: partition}
		if rows[tp] == nil {
			rows[tp] = &lagRow{Topic: topic, Partition: partition, Member: owners[tp].member, Client: owners[tp].client, Host: owners[tp].host}
			topics = append(topics, topic)
		}
		return rows[tp]
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil && o.At >= 0 {
			at := o.At
			row(o.Topic, o.Partition).Committed = &at
		}
	})
	for tp := range owners {
		row(tp.Topic, tp.Partition)
	}
	list := make([]lagRow, 0, len(rows))
	if len(rows) == 0 {
		return list, nil
	}
	slices.Sort(topics)
	ends, err := a.ListCommittedOffsets(ctx, slices.Compact(topics)...)
	if err != nil {
		return nil, err
	}
	for tp, r := range rows {
		if end, ok := ends.Lookup(tp.Topic, tp.Partition); ok && end.Err == nil {
			at := end.Offset
			r.End = &at
			if r.Committed != nil {
				lag := max(at-*r.Committed, 0)
				r.Lag = &lag
			}
		}
		list = append(list, *r)
	}
	slices.SortFunc(list, func(x, y lagRow) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return list, nil
}

func newGroupDelete(to *cluster) *cobra.Command {
	c := &cobra.Command{
		Use: "delete GROUP", Short: "Delete a group without members and its offsets", Args: exactArgs("GROUP"),
		Example: "  millrace group delete billing",
		RunE: func(c *cobra.Command, args []string) error {
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				if _, err := a.DeleteGroup(ctx, args[0]); err != nil {
					return groupError("delete", args[0], err)
				}
				fmt.Fprintf(c.ErrOrStderr(), "group %s deleted\n", args[0])
				return nil
			})
		},
	}
	c.ValidArgsFunction = completeNames(to, groupNames)
	return c
}

// groupError says what a refusal means.
func groupError(action, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.GroupIDNotFound):
		return missingGroup(name)
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("%s group %s: it has members: stop them first (`millrace group describe %s` shows them)", action, name, name)
	case errors.Is(err, kerr.GroupSubscribedToTopic):
		return fmt.Errorf("%s group %s: a member subscribes to the topic: stop it first", action, name)
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return refusal(action+" group "+name, err, "not allowed: it belongs to the engine, or a rule is missing")
	}
	return refusal(action+" group "+name, err, "")
}

func newGroupDeleteOffsets(to *cluster) *cobra.Command {
	var topic string
	c := &cobra.Command{
		Use: "delete-offsets GROUP", Short: "Forget a group's offsets of a topic", Args: exactArgs("GROUP"),
		Example: "  millrace group delete-offsets billing --topic orders",
		RunE: func(c *cobra.Command, args []string) error {
			if topic == "" {
				return errors.New("--topic is missing: which topic's offsets shall go?")
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				t, err := findTopic(ctx, a, "delete offsets of", topic)
				if err != nil {
					return err
				}
				set := kadm.TopicsSet{}
				for _, p := range t.Partitions.Sorted() {
					set.Add(topic, p.Partition)
				}
				resp, err := a.DeleteOffsets(ctx, args[0], set)
				if err != nil {
					return groupError("delete offsets of", args[0], err)
				}
				if err := resp.Error(); err != nil {
					return groupError("delete offsets of", args[0], err)
				}
				fmt.Fprintf(c.ErrOrStderr(), "group %s: offsets of topic %s deleted\n", args[0], topic)
				return nil
			})
		},
	}
	c.Flags().StringVar(&topic, "topic", "", "topic")
	completeFlag(c, "topic", completeListed(to, topicNames))
	c.ValidArgsFunction = completeNames(to, groupNames)
	return c
}
