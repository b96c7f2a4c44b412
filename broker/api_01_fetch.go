package broker

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// Fetch (1). Versions 4-18.
//
// Waits until min_bytes can be returned, max_wait has passed, or a partition has
// an error. The first non-empty partition yields at least one batch, whatever
// the limits (KIP-74). With read_committed only data below the last stable
// offset counts and is returned, with the aborted transactions; markers stay in.
//
// Gaps: sessions are never granted (session id 0 is the answer, which KIP-227
// allows), the preferred read replica is never set, and a fetch with a replica
// id is refused: there is one broker.
func init() {
	register(1, 4, 18, func(b *Broker, rq *request, req *kmsg.FetchRequest) error {
		f := &fetch{b: b, rq: rq, req: req, wake: make(chan struct{}, 1)}
		return f.start()
	})
}

// fetchWaitMax bounds max_wait.
const fetchWaitMax = 5 * time.Minute

// fetch is one Fetch request in progress.
type fetch struct {
	b      *Broker
	rq     *request
	req    *kmsg.FetchRequest
	wake   chan struct{}
	cancel []func()
}

func (f *fetch) start() error {
	if f.req.ReplicaID >= 0 || f.req.ReplicaState.ID >= 0 {
		return fmt.Errorf("fetch as replica %d", max(f.req.ReplicaID, f.req.ReplicaState.ID))
	}
	if f.req.SessionID != 0 {
		resp := f.req.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		f.rq.reply(resp)
		return nil
	}
	resp, done := f.try()
	if done || f.req.MaxWaitMillis <= 0 {
		f.rq.reply(resp)
		return nil
	}
	go f.wait() // ends with the answer, at max_wait, or with the connection
	return nil
}

// wait answers as soon as there is enough.
func (f *fetch) wait() {
	defer func() {
		if p := recover(); p != nil {
			f.b.cfg.Logger.Error("panic in fetch", "panic", p, "stack", string(debug.Stack()))
			f.rq.c.close()
		}
	}()
	f.watch()
	defer func() {
		for _, cancel := range f.cancel {
			cancel()
		}
	}()
	timer := f.b.cfg.Clock.NewTimer(min(time.Duration(f.req.MaxWaitMillis)*time.Millisecond, fetchWaitMax))
	defer timer.Stop()
	for {
		resp, done := f.try()
		if done {
			f.rq.reply(resp)
			return
		}
		select {
		case <-f.wake:
		case <-timer.C:
			resp, _ := f.try()
			f.rq.reply(resp)
			return
		case <-f.rq.c.gone:
			return
		}
	}
}

