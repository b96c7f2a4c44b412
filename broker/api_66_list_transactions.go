package broker

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
)

// ListTransactions (66). Versions 0-2. Filters by state, producer id, duration
// in milliseconds (from version 1) and a pattern that the whole id matches (from
// version 2; RE2, as in Kafka). States that Kafka has and we never show (those of
// a transaction being prepared) are known and match nothing.
func init() {
	register(66, 0, 2, func(b *Broker, rq *request, req *kmsg.ListTransactionsRequest) error {
		rq.reply(b.listTransactions(rq, req))
		return nil
	})
}

// txnStates are the states that a filter may name.
var txnStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

func (b *Broker) listTransactions(rq *request, req *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	resp := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	for _, s := range req.StateFilters {
		if !slices.Contains(txnStates, s) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, s)
		}
	}
	var pattern *regexp.Regexp
	if p := deref(req.TransactionalIDPattern); p != "" {
		var err error
		if pattern, err = regexp.Compile("^(?:" + p + ")$"); err != nil {
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			return resp
		}
	}
	now := b.cfg.Clock.Now()
	matches := func(t *txn.Transaction) bool {
		since := t.Deadline.Add(-t.Timeout)
		long := time.Duration(req.DurationFilterMillis) * time.Millisecond
		return (len(req.StateFilters) == 0 || slices.Contains(req.StateFilters, t.State.String())) &&
			(len(req.ProducerIDFilters) == 0 || slices.Contains(req.ProducerIDFilters, int64(t.ProducerID))) &&
			(req.Version < 1 || req.DurationFilterMillis < 0 || t.State == txn.Ongoing && now.Sub(since) > long) &&
			(pattern == nil || pattern.MatchString(t.ID))
	}
	b.mu.Lock()
	b.txns.All(func(t *txn.Transaction) {
		if matches(t) {
			st := kmsg.NewListTransactionsResponseTransactionState()
			st.TransactionalID, st.ProducerID, st.TransactionState = t.ID, int64(t.ProducerID), t.State.String()
			resp.TransactionStates = append(resp.TransactionStates, st)
		}
	})
	b.mu.Unlock()
	resp.TransactionStates = slices.DeleteFunc(resp.TransactionStates, func(t kmsg.ListTransactionsResponseTransactionState) bool {
		return !rq.maySee(kmsg.ACLOperationDescribe, txnResource(t.TransactionalID))
	})
	slices.SortFunc(resp.TransactionStates, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
		return cmp.Compare(a.TransactionalID, b.TransactionalID)
	})
	return resp
}
