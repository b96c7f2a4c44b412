package group

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/wal"
)

// Epochs with a meaning of their own in a heartbeat (KIP-848).
const (
	epochJoin        = 0
	epochLeave       = -1
	epochLeaveStatic = -2 // the member comes back under the same instance id
)

// Topics is what groups must know of topics.
type Topics interface {
	// Version changes whenever a topic or a partition comes or goes.
	Version() uint64
	// Lookup returns a topic's id and partition count.
	Lookup(name string) (id wal.TopicID, partitions int32, ok bool)
	// Names returns all topics in order.
	Names() []string
}

// HeartbeatRequest is a ConsumerGroupHeartbeat request. Nil and -1 mean that
// nothing has changed.
type HeartbeatRequest struct {
	Group, MemberID      string
	Epoch                int32
	Instance, Rack       *string
	ClientID, ClientHost string
	RebalanceTimeout     time.Duration // negative: unchanged
	Subscribed           []string
	Regex                *string
	Assignor             *string
	Owned                Partitions
	// MakeID: the coordinator makes the id of a member that has none (version 0).
	MakeID bool
	// Visible says which topics the member may learn of by its regular expression.
	Visible func(topic string) bool
}

// HeartbeatResponse is the answer to it.
type HeartbeatResponse struct {
	Err      error
	MemberID string
	Epoch    int32
	Interval time.Duration
	// Assignment is nil when the member knows it.
	Assignment Partitions
}

// consumerGroup is a group whose partitions the coordinator assigns. A change of
// members or subscriptions raises epoch; then target is computed for it, and
// every member is brought there by its heartbeats: first it gives up what others
// shall have, then it gets what others gave up. So a partition has one owner.
type consumerGroup struct {
	c        *Coordinator
	name     string
	epoch    int32 // of the members and subscriptions
	computed int32 // the epoch that target is for
	assignor string
	target   map[string]partitionSet
	members  map[string]*consumer
	static   map[string]string               // member id by instance id
	owners   map[topicPartition]string       // member that holds or still has to give up
	topics   map[wal.TopicID]subscribedTopic // what the last target was computed with
	seen     uint64                          // Topics.Version of topics
	unsynced atomic.Int32                    // changes that are not durable yet
	empty    time.Time                       // since when no member is left
}

type subscribedTopic struct {
	name       string
	partitions int32
}

// consumer is a member of a consumerGroup.
//
//	            target changed, has to give up partitions
//	reconciled -------------------------------------------> unrevoked
//	    ^  \                                                   | gave them up
//	    |   \ target changed, others hold its partitions       v
//	    |    +---------------------------------------------> unreleased
//	    +-------------------------------------------------------+ others gave them up
type consumer struct {
	id, instance, rack   string
	clientID, clientHost string
	subscribed           []string
	regex                string
	matched              []string // topics that regex matches
	matchedAt            uint64   // Topics.Version of matched
	assignor             string
	rebalanceTimeout     time.Duration

	epoch, previous int32
	state           consumerState
	assigned        partitionSet
	revoking        partitionSet // to be given up
	away            bool         // a static member that left for a while

	deadline time.Time
	timer    *time.Timer
	revokeBy *time.Timer
	classic  *classic // nil unless it speaks the classic protocol
}

type consumerState uint8

const (
	reconciled consumerState = iota
	unrevoked
	unreleased
)

// ConsumerHeartbeat handles one ConsumerGroupHeartbeat. reply is called once,
// when what it says is durable, from any goroutine.
func (c *Coordinator) ConsumerHeartbeat(r HeartbeatRequest, reply func(HeartbeatResponse)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fail := func(err error) { reply(HeartbeatResponse{Err: err, MemberID: r.MemberID, Epoch: r.Epoch}) }
	if err := c.checkHeartbeat(&r); err != nil {
		fail(err)
		return
	}
	g, err := c.consumerGroup(r.Group, r.Epoch == epochJoin)
	if err != nil {
		fail(err)
		return
	}
	if r.Epoch < 0 {
		err := g.leave(r)
		if err != nil {
			fail(err)
			return
		}
		g.durably(HeartbeatResponse{MemberID: r.MemberID, Epoch: r.Epoch, Interval: c.cfg.HeartbeatInterval}, true, reply)
		g.downgrade()
		return
	}
	m, as, err := g.admit(r)
	if err != nil {
		if len(g.members) == 0 && g.epoch == 0 {
			delete(c.consumers, g.name) // it was made for this request
		}
		g.downgrade() // so it was, or the members are as they were
		fail(err)
		return
	}
	matters := g.update(m, r)
	changed := as != known
	if g.refresh() || matters || as == newcomer {
		g.epoch++
		changed = true
	}
	if g.epoch > g.computed {
		g.compute()
		changed = true
	}
	moved := g.reconcile(m, r.Owned)
	g.touch(m)
	resp := HeartbeatResponse{MemberID: m.id, Epoch: m.epoch, Interval: c.cfg.HeartbeatInterval}
	full := r.RebalanceTimeout >= 0 && (r.Subscribed != nil || r.Regex != nil) && r.Owned != nil
	if moved || full || r.Epoch == epochJoin {
		resp.Assignment = m.assigned.wire()
	}
	g.durably(resp, changed || moved, reply)
}

