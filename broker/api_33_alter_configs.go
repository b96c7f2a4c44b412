package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterConfigs (33). Versions 0-2. The older form of IncrementalAlterConfigs:
// what a topic is given here is all that is set afterwards.
func init() {
	register(33, 0, 2, func(b *Broker, rq *request, req *kmsg.AlterConfigsRequest) error {
		resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
		for _, rr := range req.Resources {
			sr := kmsg.NewAlterConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			err := rq.configDenied(kmsg.ACLOperationAlterConfigs, rr.ResourceType, rr.ResourceName)
			if err == nil {
				err = b.setConfigs(rr.ResourceType, rr.ResourceName, req.ValidateOnly, func(map[string]string) (map[string]string, error) {
					configs := map[string]string{}
					for _, c := range rr.Configs {
						if c.Value == nil {
							return nil, nullConfig(c.Name)
						}
						configs[c.Name] = *c.Value
					}
					return configs, nil
				})
			}
			sr.ErrorCode, sr.ErrorMessage = errorCode(err), message(err)
			resp.Resources = append(resp.Resources, sr)
		}
		rq.reply(resp)
		return nil
	})
}
