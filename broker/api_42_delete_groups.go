package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteGroups (42). Versions 0-3. A group with members cannot be deleted; its
// offsets go with it.
func init() {
	register(42, 0, 3, func(b *Broker, rq *request, req *kmsg.DeleteGroupsRequest) error {
		resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
		for _, name := range req.Groups {
			sg := kmsg.NewDeleteGroupsResponseGroup()
			sg.Group = name
			err := error(kerr.GroupAuthorizationFailed)
			if rq.may(kmsg.ACLOperationDelete, groupResource(name)) {
				err = b.deleteGroup(name)
			}
			sg.ErrorCode, sg.ErrorMessage = coordinatorCode(err), message(err)
			resp.Groups = append(resp.Groups, sg)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) deleteGroup(name string) error {
	if b.protectedGroup(name) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, name)
	}
	if !b.groups.Known(name) && !b.offsets.has(name) {
		return kerr.GroupIDNotFound
	}
	if err := b.groups.Forget(name); err != nil {
		return err
	}
	c := newChange(64)
	return b.submitWait(c, func() error {
		b.stage(c, &groupDeleted{name})
		return nil
	})
}
