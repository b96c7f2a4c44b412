package group

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/internal/clock"
)

// durable keeps the last persisted state of every group.
type durable map[string][]byte

func newTest(d durable) *Coordinator {
	return New(Config{Clock: clock.System, InitialDelay: 100 * time.Millisecond, MaxSize: 3, MaxGroups: 2,
		Persist: func(g string, state []byte, done func(error)) { d[g] = state; done(nil) }})
}

func request(member string) JoinRequest {
	return JoinRequest{Group: "g", MemberID: member, ClientID: "c", ProtocolType: "consumer",
		Protocols:      []Protocol{{"range", []byte("topics")}, {"roundrobin", []byte("topics")}},
		SessionTimeout: 10 * time.Second, RebalanceTimeout: 30 * time.Second}
}

func join(c *Coordinator, r JoinRequest) chan JoinResponse {
	answers := make(chan JoinResponse, 1)
	c.Join(r, func(j JoinResponse) { answers <- j })
	return answers
}

func syncGroup(c *Coordinator, j JoinResponse, assignments map[string][]byte) chan SyncResponse {
	answers := make(chan SyncResponse, 1)
	c.Sync(SyncRequest{Group: "g", MemberID: j.MemberID, Generation: j.Generation, Assignments: assignments}, func(s SyncResponse) { answers <- s })
	return answers
}

// stable makes a group of two members and returns their joins, leader first.
func stable(t *testing.T, c *Coordinator) (leader, follower JoinResponse) {
	t.Helper()
	first, second := join(c, request("")), join(c, request(""))
	leader, follower = <-first, <-second
	if leader.Err != nil || follower.Err != nil || leader.Generation != 1 || len(follower.Members) != 0 {
		t.Fatalf("%+v, %+v", leader, follower)
	}
	if leader.MemberID != leader.Leader || len(leader.Members) != 2 || leader.Protocol != "range" {
		t.Fatalf("leader got %+v", leader)
	}
	waiting := syncGroup(c, follower, nil)
	done := syncGroup(c, leader, map[string][]byte{leader.MemberID: []byte("L"), follower.MemberID: []byte("F")})
	if s := <-done; s.Err != nil || string(s.Assignment) != "L" {
		t.Fatalf("%+v", s)
	}
	if s := <-waiting; s.Err != nil || string(s.Assignment) != "F" {
		t.Fatalf("%+v", s)
	}
	return leader, follower
}

func TestRebalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(durable{})
		defer c.Close()
		leader, follower := stable(t, c)
		if err := c.Heartbeat("g", leader.MemberID, "", 1); err != nil {
			t.Fatal(err)
		}
		// A third member: both must join again; meanwhile commits are fine.
		third := join(c, request(""))
		if err := c.Heartbeat("g", leader.MemberID, "", 1); !errors.Is(err, kerr.RebalanceInProgress) {
			t.Fatalf("heartbeat: %v", err)
		}
		if err := c.CheckCommit("g", leader.MemberID, "", 1); err != nil {
			t.Fatalf("commit before the next generation: %v", err)
		}
		l := join(c, request(leader.MemberID))
		f := join(c, request(follower.MemberID))
		j := <-third
		if j.Err != nil || j.Generation != 2 || j.Leader != leader.MemberID {
			t.Fatalf("%+v", j)
		}
		<-f
		if err := c.CheckCommit("g", leader.MemberID, "", 2); !errors.Is(err, kerr.RebalanceInProgress) {
			t.Fatalf("commit before sync: %v", err)
		}
		for _, bad := range []struct {
			member     string
			generation int32
			want       error
		}{{leader.MemberID, 1, kerr.IllegalGeneration}, {"nobody", 2, kerr.UnknownMemberID}, {"", -1, kerr.UnknownMemberID}} {
			if err := c.CheckCommit("g", bad.member, "", bad.generation); !errors.Is(err, bad.want) {
				t.Errorf("commit of %q, generation %d: %v, expected %v", bad.member, bad.generation, err, bad.want)
			}
		}
		// The leader is never heard of again: its session ends, and the others go on.
		<-l
		waiting := syncGroup(c, j, nil)
		if s := <-waiting; !errors.Is(s.Err, kerr.RebalanceInProgress) {
			t.Fatalf("sync without a leader: %+v", s)
		}
		if fourth := join(c, request("")); (<-join(c, request(j.MemberID))).Err != nil || (<-fourth).Generation != 3 {
			t.Fatal("the group does not go on")
		}
	})
}

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := durable{}
		c := newTest(d)
		leader, follower := stable(t, c)
		time.Sleep(6 * time.Second)
		if err := c.Heartbeat("g", leader.MemberID, "", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second) // the follower is silent for 12 s
		if err := c.Heartbeat("g", follower.MemberID, "", 1); !errors.Is(err, kerr.UnknownMemberID) {
			t.Fatalf("expired member: %v", err)
		}
		// A restart keeps the members and begins their sessions anew.
		c.Close()
		c = newTest(d)
		defer c.Close()
		if err := c.Restore("g", d["g"]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if err := c.Heartbeat("g", leader.MemberID, "", 1); err != nil {
			t.Fatalf("after a restart: %v", err)
		}
		time.Sleep(time.Minute)
		if g, _ := c.Describe("g"); g.State != Empty.String() {
			t.Fatalf("a group of silent members is %v", g.State)
		}
		if err := c.CheckCommit("g", "", "", -1); err != nil {
			t.Fatalf("simple commit to an empty group: %v", err)
		}
		if err := c.Forget("g"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStaticMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(durable{})
		defer c.Close()
		r := request("")
		r.Instance = "i1"
		old := <-join(c, r)
		if s := <-syncGroup(c, old, map[string][]byte{old.MemberID: []byte("A")}); s.Err != nil {
			t.Fatal(s.Err)
		}
		// It restarts: a new id, the same generation, no rebalance.
		now := <-join(c, r)
		if now.Err != nil || now.Generation != old.Generation || now.MemberID == old.MemberID || !now.SkipAssignment {
			t.Fatalf("%+v", now)
		}
		if s := <-syncGroup(c, now, nil); s.Err != nil || string(s.Assignment) != "A" {
			t.Fatalf("%+v", s)
		}
		if err := c.Heartbeat("g", old.MemberID, "i1", old.Generation); !errors.Is(err, kerr.FencedInstanceID) {
			t.Fatalf("the former self: %v", err)
		}
		if errs, err := c.Leave("g", []LeaveMember{{Instance: "i1"}, {Instance: "i2"}}); err != nil || errs[0] != nil || !errors.Is(errs[1], kerr.UnknownMemberID) {
			t.Fatalf("%v, %v", errs, err)
		}
	})
}

func TestJoinIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(durable{})
		defer c.Close()
		stable(t, c)
		cases := map[string]struct {
			change func(*JoinRequest)
			want   error
		}{
			"no group":          {func(r *JoinRequest) { r.Group = "" }, kerr.InvalidGroupID},
			"session too short": {func(r *JoinRequest) { r.SessionTimeout = time.Second }, kerr.InvalidSessionTimeout},
			"session too long":  {func(r *JoinRequest) { r.SessionTimeout = time.Hour }, kerr.InvalidSessionTimeout},
			"no protocols":      {func(r *JoinRequest) { r.Protocols = nil }, kerr.InconsistentGroupProtocol},
			"other protocols":   {func(r *JoinRequest) { r.Protocols = []Protocol{{"sticky", nil}} }, kerr.InconsistentGroupProtocol},
			"other type":        {func(r *JoinRequest) { r.ProtocolType = "connect" }, kerr.InconsistentGroupProtocol},
			"unknown member":    {func(r *JoinRequest) { r.MemberID = "nobody" }, kerr.UnknownMemberID},
			"unknown group":     {func(r *JoinRequest) { r.Group, r.MemberID = "h", "nobody" }, kerr.UnknownMemberID},
		}
		for name, tc := range cases {
			r := request("")
			tc.change(&r)
			if j := <-join(c, r); !errors.Is(j.Err, tc.want) {
				t.Errorf("%s: %v, expected %v", name, j.Err, tc.want)
			}
		}
		// KIP-394: an id first, then the member; ids count against the limit.
		r := request("")
		r.RequireKnownID = true
		j := <-join(c, r)
		if !errors.Is(j.Err, kerr.MemberIDRequired) || j.MemberID == "" {
			t.Fatalf("%+v", j)
		}
		if full := <-join(c, request("")); !errors.Is(full.Err, kerr.GroupMaxSizeReached) {
			t.Fatalf("%+v", full)
		}
		time.Sleep(11 * time.Second) // the id expires
		if late := <-join(c, request(j.MemberID)); !errors.Is(late.Err, kerr.UnknownMemberID) {
			t.Fatalf("%+v", late)
		}
	})
}

// Who was only given an id makes no member: the group may be deleted, which the
// joining one is told. A pass forgets groups without anybody, and their state.
func TestForgetAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := durable{}
		c := newTest(d)
		defer c.Close()
		first := request("")
		first.RequireKnownID = true
		id := (<-join(c, first)).MemberID
		c.Expire(func(string) bool { return false })
		if !c.Known("g") {
			t.Fatal("a group that somebody is about to join expired")
		}
		if err := c.Forget("g"); err != nil {
			t.Fatalf("forget: %v", err)
		}
		if j := <-join(c, request(id)); !errors.Is(j.Err, kerr.UnknownMemberID) {
			t.Fatalf("join after that: %v", j.Err)
		}
		bad := request(id)
		bad.ProtocolType, bad.HasOffsets = "", true
		if j := <-join(c, bad); !errors.Is(j.Err, kerr.InconsistentGroupProtocol) {
			t.Fatalf("join of a group that has offsets, without a protocol type: %v", j.Err)
		}
		bad.MemberID = ""
		if j := <-join(c, bad); !errors.Is(j.Err, kerr.InconsistentGroupProtocol) || !c.Known("g") {
			t.Fatalf("join of a new group without a protocol type: %v, known: %v", j.Err, c.Known("g"))
		}
		leader, follower := stable(t, c)
		if err := c.Forget("g"); !errors.Is(err, kerr.NonEmptyGroup) {
			t.Fatalf("forget with members: %v", err)
		}
		c.Expire(func(string) bool { return false })
		if !c.Known("g") {
			t.Fatal("a group with members expired")
		}
		if _, err := c.Leave("g", []LeaveMember{{ID: leader.MemberID}, {ID: follower.MemberID}}); err != nil {
			t.Fatal(err)
		}
		c.Expire(func(name string) bool { return name == "g" })
		if !c.Known("g") || len(d["g"]) == 0 {
			t.Fatal("a group that is to be kept expired")
		}
		c.Expire(func(string) bool { return false })
		if state, ok := d["g"]; c.Known("g") || !ok || len(state) != 0 {
			t.Fatal("a group without members did not expire")
		}
	})
}
