package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// JoinRequest is a JoinGroup request.
type JoinRequest struct {
	Group, MemberID, Instance        string
	ClientID, ClientHost             string
	ProtocolType                     string
	Protocols                        []Protocol
	SessionTimeout, RebalanceTimeout time.Duration
	// RequireKnownID: a member without an id is given one and must come again
	// (KIP-394, version 4 and higher).
	RequireKnownID bool
	// HasOffsets: the group is known for its offsets. Who is no member of it is told
	// so after what else is wrong with the request.
	HasOffsets bool
}

// JoinResponse is the answer to it. Members is set for the leader only.
type JoinResponse struct {
	Err          error
	Generation   int32
	ProtocolType string
	Protocol     string
	Leader       string
	MemberID     string
	// SkipAssignment: the leader came back with nothing changed and need not
	// assign again.
	SkipAssignment bool
	Members        []JoinMember
}

// JoinMember is what the leader learns about a member.
type JoinMember struct {
	ID, Instance string
	Metadata     []byte
}

// Join answers when the rebalance that the member takes part in has gathered
// everybody.
func (c *Coordinator) Join(r JoinRequest, reply func(JoinResponse)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.join(r, reply); err != nil {
		reply(JoinResponse{Err: err, MemberID: r.MemberID, Generation: -1})
	}
}

func (c *Coordinator) join(r JoinRequest, reply func(JoinResponse)) error {
	if r.SessionTimeout < sessionTimeoutMin || r.SessionTimeout > sessionTimeoutMax {
		return kerr.InvalidSessionTimeout
	}
	if c.closed {
		return kerr.CoordinatorNotAvailable
	}
	if r.MemberID != "" && c.groups[r.Group] == nil && c.consumers[r.Group] == nil && !r.HasOffsets {
		return kerr.UnknownMemberID
	}
	if r.ProtocolType == "" || len(r.Protocols) == 0 || len(r.Protocols) > protocolsMax {
		if r.MemberID == "" && c.consumers[r.Group] == nil {
			if _, err := c.getOrCreate(r.Group); err != nil { // as in Kafka it is known, Empty, until it expires
				return err
			}
		}
		return kerr.InconsistentGroupProtocol
	}
	if g := c.consumers[r.Group]; g != nil {
		if len(g.members) > 0 {
			return g.joinClassic(r, reply)
		}
		delete(c.consumers, r.Group) // the name is free for either protocol
	}
	if c.groups[r.Group] == nil && r.MemberID != "" {
		return kerr.UnknownMemberID
	}
	g, err := c.getOrCreate(r.Group)
	if err != nil {
		return err
	}
	if !g.supports(r) {
		return kerr.InconsistentGroupProtocol
	}
	if r.Instance != "" {
		if id, ok := g.static[r.Instance]; ok {
			if r.MemberID == "" {
				return g.replaceStatic(g.members[id], r, reply)
			}
			if id != r.MemberID {
				return kerr.FencedInstanceID
			}
		}
	}
	if m := g.members[r.MemberID]; m != nil && r.MemberID != "" {
		return g.rejoin(m, r, reply)
	}
	if timer, ok := g.pending[r.MemberID]; ok {
		timer.Stop()
		delete(g.pending, r.MemberID)
		return g.add(r, reply)
	}
	if r.MemberID != "" {
		return kerr.UnknownMemberID
	}
	if len(g.members)+len(g.pending) >= c.cfg.MaxSize {
		return kerr.GroupMaxSizeReached
	}
	r.MemberID = newMemberID(r.ClientID)
	if r.Instance != "" {
		r.MemberID = newMemberID(r.Instance)
	} else if r.RequireKnownID {
		id := r.MemberID
		g.pending[id] = c.after(r.SessionTimeout, func() {
			delete(g.pending, id)
			if g.state == PreparingRebalance {
				g.delayedOrComplete()
			}
		})
		reply(JoinResponse{Err: kerr.MemberIDRequired, MemberID: id, Generation: -1})
		return nil
	}
	return g.add(r, reply)
}

