package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wal"
)

// A group of KIP-848 may have members that speak the classic protocol, so that
// consumers move to the new one, or back, one after the other. Such a member is
// assigned its partitions like the others; the classic requests do what
// heartbeats do for them (KIP-848, "Consumer Group Migration"):
//
//	JoinGroup    subscription and owned partitions; one step of reconcile
//	SyncGroup    tells the assignment that step has made
//	Heartbeat    REBALANCE_IN_PROGRESS when the member must join for its next step
//	LeaveGroup   takes it out
//
// The generation of a classic member is its epoch. None of them is the leader.

// classic is what a consumer that speaks the classic protocol has besides.
type classic struct {
	sessionTimeout time.Duration
	protocols      []Protocol
	joinBy         *time.Timer // expels a member that was told to join and does not
}

func (m *consumer) stopJoinTimer() {
	if m.classic != nil && m.classic.joinBy != nil {
		m.classic.joinBy.Stop()
		m.classic.joinBy = nil
	}
}

// subscription reads a classic member's metadata, which all its protocols have
// alike but for the user data.
func subscription(protocols []Protocol) (kmsg.ConsumerMemberMetadata, error) {
	meta := kmsg.NewConsumerMemberMetadata()
	if len(protocols) == 0 {
		return meta, kerr.InconsistentGroupProtocol
	}
	if err := meta.ReadFrom(protocols[0].Metadata); err != nil {
		return meta, fmt.Errorf("%w: the subscription cannot be read: %w", kerr.InconsistentGroupProtocol, err)
	}
	return meta, nil
}

// joinClassic is Join for a group of KIP-848.
func (g *consumerGroup) joinClassic(r JoinRequest, reply func(JoinResponse)) error {
	if r.ProtocolType != "consumer" || !g.sharesProtocol(r) {
		return kerr.InconsistentGroupProtocol
	}
	meta, err := subscription(r.Protocols)
	if err != nil {
		return err
	}
	if r.MemberID == "" && r.Instance == "" && r.RequireKnownID {
		reply(JoinResponse{Err: kerr.MemberIDRequired, MemberID: newMemberID(r.ClientID), Generation: -1})
		return nil
	}
	m, as, err := g.admitClassic(r)
	if err != nil {
		return err
	}
	matters := g.updateClassic(m, r, meta.Topics)
	changed := as != known
	if g.refresh() || matters || as == newcomer {
		g.epoch++
		changed = true
	}
	if g.epoch > g.computed {
		g.compute()
		changed = true
	}
	moved := g.reconcile(m, g.named(meta.OwnedPartitions))
	g.touch(m)
	resp := JoinResponse{Generation: m.epoch, ProtocolType: "consumer", Protocol: r.Protocols[0].Name, MemberID: m.id}
	g.persisted(changed || moved, func(err error) {
		if err != nil {
			resp = JoinResponse{Err: kerr.CoordinatorNotAvailable, MemberID: resp.MemberID, Generation: -1}
		}
		reply(resp)
	})
	return nil
}

// sharesProtocol reports whether all classic members know a protocol in common
// with one that joins: when they are among themselves again they need it.
func (g *consumerGroup) sharesProtocol(r JoinRequest) bool {
	return slices.ContainsFunc(r.Protocols, func(p Protocol) bool {
		for _, m := range g.members {
			if m.classic != nil && m.id != r.MemberID && !slices.ContainsFunc(m.classic.protocols, func(o Protocol) bool { return o.Name == p.Name }) {
				return false
			}
		}
		return true
	})
}

// admitClassic finds the member of a JoinGroup, or lets it in.
func (g *consumerGroup) admitClassic(r JoinRequest) (*consumer, admission, error) {
	if r.Instance != "" {
		if id, ok := g.static[r.Instance]; ok && id != r.MemberID {
			if r.MemberID != "" {
				return nil, known, kerr.FencedInstanceID
			}
			old := g.members[id]
			if old.classic == nil && !old.away {
				return nil, known, fmt.Errorf("%w: %s", kerr.UnreleasedInstanceID, r.Instance)
			}
			return g.succeed(old, newMemberID(r.Instance)), returned, nil
		}
	}
	if m := g.members[r.MemberID]; m != nil {
		if m.classic == nil {
			return nil, known, kerr.InconsistentGroupProtocol
		}
		return m, known, nil
	}
	if len(g.members) >= g.c.cfg.MaxSize {
		return nil, known, kerr.GroupMaxSizeReached
	}
	id := r.MemberID
	switch {
	case id != "":
	case r.Instance != "":
		id = newMemberID(r.Instance)
	default:
		id = newMemberID(r.ClientID)
	}
	m := &consumer{id: id, instance: r.Instance, assigned: partitionSet{}, revoking: partitionSet{}}
	g.members[id] = m
	if m.instance != "" {
		g.static[m.instance] = id
	}
	return m, newcomer, nil
}

// updateClassic takes over what a JoinGroup says of its member and reports whether
// the assignment may depend on it.
func (g *consumerGroup) updateClassic(m *consumer, r JoinRequest, topics []string) (changed bool) {
	m.stopJoinTimer()
	m.classic = &classic{sessionTimeout: r.SessionTimeout, protocols: r.Protocols}
	m.clientID, m.clientHost, m.rebalanceTimeout = r.ClientID, r.ClientHost, r.RebalanceTimeout
	m.regex, m.matched, m.assignor = "", nil, ""
	names := slices.Compact(slices.Sorted(slices.Values(topics)))
	changed = !slices.Equal(names, m.subscribed)
	m.subscribed = names
	return changed
}

