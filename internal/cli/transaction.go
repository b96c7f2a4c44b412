package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newTransaction(Stdio) *cobra.Command {
	var to cluster
	c := &cobra.Command{
		Use: "transaction", Short: "List, describe and end transactions",
		Example: "  millrace transaction list --state Ongoing\n  millrace transaction describe billing-1\n  millrace transaction producers orders\n  millrace transaction terminate billing-1\n  millrace transaction abort orders --partition 0 --producer-id 7",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	clusterFlags(c, &to)
	c.AddCommand(newTransactionList(&to), newTransactionDescribe(&to), newTransactionProducers(&to), newTransactionAbort(&to), newTransactionTerminate(&to))
	return c
}

// transactionRow is a transactional id as `transaction list` prints it.
type transactionRow struct {
	ID         string `json:"transactionalId"`
	ProducerID int64  `json:"producerId"`
	State      string `json:"state"`
}

// transactionStates are the states of a transactional id, as Kafka calls them.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

func newTransactionList(to *cluster) *cobra.Command {
	var format string
	var states []string
	c := &cobra.Command{
		Use: "list", Short: "List transactional ids", Args: noArgs,
		Example: "  millrace transaction list --state Ongoing --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			for _, state := range states {
				if !slices.Contains(transactionStates, state) {
					return fmt.Errorf("--state %s: expected %s", state, strings.Join(transactionStates, ", "))
				}
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				list, err := a.ListTransactions(ctx, nil, states)
				if err != nil {
					return err
				}
				var rows []transactionRow
				for _, t := range list.Sorted() {
					rows = append(rows, transactionRow{t.TxnID, t.ProducerID, t.State})
				}
				return writeList(c.OutOrStdout(), format, []string{"transactional id", "producer id", "state"}, rows, func(r transactionRow) []string {
					return []string{r.ID, strconv.FormatInt(r.ProducerID, 10), r.State}
				})
			})
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only these states: "+strings.Join(transactionStates, ", "))
	completeFlag(c, "state", completeValues(transactionStates...))
	outputFlag(c, &format)
	return c
}

// transactionDescription is what `transaction describe` prints.
type transactionDescription struct {
	ID         string   `json:"transactionalId"`
	ProducerID int64    `json:"producerId"`
	Epoch      int16    `json:"producerEpoch"`
	State      string   `json:"state"`
	TimeoutMs  int32    `json:"timeoutMs"`
	Started    string   `json:"started"`
	Partitions []string `json:"partitions"`
}

func newTransactionDescribe(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "describe ID", Short: "Show a transactional id", Args: exactArgs("ID"),
		Example: "  millrace transaction describe billing-1",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				list, err := a.DescribeTransactions(ctx, args[0])
				if err != nil {
					return err
				}
				t := list[args[0]]
				if errors.Is(t.Err, kerr.TransactionalIDNotFound) {
					return missingTransactionalID(args[0])
				}
				if t.Err != nil {
					return refusal("describe transactional id "+args[0], t.Err, "")
				}
				d := transactionDescription{ID: t.TxnID, ProducerID: t.ProducerID, Epoch: t.ProducerEpoch, State: t.State, TimeoutMs: t.TimeoutMillis, Partitions: []string{}}
				if t.StartTimestamp >= 0 {
					d.Started = time.UnixMilli(t.StartTimestamp).UTC().Format(time.RFC3339)
				}
				for _, s := range t.Topics.Sorted() {
					for _, p := range s.Partitions {
						d.Partitions = append(d.Partitions, fmt.Sprintf("%s-%d", s.Topic, p))
					}
				}
				return writeList(c.OutOrStdout(), format, []string{"transactional id", "producer id", "epoch", "state", "timeout ms", "started", "partitions"}, []transactionDescription{d}, func(d transactionDescription) []string {
					return []string{d.ID, strconv.FormatInt(d.ProducerID, 10), strconv.Itoa(int(d.Epoch)), d.State, strconv.Itoa(int(d.TimeoutMs)), d.Started, strings.Join(d.Partitions, " ")}
				})
			})
		},
	}
	outputFlag(c, &format)
	c.ValidArgsFunction = completeNames(to, transactionalIDs)
	return c
}

// producerRow is a producer as `transaction producers` prints it.
type producerRow struct {
	Partition    int32  `json:"partition"`
	ProducerID   int64  `json:"producerId"`
	Epoch        int16  `json:"producerEpoch"`
	LastSequence int32  `json:"lastSequence"`
	Last         string `json:"lastTimestamp"`
	TxnStart     *int64 `json:"transactionStartOffset"`
}

func newTransactionProducers(to *cluster) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "producers TOPIC", Short: "Show the producers that a topic's partitions remember", Args: exactArgs("TOPIC"),
		Example: "  millrace transaction producers orders",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				producers, err := topicProducers(ctx, a, args[0])
				if err != nil {
					return err
				}
				var rows []producerRow
				for _, p := range producers {
					r := producerRow{Partition: p.Partition, ProducerID: p.ProducerID, Epoch: p.ProducerEpoch, LastSequence: p.LastSequence, Last: time.UnixMilli(p.LastTimestamp).UTC().Format(time.RFC3339)}
					if p.CurrentTxnStartOffset >= 0 {
						r.TxnStart = &p.CurrentTxnStartOffset
					}
					rows = append(rows, r)
				}
				return writeList(c.OutOrStdout(), format, []string{"partition", "producer id", "epoch", "last sequence", "last", "transaction start"}, rows, func(r producerRow) []string {
					return []string{strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.ProducerID, 10), strconv.Itoa(int(r.Epoch)), strconv.Itoa(int(r.LastSequence)), r.Last, offsetText(r.TxnStart)}
				})
			})
		},
	}
	outputFlag(c, &format)
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}

// topicProducers describes the producers of all partitions of a topic.
func topicProducers(ctx context.Context, a *kadm.Client, topic string) ([]kadm.DescribedProducer, error) {
	t, err := findTopic(ctx, a, "describe the producers of", topic)
	if err != nil {
		return nil, err
	}
	described, err := a.DescribeProducers(ctx, kadm.TopicDetails{topic: t}.TopicsSet())
	if err != nil {
		return nil, err
	}
	return described.SortedProducers(), nil
}
