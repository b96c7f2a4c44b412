package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// IncrementalAlterConfigs (44). Versions 0-1. Topics only: what the broker
// itself is told at start cannot be changed. A resource is changed as a whole or
// not at all.
func init() {
	register(44, 0, 1, func(b *Broker, rq *request, req *kmsg.IncrementalAlterConfigsRequest) error {
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for _, rr := range req.Resources {
			sr := kmsg.NewIncrementalAlterConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			err := rq.configDenied(kmsg.ACLOperationAlterConfigs, rr.ResourceType, rr.ResourceName)
			if err == nil {
				err = b.setConfigs(rr.ResourceType, rr.ResourceName, req.ValidateOnly, func(old map[string]string) (map[string]string, error) {
					return alter(old, rr.Configs)
				})
			}
			sr.ErrorCode, sr.ErrorMessage = errorCode(err), message(err)
			resp.Resources = append(resp.Resources, sr)
		}
		rq.reply(resp)
		return nil
	})
}

// setConfigs replaces a resource's configuration with what change makes of it.
func (b *Broker) setConfigs(kind kmsg.ConfigResourceType, name string, validateOnly bool, change func(map[string]string) (map[string]string, error)) error {
	if kind != kmsg.ConfigResourceTypeTopic {
		return fmt.Errorf("%w: configurations of %s cannot be changed: only those of topics can", kerr.InvalidRequest, configHolders(kind))
	}
	if b.protectedTopic(name) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.TopicAuthorizationFailed, name)
	}
	c := newChange(256)
	return b.submitWait(c, func() error {
		t := b.topics.get(name)
		var old map[string]string
		if t != nil {
			old, _ = t.config()
		}
		// A bad value is told of a topic that is not there, too.
		configs, err := change(old)
		if err == nil {
			_, err = parseSettings(configs)
		}
		switch {
		case err != nil:
			return err
		case t == nil:
			return ErrUnknownTopic
		case validateOnly:
			return nil
		}
		b.stage(c, &configsSet{t.id, configs})
		return nil
	})
}

func nullConfig(name string) error { return fmt.Errorf("%w: %s is null", errConfig, name) }

// alter applies SET, DELETE, APPEND and SUBTRACT to a copy of configs.
func alter(configs map[string]string, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig) (map[string]string, error) {
	configs = maps.Clone(configs)
	if configs == nil {
		configs = map[string]string{}
	}
	seen := map[string]bool{}
	for _, ch := range changes {
		if seen[ch.Name] {
			return nil, fmt.Errorf("%w: %s is changed twice", kerr.InvalidRequest, ch.Name)
		}
		seen[ch.Name] = true
	}
	for _, ch := range changes {
		known, ok := findConfig(ch.Name)
		if !ok && ch.Op == kmsg.IncrementalAlterConfigOpDelete {
			continue // what is not set is gone already, as in Kafka
		}
		if !ok {
			return nil, fmt.Errorf("%w: %s is not known", errConfig, ch.Name)
		}
		if ch.Value == nil && ch.Op != kmsg.IncrementalAlterConfigOpDelete {
			return nil, nullConfig(ch.Name)
		}
		list := strings.Split(known.fallback, ",")
		if v, set := configs[ch.Name]; set {
			list = strings.Split(v, ",")
		}
		switch ch.Op {
		case kmsg.IncrementalAlterConfigOpSet:
			configs[ch.Name] = *ch.Value
			continue
		case kmsg.IncrementalAlterConfigOpDelete:
			delete(configs, ch.Name)
			continue
		}
		if known.kind != configList {
			return nil, fmt.Errorf("%w: %s is not a list", errConfig, ch.Name)
		}
		for _, v := range strings.Split(*ch.Value, ",") {
			switch {
			case ch.Op == kmsg.IncrementalAlterConfigOpSubtract:
				list = slices.DeleteFunc(list, func(have string) bool { return have == v })
			case !slices.Contains(list, v):
				list = append(list, v)
			}
		}
		configs[ch.Name] = strings.Join(list, ",")
	}
	return configs, nil
}
