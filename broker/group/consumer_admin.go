package group

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/wal"
)

// ConsumerDescription is what ConsumerGroupDescribe tells.
type ConsumerDescription struct {
	State           string
	Epoch, Computed int32
	Assignor        string
	Members         []ConsumerMember
}

// ConsumerMember is what ConsumerGroupDescribe tells about a member.
type ConsumerMember struct {
	ID, Instance, Rack   string
	Epoch                int32
	ClientID, ClientHost string
	Subscribed           []string
	Regex                string
	Assigned, Target     Partitions
	// Classic: the member speaks the classic protocol.
	Classic bool
}

// DescribeConsumer returns a group of KIP-848.
func (c *Coordinator) DescribeConsumer(name string) (d ConsumerDescription, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.consumers[name]
	if g == nil {
		return d, false
	}
	d = ConsumerDescription{State: g.state(), Epoch: g.epoch, Computed: g.computed, Assignor: g.assignor}
	for _, m := range g.ordered() {
		d.Members = append(d.Members, ConsumerMember{
			ID: m.id, Instance: m.instance, Rack: m.rack, Epoch: m.epoch, ClientID: m.clientID, ClientHost: m.clientHost,
			Subscribed: slices.Clone(m.subscribed), Regex: m.regex, Assigned: m.assigned.wire(), Target: g.target[m.id].wire(),
			Classic: m.classic != nil,
		})
	}
	return d, true
}

// state returns Kafka's name of the group's state.
func (g *consumerGroup) state() string {
	switch {
	case len(g.members) == 0:
		return "Empty"
	case g.epoch > g.computed:
		return "Assigning"
	}
	for _, m := range g.members {
		if m.state != reconciled || m.epoch != g.computed {
			return "Reconciling"
		}
	}
	return "Stable"
}

func (g *consumerGroup) ordered() []*consumer {
	all := make([]*consumer, 0, len(g.members))
	for _, m := range g.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *consumer) int { return cmp.Compare(a.id, b.id) })
	return all
}

// subscribes reports whether a member asked for a topic.
func (g *consumerGroup) subscribes(topic string) bool {
	for _, m := range g.members {
		if slices.Contains(m.subscribed, topic) || slices.Contains(m.matched, topic) {
			return true
		}
	}
	return false
}

// checkMember verifies the member and epoch that a request of a consumer names;
// none at all is right while the group has no members.
func (g *consumerGroup) checkMember(memberID, instance string, epoch int32) error {
	if epoch < 0 && memberID == "" {
		if len(g.members) > 0 {
			return kerr.UnknownMemberID
		}
		return nil
	}
	m := g.members[memberID]
	switch {
	case m == nil || m.away:
		return kerr.UnknownMemberID
	case instance != "" && m.instance != instance:
		return kerr.FencedInstanceID
	case m.epoch != epoch && m.classic != nil:
		return kerr.IllegalGeneration
	case m.epoch != epoch:
		return kerr.StaleMemberEpoch
	case m.classic != nil:
		g.touch(m)
	}
	return nil
}

// CheckFetch decides whether offsets may be fetched by a member of a group; a
// request that names none (no id, a negative epoch) may always.
func (c *Coordinator) CheckFetch(name, memberID string, epoch int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.consumers[name]
	if g == nil || memberID == "" && epoch < 0 {
		return nil
	}
	return g.checkMember(memberID, "", epoch)
}

// consumerStateVersion is the version of the durable state of a group of
// KIP-848; it takes the place of stateVersion:
//
//	version | epoch | computed | assignor | topics | members
//
// A topic is id, name and partition count, as the target was computed with; a
// member is id, instance, rack, client id, host, subscribed, regex,
// matched, assignor, rebalance timeout (ms), epoch, previous, state, away,
// assigned, revoking, target. A set of partitions is a count of topics and, for
// each, its id, a count and the partitions. In mixedStateVersion, of groups with
// classic members, whether it is one follows each member, and for one session
// timeout (ms) and protocols.
const (
	consumerStateVersion = 2
	mixedStateVersion    = 3
)

