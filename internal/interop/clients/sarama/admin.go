package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

const (
	manyTopics     = 50
	manyPartitions = 100
)

func adminTopics() error {
	a, err := admin()
	if err != nil {
		return err
	}
	retention := "3600000"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}
	if err := a.CreateTopic(*topic, detail, false); err != nil {
		return err
	}
	if err := a.CreateTopic(*topic, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("creating it again: %w", err)
	}
	if err := await(func() (sarama.KError, error) {
		described, err := a.DescribeTopics([]string{*topic})
		if err != nil {
			return 0, err
		}
		return described[0].Err, nil
	}, sarama.ErrNoError); err != nil {
		return err
	}
	size := "2000000"
	if err := a.AlterConfig(sarama.TopicResource, *topic, map[string]*string{"max.message.bytes": &size}, false); err != nil {
		return err
	}
	entries, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: *topic, ConfigNames: []string{"max.message.bytes"}})
	if err != nil {
		return err
	}
	if err := errors.Join(expect("entries", len(entries), 1), expect("value", entries[0].Value, size)); err != nil {
		return err
	}
	if err := a.CreatePartitions(*topic, 3, nil, false); err != nil {
		return err
	}
	var messages []*sarama.ProducerMessage
	for i := range 9 {
		messages = append(messages, message("v", i, int32(i%3)))
	}
	if err := errors.Join(produce(messages, nil), a.DeleteRecords(*topic, map[int32]int64{2: 2})); err != nil {
		return err
	}
	got, err := read(1, *topic, 2, sarama.OffsetOldest, nil)
	if err != nil {
		return err
	}
	listed, err := a.ListTopics()
	if err != nil {
		return err
	}
	return errors.Join(expect("first offset", got[0].Offset, 2), expect("partitions", listed[*topic].NumPartitions, 3), a.DeleteTopic(*topic), a.Close())
}

// adminGroups deletes the group and an offset of it at the versions that have a
// request for that; the others see it and its offsets only.
func adminGroups() error {
	if err := produce([]*sarama.ProducerMessage{message("v", 0, 0), message("v", 1, 1)}, nil); err != nil {
		return err
	}
	m, err := join("")
	if err != nil {
		return err
	}
	if err := until(func() bool { return count(m) == 2 }, m); err != nil {
		return err
	}
	a, err := admin()
	if err != nil {
		return err
	}
	groups, err := a.DescribeConsumerGroups([]string{*topic})
	if err != nil {
		return err
	}
	if err := errors.Join(expect("state", groups[0].State, "Stable"), expect("members", len(groups[0].Members), 1)); err != nil {
		return err
	}
	deletes := version.IsAtLeast(sarama.V1_1_0_0)
	if deletes {
		if err := a.DeleteConsumerGroup(*topic); !errors.Is(err, sarama.ErrNonEmptyGroup) {
			return fmt.Errorf("deleting a group with members: %w", err)
		}
	}
	if err := m.leave(); err != nil {
		return err
	}
	if err := await(func() (string, error) {
		groups, err := a.DescribeConsumerGroups([]string{*topic})
		if err != nil {
			return "", err
		}
		return groups[0].State, nil
	}, "Empty"); err != nil {
		return err
	}
	if err := expectOffsets(a, 1, 1); err != nil {
		return err
	}
	if version.IsAtLeast(sarama.V2_4_0_0) {
		if err := errors.Join(a.DeleteConsumerGroupOffset(*topic, *topic, 1), expectOffsets(a, 1, -1)); err != nil {
			return err
		}
	}
	if deletes {
		if err := a.DeleteConsumerGroup(*topic); err != nil {
			return err
		}
	}
	listed, err := a.ListConsumerGroups()
	if err != nil {
		return err
	}
	_, there := listed[*topic]
	return errors.Join(expect("is in the list", there, !deletes), a.Close())
}

// expectOffsets compares the group's offsets of two partitions.
func expectOffsets(a sarama.ClusterAdmin, zero, one int64) error {
	offsets, err := a.ListConsumerGroupOffsets(*topic, map[string][]int32{*topic: {0, 1}})
	if err != nil {
		return err
	}
	return errors.Join(expect("offset", offsets.GetBlock(*topic, 0).Offset, zero), expect("other offset", offsets.GetBlock(*topic, 1).Offset, one))
}

func adminCluster() error {
	a, err := admin()
	if err != nil {
		return err
	}
	brokers, controller, err := a.DescribeCluster()
	if err != nil {
		return err
	}
	node := brokers[0].ID()
	if err := errors.Join(expect("brokers", len(brokers), 1), expect("controller", controller, node)); err != nil {
		return err
	}
	if version.IsAtLeast(sarama.V1_1_0_0) { // before it, versions that Kafka 4 does not serve (KIP-896)
		configs, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.BrokerResource, Name: strconv.Itoa(int(node))})
		if err != nil {
			return err
		}
		dirs, err := a.DescribeLogDirs([]int32{node})
		if err := errors.Join(err, expect("has configurations", len(configs) > 0, true), expect("log directories", len(dirs[node]), 1)); err != nil {
			return err
		}
	}
	return a.Close()
}

