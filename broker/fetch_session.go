package broker

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Session epochs with a meaning of their own (KIP-227).
const (
	sessionEpochInitial = 0  // a full fetch that asks for a session
	sessionEpochFinal   = -1 // a full fetch without one, which ends the one it names
)

// fetchSessionIdle is after how long a session may give way to a new one when
// all slots are taken.
const fetchSessionIdle = 2 * time.Minute

// fetchSessions holds the incremental fetch sessions: what a client has asked
// for before and need not repeat, and what it was told and need not hear again.
type fetchSessions struct {
	mu   sync.Mutex // a leaf lock, guards byID and the sessions
	max  int        // max.incremental.fetch.session.cache.slots
	byID map[int32]*fetchSession
}

func (s *fetchSessions) init(slots int) { s.max, s.byID = slots, map[int32]*fetchSession{} }

// fetchSession is one session. Its client has one fetch in it at a time, which
// the epoch makes sure of.
type fetchSession struct {
	id       int32
	epoch    int32 // of the next request
	topicIDs bool  // topics are named by id
	used     time.Time
	// parts are in the order in which they are read. A fetch in progress holds the
	// slice: it is appended to or replaced, never changed.
	parts []*sessionPartition
	index map[sessionKey]*sessionPartition
}

// sessionKey names a partition as the client does, by name or by id.
type sessionKey struct {
	name      string
	id        TopicID
	partition int32
}

// topic returns what all partitions of a topic have in common.
func (k sessionKey) topic() sessionKey {
	k.partition = 0
	return k
}

// sessionPartition is a partition of a session, with what the client was told.
type sessionPartition struct {
	key                              sessionKey
	req                              kmsg.FetchRequestTopicPartition
	highWatermark, lastStable, start int64
}

// unknownOffset is what no answer has told yet.
const unknownOffset = -1

func keyOf(req *kmsg.FetchRequest, rt kmsg.FetchRequestTopic, partition int32) sessionKey {
	if req.Version >= 13 {
		return sessionKey{id: rt.TopicID, partition: partition}
	}
	return sessionKey{name: rt.Topic, partition: partition}
}

// open finds, begins or ends the session of a request and returns the partitions
// to read: those of the request, or those of its session. A nil session means
// that the client has none. code refuses the request.
func (s *fetchSessions) open(req *kmsg.FetchRequest, now time.Time) (session *fetchSession, parts []*sessionPartition, code int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.SessionEpoch == sessionEpochInitial || req.SessionEpoch == sessionEpochFinal {
		delete(s.byID, req.SessionID)
		full := &fetchSession{index: map[sessionKey]*sessionPartition{}, topicIDs: req.Version >= 13}
		full.update(req)
		if req.SessionEpoch == sessionEpochInitial && req.Version >= 7 && len(full.parts) > 0 {
			s.admit(full, now)
		}
		if full.id == 0 {
			return nil, full.parts, 0
		}
		return full, full.parts, 0
	}
	session = s.byID[req.SessionID]
	switch {
	case session == nil:
		return nil, nil, kerr.FetchSessionIDNotFound.Code
	case session.epoch != req.SessionEpoch:
		return nil, nil, kerr.InvalidFetchSessionEpoch.Code
	case session.topicIDs != (req.Version >= 13):
		return nil, nil, kerr.FetchSessionTopicIDError.Code
	}
	session.update(req)
	session.used = now
	session.epoch++
	if session.epoch <= 0 {
		session.epoch = 1 // wrapped
	}
	return session, session.parts, 0
}

// admit gives a session an id, unless all slots are taken by sessions in use.
func (s *fetchSessions) admit(session *fetchSession, now time.Time) {
	if len(s.byID) >= s.max {
		for id, old := range s.byID {
			if now.Sub(old.used) > fetchSessionIdle {
				delete(s.byID, id)
			}
		}
	}
	if len(s.byID) >= s.max {
		return
	}
	for session.id == 0 || s.byID[session.id] != nil {
		session.id = 1 + rand.Int32N(1<<31-1)
	}
	session.epoch, session.used = 1, now
	s.byID[session.id] = session
}

// update takes over what a request adds, changes and forgets. The caller holds
// mu, or is alone with the session.
func (f *fetchSession) update(req *kmsg.FetchRequest) {
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			key := keyOf(req, rt, rp.Partition)
			if p := f.index[key]; p != nil {
				p.req = rp
				continue
			}
			p := &sessionPartition{key, rp, unknownOffset, unknownOffset, unknownOffset}
			f.index[key] = p
			f.parts = append(f.parts, p)
		}
	}
	if len(req.ForgottenTopics) == 0 {
		return
	}
	for _, ft := range req.ForgottenTopics {
		for _, partition := range ft.Partitions {
			delete(f.index, keyOf(req, kmsg.FetchRequestTopic{Topic: ft.Topic, TopicID: ft.TopicID}, partition))
		}
	}
	kept := f.parts[:0:0]
	for _, p := range f.parts {
		if f.index[p.key] == p {
			kept = append(kept, p)
		}
	}
	f.parts = kept
}

// answer says whether the client must be told about a partition, and notes what
// it is told: records, an error, a diverging epoch or offsets that have changed.
// The caller holds fetchSessions.mu.
func (p *sessionPartition) answer(sp *fetched) bool {
	news := sp.bytes > 0 || sp.ErrorCode != 0 || sp.DivergingEpoch.Epoch >= 0 ||
		p.highWatermark != sp.HighWatermark || p.lastStable != sp.LastStableOffset || p.start != sp.LogStartOffset
	p.highWatermark, p.lastStable, p.start = sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset
	if sp.ErrorCode != 0 {
		p.highWatermark = unknownOffset // when the error is gone that is news
	}
	return news
}

// rotate moves partitions that had records behind the others, so that a busy one
// does not keep the others waiting when the response is full. The caller holds
// fetchSessions.mu.
func (f *fetchSession) rotate(served map[*sessionPartition]bool) {
	if len(served) == 0 {
		return
	}
	first := make([]*sessionPartition, 0, len(f.parts))
	var last []*sessionPartition
	for _, p := range f.parts {
		if served[p] {
			last = append(last, p)
		} else {
			first = append(first, p)
		}
	}
	f.parts = append(first, last...)
}