// supports reports whether a member can be part of the group: same protocol
// type, and a protocol that everybody knows. As in Kafka a member that joins again
// counts as who it was: even alone it keeps one of its protocols.
func (g *group) supports(r JoinRequest) bool {
	if len(g.members) == 0 {
		return true
	}
	if g.protocolType != r.ProtocolType {
		return false
	}
	return slices.ContainsFunc(r.Protocols, func(p Protocol) bool {
		for _, m := range g.members {
			if !m.knows(p.Name) {
				return false
			}
		}
		return true
	})
}

func (m *member) knows(protocol string) bool {
	return slices.ContainsFunc(m.protocols, func(p Protocol) bool { return p.Name == protocol })
}

func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

func (m *member) update(r JoinRequest) {
	m.clientID, m.clientHost = r.ClientID, r.ClientHost
	m.sessionTimeout, m.rebalanceTimeout = r.SessionTimeout, r.RebalanceTimeout
	m.protocols = r.Protocols
}

func sameProtocols(a, b []Protocol) bool {
	return slices.EqualFunc(a, b, func(x, y Protocol) bool { return x.Name == y.Name && bytes.Equal(x.Metadata, y.Metadata) })
}

// add makes a new member and rebalances.
func (g *group) add(r JoinRequest, reply func(JoinResponse)) error {
	m := &member{id: r.MemberID, instance: r.Instance, join: reply}
	for _, other := range g.members {
		m.order = max(m.order, other.order+1)
	}
	m.update(r)
	if len(g.members) == 0 {
		g.protocolType = r.ProtocolType
	}
	g.members[m.id] = m
	if m.instance != "" {
		g.static[m.instance] = m.id
	}
	g.joined = true
	g.touch(m)
	g.rebalance()
	return nil
}

// rejoin handles a JoinGroup of a member.
func (g *group) rejoin(m *member, r JoinRequest, reply func(JoinResponse)) error {
	changed := !sameProtocols(m.protocols, r.Protocols)
	if m.join != nil { // a retry: the older request's connection is gone
		m.join(JoinResponse{Err: kerr.RebalanceInProgress, MemberID: m.id, Generation: -1})
	}
	m.update(r)
	g.touch(m)
	switch {
	case g.state == CompletingRebalance && !changed:
		reply(g.joinResponse(m)) // its answer was lost
	case g.state == Stable && !changed && m.id != g.leader:
		reply(g.joinResponse(m))
	default:
		m.join = reply
		g.rebalance()
	}
	return nil
}

// replaceStatic lets a restarted static member take the place of its former
// self under a new id (KIP-345).
func (g *group) replaceStatic(old *member, r JoinRequest, reply func(JoinResponse)) error {
	if old.join != nil {
		old.join(JoinResponse{Err: kerr.FencedInstanceID, MemberID: old.id, Generation: -1})
	}
	if old.sync != nil {
		old.sync(SyncResponse{Err: kerr.FencedInstanceID})
	}
	old.stopTimer()
	delete(g.members, old.id)
	m := &member{id: newMemberID(r.Instance), instance: r.Instance, order: old.order, assignment: old.assignment}
	changed := !sameProtocols(old.protocols, r.Protocols)
	m.update(r)
	g.members[m.id], g.static[m.instance] = m, m.id
	wasLeader := g.leader == old.id
	if wasLeader {
		g.leader = m.id
	}
	g.touch(m)
	if g.state == Stable && !changed {
		resp := g.joinResponse(m)
		resp.SkipAssignment = wasLeader
		g.persist(func(err error) {
			if err != nil {
				resp = JoinResponse{Err: kerr.CoordinatorNotAvailable, MemberID: resp.MemberID, Generation: -1}
			}
			reply(resp)
		})
		return nil
	}
	m.join = reply
	g.rebalance()
	return nil
}

