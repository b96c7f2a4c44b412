package group

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wal"
)

// Description is what ListGroups and DescribeGroups tell.
type Description struct {
	Name string
	// Type is classic or consumer; State is Kafka's name.
	Type, State  string
	ProtocolType string
	Protocol     string
	Members      []MemberDescription
}

// MemberDescription is what DescribeGroups tells about a member.
type MemberDescription struct {
	ID, Instance, ClientID, ClientHost string
	Metadata, Assignment               []byte
}

// Describe returns a classic group; ok is false when it has never had members.
func (c *Coordinator) Describe(name string) (d Description, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[name]
	if g == nil {
		return Description{}, false
	}
	d = Description{Name: name, Type: "classic", State: g.state.String(), ProtocolType: g.protocolType}
	for _, m := range g.ordered() {
		d.Members = append(d.Members, MemberDescription{m.id, m.instance, m.clientID, m.clientHost, nil, m.assignment})
	}
	if g.state != Stable {
		return d, true // the protocol is being chosen, or its assignment made
	}
	d.Protocol = g.protocol
	for i, m := range g.ordered() {
		d.Members[i].Metadata = m.metadata(g.protocol)
	}
	return d, true
}

// List returns all groups in name order, without members.
func (c *Coordinator) List() []Description {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Description
	for name, g := range c.groups {
		all = append(all, Description{Name: name, Type: "classic", State: g.state.String(), ProtocolType: g.protocolType})
	}
	for name, g := range c.consumers {
		all = append(all, Description{Name: name, Type: "consumer", State: g.state(), ProtocolType: "consumer"})
	}
	slices.SortFunc(all, func(a, b Description) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Forget drops a group without members; NonEmptyGroup when it has some. One that
// was only given its id is none yet.
func (c *Coordinator) Forget(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.consumers[name]; g != nil {
		if len(g.members) > 0 {
			return kerr.NonEmptyGroup
		}
		delete(c.consumers, name)
		return nil
	}
	g := c.groups[name]
	if g == nil {
		return nil
	}
	if len(g.members) > 0 || g.state != Empty {
		return kerr.NonEmptyGroup
	}
	g.end(nil)
	delete(c.groups, name)
	return nil
}

// Expire forgets every group without members, and its durable state, but for those
// that keep names. keep is called with the coordinator's lock held.
func (c *Coordinator) Expire(keep func(name string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	gone := func(name string) { c.cfg.Persist(name, nil, func(error) {}) } // one that stays is looked at after the next start
	for name, g := range c.groups {
		if g.state == Empty && len(g.members) == 0 && len(g.pending) == 0 && !keep(name) {
			g.end(nil)
			delete(c.groups, name)
			gone(name)
		}
	}
	for name, g := range c.consumers {
		if len(g.members) == 0 && !keep(name) {
			delete(c.consumers, name)
			gone(name)
		}
	}
}

// stateVersion is the version of a group's durable state:
//
//	version | generation | protocol type | protocol | leader | members
//
// and a member is id, instance, client id, host, session timeout (ms),
// rebalance timeout (ms), order, assignment, protocols (name, metadata).
const stateVersion = 1

// persist makes the group's state durable and calls done.
func (g *group) persist(done func(error)) {
	var e wal.Encoder
	e.Uint(stateVersion)
	e.Int(int64(g.generation))
	e.String(g.protocolType)
	e.String(g.protocol)
	e.String(g.leader)
	e.Uint(uint64(len(g.members)))
	for _, m := range g.ordered() {
		e.String(m.id)
		e.String(m.instance)
		e.String(m.clientID)
		e.String(m.clientHost)
		e.Int(m.sessionTimeout.Milliseconds())
		e.Int(m.rebalanceTimeout.Milliseconds())
		e.Int(int64(m.order))
		e.Bytes(m.assignment)
		encodeProtocols(&e, m.protocols)
	}
	g.c.cfg.Persist(g.name, e.Buf, done)
}

func encodeProtocols(e *wal.Encoder, protocols []Protocol) {
	e.Uint(uint64(len(protocols)))
	for _, p := range protocols {
		e.String(p.Name)
		e.Bytes(p.Metadata)
	}
}

func decodeProtocols(d *wal.Decoder) (protocols []Protocol) {
	for range d.Count() {
		protocols = append(protocols, Protocol{d.String(), slices.Clone(d.Bytes())})
	}
	return protocols
}

// Restore brings back a group from its durable state, with sessions begun anew.
func (c *Coordinator) Restore(name string, state []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := wal.Decoder{Buf: state}
	switch version := d.Uint(); version {
	case stateVersion:
	case consumerStateVersion, mixedStateVersion:
		return c.restoreConsumer(name, version, &d)
	default:
		return wal.ErrVersion
	}
	g := c.newGroup(name)
	g.generation = int32(d.Int())
	g.protocolType, g.protocol, g.leader = d.String(), d.String(), d.String()
	for range d.Count() {
		m := &member{id: d.String(), instance: d.String(), clientID: d.String(), clientHost: d.String()}
		m.sessionTimeout = time.Duration(d.Int()) * time.Millisecond
		m.rebalanceTimeout = time.Duration(d.Int()) * time.Millisecond
		m.order = int(d.Int())
		m.assignment = slices.Clone(d.Bytes())
		m.protocols = decodeProtocols(&d)
		g.members[m.id] = m
		if m.instance != "" {
			g.static[m.instance] = m.id
		}
	}
	if d.Err != nil {
		return d.Err
	}
	if len(g.members) > 0 {
		g.state = Stable
	}
	c.groups[name] = g
	for _, m := range g.members {
		g.touch(m)
	}
	return nil
}

// Known reports whether a group of either protocol is known.
func (c *Coordinator) Known(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.groups[name] != nil || c.consumers[name] != nil
}

// NeedsEpoch reports whether a group is one of KIP-848 and the member speaks its
// protocol: it has an epoch, which older requests cannot name.
func (c *Coordinator) NeedsEpoch(name, memberID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.consumers[name]
	if g == nil {
		return false
	}
	m := g.members[memberID]
	return m == nil || m.classic == nil
}

// EmptySince returns since when a group has no members, the zero time when it
// never had any; a restart counts anew. members says that it has some.
func (c *Coordinator) EmptySince(name string) (since time.Time, members bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.consumers[name]; g != nil {
		return g.empty, len(g.members) > 0
	}
	if g := c.groups[name]; g != nil {
		return g.empty, len(g.members) > 0 || len(g.pending) > 0
	}
	return time.Time{}, false
}

// Subscribes reports whether a member of a group asked for a topic: NonEmptyGroup
// when it has members of which that cannot be known.
func (c *Coordinator) Subscribes(name, topic string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.consumers[name]; g != nil {
		return g.subscribes(topic), nil
	}
	g := c.groups[name]
	if g == nil || len(g.members) == 0 {
		return false, nil
	}
	if g.protocolType != "consumer" {
		return false, kerr.NonEmptyGroup
	}
	for _, m := range g.members {
		var meta kmsg.ConsumerMemberMetadata
		if meta.ReadFrom(m.metadata(g.protocol)) != nil || slices.Contains(meta.Topics, topic) {
			return true, nil // what cannot be read may name any topic
		}
	}
	return false, nil
}
