package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

// terminateTimeout is the transaction timeout that a terminated id is given; no
// transaction is begun with it.
const terminateTimeout = time.Minute

// A coordinator is asked fenceTries times whether it has aborted, fencePause apart.
const (
	fenceTries = 100
	fencePause = 100 * time.Millisecond
)

func newTransactionTerminate(to *cluster) *cobra.Command {
	c := &cobra.Command{
		Use: "terminate ID", Short: "End the transaction of a transactional id and shut its producer out", Args: exactArgs("ID"),
		Long: `End the transaction of a transactional id through its coordinator: it is aborted in
all its partitions, and the producer that began it cannot commit it or write any more.`,
		Example: "  millrace transaction terminate billing-1",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), *to, func(ctx context.Context, cl *kgo.Client) error {
				described, err := kadm.NewClient(cl).DescribeTransactions(ctx, args[0])
				if err != nil {
					return refusal("terminate the transaction of "+args[0], err, "")
				}
				// To begin as an id that does not exist would create it.
				if t := described[args[0]]; errors.Is(t.Err, kerr.TransactionalIDNotFound) {
					return missingTransactionalID(args[0])
				} else if t.Err != nil {
					return refusal("terminate the transaction of "+args[0], t.Err, "")
				}
				if err := fence(ctx, cl, args[0]); err != nil {
					return refusal("terminate the transaction of "+args[0], err, "")
				}
				fmt.Fprintln(c.ErrOrStderr(), terminated(args[0], described[args[0]].State))
				return nil
			})
		},
	}
	c.ValidArgsFunction = completeNames(to, transactionalIDs)
	return c
}

// terminated says what there was to end in the state that a transactional id was in.
func terminated(id, state string) string {
	if transactionOpen(state) {
		return fmt.Sprintf("transactional id %s: its transaction, which was %s, is ended and its producer shut out", id, state)
	}
	return fmt.Sprintf("transactional id %s: no transaction was open, its state was %s; its producer is shut out all the same", id, state)
}

// transactionOpen reports whether in a state of a transactional id there is a
// transaction that is not at its end.
func transactionOpen(state string) bool {
	return state == "Ongoing" || strings.HasPrefix(state, "Prepare")
}

func missingTransactionalID(id string) error {
	return fmt.Errorf("transactional id %s does not exist: `millrace transaction list` shows those that do", id)
}

// fence makes the coordinator raise the epoch of a transactional id, as a producer
// that starts does (KIP-98): an open transaction is aborted. A coordinator that is
// still aborting it answers CONCURRENT_TRANSACTIONS until it is done.
func fence(ctx context.Context, cl *kgo.Client, id string) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(terminateTimeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = -1, -1
	for tries := 1; ; tries++ {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.ErrorCode)
		if !errors.Is(err, kerr.ConcurrentTransactions) || tries == fenceTries {
			return err
		}
		timer := clock.System.NewTimer(fencePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func newTransactionAbort(to *cluster) *cobra.Command {
	var partition int32
	var producerID int64
	var force bool
	c := &cobra.Command{
		Use: "abort TOPIC", Short: "End a transaction that hangs in a partition", Args: exactArgs("TOPIC"),
		Long: `Write an abort marker for a producer whose transaction hangs: no coordinator knows it
as open, so none will end it, and it holds back the last stable offset of the
partition, and readers of committed records with it.
` + "`millrace transaction producers TOPIC`" + ` shows where transactions are open.

A transaction that its coordinator knows is refused: "millrace transaction terminate
ID" ends it in all its partitions. With --force the marker is written all the same, in
this one partition: its records there are aborted, and the producer may later commit
the rest of the transaction without an error.`,
		Example: "  millrace transaction abort orders --partition 0 --producer-id 7",
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("partition") || !c.Flags().Changed("producer-id") {
				return errors.New("--partition and --producer-id are needed: `millrace transaction producers TOPIC` shows them")
			}
			return withAdmin(c.Context(), *to, func(ctx context.Context, a *kadm.Client) error {
				if err := checkPartition(ctx, a, args[0], partition); err != nil {
					return err
				}
				producers, err := topicProducers(ctx, a, args[0])
				if err != nil {
					return err
				}
				for _, p := range producers {
					if p.Partition != partition || p.ProducerID != producerID || p.CurrentTxnStartOffset < 0 {
						continue
					}
					if !force {
						if err := hangs(ctx, a, producerID); err != nil {
							return err
						}
					}
					if err := abortTransaction(ctx, a, p); err != nil {
						return err
					}
					fmt.Fprintf(c.ErrOrStderr(), "transaction of producer %d in %s-%d, from offset %d on, is aborted\n", producerID, args[0], partition, p.CurrentTxnStartOffset)
					return nil
				}
				return fmt.Errorf("producer %d has no open transaction in %s-%d: `millrace transaction producers %s` shows where some are", producerID, args[0], partition, args[0])
			})
		},
	}
	c.Flags().Int32Var(&partition, "partition", 0, "partition")
	c.Flags().Int64Var(&producerID, "producer-id", 0, "producer id")
	c.Flags().BoolVar(&force, "force", false, "abort the records in this partition although the coordinator knows the transaction as open")
	c.ValidArgsFunction = completeNames(to, topicNames)
	return c
}

// checkPartition says when a topic or its partition is missing.
func checkPartition(ctx context.Context, a *kadm.Client, topic string, partition int32) error {
	t, err := findTopic(ctx, a, "look for", topic)
	if err != nil {
		return err
	}
	if _, ok := t.Partitions[partition]; !ok {
		return missingPartition(topic, partition, t)
	}
	return nil
}

// hangs returns an error unless no coordinator will end the transaction of a
// producer.
func hangs(ctx context.Context, a *kadm.Client, producerID int64) error {
	list, err := a.ListTransactions(ctx, []int64{producerID}, nil)
	if err != nil {
		return refusal("look for the coordinator of the transaction", err, "")
	}
	for _, t := range list.Sorted() {
		if transactionOpen(t.State) {
			return fmt.Errorf("the transaction does not hang: its coordinator knows it as %s of transactional id %s and ends it by itself; `millrace transaction terminate %s` aborts it now in all partitions, --force only this one and lets the producer commit the others",
				t.State, t.TxnID, t.TxnID)
		}
	}
	return nil
}

func abortTransaction(ctx context.Context, a *kadm.Client, p kadm.DescribedProducer) error {
	what := fmt.Sprintf("abort the transaction of producer %d in %s-%d", p.ProducerID, p.Topic, p.Partition)
	set := kadm.TopicsSet{}
	set.Add(p.Topic, p.Partition)
	resp, err := a.WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, CoordinatorEpoch: p.CoordinatorEpoch, Topics: set})
	if err != nil {
		return refusal(what, err, "")
	}
	for _, m := range resp.SortedPartitions() {
		if m.Err != nil {
			return refusal(what, m.Err, "")
		}
	}
	return nil
}