// rebalance begins or goes on with a rebalance.
func (g *group) rebalance() {
	if g.state != PreparingRebalance {
		g.cancelSyncs(kerr.RebalanceInProgress)
		if g.state == Empty {
			g.state = PreparingRebalance
			g.delayUntil = g.c.cfg.Clock.Now().Add(g.rebalanceTimeout())
			g.joined = false
			g.schedule(g.c.cfg.InitialDelay, g.delayed)
			return
		}
		g.state = PreparingRebalance
		g.schedule(g.rebalanceTimeout(), g.completeJoin)
	}
	g.delayedOrComplete()
}

// delayed ends the initial delay, or extends it when members came meanwhile.
func (g *group) delayed() {
	left := g.delayUntil.Sub(g.c.cfg.Clock.Now())
	if g.joined && left > 0 {
		g.joined = false
		g.schedule(min(left, g.c.cfg.InitialDelay), g.delayed)
		return
	}
	g.delayUntil = time.Time{}
	if !g.allJoined() {
		g.schedule(max(left, 0), g.completeJoin)
		return
	}
	g.completeJoin()
}

func (g *group) delayedOrComplete() {
	if g.delayUntil.IsZero() && g.allJoined() {
		g.completeJoin()
	}
}

func (g *group) allJoined() bool {
	for _, m := range g.members {
		if m.join == nil {
			return false
		}
	}
	return len(g.pending) == 0
}

func (g *group) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

func (g *group) cancelSyncs(err error) {
	for _, m := range g.members {
		if m.sync != nil {
			m.sync(SyncResponse{Err: err})
			m.sync = nil
			g.touch(m) // its session stood still while it waited
		}
	}
}

// completeJoin begins a generation with those that have joined.
func (g *group) completeJoin() {
	g.stopTimer()
	g.delayUntil = time.Time{}
	for _, m := range g.members {
		if m.join == nil && m.instance == "" {
			g.remove(m)
		}
	}
	g.generation++
	if len(g.members) == 0 {
		g.becomeEmpty()
		return
	}
	members := g.ordered()
	if lead := g.members[g.leader]; lead == nil || lead.join == nil {
		for _, m := range members {
			if m.join != nil {
				g.leader = m.id
				break
			}
		}
	}
	g.protocol = g.choose(members)
	g.state = CompletingRebalance
	for _, m := range members {
		if m.join == nil {
			continue // a static member that is away
		}
		m.join(g.joinResponse(m))
		m.join = nil
		g.touch(m)
	}
	g.schedule(g.rebalanceTimeout(), g.expelUnsynced)
}

// expelUnsynced removes members that did not sync in time.
func (g *group) expelUnsynced() {
	for _, m := range g.members {
		if m.sync == nil && m.instance == "" {
			g.remove(m)
		}
	}
	g.rebalanceAfterLeave()
}

// choose returns the protocol with most votes among those that all know: every
// member votes for the first such protocol of its list.
func (g *group) choose(members []*member) string {
	votes := map[string]int{}
	best := ""
	for _, m := range members {
		for _, p := range m.protocols {
			if !slices.ContainsFunc(members, func(o *member) bool { return !o.knows(p.Name) }) {
				votes[p.Name]++
				break
			}
		}
	}
	for _, p := range members[0].protocols {
		if votes[p.Name] > votes[best] {
			best = p.Name
		}
	}
	for name, n := range votes {
		if n > votes[best] {
			best = name
		}
	}
	return best
}

func (g *group) joinResponse(m *member) JoinResponse {
	r := JoinResponse{Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader, MemberID: m.id}
	if m.id == g.leader {
		for _, o := range g.ordered() {
			r.Members = append(r.Members, JoinMember{o.id, o.instance, o.metadata(g.protocol)})
		}
	}
	return r
}
