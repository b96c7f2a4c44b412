package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// SyncRequest is a SyncGroup request. Assignments is set by the leader.
type SyncRequest struct {
	Group, MemberID, Instance string
	Generation                int32
	// ProtocolType and Protocol are checked when they are not empty.
	ProtocolType, Protocol string
	Assignments            map[string][]byte
}

// SyncResponse is the answer to it.
type SyncResponse struct {
	Err                    error
	ProtocolType, Protocol string
	Assignment             []byte
}

// Sync answers when the leader has assigned and the assignment is durable.
func (c *Coordinator) Sync(r SyncRequest, reply func(SyncResponse)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sync(r, reply); err != nil {
		reply(SyncResponse{Err: err})
	}
}

func (c *Coordinator) sync(r SyncRequest, reply func(SyncResponse)) error {
	if g := c.consumers[r.Group]; g != nil && !c.closed {
		return g.syncClassic(r, reply)
	}
	g, m, err := c.member(r.Group, r.MemberID, r.Instance, r.Generation)
	if err != nil {
		return err
	}
	if r.ProtocolType != "" && r.ProtocolType != g.protocolType || r.Protocol != "" && r.Protocol != g.protocol {
		return kerr.InconsistentGroupProtocol
	}
	g.touch(m)
	switch g.state {
	case PreparingRebalance:
		return kerr.RebalanceInProgress
	case Stable:
		reply(g.syncResponse(m))
		return nil
	case Empty:
		return kerr.UnknownMemberID
	}
	if m.sync != nil {
		m.sync(SyncResponse{Err: kerr.RebalanceInProgress})
	}
	m.sync = reply
	if m.id == g.leader {
		g.assign(r.Assignments)
	}
	return nil
}

// assign makes the leader's assignment durable and answers everybody who waits.
func (g *group) assign(assignments map[string][]byte) {
	g.stopTimer()
	g.state = Stable
	type answer struct {
		reply func(SyncResponse)
		resp  SyncResponse
	}
	var answers []answer
	for _, m := range g.members {
		m.assignment = assignments[m.id]
		if m.sync != nil {
			answers = append(answers, answer{m.sync, g.syncResponse(m)})
			m.sync = nil
			g.touch(m)
		}
	}
	g.persist(func(err error) {
		for _, a := range answers {
			if err != nil {
				a.resp = SyncResponse{Err: kerr.CoordinatorNotAvailable}
			}
			a.reply(a.resp)
		}
	})
}

func (g *group) syncResponse(m *member) SyncResponse {
	return SyncResponse{ProtocolType: g.protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// member returns the group and member of a request of a generation.
func (c *Coordinator) member(name, memberID, instance string, generation int32) (*group, *member, error) {
	if name == "" {
		return nil, nil, kerr.InvalidGroupID
	}
	g := c.groups[name]
	if g == nil || c.closed {
		return nil, nil, kerr.UnknownMemberID
	}
	m, err := g.identify(memberID, instance)
	if err != nil {
		return nil, nil, err
	}
	if generation != g.generation {
		return nil, nil, kerr.IllegalGeneration
	}
	return g, m, nil
}

// Heartbeat keeps a member's session alive and tells it about a rebalance.
func (c *Coordinator) Heartbeat(name, memberID, instance string, generation int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.consumers[name]; g != nil && !c.closed {
		return g.beatClassic(memberID, instance, generation)
	}
	g, m, err := c.member(name, memberID, instance, generation)
	if err != nil {
		return err
	}
	g.touch(m)
	switch g.state {
	case PreparingRebalance:
		return kerr.RebalanceInProgress
	case Empty:
		return kerr.UnknownMemberID
	}
	return nil
}

// CheckCommit decides whether a member, or a consumer without group management
// (generation -1, no member id), may commit offsets of a group now.
func (c *Coordinator) CheckCommit(name, memberID, instance string, generation int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" {
		return kerr.InvalidGroupID
	}
	if g := c.consumers[name]; g != nil {
		return g.checkMember(memberID, instance, generation)
	}
	g := c.groups[name]
	switch {
	case generation < 0 && (g == nil || len(g.members) == 0):
		return nil // tools and consumers without a group; who says so is not asked
	case generation < 0 && memberID == "" && instance == "":
		return kerr.UnknownMemberID
	}
	if g == nil {
		return kerr.IllegalGeneration
	}
	m, err := g.identify(memberID, instance)
	if err != nil {
		return err
	}
	if generation != g.generation {
		return kerr.IllegalGeneration
	}
	if g.state == CompletingRebalance {
		return kerr.RebalanceInProgress
	}
	g.touch(m)
	return nil
}

// CheckTxnCommit is CheckCommit for offsets in a transaction (KIP-447): without
// a member, which older clients do not send, it says yes.
func (c *Coordinator) CheckTxnCommit(name, memberID, instance string, generation int32) error {
	if name != "" && generation < 0 && memberID == "" && instance == "" {
		return nil
	}
	err := c.CheckCommit(name, memberID, instance, generation)
	if err == kerr.StaleMemberEpoch {
		return kerr.IllegalGeneration // what clients know in a transaction
	}
	return err
}

// LeaveMember names a member that leaves, by id or by instance id.
type LeaveMember struct{ ID, Instance string }

// Leave removes members and returns an error for each.
func (c *Coordinator) Leave(name string, members []LeaveMember) ([]error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" {
		return nil, kerr.InvalidGroupID
	}
	if g := c.consumers[name]; g != nil && !c.closed {
		return g.leaveClassic(members), nil
	}
	errs := make([]error, len(members))
	g := c.groups[name]
	left := false
	for i, l := range members {
		if g == nil {
			errs[i] = kerr.UnknownMemberID
			continue
		}
		if timer, ok := g.pending[l.ID]; ok && l.Instance == "" {
			timer.Stop()
			delete(g.pending, l.ID)
			left = true
			continue
		}
		m, err := g.identify(l.ID, l.Instance)
		if err != nil {
			errs[i] = err
			continue
		}
		g.remove(m)
		left = true
	}
	if left {
		g.rebalanceAfterLeave()
	}
	return errs, nil
}

// remove takes a member out; the caller rebalances.
func (g *group) remove(m *member) {
	m.stopTimer()
	if m.join != nil {
		m.join(JoinResponse{Err: kerr.UnknownMemberID, MemberID: m.id, Generation: -1})
	}
	if m.sync != nil {
		m.sync(SyncResponse{Err: kerr.UnknownMemberID})
	}
	delete(g.members, m.id)
	if m.instance != "" && g.static[m.instance] == m.id {
		delete(g.static, m.instance)
	}
}

func (g *group) rebalanceAfterLeave() {
	switch {
	case len(g.members) == 0 && g.state == Empty:
	case len(g.members) == 0 && len(g.pending) == 0:
		g.generation++
		g.becomeEmpty()
	case g.state == PreparingRebalance:
		g.delayedOrComplete()
	case len(g.members) > 0:
		g.rebalance()
	default:
		g.generation++
		g.becomeEmpty()
	}
}

// becomeEmpty ends the last generation. The next one goes on counting.
func (g *group) becomeEmpty() {
	g.stopTimer()
	g.delayUntil = time.Time{}
	g.state, g.leader, g.protocol, g.empty = Empty, "", "", g.c.cfg.Clock.Now()
	g.persist(func(error) {}) // a fenced directory ends every group anyway
}
