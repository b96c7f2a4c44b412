package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wal"
)

// upgrade makes a classic group with members one of KIP-848, in which they go on
// with what they have. Those who wait for a rebalance are told to join again.
func (c *Coordinator) upgrade(old *group) (*consumerGroup, error) {
	refuse := func(why string) (*consumerGroup, error) {
		return nil, fmt.Errorf("%w: group %s has members of the classic protocol%s", kerr.InconsistentGroupProtocol, old.name, why)
	}
	if old.protocolType != "consumer" {
		return refuse(", of type " + old.protocolType)
	}
	g := c.newConsumerGroup(old.name)
	g.epoch = max(old.generation, 1)
	for _, m := range old.ordered() {
		meta, err := subscription(m.protocols)
		if err != nil {
			return refuse(" whose subscription cannot be read")
		}
		n := &consumer{
			id: m.id, instance: m.instance, clientID: m.clientID, clientHost: m.clientHost, rebalanceTimeout: m.rebalanceTimeout,
			epoch: g.epoch, previous: g.epoch, assigned: partitionSet{}, revoking: partitionSet{},
		}
		g.updateClassic(n, JoinRequest{ClientID: m.clientID, ClientHost: m.clientHost, Protocols: m.protocols,
			SessionTimeout: m.sessionTimeout, RebalanceTimeout: m.rebalanceTimeout}, meta.Topics)
		g.members[n.id] = n
		if n.instance != "" {
			g.static[n.instance] = n.id
		}
		has, err := g.assignedTo(m.assignment)
		if err != nil {
			return refuse(" whose assignment cannot be read")
		}
		g.hold(n, has, partitionSet{})
		g.target[n.id] = has
	}
	g.topics, g.seen, g.computed = g.lookup(), c.cfg.Topics.Version(), g.epoch
	old.end(kerr.RebalanceInProgress)
	delete(c.groups, old.name)
	c.consumers[old.name] = g
	for _, m := range g.members {
		g.touch(m)
	}
	return g, nil
}

// assignedTo reads a classic assignment. What another member has already, which no
// sound assignor does, is left out.
func (g *consumerGroup) assignedTo(assignment []byte) (partitionSet, error) {
	set := partitionSet{}
	if len(assignment) == 0 {
		return set, nil
	}
	a := kmsg.NewConsumerMemberAssignment()
	if err := a.ReadFrom(assignment); err != nil {
		return nil, err
	}
	for _, t := range a.Topics {
		id, _, ok := g.c.cfg.Topics.Lookup(t.Topic)
		if !ok {
			continue
		}
		for _, p := range t.Partitions {
			if _, taken := g.owners[topicPartition{id, p}]; !taken {
				set[topicPartition{id, p}] = struct{}{}
			}
		}
	}
	return set, nil
}

// end stops a group that another takes the place of, and answers who waits.
func (g *group) end(err error) {
	g.stopTimer()
	for _, t := range g.pending {
		t.Stop()
	}
	g.cancelSyncs(err)
	for _, m := range g.members {
		m.stopTimer()
		if m.join != nil {
			m.join(JoinResponse{Err: err, MemberID: m.id, Generation: -1})
			m.join = nil
		}
	}
}

// downgrade makes a group of KIP-848 whose members all speak the classic protocol
// a classic one, which begins with a rebalance. It does nothing to any other.
func (g *consumerGroup) downgrade() {
	for _, m := range g.members {
		if m.classic == nil {
			return
		}
	}
	if len(g.members) == 0 {
		return
	}
	old := g.c.newGroup(g.name)
	old.protocolType = "consumer"
	names := map[wal.TopicID]string{}
	for _, name := range g.c.cfg.Topics.Names() {
		if id, _, ok := g.c.cfg.Topics.Lookup(name); ok {
			names[id] = name
		}
	}
	for i, m := range g.ordered() {
		m.stopTimers()
		n := &member{
			id: m.id, instance: m.instance, clientID: m.clientID, clientHost: m.clientHost, protocols: m.classic.protocols,
			sessionTimeout: m.classic.sessionTimeout, rebalanceTimeout: m.rebalanceTimeout, assignment: wireAssignment(m.held(), names), order: i,
		}
		old.members[n.id] = n
		if n.instance != "" {
			old.static[n.instance] = n.id
		}
		// What it has still to give up is part of its assignment: nobody else may be
		// given that before it has joined. Members that were up to date are told to join, others that their
		// generation is over.
		old.generation = max(old.generation, m.epoch)
	}
	delete(g.c.consumers, g.name)
	g.c.groups[g.name] = old
	old.state, old.protocol = Stable, old.choose(old.ordered())
	for _, m := range old.members {
		old.touch(m)
	}
	old.rebalance()
}
