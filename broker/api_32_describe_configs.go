package broker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (32). Versions 1-4. Topics and this broker are described; all
// known names are returned, with what was set and what is default. For another type
// of resource the error says which there are.
func init() {
	register(32, 1, 4, func(b *Broker, rq *request, req *kmsg.DescribeConfigsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, rr := range req.Resources {
			sr := kmsg.NewDescribeConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			if denied := rq.configDenied(kmsg.ACLOperationDescribeConfigs, rr.ResourceType, rr.ResourceName); denied != nil {
				sr.ErrorCode, sr.ErrorMessage = errorCode(denied), message(denied)
				resp.Resources = append(resp.Resources, sr)
				continue
			}
			switch rr.ResourceType {
			case kmsg.ConfigResourceTypeTopic:
				t := b.topics.get(rr.ResourceName)
				if t == nil {
					sr.ErrorCode = kerr.UnknownTopicOrPartition.Code
					break
				}
				set, _ := t.config()
				sr.Configs = describeTopicConfigs(set, rr.ConfigNames, req)
			case kmsg.ConfigResourceTypeBroker:
				if rr.ResourceName != "" && rr.ResourceName != strconv.Itoa(nodeID) {
					err := fmt.Errorf("%w: there is no broker %.40q, the only one is %d", kerr.InvalidRequest, rr.ResourceName, nodeID)
					sr.ErrorCode, sr.ErrorMessage = errorCode(err), message(err)
					break
				}
				sr.Configs = b.describeBrokerConfigs(rr.ConfigNames, req)
			default:
				err := fmt.Errorf("%w: %s have no configurations here: those of topics and of the broker are described", kerr.InvalidRequest, configHolders(rr.ResourceType))
				sr.ErrorCode, sr.ErrorMessage = errorCode(err), message(err)
			}
			resp.Resources = append(resp.Resources, sr)
		}
		rq.reply(resp)
		return nil
	})
}

// configHolders names what has configurations of a type, in the words of Kafka's
// tools.
func configHolders(kind kmsg.ConfigResourceType) string {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return "topics"
	case kmsg.ConfigResourceTypeBroker:
		return "brokers"
	case kmsg.ConfigResourceTypeBrokerLogger:
		return "broker-loggers"
	case kmsg.ConfigResourceTypeClientMetrics:
		return "client-metrics"
	case kmsg.ConfigResourceTypeGroupConfig:
		return "groups"
	}
	return fmt.Sprintf("resources of type %d", kind)
}

func describeTopicConfigs(set map[string]string, names []string, req *kmsg.DescribeConfigsRequest) []kmsg.DescribeConfigsResponseResourceConfig {
	var configs []kmsg.DescribeConfigsResponseResourceConfig
	for _, known := range topicConfigs {
		if names != nil && !slices.Contains(names, known.name) {
			continue
		}
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		value, isSet := set[known.name]
		c.Name, c.Source = known.name, kmsg.ConfigSourceDynamicTopicConfig
		if !isSet {
			value, c.Source, c.IsDefault = known.fallback, kmsg.ConfigSourceDefaultConfig, true
		}
		value = known.canonical(value)
		c.Value, c.ConfigType = &value, known.kind.wire()
		if req.IncludeDocumentation {
			doc := known.doc
			c.Documentation = &doc
		}
		if req.IncludeSynonyms {
			if isSet {
				c.ConfigSynonyms = append(c.ConfigSynonyms, synonym(known.name, value, kmsg.ConfigSourceDynamicTopicConfig))
			}
			c.ConfigSynonyms = append(c.ConfigSynonyms, synonym(known.name, known.fallback, kmsg.ConfigSourceDefaultConfig))
		}
		configs = append(configs, c)
	}
	return configs
}

func synonym(name, value string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, &value, source
	return s
}

// wire returns the protocol's number of a type.
func (k configKind) wire() kmsg.ConfigType {
	switch k {
	case configInt:
		return kmsg.ConfigTypeInt
	case configLong:
		return kmsg.ConfigTypeLong
	case configDouble:
		return kmsg.ConfigTypeDouble
	case configList:
		return kmsg.ConfigTypeList
	case configBool:
		return kmsg.ConfigTypeBoolean
	}
	return kmsg.ConfigTypeString
}

func (b *Broker) describeBrokerConfigs(names []string, req *kmsg.DescribeConfigsRequest) []kmsg.DescribeConfigsResponseResourceConfig {
	var configs []kmsg.DescribeConfigsResponseResourceConfig
	add := func(name, value string, kind configKind) {
		if names != nil && !slices.Contains(names, name) {
			return
		}
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.ReadOnly, c.Source, c.ConfigType = name, &value, true, kmsg.ConfigSourceStaticBrokerConfig, kind.wire()
		configs = append(configs, c)
	}
	l := b.cfg.Limits
	add("auto.create.topics.enable", strconv.FormatBool(!b.cfg.DisableAutoCreate), configBool)
	add("broker.id", strconv.Itoa(nodeID), configInt)
	add("default.replication.factor", "1", configInt)
	key, encrypted := b.EncryptionKey()
	add("encryption.at.rest.enable", strconv.FormatBool(encrypted), configBool)
	if encrypted {
		add("encryption.at.rest.key.id", key.String(), configString)
	}
	add("group.initial.rebalance.delay.ms", strconv.FormatInt(l.GroupInitialRebalanceDelay.Milliseconds(), 10), configInt)
	add("group.max.size", strconv.Itoa(l.GroupMaxSize), configInt)
	add("log.retention.ms", "-1", configLong)
	add("log.tail.max.bytes", strconv.FormatInt(l.TailMaxBytes, 10), configLong)
	add("min.insync.replicas", "1", configInt)
	add("num.partitions", strconv.Itoa(int(b.cfg.DefaultPartitions)), configInt)
	add("offsets.topic.replication.factor", "1", configInt)
	add("socket.request.max.bytes", strconv.Itoa(l.RequestMaxBytes), configInt)
	add("super.users", strings.Join(b.cfg.Security.SuperUsers, ";"), configList)
	add("transaction.max.timeout.ms", strconv.FormatInt(l.TransactionMaxTimeout.Milliseconds(), 10), configInt)
	add("wal.file.bytes", strconv.FormatInt(l.WALFileBytes, 10), configLong)
	add("wal.max.bytes", strconv.FormatInt(l.WALMaxBytes, 10), configLong)
	add("wal.spare.bytes", strconv.FormatInt(l.WALSpareBytes, 10), configLong)
	return configs
}
