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

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/clock"
)

// fakeTopics is a set of topics that a test changes.
type fakeTopics struct {
	version uint64
	counts  map[string]int32
}

func (f *fakeTopics) set(name string, partitions int32) {
	f.version++
	f.counts[name] = partitions
}

func (f *fakeTopics) Version() uint64 { return f.version }
func (f *fakeTopics) Lookup(name string) (wal.TopicID, int32, bool) {
	n := f.counts[name]
	return topicID(name), n, n > 0
}
func (f *fakeTopics) Names() []string {
	var names []string
	for name, n := range f.counts {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func topicID(name string) (id wal.TopicID) {
	copy(id[:], name)
	return id
}

func newConsumerTest(d durable, topics *fakeTopics) *Coordinator {
	return New(Config{
		Clock: clock.System, MaxSize: 100, MaxGroups: 10, InitialDelay: time.Millisecond, SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second,
		Topics: topics, Persist: func(g string, state []byte, done func(error)) { d[g] = state; done(nil) },
	})
}

// peer is a member as a client sees itself.
type peer struct {
	id         string
	epoch      int32
	owned      partitionSet
	subscribed []string
	regex      *string
	instance   *string
}

func (p *peer) beat(c *Coordinator, full bool) HeartbeatResponse {
	r := HeartbeatRequest{Group: "g", MemberID: p.id, Epoch: p.epoch, Instance: p.instance, RebalanceTimeout: -1}
	if full || p.epoch == epochJoin {
		r.RebalanceTimeout, r.Subscribed, r.Regex = time.Minute, p.subscribed, p.regex
		r.Owned = p.owned.wire()
	}
	var resp HeartbeatResponse
	c.ConsumerHeartbeat(r, func(h HeartbeatResponse) { resp = h })
	return resp
}

// take makes the answer to a heartbeat the member's own: it gives up first and
// takes what is new afterwards.
func (p *peer) take(h HeartbeatResponse) {
	if h.Err != nil {
		p.epoch, p.owned = epochJoin, partitionSet{}
		return
	}
	p.epoch = h.Epoch
	if h.Assignment != nil {
		p.owned = h.Assignment.set()
	}
}

// However members come, go, lose answers and change their subscriptions, no two
// of them own a partition at once, and when they settle every partition has an
// owner that asked for it and the load is even.
func TestConsumersNeverShareAPartition(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runConsumers(t, seed) })
		})
	}
}

func runConsumers(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 848))
	topics := &fakeTopics{counts: map[string]int32{}}
	topics.set("a", 6)
	topics.set("b", 3)
	d := durable{}
	c := newConsumerTest(d, topics)
	defer func() { c.Close() }()
	var peers []*peer
	subscriptions := [][]string{{"a"}, {"b"}, {"a", "b"}}
	for step := range 300 {
		switch n := rnd.IntN(100); {
		case n < 6 && len(peers) < 8:
			peers = append(peers, &peer{id: fmt.Sprint("m", step), owned: partitionSet{}, subscribed: subscriptions[rnd.IntN(3)]})
		case n < 9 && len(peers) > 1: // one leaves
			i := rnd.IntN(len(peers))
			c.ConsumerHeartbeat(HeartbeatRequest{Group: "g", MemberID: peers[i].id, Epoch: epochLeave, RebalanceTimeout: -1}, func(HeartbeatResponse) {})
			peers = slices.Delete(peers, i, i+1)
		case n < 11 && len(peers) > 1: // one dies: its session ends
			i := rnd.IntN(len(peers))
			if g := c.consumers["g"]; g != nil && g.members[peers[i].id] != nil {
				g.expel(g.members[peers[i].id])
			}
			peers = slices.Delete(peers, i, i+1)
		case n < 13:
			topics.set("a", 6+int32(rnd.IntN(4)))
		case n < 15: // the coordinator restarts
			c.Close()
			c = newConsumerTest(d, topics)
			if state := d["g"]; state != nil {
				if err := c.Restore("g", state); err != nil {
					t.Fatal(err)
				}
			}
		case n < 18 && len(peers) > 0:
			peers[rnd.IntN(len(peers))].subscribed = subscriptions[rnd.IntN(3)]
		case len(peers) > 0:
			p := peers[rnd.IntN(len(peers))]
			h := p.beat(c, rnd.IntN(2) == 0)
			if rnd.IntN(8) > 0 { // else the answer is lost
				p.take(h)
			}
		}
		checkExclusive(t, step, peers)
	}
	if len(peers) == 0 {
		return
	}
	for range 40 {
		for _, p := range peers {
			p.take(p.beat(c, true))
			checkExclusive(t, -1, peers)
		}
	}
	checkSettled(t, c, topics, peers)
}

