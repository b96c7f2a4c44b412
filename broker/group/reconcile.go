package group

import "time"

// reconcile brings a member one step towards its target assignment. owned is what
// the member says it has, nil when it does not say. It reports whether the
// member's epoch or assignment changed. The steps are those of KIP-848,
// "Assignment Process".
func (g *consumerGroup) reconcile(m *consumer, owned Partitions) bool {
	switch {
	case m.state == reconciled && m.epoch == g.computed:
		return false
	case m.state == unrevoked && (owned == nil || owned.set().intersects(m.revoking)):
		return false // still giving up
	}
	wasEpoch, was := m.epoch, m.assigned
	target := g.target[m.id]
	keep, give := partitionSet{}, partitionSet{}
	for tp := range m.assigned {
		if _, ok := target[tp]; ok {
			keep[tp] = struct{}{}
		} else {
			give[tp] = struct{}{}
		}
	}
	if len(give) > 0 && (owned == nil || owned.set().intersects(give)) {
		g.hold(m, keep, give)
		if m.state != unrevoked || m.revokeBy == nil {
			g.watchRevocation(m)
		}
		m.state = unrevoked
		return !equalSets(was, keep)
	}
	all, missing := partitionSet{}, false
	for tp := range keep {
		all[tp] = struct{}{}
	}
	g.hold(m, keep, partitionSet{}) // what it gave up is free now
	for tp := range target {
		if _, ok := keep[tp]; ok {
			continue
		}
		if owner, taken := g.owners[tp]; taken && owner != m.id {
			missing = true
		} else {
			all[tp] = struct{}{}
		}
	}
	g.hold(m, all, partitionSet{})
	if m.revokeBy != nil {
		m.revokeBy.Stop()
		m.revokeBy = nil
	}
	m.state = reconciled
	if missing {
		m.state = unreleased
	}
	if m.epoch != g.computed {
		m.previous, m.epoch = m.epoch, g.computed
	}
	return m.epoch != wasEpoch || !equalSets(was, all)
}

// hold makes a member the owner of what it has and what it has still to give up,
// and of nothing else.
func (g *consumerGroup) hold(m *consumer, assigned, revoking partitionSet) {
	for _, s := range []partitionSet{m.assigned, m.revoking} {
		for tp := range s {
			if g.owners[tp] == m.id {
				delete(g.owners, tp)
			}
		}
	}
	m.assigned, m.revoking = assigned, revoking
	for _, s := range []partitionSet{assigned, revoking} {
		for tp := range s {
			g.owners[tp] = m.id
		}
	}
}

func equalSets(a, b partitionSet) bool {
	if len(a) != len(b) {
		return false
	}
	for tp := range a {
		if _, ok := b[tp]; !ok {
			return false
		}
	}
	return true
}

// touch starts a member's session anew.
func (g *consumerGroup) touch(m *consumer) {
	timeout := g.c.cfg.SessionTimeout
	if m.classic != nil {
		timeout = m.classic.sessionTimeout
	}
	m.deadline = g.c.cfg.Clock.Now().Add(timeout)
	if m.timer == nil {
		g.watchSession(m, timeout)
	}
}

// watchSession expels a member whose session has ended.
func (g *consumerGroup) watchSession(m *consumer, d time.Duration) {
	m.timer = g.c.after(d, func() {
		if g.members[m.id] != m {
			return
		}
		if left := m.deadline.Sub(g.c.cfg.Clock.Now()); left > 0 {
			g.watchSession(m, left)
			return
		}
		g.expel(m)
	})
}

// watchRevocation expels a member that does not give up in time.
func (g *consumerGroup) watchRevocation(m *consumer) {
	m.revokeBy = g.c.after(m.rebalanceTimeout, func() {
		if g.members[m.id] == m && m.state == unrevoked {
			g.expel(m)
		}
	})
}

func (g *consumerGroup) expel(m *consumer) {
	g.remove(m)
	g.durably(HeartbeatResponse{}, true, func(HeartbeatResponse) {})
	g.downgrade()
}