func (g *consumerGroup) encode() []byte {
	var e wal.Encoder
	version := uint64(consumerStateVersion)
	for _, m := range g.members {
		if m.classic != nil {
			version = mixedStateVersion
		}
	}
	e.Uint(version)
	e.Int(int64(g.epoch))
	e.Int(int64(g.computed))
	e.String(g.assignor)
	e.Uint(uint64(len(g.topics)))
	for id, t := range g.topics {
		e.ID(id)
		e.String(t.name)
		e.Int(int64(t.partitions))
	}
	e.Uint(uint64(len(g.members)))
	for _, m := range g.ordered() {
		for _, s := range []string{m.id, m.instance, m.rack, m.clientID, m.clientHost} {
			e.String(s)
		}
		encodeNames(&e, m.subscribed)
		e.String(m.regex)
		encodeNames(&e, m.matched)
		e.String(m.assignor)
		e.Int(m.rebalanceTimeout.Milliseconds())
		e.Int(int64(m.epoch))
		e.Int(int64(m.previous))
		e.Uint(uint64(m.state))
		e.Bool(m.away)
		for _, s := range []partitionSet{m.assigned, m.revoking, g.target[m.id]} {
			encodePartitions(&e, s)
		}
		if version == mixedStateVersion {
			encodeClassic(&e, m.classic)
		}
	}
	return e.Buf
}

func encodeNames(e *wal.Encoder, names []string) {
	e.Uint(uint64(len(names)))
	for _, n := range names {
		e.String(n)
	}
}

func decodeNames(d *wal.Decoder) (names []string) {
	for range d.Count() {
		names = append(names, d.String())
	}
	return names
}

func encodePartitions(e *wal.Encoder, s partitionSet) {
	wire := s.wire()
	e.Uint(uint64(len(wire)))
	var last wal.TopicID
	for _, tp := range s.ordered() {
		if list := wire[tp.topic]; list != nil && tp.topic != last {
			last = tp.topic
			e.ID(tp.topic)
			e.Uint(uint64(len(list)))
			for _, p := range list {
				e.Int(int64(p))
			}
		}
	}
}

func decodePartitions(d *wal.Decoder) partitionSet {
	s := partitionSet{}
	for range d.Count() {
		topic := d.ID()
		for range d.Count() {
			s[topicPartition{topic, int32(d.Int())}] = struct{}{}
		}
	}
	return s
}

// restoreConsumer brings back a group of KIP-848, with sessions begun anew. d is
// behind the version. The caller holds mu.
func (c *Coordinator) restoreConsumer(name string, version uint64, d *wal.Decoder) error {
	g := c.newConsumerGroup(name)
	g.epoch, g.computed, g.assignor = int32(d.Int()), int32(d.Int()), d.String()
	for range d.Count() {
		id := d.ID()
		g.topics[id] = subscribedTopic{d.String(), int32(d.Int())}
	}
	for range d.Count() {
		m := &consumer{id: d.String(), instance: d.String(), rack: d.String(), clientID: d.String(), clientHost: d.String()}
		m.subscribed, m.regex, m.matched, m.assignor = decodeNames(d), d.String(), decodeNames(d), d.String()
		m.rebalanceTimeout = time.Duration(d.Int()) * time.Millisecond
		m.epoch, m.previous, m.state, m.away = int32(d.Int()), int32(d.Int()), consumerState(d.Uint()), d.Bool()
		assigned, revoking := decodePartitions(d), decodePartitions(d)
		g.target[m.id] = decodePartitions(d)
		if version == mixedStateVersion {
			m.classic = decodeClassic(d)
		}
		g.members[m.id] = m
		if m.instance != "" {
			g.static[m.instance] = m.id
		}
		g.hold(m, assigned, revoking)
	}
	if d.Err != nil {
		return d.Err
	}
	c.consumers[name] = g
	for _, m := range g.members {
		g.touch(m)
		if m.state == unrevoked {
			g.watchRevocation(m)
		}
	}
	g.downgrade()
	return nil
}