func checkExclusive(t *testing.T, step int, peers []*peer) {
	t.Helper()
	owner := map[topicPartition]string{}
	for _, p := range peers {
		for tp := range p.owned {
			if other, taken := owner[tp]; taken {
				t.Fatalf("step %d: %s-%d is owned by %s and %s", step, tp.topic[:1], tp.partition, other, p.id)
			}
			owner[tp] = p.id
		}
	}
}

func checkSettled(t *testing.T, c *Coordinator, topics *fakeTopics, peers []*peer) {
	t.Helper()
	d, ok := c.DescribeConsumer("g")
	if !ok || d.State != "Stable" {
		t.Fatalf("state %q, want Stable", d.State)
	}
	owned := partitionSet{}
	for _, p := range peers {
		for tp := range p.owned {
			owned[tp] = struct{}{}
			if !slices.ContainsFunc(p.subscribed, func(name string) bool { return topicID(name) == tp.topic }) {
				t.Errorf("%s owns a partition of a topic that it did not ask for", p.id)
			}
		}
	}
	want := 0
	for name, n := range topics.counts {
		if slices.ContainsFunc(peers, func(p *peer) bool { return slices.Contains(p.subscribed, name) }) {
			want += int(n)
		}
	}
	if len(owned) != want {
		t.Errorf("%d partitions have an owner, want %d", len(owned), want)
	}
	for _, p := range peers {
		for _, o := range peers {
			if slices.Equal(p.subscribed, o.subscribed) && len(p.owned)-len(o.owned) > 1 {
				t.Errorf("%s owns %d partitions, %s with the same subscription %d", p.id, len(p.owned), o.id, len(o.owned))
			}
		}
	}
}

func TestConsumerHeartbeatRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &fakeTopics{counts: map[string]int32{}}
		topics.set("a", 4)
		c := newConsumerTest(durable{}, topics)
		defer c.Close()
		one := &peer{id: "one", owned: partitionSet{}, subscribed: []string{"a"}}
		one.take(one.beat(c, true))
		bad, empty := "(", ""
		uniform := "sorted"
		for name, tc := range map[string]struct {
			r    HeartbeatRequest
			want error
		}{
			"no group":          {HeartbeatRequest{MemberID: "x"}, kerr.InvalidRequest},
			"no member":         {HeartbeatRequest{Group: "g"}, kerr.InvalidRequest},
			"epoch -3":          {HeartbeatRequest{Group: "g", MemberID: "x", Epoch: -3}, kerr.InvalidRequest},
			"no timeout":        {HeartbeatRequest{Group: "g", MemberID: "x", Subscribed: []string{"a"}, RebalanceTimeout: -1}, kerr.InvalidRequest},
			"no subscription":   {HeartbeatRequest{Group: "g", MemberID: "x", RebalanceTimeout: 1}, kerr.InvalidRequest},
			"empty instance":    {HeartbeatRequest{Group: "g", MemberID: "x", Instance: &empty, RebalanceTimeout: 1}, kerr.InvalidRequest},
			"leave for a while": {HeartbeatRequest{Group: "g", MemberID: "one", Epoch: -2}, kerr.InvalidRequest},
			"unknown assignor":  {HeartbeatRequest{Group: "g", MemberID: "x", Assignor: &uniform}, kerr.UnsupportedAssignor},
			"bad regex":         {HeartbeatRequest{Group: "g", MemberID: "x", Regex: &bad}, kerr.InvalidRegularExpression},
			"unknown member":    {HeartbeatRequest{Group: "g", MemberID: "x", Epoch: 3, RebalanceTimeout: -1}, kerr.UnknownMemberID},
			"unknown group":     {HeartbeatRequest{Group: "h", MemberID: "x", Epoch: 3, RebalanceTimeout: -1}, kerr.UnknownMemberID},
			"later epoch":       {HeartbeatRequest{Group: "g", MemberID: "one", Epoch: 9, RebalanceTimeout: -1}, kerr.FencedMemberEpoch},
		} {
			var got error
			c.ConsumerHeartbeat(tc.r, func(h HeartbeatResponse) { got = h.Err })
			if !errors.Is(got, tc.want) {
				t.Errorf("%s: %v, want %v", name, got, tc.want)
			}
		}
		if err := c.CheckCommit("g", "one", "", one.epoch+1); err != kerr.StaleMemberEpoch {
			t.Errorf("commit with another epoch: %v", err)
		}
		if err := c.CheckCommit("g", "", "", -1); err != kerr.UnknownMemberID {
			t.Errorf("commit without member: %v", err)
		}
		if err := c.CheckCommit("g", "one", "", one.epoch); err != nil {
			t.Errorf("commit: %v", err)
		}
		if a := <-join(c, request("")); !errors.Is(a.Err, kerr.InconsistentGroupProtocol) {
			t.Errorf("classic join without a subscription: %v", a.Err)
		}
	})
}

