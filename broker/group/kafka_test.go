package group

import (
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"
)

// What Apache Kafka 4.4 does with a group of one member: who joins again keeps one
// of its protocols, and a member whose group is gone is told so before its protocol
// is looked at. The protocol is told of a stable group only.
func TestRejoinAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(durable{})
		defer c.Close()
		alone := <-join(c, request(""))
		if d, _ := c.Describe("g"); d.Protocol != "" || d.Members[0].Metadata != nil {
			t.Errorf("before the assignment: %+v", d)
		}
		<-syncGroup(c, alone, nil)
		if d, _ := c.Describe("g"); d.Protocol != "range" || string(d.Members[0].Metadata) != "topics" {
			t.Errorf("stable: %+v", d)
		}
		for name, k := range map[string]struct {
			change func(*JoinRequest)
			want   *kerr.Error
		}{
			"other protocol": {func(r *JoinRequest) { r.Protocols = []Protocol{{"sticky", nil}} }, kerr.InconsistentGroupProtocol},
			"other type":     {func(r *JoinRequest) { r.ProtocolType = "connect" }, kerr.InconsistentGroupProtocol},
			"no such group":  {func(r *JoinRequest) { r.Group, r.ProtocolType = "gone", "" }, kerr.UnknownMemberID},
		} {
			r := request(alone.MemberID)
			k.change(&r)
			if got := <-join(c, r); got.Err != k.want {
				t.Errorf("%s: %v, want %v", name, got.Err, k.want)
			}
		}
	})
}
