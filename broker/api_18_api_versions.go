package broker

import (
	"maps"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (18). Versions 0-4.
//
// The response header never has tags. A request with an unknown version is
// answered in version 0 with UNSUPPORTED_VERSION and our range, so that the
// client can try again on the same connection. transaction.version 2 is
// finalized: clients that know it (KIP-890) get a new epoch with every
// transaction.
func init() {
	register(keyApiVersions, 0, 4, func(b *Broker, rq *request, req *kmsg.ApiVersionsRequest) error {
		rq.reply(b.apiVersions(req))
		return nil
	})
}

// clientSoftware is what Kafka allows as a client's name and version.
var clientSoftware = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func (b *Broker) apiVersions(req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	if req.Version >= 3 && (!clientSoftware.MatchString(req.ClientSoftwareName) || !clientSoftware.MatchString(req.ClientSoftwareVersion)) {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	for _, key := range slices.Sorted(maps.Keys(apis)) {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, apis[key].min, apis[key].max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if req.Version < 3 {
		return resp
	}
	if req.Version >= 4 { // a minimum of 0 is legal from 4 on only
		f := kmsg.NewApiVersionsResponseSupportedFeature()
		f.Name, f.MinVersion, f.MaxVersion = "transaction.version", 0, 2
		resp.SupportedFeatures = append(resp.SupportedFeatures, f)
	}
	resp.FinalizedFeaturesEpoch = 1
	f := kmsg.NewApiVersionsResponseFinalizedFeature()
	f.Name, f.MinVersionLevel, f.MaxVersionLevel = "transaction.version", 2, 2
	resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	return resp
}

// unsupportedApiVersions answers a version that we do not know.
func (b *Broker) unsupportedApiVersions() *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = keyApiVersions, apis[keyApiVersions].min, apis[keyApiVersions].max
	resp.ApiKeys = append(resp.ApiKeys, k)
	return resp
}
