package broker

import (
	"maps"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (18). Versions 0-5.
//
// The response header never has tags. A request with an unknown version is
// answered in version 0 with UNSUPPORTED_VERSION and our range, so that the
// client can try again on the same connection. From version 5 on
// a client may say which cluster and broker it believes to talk to; when it errs
// it is told to begin anew (KIP-1242).
func init() {
	register(keyApiVersions, 0, 5, func(b *Broker, rq *request, req *kmsg.ApiVersionsRequest) error {
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
	if req.Version >= 5 {
		if code := b.checkIdentity(req); code != 0 {
			resp.ErrorCode = code
			return resp
		}
	}
	for _, key := range slices.Sorted(maps.Keys(apis)) {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, apis[key].min, apis[key].max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if req.Version < 3 {
		return resp
	}
	for _, level := range features {
		// A minimum of 0 is legal from version 4 on only (KAFKA-17011).
		if req.Version >= 4 || level.min > 0 {
			f := kmsg.NewApiVersionsResponseSupportedFeature()
			f.Name, f.MinVersion, f.MaxVersion = level.name, level.min, level.max
			resp.SupportedFeatures = append(resp.SupportedFeatures, f)
		}
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MinVersionLevel, f.MaxVersionLevel = level.name, level.level, level.level
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	}
	resp.FinalizedFeaturesEpoch = 1
	return resp
}

// checkIdentity compares the cluster and broker that a client expects with ours.
func (b *Broker) checkIdentity(req *kmsg.ApiVersionsRequest) int16 {
	switch {
	case req.ClusterID == nil && req.NodeID == -1:
		return 0
	case req.ClusterID == nil || req.NodeID == -1:
		return kerr.InvalidRequest.Code
	case *req.ClusterID != b.clusterID || req.NodeID != nodeID:
		return kerr.RebootstrapRequired.Code
	}
	return 0
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