// A static member that leaves for a while finds its partitions again under
// another member id; meanwhile its instance id is taken.
func TestStaticConsumerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &fakeTopics{counts: map[string]int32{}}
		topics.set("a", 4)
		c := newConsumerTest(durable{}, topics)
		defer c.Close()
		instance := "i1"
		old := &peer{id: "old", owned: partitionSet{}, subscribed: []string{"a"}, instance: &instance}
		other := &peer{id: "other", owned: partitionSet{}, subscribed: []string{"a"}}
		for range 6 {
			old.take(old.beat(c, true))
			other.take(other.beat(c, true))
		}
		if len(old.owned) != 2 || len(other.owned) != 2 {
			t.Fatalf("%d and %d partitions", len(old.owned), len(other.owned))
		}
		back := &peer{id: "new", owned: partitionSet{}, subscribed: []string{"a"}, instance: &instance}
		if h := back.beat(c, true); !errors.Is(h.Err, kerr.UnreleasedInstanceID) {
			t.Errorf("instance id in use: %v", h.Err)
		}
		epoch := other.epoch
		c.ConsumerHeartbeat(HeartbeatRequest{Group: "g", MemberID: "old", Epoch: epochLeaveStatic, Instance: &instance, RebalanceTimeout: -1}, func(h HeartbeatResponse) {
			if h.Err != nil {
				t.Error(h.Err)
			}
		})
		back.take(back.beat(c, true))
		if !equalSets(back.owned, old.owned) {
			t.Errorf("came back to %v, had %v", back.owned, old.owned)
		}
		if other.take(other.beat(c, true)); other.epoch != epoch {
			t.Errorf("the other member went from epoch %d to %d", epoch, other.epoch)
		}
		if h := old.beat(c, false); !errors.Is(h.Err, kerr.FencedInstanceID) {
			t.Errorf("former self: %v", h.Err)
		}
	})
}

// A member that does not give up in time, or falls silent, loses its partitions.
func TestConsumerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &fakeTopics{counts: map[string]int32{}}
		topics.set("a", 4)
		c := newConsumerTest(durable{}, topics)
		defer c.Close()
		slow := &peer{id: "slow", owned: partitionSet{}, subscribed: []string{"a"}}
		slow.take(slow.beat(c, true))
		fresh := &peer{id: "fresh", owned: partitionSet{}, subscribed: []string{"a"}}
		fresh.take(fresh.beat(c, true))
		for range 14 { // it keeps its session and all four partitions
			time.Sleep(5 * time.Second)
			slow.beat(c, false)
			fresh.take(fresh.beat(c, true))
		}
		if len(fresh.owned) != 4 {
			t.Errorf("the newcomer has %d of 4 partitions after the rebalance timeout", len(fresh.owned))
		}
		time.Sleep(46 * time.Second)
		if d, _ := c.DescribeConsumer("g"); d.State != "Empty" {
			t.Errorf("state %s after the session timeout", d.State)
		}
	})
}

// A regular expression follows the topics that come and go.
func TestConsumerSubscribesByRegex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &fakeTopics{counts: map[string]int32{}}
		topics.set("orders-1", 1)
		topics.set("logs", 1)
		c := newConsumerTest(durable{}, topics)
		defer c.Close()
		re := "orders-.*"
		p := &peer{id: "p", owned: partitionSet{}, regex: &re}
		p.take(p.beat(c, true))
		if len(p.owned) != 1 {
			t.Fatalf("%d partitions", len(p.owned))
		}
		topics.set("orders-2", 2)
		topics.set("more-orders-3", 2)
		p.take(p.beat(c, false))
		if len(p.owned) != 3 {
			t.Errorf("%d partitions after a topic came, want 3", len(p.owned))
		}
	})
}

// The range assignor gives neighbours to one member, and the first members more.
func TestRangeAssignor(t *testing.T) {
	a := topicID("a")
	members := []subscriber{{id: "z", rank: "1", topics: map[wal.TopicID]int32{a: 5}}, {id: "y", rank: "2", topics: map[wal.TopicID]int32{a: 5}}}
	got := assignRange(members)
	if z, y := got["z"].wire()[a], got["y"].wire()[a]; !slices.Equal(z, []int32{0, 1, 2}) || !slices.Equal(y, []int32{3, 4}) {
		t.Errorf("%v and %v", z, y)
	}
}
