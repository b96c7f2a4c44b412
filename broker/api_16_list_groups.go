package broker

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// ListGroups (16). Versions 0-5. A group that only has
// offsets is an Empty classic one.
func init() {
	register(16, 0, 5, func(b *Broker, rq *request, req *kmsg.ListGroupsRequest) error {
		resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
		all := b.groups.List()
		known := map[string]bool{}
		for _, d := range all {
			known[d.Name] = true
		}
		for _, name := range b.offsets.groups() {
			if !known[name] {
				all = append(all, group.Description{Name: name, Type: "classic", State: "Empty"})
			}
		}
		fold := func(list []string, v string) bool {
			return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, v) })
		}
		seesAll := rq.maySee(kmsg.ACLOperationDescribe, clusterResource)
		for _, d := range all {
			if !seesAll && !rq.maySee(kmsg.ACLOperationDescribe, groupResource(d.Name)) {
				continue
			}
			if !fold(req.StatesFilter, d.State) || !fold(req.TypesFilter, d.Type) {
				continue
			}
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupState, g.GroupType = d.Name, d.ProtocolType, d.State, d.Type
			resp.Groups = append(resp.Groups, g)
		}
		rq.reply(resp)
		return nil
	})
}
