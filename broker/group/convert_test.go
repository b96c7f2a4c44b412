package group

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicPeer is a member of the classic protocol as a client sees itself. An
// eager one gives up everything before it joins, a cooperative one what it is told
// to.
type classicPeer struct {
	id         string
	instance   string
	eager      bool
	subscribed []string
	generation int32
	owned      partitionSet
	rejoin     bool // at the next step
	joining    chan JoinResponse
	syncing    chan SyncResponse
}

func newClassicPeer(eager bool, subscribed []string) *classicPeer {
	return &classicPeer{eager: eager, subscribed: subscribed, generation: -1, owned: partitionSet{}, rejoin: true}
}

var topicNames = []string{"a", "b"}

func (p *classicPeer) metadata() []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, p.subscribed
	wire := p.owned.wire()
	for _, name := range topicNames {
		if list := wire[topicID(name)]; len(list) > 0 {
			o := kmsg.NewConsumerMemberMetadataOwnedPartition()
			o.Topic, o.Partitions = name, list
			m.OwnedPartitions = append(m.OwnedPartitions, o)
		}
	}
	return m.AppendTo(nil)
}

// step does what a client would do next.
func (p *classicPeer) step(c *Coordinator, topics *fakeTopics) {
	switch {
	case p.joining != nil:
		select {
		case j := <-p.joining:
			p.joining = nil
			p.joined(c, topics, j)
		default: // others have not joined
		}
	case p.syncing != nil:
		select {
		case s := <-p.syncing:
			p.syncing = nil
			p.synced(s)
		default:
		}
	case p.rejoin || p.generation < 0:
		p.join(c)
	default:
		p.failed(c.Heartbeat("g", p.id, p.instance, p.generation))
	}
}

func (p *classicPeer) join(c *Coordinator) {
	if p.eager {
		p.owned = partitionSet{}
	}
	p.rejoin, p.joining = false, make(chan JoinResponse, 1)
	answers := p.joining
	c.Join(JoinRequest{Group: "g", MemberID: p.id, Instance: p.instance, ClientID: "c", ProtocolType: "consumer", RequireKnownID: true,
		Protocols: []Protocol{{"p", p.metadata()}}, SessionTimeout: time.Hour / 2, RebalanceTimeout: time.Minute},
		func(j JoinResponse) { answers <- j })
}

func (p *classicPeer) joined(c *Coordinator, topics *fakeTopics, j JoinResponse) {
	if errors.Is(j.Err, kerr.MemberIDRequired) {
		p.id, p.rejoin = j.MemberID, true
		return
	}
	if p.failed(j.Err); j.Err != nil {
		return
	}
	p.id, p.generation, p.syncing = j.MemberID, j.Generation, make(chan SyncResponse, 1)
	r := SyncRequest{Group: "g", MemberID: p.id, Instance: p.instance, Generation: p.generation}
	if j.Leader == p.id {
		r.Assignments = assignSticky(topics, j.Members)
	}
	answers := p.syncing
	c.Sync(r, func(s SyncResponse) { answers <- s })
}

func (p *classicPeer) synced(s SyncResponse) {
	if p.failed(s.Err); s.Err != nil {
		return
	}
	a := kmsg.NewConsumerMemberAssignment()
	if err := a.ReadFrom(s.Assignment); err != nil {
		panic(err)
	}
	was := p.owned
	p.owned = partitionSet{}
	for _, t := range a.Topics {
		for _, n := range t.Partitions {
			p.owned[topicPartition{topicID(t.Topic), n}] = struct{}{}
		}
	}
	for tp := range was { // a cooperative member that gave something up joins again
		if _, ok := p.owned[tp]; !ok {
			p.rejoin = true
		}
	}
}

// failed does what clients do about an error.
func (p *classicPeer) failed(err error) {
	switch {
	case err == nil:
	case errors.Is(err, kerr.RebalanceInProgress):
		p.rejoin = true
	case errors.Is(err, kerr.IllegalGeneration):
		p.rejoin, p.generation, p.owned = true, -1, partitionSet{}
	default:
		p.rejoin, p.generation, p.owned = true, -1, partitionSet{}
		p.id = ""
	}
}