// checkHeartbeat verifies what does not depend on the group.
func (c *Coordinator) checkHeartbeat(r *HeartbeatRequest) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{kerr.InvalidRequest}, args...)...)
	}
	if c.closed {
		return kerr.CoordinatorNotAvailable
	}
	if r.MemberID == "" && r.MakeID && r.Epoch == epochJoin {
		r.MemberID = newMemberID(r.ClientID)
	}
	switch {
	case r.Group == "":
		return bad("no group id")
	case r.MemberID == "":
		return bad("no member id")
	case r.Epoch < epochLeaveStatic:
		return bad("member epoch %d", r.Epoch)
	case r.Instance != nil && *r.Instance == "":
		return bad("an empty instance id")
	case r.Epoch == epochLeaveStatic && r.Instance == nil:
		return bad("a member without instance id cannot leave for a while")
	case r.Assignor != nil && *r.Assignor != "" && findAssignor(*r.Assignor) == nil:
		return fmt.Errorf("%w: %s", kerr.UnsupportedAssignor, *r.Assignor)
	}
	if r.Regex != nil && *r.Regex != "" {
		if _, err := regexp.Compile(*r.Regex); err != nil {
			return fmt.Errorf("%w: %w", kerr.InvalidRegularExpression, err)
		}
	}
	if r.Epoch == epochJoin {
		switch {
		case r.RebalanceTimeout <= 0:
			return bad("a member that joins must say its rebalance timeout")
		case r.Subscribed == nil && (r.Regex == nil || *r.Regex == ""):
			return bad("a member that joins must subscribe to topics")
		case len(r.Owned) > 0:
			return bad("a member that joins cannot own partitions")
		}
	}
	return nil
}

// consumerGroup returns a group of KIP-848; join makes it when the name is free,
// or out of a classic group.
func (c *Coordinator) consumerGroup(name string, join bool) (*consumerGroup, error) {
	if g := c.consumers[name]; g != nil {
		return g, nil
	}
	old := c.groups[name]
	switch {
	case !join:
		return nil, kerr.UnknownMemberID
	case old != nil && len(old.members) > 0:
		return c.upgrade(old)
	case old == nil && len(c.groups)+len(c.consumers) >= c.cfg.MaxGroups:
		return nil, kerr.GroupMaxSizeReached
	}
	if old != nil {
		old.end(kerr.RebalanceInProgress)
		delete(c.groups, name)
	}
	g := c.newConsumerGroup(name)
	c.consumers[name] = g
	return g, nil
}

func (c *Coordinator) newConsumerGroup(name string) *consumerGroup {
	return &consumerGroup{
		c: c, name: name, assignor: assignors[0].name,
		target: map[string]partitionSet{}, members: map[string]*consumer{}, static: map[string]string{},
		owners: map[topicPartition]string{}, topics: map[wal.TopicID]subscribedTopic{}, empty: c.cfg.Clock.Now(),
	}
}

// admission is how a heartbeat's member came to be one.
type admission uint8

const (
	known admission = iota
	newcomer
	returned // it goes on with what it had
)

