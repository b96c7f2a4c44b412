package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// feature is a feature of the cluster (KIP-584) and the one level that it is
// finalized at.
type feature struct {
	name            string
	min, max, level int16
}

// features is every feature, in name order. group.version 1 allows groups of
// KIP-848, transaction.version 2 gives clients a new epoch with every
// transaction (KIP-890).
var features = []feature{
	{"group.version", 0, 1, 1},
	{"transaction.version", 0, 2, 2},
}

// UpdateFeatures (57). Versions 0-2. Levels are fixed: asking for the present
// one is done, any other is INVALID_UPDATE_VERSION.
func init() {
	register(57, 0, 2, func(_ *Broker, rq *request, req *kmsg.UpdateFeaturesRequest) error {
		resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
		fail := func(err error) {
			if resp.ErrorCode == 0 {
				resp.ErrorCode, resp.ErrorMessage = errorCode(err), message(err)
			}
		}
		if !rq.may(kmsg.ACLOperationAlter, clusterResource) {
			fail(kerr.ClusterAuthorizationFailed)
			rq.reply(resp)
			return nil
		}
		for _, u := range req.FeatureUpdates {
			sf := kmsg.NewUpdateFeaturesResponseResult()
			sf.Feature = u.Feature
			err := checkFeature(u.Feature, u.MaxVersionLevel)
			if err == nil && req.Version >= 1 && (u.UpgradeType < 1 || u.UpgradeType > 3) {
				err = fmt.Errorf("%w: upgrade type %d", kerr.InvalidUpdateVersion, u.UpgradeType)
			}
			if sf.ErrorCode, sf.ErrorMessage = errorCode(err), message(err); err != nil {
				fail(err)
			}
			resp.Results = append(resp.Results, sf)
		}
		if resp.ErrorCode != 0 {
			resp.Results = nil // all or nothing, which the reply's own error tells
		}
		rq.reply(resp)
		return nil
	})
}

func checkFeature(name string, level int16) error {
	for _, f := range features {
		switch {
		case f.name != name:
		case level == f.level:
			return nil
		default:
			return fmt.Errorf("%w: %s is fixed at level %d", kerr.InvalidUpdateVersion, name, f.level)
		}
	}
	return fmt.Errorf("%w: feature %q is not known", kerr.InvalidUpdateVersion, name)
}