// assignSticky is a leader's assignor: partitions stay with who says that it has
// them, the others go round.
func assignSticky(topics *fakeTopics, members []JoinMember) map[string][]byte {
	byMember := map[string]map[string][]int32{}
	metas := map[string]kmsg.ConsumerMemberMetadata{}
	for _, m := range members {
		meta := kmsg.NewConsumerMemberMetadata()
		if err := meta.ReadFrom(m.Metadata); err != nil {
			panic(err)
		}
		metas[m.ID], byMember[m.ID] = meta, map[string][]int32{}
	}
	turn := 0
	for _, name := range topicNames {
		for n := range topics.counts[name] {
			to := ""
			for _, m := range members {
				for _, o := range metas[m.ID].OwnedPartitions {
					if o.Topic == name && slices.Contains(o.Partitions, n) {
						to = m.ID
					}
				}
			}
			for range members {
				if to != "" {
					break
				}
				m := members[turn%len(members)]
				if turn++; slices.Contains(metas[m.ID].Topics, name) {
					to = m.ID
				}
			}
			if to != "" && slices.Contains(metas[to].Topics, name) {
				byMember[to][name] = append(byMember[to][name], n)
			}
		}
	}
	out := map[string][]byte{}
	for id, assigned := range byMember {
		a := kmsg.NewConsumerMemberAssignment()
		for name, list := range assigned {
			at := kmsg.NewConsumerMemberAssignmentTopic()
			at.Topic, at.Partitions = name, list
			a.Topics = append(a.Topics, at)
		}
		out[id] = a.AppendTo(nil)
	}
	return out
}

// However members of both protocols come and go, so that the group is converted
// again and again, no two of them own a partition at once, and when they settle in
// a group of KIP-848 every partition has an owner.
func TestMixedMembersNeverShareAPartition(t *testing.T) {
	conversions := 0
	for seed := range uint64(80) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { conversions += runMixed(t, seed) })
		})
	}
	if conversions < 100 {
		t.Errorf("%d conversions: the test does not do what it is for", conversions)
	}
}