// named returns partitions by topic id; those of topics that do not exist are left
// out. It is never nil: a member that joins says what it has.
func (g *consumerGroup) named(owned []kmsg.ConsumerMemberMetadataOwnedPartition) Partitions {
	p := Partitions{}
	for _, t := range owned {
		if id, _, ok := g.c.cfg.Topics.Lookup(t.Topic); ok {
			p[id] = t.Partitions
		}
	}
	return p
}

// syncClassic is Sync for a group of KIP-848.
func (g *consumerGroup) syncClassic(r SyncRequest, reply func(SyncResponse)) error {
	m, err := g.identifyClassic(r.MemberID, r.Instance, r.Generation)
	if err != nil {
		return err
	}
	if r.ProtocolType != "" && r.ProtocolType != "consumer" ||
		r.Protocol != "" && !slices.ContainsFunc(m.classic.protocols, func(p Protocol) bool { return p.Name == r.Protocol }) {
		return kerr.InconsistentGroupProtocol
	}
	g.touch(m)
	if m.epoch < g.epoch && m.state != unrevoked {
		g.watchJoin(m)
		return kerr.RebalanceInProgress
	}
	reply(SyncResponse{ProtocolType: "consumer", Protocol: m.classic.protocols[0].Name, Assignment: wireAssignment(m.assigned, g.topicNames())})
	return nil
}

// held returns what a member may still have.
func (m *consumer) held() partitionSet {
	all := maps.Clone(m.assigned)
	maps.Copy(all, m.revoking)
	return all
}

// topicNames returns the names of the topics that members subscribe to.
func (g *consumerGroup) topicNames() map[wal.TopicID]string {
	names := map[wal.TopicID]string{}
	for id, t := range g.topics {
		names[id] = t.name
	}
	return names
}

// wireAssignment encodes partitions as classic members know them.
func wireAssignment(set partitionSet, names map[wal.TopicID]string) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	for id, partitions := range set.wire() {
		if names[id] == "" {
			continue // the topic is gone
		}
		topic := kmsg.NewConsumerMemberAssignmentTopic()
		topic.Topic, topic.Partitions = names[id], partitions
		a.Topics = append(a.Topics, topic)
	}
	return a.AppendTo(nil)
}

// beatClassic is Heartbeat for a group of KIP-848.
func (g *consumerGroup) beatClassic(memberID, instance string, generation int32) error {
	m, err := g.identifyClassic(memberID, instance, generation)
	if err != nil {
		return err
	}
	g.touch(m)
	if m.epoch < g.epoch || m.state == unrevoked || m.state == unreleased && !g.waits(m) {
		g.watchJoin(m)
		return kerr.RebalanceInProgress
	}
	return nil
}

// waits reports whether others hold partitions that a member is to have.
func (g *consumerGroup) waits(m *consumer) bool {
	for tp := range g.target[m.id] {
		if owner, taken := g.owners[tp]; taken && owner != m.id {
			return true
		}
	}
	return false
}

// watchJoin expels a member that was told to join and does not in time.
func (g *consumerGroup) watchJoin(m *consumer) {
	if m.classic.joinBy != nil {
		return
	}
	c := m.classic
	c.joinBy = g.c.after(m.rebalanceTimeout, func() {
		if g.members[m.id] == m && m.classic == c {
			g.expel(m)
		}
	})
}

// identifyClassic returns the classic member that a request names.
func (g *consumerGroup) identifyClassic(memberID, instance string, generation int32) (*consumer, error) {
	memberID, err := holder(g.static, memberID, instance)
	if err != nil {
		return nil, err
	}
	m := g.members[memberID]
	switch {
	case m == nil || m.classic == nil:
		return nil, kerr.UnknownMemberID
	case m.epoch != generation:
		return nil, kerr.IllegalGeneration
	}
	return m, nil
}

// leaveClassic is Leave for a group of KIP-848: members of either protocol, as an
// administrator may ask for.
func (g *consumerGroup) leaveClassic(members []LeaveMember) []error {
	errs := make([]error, len(members))
	left := false
	for i, l := range members {
		id, err := holder(g.static, l.ID, l.Instance)
		if err != nil {
			errs[i] = err
			continue
		}
		m := g.members[id]
		if m == nil || m.classic == nil && l.ID != "" {
			errs[i] = kerr.UnknownMemberID
			continue
		}
		g.remove(m)
		left = true
	}
	if left {
		g.persisted(true, func(error) {}) // a fenced directory ends every group anyway
		g.downgrade()
	}
	return errs
}

func encodeClassic(e *wal.Encoder, c *classic) {
	e.Bool(c != nil)
	if c == nil {
		return
	}
	e.Int(c.sessionTimeout.Milliseconds())
	encodeProtocols(e, c.protocols)
}

func decodeClassic(d *wal.Decoder) *classic {
	if !d.Bool() {
		return nil
	}
	return &classic{sessionTimeout: time.Duration(d.Int()) * time.Millisecond, protocols: decodeProtocols(d)}
}