// admit finds the member of a heartbeat, or lets it in.
func (g *consumerGroup) admit(r HeartbeatRequest) (m *consumer, as admission, err error) {
	if r.Instance != nil {
		if id, ok := g.static[*r.Instance]; ok && id != r.MemberID {
			return g.replace(g.members[id], r)
		}
	}
	m = g.members[r.MemberID]
	switch {
	case m == nil && r.Epoch != epochJoin, m != nil && m.classic != nil:
		return nil, known, kerr.UnknownMemberID
	case m == nil:
		if len(g.members) >= g.c.cfg.MaxSize {
			return nil, known, kerr.GroupMaxSizeReached
		}
		m = &consumer{id: r.MemberID, assigned: partitionSet{}, revoking: partitionSet{}}
		if r.Instance != nil {
			m.instance = *r.Instance
			g.static[m.instance] = m.id
		}
		g.members[m.id] = m
		return m, newcomer, nil
	case r.Epoch == epochJoin:
		if m.previous != epochJoin || len(m.revoking) > 0 {
			// It was fenced and has given up everything.
			g.release(m)
			m.epoch, m.previous, m.state = 0, 0, reconciled
			as = returned
		}
		if m.away {
			m.away, as = false, returned
		}
	case r.Epoch > m.epoch:
		return nil, known, fmt.Errorf("%w: epoch %d, current is %d", kerr.FencedMemberEpoch, r.Epoch, m.epoch)
	case r.Epoch < m.epoch:
		// The answer that raised the epoch was lost, if it still owns no more than
		// it was given.
		if r.Epoch != m.previous || !ownsOnly(r.Owned, m.assigned) {
			return nil, known, fmt.Errorf("%w: epoch %d, current is %d", kerr.FencedMemberEpoch, r.Epoch, m.epoch)
		}
	}
	return m, as, nil
}

func ownsOnly(owned Partitions, assigned partitionSet) bool {
	for tp := range owned.set() {
		if _, ok := assigned[tp]; !ok {
			return false
		}
	}
	return owned != nil
}

// replace lets a static member that comes back under a new id go on with the
// assignment of its former self, which must have left.
func (g *consumerGroup) replace(old *consumer, r HeartbeatRequest) (*consumer, admission, error) {
	switch {
	case r.Epoch != epochJoin:
		return nil, known, kerr.FencedInstanceID
	case !old.away && old.classic == nil:
		return nil, known, fmt.Errorf("%w: %s", kerr.UnreleasedInstanceID, *r.Instance)
	}
	return g.succeed(old, r.MemberID), returned, nil
}

// succeed lets a member with a new id take the place of a static one.
func (g *consumerGroup) succeed(old *consumer, id string) *consumer {
	m := *old
	old.stopTimers()
	m.id, m.away, m.timer, m.revokeBy, m.classic = id, false, nil, nil, nil
	m.previous = epochJoin
	delete(g.members, old.id)
	g.members[m.id], g.static[m.instance] = &m, m.id
	g.target[m.id] = g.target[old.id]
	delete(g.target, old.id)
	for tp, owner := range g.owners {
		if owner == old.id {
			g.owners[tp] = m.id
		}
	}
	return &m
}

// update takes over what a heartbeat says of its member and reports whether the
// assignment may depend on it.
func (g *consumerGroup) update(m *consumer, r HeartbeatRequest) (changed bool) {
	set := func(field *string, v *string, matters bool) {
		if v != nil && *v != *field {
			*field = *v
			changed = changed || matters
		}
	}
	set(&m.rack, r.Rack, false)
	set(&m.assignor, r.Assignor, true)
	old := m.regex
	set(&m.regex, r.Regex, true)
	if m.clientID != r.ClientID || m.clientHost != r.ClientHost {
		m.clientID, m.clientHost = r.ClientID, r.ClientHost
	}
	if r.RebalanceTimeout >= 0 {
		m.rebalanceTimeout = r.RebalanceTimeout
	}
	if r.Subscribed != nil {
		names := slices.Compact(slices.Sorted(slices.Values(r.Subscribed)))
		if !slices.Equal(names, m.subscribed) {
			m.subscribed, changed = names, true
		}
	}
	version := g.c.cfg.Topics.Version()
	switch {
	case m.regex == "":
		m.matched = nil
	case m.regex != old || m.matchedAt != version:
		m.matchedAt = version
		changed = m.match(g.c.cfg.Topics.Names(), r.Visible) || changed
	}
	return changed
}

// match finds the topics of the member's regular expression.
func (m *consumer) match(names []string, visible func(string) bool) (changed bool) {
	re, err := regexp.Compile("^(?:" + m.regex + ")$")
	if err != nil {
		return false // compiled when it came
	}
	var matched []string
	for _, name := range names {
		if re.MatchString(name) && (visible == nil || visible(name)) {
			matched = append(matched, name)
		}
	}
	changed = !slices.Equal(matched, m.matched)
	m.matched = matched
	return changed
}