func runMixed(t *testing.T, seed uint64) (conversions int) {
	rnd := rand.New(rand.NewPCG(seed, 849))
	topics := &fakeTopics{counts: map[string]int32{}}
	topics.set("a", 6)
	topics.set("b", 3)
	d := durable{}
	c := newConsumerTest(d, topics)
	defer func() { c.Close() }()
	var peers []*peer
	var classics []*classicPeer
	subscriptions := [][]string{{"a"}, {"b"}, {"a", "b"}}
	exclusive := func(step int) {
		t.Helper()
		all := slices.Clone(peers)
		for _, p := range classics {
			all = append(all, &peer{id: "classic " + p.id, owned: p.owned})
		}
		checkExclusive(t, step, all)
	}
	isConsumer := false
	for step := range 1500 {
		switch n := rnd.IntN(200); {
		case n < 3 && len(peers) < 3:
			peers = append(peers, &peer{id: fmt.Sprint("m", step), owned: partitionSet{}, subscribed: subscriptions[rnd.IntN(3)]})
		case n < 6 && len(classics) < 4:
			classics = append(classics, newClassicPeer(rnd.IntN(2) == 0, subscriptions[rnd.IntN(3)]))
		case n < 10 && len(peers) > 0:
			i := rnd.IntN(len(peers))
			c.ConsumerHeartbeat(HeartbeatRequest{Group: "g", MemberID: peers[i].id, Epoch: epochLeave, RebalanceTimeout: -1}, func(HeartbeatResponse) {})
			peers = slices.Delete(peers, i, i+1)
		case n < 12 && len(classics) > 1:
			i := rnd.IntN(len(classics))
			if _, err := c.Leave("g", []LeaveMember{{ID: classics[i].id}}); err != nil {
				t.Fatal(err)
			}
			classics = slices.Delete(classics, i, i+1)
		case n < 13: // the coordinator restarts
			c.Close()
			c = newConsumerTest(d, topics)
			if state := d["g"]; state != nil {
				if err := c.Restore("g", state); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range classics { // their connections are gone
				if p.joining != nil || p.syncing != nil {
					p.joining, p.syncing, p.rejoin = nil, nil, true
				}
			}
		case n < 15:
			time.Sleep(time.Second)
		case n < 90 && len(peers) > 0:
			p := peers[rnd.IntN(len(peers))]
			h := p.beat(c, rnd.IntN(2) == 0)
			if rnd.IntN(8) > 0 { // else the answer is lost
				p.take(h)
			}
		case len(classics) > 0:
			classics[rnd.IntN(len(classics))].step(c, topics)
		}
		exclusive(step)
		if now := c.consumers["g"] != nil; now != isConsumer {
			isConsumer = now
			conversions++
		}
	}
	if len(peers) == 0 {
		peers = append(peers, &peer{id: "last", owned: partitionSet{}, subscribed: []string{"a", "b"}})
	}
	for round := range 300 {
		if round < 250 { // members whose clients have forgotten them expire
			time.Sleep(10 * time.Second)
		}
		for _, p := range peers {
			p.take(p.beat(c, true))
		}
		for _, p := range classics {
			p.step(c, topics)
		}
		exclusive(-1)
	}
	all := slices.Clone(peers)
	for _, p := range classics {
		all = append(all, &peer{id: p.id, owned: p.owned, subscribed: p.subscribed})
	}
	checkSettled(t, c, topics, all)
	return conversions
}

// A member that speaks the classic protocol goes on in a group of KIP-848 with the
// generation that it knows: it commits, is told to join, may leave; a stranger is
// told apart.
func TestClassicMemberInConsumerGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &fakeTopics{counts: map[string]int32{}}
		topics.set("a", 4)
		d := durable{}
		c := newConsumerTest(d, topics)
		defer func() { c.Close() }()
		old := newClassicPeer(false, []string{"a"})
		old.instance = "i"
		for len(old.owned) < 4 {
			old.step(c, topics)
			time.Sleep(10 * time.Millisecond)
		}
		if err := c.CheckCommit("g", old.id, "i", old.generation); err != nil {
			t.Fatal(err)
		}
		one := &peer{id: "one", owned: partitionSet{}, subscribed: []string{"a"}}
		one.take(one.beat(c, true))
		if len(one.owned) > 0 {
			t.Fatalf("the new member has %v before the old one has given it up", one.owned)
		}
		if err := c.CheckCommit("g", old.id, "i", old.generation); err != nil {
			t.Errorf("commit with the generation it knows: %v", err)
		}
		if err := c.CheckCommit("g", old.id, "i", old.generation+7); !errors.Is(err, kerr.IllegalGeneration) {
			t.Errorf("commit with another generation: %v", err)
		}
		if !c.NeedsEpoch("g", "one") || c.NeedsEpoch("g", old.id) {
			t.Error("only the new member has an epoch")
		}
		for what, tc := range map[string]struct {
			err  error
			want error
		}{
			"heartbeat":                   {c.Heartbeat("g", old.id, "i", old.generation), kerr.RebalanceInProgress},
			"heartbeat of a stranger":     {c.Heartbeat("g", "x", "", old.generation), kerr.UnknownMemberID},
			"heartbeat of the new member": {c.Heartbeat("g", "one", "", one.epoch), kerr.UnknownMemberID},
			"heartbeat, instance taken":   {c.Heartbeat("g", "x", "i", old.generation), kerr.FencedInstanceID},
			"heartbeat, old generation":   {c.Heartbeat("g", old.id, "i", old.generation-1), kerr.IllegalGeneration},
		} {
			if !errors.Is(tc.err, tc.want) {
				t.Errorf("%s: %v, want %v", what, tc.err, tc.want)
			}
		}
		// The coordinator restarts in between: who is what is durable.
		c.Close()
		c = newConsumerTest(d, topics)
		if err := c.Restore("g", d["g"]); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			old.step(c, topics)
			one.take(one.beat(c, true))
		}
		if len(old.owned) != 2 || len(one.owned) != 2 {
			t.Fatalf("%d and %d partitions, want 2 each", len(old.owned), len(one.owned))
		}
		// A static member that speaks the new protocol takes the old one's place.
		instance := "i"
		two := &peer{id: "two", owned: partitionSet{}, subscribed: []string{"a"}, instance: &instance}
		if h := two.beat(c, true); h.Err != nil || len(h.Assignment.set()) != 2 {
			t.Errorf("the successor: %+v", h)
		}
		if err := c.Heartbeat("g", old.id, "i", old.generation); !errors.Is(err, kerr.FencedInstanceID) {
			t.Errorf("the predecessor: %v", err)
		}
	})
}

// A group of another kind, or whose members cannot be understood, is not converted.
func TestGroupsThatStayClassic(t *testing.T) {
	for what, change := range map[string]func(*JoinRequest){
		"another type":        func(r *JoinRequest) { r.ProtocolType = "connect" },
		"unreadable metadata": func(r *JoinRequest) { r.Protocols = []Protocol{{"p", []byte{0}}} },
		"text for metadata":   func(r *JoinRequest) { r.Protocols = []Protocol{{"p", []byte("topics")}} },
	} {
		synctest.Test(t, func(t *testing.T) {
			topics := &fakeTopics{counts: map[string]int32{}}
			topics.set("a", 4)
			c := newConsumerTest(durable{}, topics)
			defer c.Close()
			r := request("")
			change(&r)
			first := <-join(c, r)
			one := &peer{id: "one", owned: partitionSet{}, subscribed: []string{"a"}}
			if h := one.beat(c, true); !errors.Is(h.Err, kerr.InconsistentGroupProtocol) {
				t.Errorf("%s: %v", what, h.Err)
			}
			if d, ok := c.Describe("g"); !ok || len(d.Members) != 1 || d.Members[0].ID != first.MemberID {
				t.Errorf("%s: %+v", what, d)
			}
		})
	}
}