func adminACLs() error {
	a, err := admin()
	if err != nil {
		return err
	}
	r := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: *topic, ResourcePatternType: sarama.AclPatternPrefixed}
	acl := sarama.Acl{Principal: "User:alice", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}
	if err := a.CreateACL(r, acl); err != nil {
		return err
	}
	f := sarama.AclFilter{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternTypeFilter: sarama.AclPatternPrefixed,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny}
	listed, err := a.ListAcls(f)
	if err != nil {
		return err
	}
	deleted, err := a.DeleteACL(f, false)
	if err != nil {
		return err
	}
	return errors.Join(expect("listed", len(listed), 1), expect("deleted", len(deleted), 1), a.Close())
}

func adminSCRAM() error {
	a, err := admin()
	if err != nil {
		return err
	}
	results, err := a.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{Name: *topic, Mechanism: sarama.SCRAM_MECHANISM_SHA_256,
		Iterations: 8192, Salt: []byte("salt"), Password: []byte("secret")}})
	if err != nil {
		return err
	}
	if err := expect("upsert", results[0].ErrorCode, sarama.ErrNoError); err != nil {
		return err
	}
	if err := await(func() (int, error) {
		described, err := a.DescribeUserScramCredentials([]string{*topic})
		if err != nil {
			return 0, err
		}
		return len(described[0].CredentialInfos), nil
	}, 1); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	return a.Close()
}

func adminQuotas() error {
	a, err := admin()
	if err != nil {
		return err
	}
	const rate = "producer_byte_rate"
	entity := []sarama.QuotaEntityComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Name: *topic}}
	set := func(value float64, validate bool) error {
		return a.AlterClientQuotas(entity, sarama.ClientQuotasOp{Key: rate, Value: value}, validate)
	}
	// limits returns what the client is limited to: nothing, or the one rate.
	limits := func() (float64, error) {
		entries, err := a.DescribeClientQuotas([]sarama.QuotaFilterComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Match: *topic}}, true)
		if err != nil || len(entries) == 0 {
			return 0, err
		}
		return entries[0].Values[rate], nil
	}
	for _, at := range []struct {
		what   string
		change func() error
		want   float64
	}{
		{"validated only", func() error { return set(1e6, true) }, 0}, {"set", func() error { return set(1e6, false) }, 1e6},
		{"set again", func() error { return set(2e6, false) }, 2e6},
		{"removed", func() error {
			return a.AlterClientQuotas(entity, sarama.ClientQuotasOp{Key: rate, Remove: true}, false)
		}, 0},
	} {
		if err := at.change(); err != nil {
			return fmt.Errorf("%s: %w", at.what, err)
		}
		if err := await(limits, at.want); err != nil {
			return fmt.Errorf("%s: %w", at.what, err)
		}
	}
	return a.Close()
}

// await asks until the answer is what was set: Kafka publishes it after it has
// answered.
func await[T comparable](ask func() (T, error), want T) error {
	for {
		got, err := ask()
		if err != nil || got == want {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the runner bounds how long
	}
}

// awaitLeaders waits until the leader of every partition answers: Kafka publishes so
// many after it has answered, and the producer gives up after three tries.
func awaitLeaders() error {
	c, err := config()
	if err != nil {
		return err
	}
	cl, err := sarama.NewClient([]string{*bootstrap}, c)
	if err != nil {
		return err
	}
	for t := range manyTopics {
		for p := range manyPartitions {
			name := fmt.Sprintf("%s.%d", *topic, t)
			for {
				if _, err := cl.GetOffset(name, int32(p), sarama.OffsetNewest); err == nil {
					break
				}
				time.Sleep(100 * time.Millisecond) // the runner bounds how long
			}
		}
	}
	return cl.Close()
}

func many() error {
	a, err := admin()
	if err != nil {
		return err
	}
	var messages []*sarama.ProducerMessage
	for t := range manyTopics {
		name := fmt.Sprintf("%s.%d", *topic, t)
		if err := a.CreateTopic(name, &sarama.TopicDetail{NumPartitions: manyPartitions, ReplicationFactor: 1}, false); err != nil {
			return err
		}
		for i := range manyPartitions {
			m := message("v", i, int32(i))
			m.Topic = name
			messages = append(messages, m)
		}
	}
	if err := awaitLeaders(); err != nil {
		return err
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	for t := range manyTopics {
		if err := a.DeleteTopic(fmt.Sprintf("%s.%d", *topic, t)); err != nil {
			return err
		}
	}
	return a.Close()
}