// refresh looks the subscribed topics up again when topics have come or gone, and
// reports whether that matters to the group.
func (g *consumerGroup) refresh() (changed bool) {
	version := g.c.cfg.Topics.Version()
	if version == g.seen {
		return false
	}
	topics := g.lookup()
	g.seen = version
	if maps.Equal(topics, g.topics) {
		return false
	}
	g.topics = topics
	return true
}

// lookup returns the topics that members subscribe to.
func (g *consumerGroup) lookup() map[wal.TopicID]subscribedTopic {
	topics := map[wal.TopicID]subscribedTopic{}
	for _, m := range g.members {
		for _, name := range m.wants() {
			if id, n, ok := g.c.cfg.Topics.Lookup(name); ok {
				topics[id] = subscribedTopic{name, n}
			}
		}
	}
	return topics
}

// wants returns the names of all topics that the member subscribes to.
func (m *consumer) wants() []string {
	if len(m.matched) == 0 {
		return m.subscribed
	}
	return slices.Concat(m.subscribed, m.matched)
}

// compute makes the target assignment for the group's epoch.
func (g *consumerGroup) compute() {
	g.topics, g.seen = g.lookup(), g.c.cfg.Topics.Version()
	byName := map[string]wal.TopicID{}
	for id, t := range g.topics {
		byName[t.name] = id
	}
	votes := map[string]int{}
	members := make([]subscriber, 0, len(g.members))
	for _, m := range g.members {
		s := subscriber{id: m.id, rank: m.id, topics: map[wal.TopicID]int32{}, now: g.target[m.id]}
		if m.instance != "" {
			s.rank = m.instance
		}
		for _, name := range m.wants() {
			if id, ok := byName[name]; ok {
				s.topics[id] = g.topics[id].partitions
			}
		}
		votes[m.assignor]++
		members = append(members, s)
	}
	g.assignor = assignors[0].name
	for _, a := range assignors {
		if votes[a.name] > votes[g.assignor] {
			g.assignor = a.name
		}
	}
	g.target, g.computed = findAssignor(g.assignor)(members), g.epoch
}

// leave takes a member out, for good or, with its instance id, for a while.
func (g *consumerGroup) leave(r HeartbeatRequest) error {
	id := r.MemberID
	if r.Instance != nil {
		known, ok := g.static[*r.Instance]
		if !ok {
			return kerr.UnknownMemberID
		}
		if known != id {
			return kerr.FencedInstanceID
		}
	}
	m := g.members[id]
	if m == nil {
		return kerr.UnknownMemberID
	}
	if r.Epoch == epochLeaveStatic {
		m.away = true // its session goes on, its partitions wait for it
		return nil
	}
	g.remove(m)
	return nil
}

// remove takes a member out and lets the others have its partitions.
func (g *consumerGroup) remove(m *consumer) {
	m.stopTimers()
	g.release(m)
	delete(g.members, m.id)
	delete(g.target, m.id)
	if m.instance != "" && g.static[m.instance] == m.id {
		delete(g.static, m.instance)
	}
	g.epoch++
	g.compute()
	if len(g.members) == 0 {
		g.empty = g.c.cfg.Clock.Now()
	}
}

// release frees everything that a member holds.
func (g *consumerGroup) release(m *consumer) {
	for tp, owner := range g.owners {
		if owner == m.id {
			delete(g.owners, tp)
		}
	}
	m.assigned, m.revoking = partitionSet{}, partitionSet{}
}

func (m *consumer) stopTimers() {
	for _, t := range []*time.Timer{m.timer, m.revokeBy} {
		if t != nil {
			t.Stop()
		}
	}
	m.timer, m.revokeBy = nil, nil
	m.stopJoinTimer()
}

// durably answers when all changes of the group so far are durable.
func (g *consumerGroup) durably(resp HeartbeatResponse, changed bool, reply func(HeartbeatResponse)) {
	g.persisted(changed, func(err error) {
		if err != nil {
			resp = HeartbeatResponse{Err: kerr.CoordinatorNotAvailable, MemberID: resp.MemberID, Epoch: resp.Epoch}
		}
		reply(resp)
	})
}

// persisted calls done when all changes of the group so far are durable; changed
// says that there is a new one.
func (g *consumerGroup) persisted(changed bool, done func(error)) {
	if !changed && g.unsynced.Load() == 0 {
		done(nil)
		return
	}
	g.unsynced.Add(1)
	g.c.cfg.Persist(g.name, g.encode(), func(err error) {
		g.unsynced.Add(-1)
		done(err)
	})
}
