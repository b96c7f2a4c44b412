package broker

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/lend"
)

// Fetch (1). Versions 4-18.
//
// Waits until min_bytes can be returned, max_wait has passed, or a partition has
// an error. The first non-empty partition yields at least one batch, whatever
// the limits (KIP-74). With read_committed only data below the last stable
// offset counts and is returned, with the aborted transactions; markers stay in.
//
// In a session (KIP-227) a request names only what has changed, and so does the
// answer.
//
// Gaps: the preferred read replica is never set, and a fetch with a replica id is
// refused: there is one broker.
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
	// session is nil when the client has none; parts is what to read.
	session *fetchSession
	parts   []*sessionPartition
	memory  fetchMemory // of what was read, until the response is sent
}

// fetched is what was read of one partition.
type fetched struct {
	kmsg.FetchResponseTopicPartition
	records
}

func (f *fetch) response() *fetchResponse {
	return &fetchResponse{FetchResponse: *f.req.ResponseKind().(*kmsg.FetchResponse)}
}

// alloc lends memory for records.
func (f *fetch) alloc(n int) []byte {
	b := lend.Bytes(n)
	f.memory.lent = append(f.memory.lent, b)
	return b
}

// pinned notes a frame that records are a view of.
func (f *fetch) pinned(frame *wal.Frame) { f.memory.pinned = append(f.memory.pinned, frame) }

func (f *fetch) start() error {
	if f.req.ReplicaID >= 0 || f.req.ReplicaState.ID >= 0 {
		return fmt.Errorf("fetch as replica %d", max(f.req.ReplicaID, f.req.ReplicaState.ID))
	}
	var code int16
	if f.session, f.parts, code = f.b.fetchSessions.open(f.req, f.b.cfg.Clock.Now()); code != 0 {
		resp := f.response()
		resp.ErrorCode = code
		f.rq.reply(resp)
		return nil
	}
	read, done := f.try()
	if done || f.req.MaxWaitMillis <= 0 {
		f.answer(read)
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
		read, done := f.try()
		if done {
			f.answer(read)
			return
		}
		select {
		case <-f.wake:
		case <-timer.C:
			read, _ := f.try()
			f.answer(read)
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
	for _, p := range f.parts {
		if t := f.topic(p.key); t != nil {
			if parts := t.partitions(); p.key.partition >= 0 && int(p.key.partition) < len(parts) {
				f.cancel = append(f.cancel, parts[p.key.partition].Watch(wake))
			}
		}
	}
}

func (f *fetch) topic(key sessionKey) *topic {
	if f.req.Version >= 13 {
		return f.b.topics.getID(key.id)
	}
	return f.b.topics.get(key.name)
}

// try reads what there is now, for each of parts; done says that it may be sent
// before max_wait.
func (f *fetch) try() (read []fetched, done bool) {
	f.memory.release() // of a try that found too little
	left := f.b.cfg.Limits.FetchMaxBytes
	if f.req.MaxBytes >= 0 {
		left = min(left, int(f.req.MaxBytes))
	}
	total := 0
	read = make([]fetched, 0, len(f.parts))
	var last sessionKey
	var t *topic
	var denied error
	for i, p := range f.parts {
		if of := p.key.topic(); i == 0 || of != last {
			last, t = of, f.topic(p.key)
			denied = f.rq.topicDenied(kmsg.ACLOperationRead, of.name, t, f.req.Version >= 13)
		}
		sp := f.partition(t, p.req, left-total, total == 0, denied)
		done = done || sp.ErrorCode != 0
		total += sp.bytes
		read = append(read, sp)
	}
	return read, done || total >= int(f.req.MinBytes) || len(f.parts) == 0
}

// answer sends what was read; in a session that goes on, only what is new.
func (f *fetch) answer(read []fetched) {
	resp := f.response()
	resp.memory, f.memory = f.memory, fetchMemory{}
	resp.Topics = []kmsg.FetchResponseTopic{}
	incremental := f.req.SessionEpoch > sessionEpochInitial
	at := map[sessionKey]int{}
	served := map[*sessionPartition]bool{}
	if f.session != nil {
		f.b.fetchSessions.mu.Lock()
	}
	for i, p := range f.parts {
		if f.session != nil {
			if news := p.answer(&read[i]); !news && incremental {
				continue
			}
			if read[i].bytes > 0 {
				served[p] = true
			}
		}
		topic := p.key.topic()
		n, ok := at[topic]
		if !ok {
			n = len(resp.Topics)
			at[topic] = n
			st := kmsg.NewFetchResponseTopic()
			st.Topic, st.TopicID = topic.name, topic.id
			resp.Topics, resp.records = append(resp.Topics, st), append(resp.records, nil)
		}
		resp.Topics[n].Partitions = append(resp.Topics[n].Partitions, read[i].FetchResponseTopicPartition)
		resp.records[n] = append(resp.records[n], read[i].records)
	}
	if f.session != nil {
		resp.SessionID = f.session.id
		f.session.rotate(served)
		f.b.fetchSessions.mu.Unlock()
	}
	f.rq.reply(resp)
}

// partition reads one partition, at most left bytes; first says that nothing
// was read yet, so that one batch must come, however large.
func (f *fetch) partition(t *topic, rp kmsg.FetchRequestTopicPartition, left int, first bool, denied error) fetched {
	sp := fetched{FetchResponseTopicPartition: kmsg.NewFetchResponseTopicPartition()}
	sp.Partition, sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = rp.Partition, -1, -1, -1
	sp.PreferredReadReplica = -1
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
	if f.diverges(p, rp, &sp.FetchResponseTopicPartition) {
		return sp
	}
	upTo := bounds.HighWatermark
	if f.req.IsolationLevel == 1 {
		upTo = bounds.LastStable
	}
	from := kafka.Offset(rp.FetchOffset)
	if from < bounds.LogStart || from > bounds.HighWatermark {
		sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = -1, -1, -1
		sp.ErrorCode = kerr.OffsetOutOfRange.Code
		return sp
	}
	limit := min(int(rp.PartitionMaxBytes), left)
	if limit <= 0 && !first {
		return sp
	}
	runs, err := p.ReadMany(from, upTo, log.Want{Bytes: max(limit, 1), AtLeastOne: first, Alloc: f.alloc, Pinned: f.pinned})
	if err != nil {
		sp.ErrorCode = errorCode(err)
		f.b.noteUnreadable(p, from, err)
		return sp
	}
	sp.runs, sp.bytes = runs.Batches, runs.Bytes
	if f.req.IsolationLevel == 1 {
		sp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for _, a := range p.Aborted(from, runs.Next) {
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