// watch asks to be woken by every partition of the request.
func (f *fetch) watch() {
	wake := func() {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	for _, rt := range f.req.Topics {
		if t := f.topic(rt); t != nil {
			parts := t.partitions()
			for _, rp := range rt.Partitions {
				if rp.Partition >= 0 && int(rp.Partition) < len(parts) {
					f.cancel = append(f.cancel, parts[rp.Partition].Watch(wake))
				}
			}
		}
	}
}

func (f *fetch) topic(rt kmsg.FetchRequestTopic) *topic {
	if f.req.Version >= 13 {
		return f.b.topics.getID(rt.TopicID)
	}
	return f.b.topics.get(rt.Topic)
}

// try reads what there is now; done says that it may be sent before max_wait.
func (f *fetch) try() (resp *kmsg.FetchResponse, done bool) {
	resp = f.req.ResponseKind().(*kmsg.FetchResponse)
	left := f.b.cfg.Limits.FetchMaxBytes
	if f.req.MaxBytes >= 0 {
		left = min(left, int(f.req.MaxBytes))
	}
	total := 0
	for _, rt := range f.req.Topics {
		t := f.topic(rt)
		st := kmsg.NewFetchResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		denied := f.rq.topicDenied(kmsg.ACLOperationRead, rt.Topic, t, f.req.Version >= 13)
		for _, rp := range rt.Partitions {
			sp := f.partition(t, rp, left-total, total == 0, denied)
			done = done || sp.ErrorCode != 0
			total += len(sp.RecordBatches)
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return resp, done || total >= int(f.req.MinBytes) || len(f.req.Topics) == 0
}

// partition reads one partition, at most left bytes; first says that nothing
// was read yet, so that one batch must come, however large.
func (f *fetch) partition(t *topic, rp kmsg.FetchRequestTopicPartition, left int, first bool, denied error) kmsg.FetchResponseTopicPartition {
	sp := kmsg.NewFetchResponseTopicPartition()
	sp.Partition, sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = rp.Partition, -1, -1, -1
	sp.PreferredReadReplica, sp.RecordBatches = -1, []byte{}
	switch {
	case denied != nil:
		sp.ErrorCode = errorCode(denied)
		return sp
	case t == nil && f.req.Version >= 13:
		sp.ErrorCode = kerr.UnknownTopicID.Code
		return sp
	case t == nil || rp.Partition < 0 || int(rp.Partition) >= len(t.partitions()):
		sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return sp
	}
	if code := f.b.checkLeaderEpoch(rp.CurrentLeaderEpoch); code != 0 {
		sp.ErrorCode = code
		return sp
	}
	p := t.partitions()[rp.Partition]
	bounds := p.Bounds()
	sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = int64(bounds.HighWatermark), int64(bounds.LastStable), int64(bounds.LogStart)
	if f.diverges(p, rp, &sp) {
		return sp
	}
	upTo := bounds.HighWatermark
	if f.req.IsolationLevel == 1 {
		upTo = bounds.LastStable
	}
	from := kafka.Offset(rp.FetchOffset)
	if from < bounds.LogStart || from > bounds.HighWatermark {
		sp.ErrorCode = kerr.OffsetOutOfRange.Code
		return sp
	}
	limit := min(int(rp.PartitionMaxBytes), left)
	if limit <= 0 && !first {
		return sp
	}
	run, err := p.ReadMany(from, upTo, max(limit, 1))
	if err != nil {
		sp.ErrorCode = errorCode(err)
		f.b.cfg.Logger.Warn("fetch", "partition", p.tp, "offset", from, "err", err)
		return sp
	}
	if len(run.Batches) > limit && !first {
		return sp
	}
	sp.RecordBatches = append(sp.RecordBatches, run.Batches...)
	if f.req.IsolationLevel == 1 {
		sp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for _, a := range p.Aborted(from, run.Next) {
			at := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			at.ProducerID, at.FirstOffset = int64(a.ProducerID), int64(a.First)
			sp.AbortedTransactions = append(sp.AbortedTransactions, at)
		}
	}
	return sp
}

// diverges tells a consumer that its last fetched epoch ended earlier than it
// believes: the log was cut behind it (KIP-595).
func (f *fetch) diverges(p *partition, rp kmsg.FetchRequestTopicPartition, sp *kmsg.FetchResponseTopicPartition) bool {
	if f.req.Version < 12 || rp.LastFetchedEpoch < 0 {
		return false
	}
	epoch, end := p.EndOfEpoch(rp.LastFetchedEpoch, f.b.epoch)
	if epoch < 0 || epoch == rp.LastFetchedEpoch && end >= kafka.Offset(rp.FetchOffset) {
		return false
	}
	sp.DivergingEpoch.Epoch, sp.DivergingEpoch.EndOffset = epoch, int64(end)
	return true
}

// checkLeaderEpoch compares a client's leader epoch, -1 for none, with ours.
func (b *Broker) checkLeaderEpoch(epoch int32) int16 {
	switch {
	case epoch < 0 || epoch == b.epoch:
		return 0
	case epoch < b.epoch:
		return kerr.FencedLeaderEpoch.Code
	}
	return kerr.UnknownLeaderEpoch.Code
}
