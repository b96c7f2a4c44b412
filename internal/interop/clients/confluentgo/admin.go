package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	manyTopics     = 50
	manyPartitions = 100
)

// administer gives f an admin client. The runner bounds how long it takes.
func administer(f func(context.Context, *kafka.AdminClient) error) error {
	a, err := kafka.NewAdminClient(config(nil))
	if err != nil {
		return err
	}
	defer a.Close()
	return f(context.Background(), a)
}

// each returns the errors of an administration of topics, call being that of the
// whole.
func each(results []kafka.TopicResult, call error) error {
	for _, r := range results {
		if r.Error.Code() != kafka.ErrNoError {
			call = errors.Join(call, fmt.Errorf("%s: %w", r.Topic, r.Error))
		}
	}
	return call
}

func code(err error) kafka.ErrorCode {
	var ke kafka.Error
	if errors.As(err, &ke) {
		return ke.Code()
	}
	return kafka.ErrNoError
}

func adminTopics() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		create := func() error {
			return each(a.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: *topic, NumPartitions: 2, ReplicationFactor: 1,
				Config: map[string]string{"retention.ms": "3600000"}}}))
		}
		if err := create(); err != nil {
			return err
		}
		if err := expect("creating it again", code(create()), kafka.ErrTopicAlreadyExists); err != nil {
			return err
		}
		if err := alter(ctx, a); err != nil {
			return err
		}
		if err := each(a.CreatePartitions(ctx, []kafka.PartitionsSpecification{{Topic: *topic, IncreaseTo: 3}})); err != nil {
			return err
		}
		var messages []*kafka.Message
		for i := range 9 {
			messages = append(messages, message(*topic, "v", i, i%3))
		}
		if err := produce(nil, messages...); err != nil {
			return err
		}
		deleted, err := a.DeleteRecords(ctx, []kafka.TopicPartition{{Topic: topic, Partition: 2, Offset: 2}})
		if err != nil {
			return err
		}
		if r := deleted.DeleteRecordsResults[0]; r.TopicPartition.Error != nil || r.DeletedRecords.LowWatermark != 2 {
			return fmt.Errorf("delete records: %+v", r)
		}
		if err := expectOffsets(ctx, a, kafka.EarliestOffsetSpec, 2, kafka.TopicPartition{Topic: topic, Partition: 2}); err != nil {
			return err
		}
		described, err := a.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{*topic}))
		if err != nil {
			return err
		}
		if err := expect("partitions", len(described.TopicDescriptions[0].Partitions), 3); err != nil {
			return err
		}
		return each(a.DeleteTopics(ctx, []string{*topic}))
	})
}

// alter sets one configuration, drops another, and looks at both.
func alter(ctx context.Context, a *kafka.AdminClient) error {
	edit := func(name, value string, op kafka.AlterConfigOpType) kafka.ConfigEntry {
		return kafka.ConfigEntry{Name: name, Value: value, IncrementalOperation: op}
	}
	altered, err := a.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: *topic, Config: []kafka.ConfigEntry{
		edit("max.message.bytes", "2000000", kafka.AlterConfigOpTypeSet), edit("retention.ms", "", kafka.AlterConfigOpTypeDelete)}}})
	if err != nil {
		return err
	}
	if err := expect("altering", altered[0].Error.Code(), kafka.ErrNoError); err != nil {
		return err
	}
	configs, err := a.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: *topic}})
	if err != nil {
		return err
	}
	got := configs[0].Config
	return errors.Join(expect("max.message.bytes", got["max.message.bytes"].Value, "2000000"), expect("retention.ms is a default", got["retention.ms"].IsDefault, true))
}

// expectOffsets asks for the offsets of partitions, which together are want.
func expectOffsets(ctx context.Context, a *kafka.AdminClient, spec kafka.OffsetSpec, want int64, of ...kafka.TopicPartition) error {
	ask := map[kafka.TopicPartition]kafka.OffsetSpec{}
	for _, tp := range of {
		ask[tp] = spec
	}
	listed, err := a.ListOffsets(ctx, ask)
	if err != nil {
		return err
	}
	sum := int64(0)
	for tp, info := range listed.ResultInfos {
		if info.Error.Code() != kafka.ErrNoError {
			return fmt.Errorf("%v: %w", tp, info.Error)
		}
		sum += int64(info.Offset)
	}
	return errors.Join(expect("partitions with an offset", len(listed.ResultInfos), len(of)), expect("offsets", sum, want))
}

func adminGroups() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		if err := produce(nil, message(*topic, "v", 0, 0), message(*topic, "v", 1, 1)); err != nil {
			return err
		}
		c, err := member("")
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		if err := until(func() bool { return len(seen) == 2 }, seen, c); err != nil {
			return err
		}
		described, err := a.DescribeConsumerGroups(ctx, []string{*topic})
		if err != nil {
			return err
		}
		g := described.ConsumerGroupDescriptions[0]
		if err := errors.Join(expect("state", g.State, kafka.ConsumerGroupStateStable), expect("members", len(g.Members), 1)); err != nil {
			return err
		}
		drop := func() (kafka.ErrorCode, error) {
			r, err := a.DeleteConsumerGroups(ctx, []string{*topic})
			if err != nil {
				return 0, err
			}
			return r.ConsumerGroupResults[0].Error.Code(), nil
		}
		refused, err := drop()
		if err := errors.Join(err, expect("deleting a group with members", refused, kafka.ErrNonEmptyGroup), c.Close()); err != nil {
			return err
		}
		if err := groupOffsets(ctx, a); err != nil {
			return err
		}
		dropped, err := drop()
		return errors.Join(err, expect("deleting the group", dropped, kafka.ErrNoError))
	})
}

// groupOffsets looks at a group without members and at its offsets, one of which
// it sets back.
func groupOffsets(ctx context.Context, a *kafka.AdminClient) error {
	listed, err := a.ListConsumerGroups(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(listed.Valid, func(g kafka.ConsumerGroupListing) bool {
		return g.GroupID == *topic && g.State == kafka.ConsumerGroupStateEmpty
	}) {
		return fmt.Errorf("the group is not listed as empty: %+v", listed.Valid)
	}
	back := []kafka.TopicPartition{{Topic: topic, Partition: 0, Offset: 0}}
	if _, err := a.AlterConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: *topic, Partitions: back}}); err != nil {
		return err
	}
	got, err := a.ListConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: *topic}})
	if err != nil {
		return err
	}
	for _, tp := range got.ConsumerGroupsTopicPartitions[0].Partitions {
		err = errors.Join(err, tp.Error, expect(fmt.Sprint("offset of partition ", tp.Partition), tp.Offset, kafka.Offset(tp.Partition)))
	}
	return errors.Join(err, expect("partitions with an offset", len(got.ConsumerGroupsTopicPartitions[0].Partitions), 2))
}

func adminCluster() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		c, err := a.DescribeCluster(ctx, kafka.SetAdminOptionIncludeAuthorizedOperations(true))
		if err != nil {
			return err
		}
		return errors.Join(expect("nodes", len(c.Nodes), 1), expect("has an id", c.ClusterID != nil && *c.ClusterID != "", true),
			expect("has operations", len(c.AuthorizedOperations) > 0, true))
	})
}

func adminACLs() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		rule := kafka.ACLBinding{Type: kafka.ResourceTopic, Name: *topic, ResourcePatternType: kafka.ResourcePatternTypePrefixed, Principal: "User:alice", Host: "*",
			Operation: kafka.ACLOperationRead, PermissionType: kafka.ACLPermissionTypeAllow}
		created, err := a.CreateACLs(ctx, kafka.ACLBindings{rule})
		if err != nil {
			return err
		}
		if err := expect("creating", created[0].Error.Code(), kafka.ErrNoError); err != nil {
			return err
		}
		filter := rule
		filter.Principal, filter.Host, filter.Operation, filter.PermissionType = "", "", kafka.ACLOperationAny, kafka.ACLPermissionTypeAny
		described, err := a.DescribeACLs(ctx, filter)
		if err != nil {
			return err
		}
		if err := expect("rules", fmt.Sprint(described.ACLBindings), fmt.Sprint(kafka.ACLBindings{rule})); err != nil {
			return err
		}
		deleted, err := a.DeleteACLs(ctx, kafka.ACLBindingFilters{filter})
		if err != nil {
			return err
		}
		return expect("deleted", fmt.Sprint(deleted[0].ACLBindings), fmt.Sprint(kafka.ACLBindings{rule}))
	})
}

func adminSCRAM() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		info := kafka.ScramCredentialInfo{Iterations: 8192, Mechanism: kafka.ScramMechanismSHA256}
		set := []kafka.UserScramCredentialUpsertion{{User: *topic, ScramCredentialInfo: info, Password: []byte("secret")}}
		altered, err := a.AlterUserScramCredentials(ctx, set, nil)
		if err != nil {
			return err
		}
		if err := expect("setting", altered.Errors[*topic].Code(), kafka.ErrNoError); err != nil {
			return err
		}
		described, err := a.DescribeUserScramCredentials(ctx, []string{*topic})
		if err != nil {
			return err
		}
		if err := expect("credentials", fmt.Sprint(described.Descriptions[*topic].ScramCredentialInfos), fmt.Sprint([]kafka.ScramCredentialInfo{info})); err != nil {
			return err
		}
		altered, err = a.AlterUserScramCredentials(ctx, nil, []kafka.UserScramCredentialDeletion{{User: *topic, Mechanism: info.Mechanism}})
		if err != nil {
			return err
		}
		return expect("deleting", altered.Errors[*topic].Code(), kafka.ErrNoError)
	})
}

func many() error {
	return administer(func(ctx context.Context, a *kafka.AdminClient) error {
		var topics []kafka.TopicSpecification
		var names []string
		var messages []*kafka.Message
		var partitions []kafka.TopicPartition
		for i := range manyTopics {
			name := fmt.Sprintf("%s.%d", *topic, i)
			names = append(names, name)
			topics = append(topics, kafka.TopicSpecification{Topic: name, NumPartitions: manyPartitions, ReplicationFactor: 1})
			for p := range manyPartitions {
				messages = append(messages, message(name, "v", p, p))
				partitions = append(partitions, kafka.TopicPartition{Topic: &name, Partition: int32(p)})
			}
		}
		patience := kafka.SetAdminOperationTimeout(timeout)
		if err := each(a.CreateTopics(ctx, topics, patience, kafka.SetAdminRequestTimeout(timeout))); err != nil {
			return err
		}
		if err := produce(nil, messages...); err != nil {
			return err
		}
		if err := expectOffsets(ctx, a, kafka.LatestOffsetSpec, manyTopics*manyPartitions, partitions...); err != nil {
			return err
		}
		return each(a.DeleteTopics(ctx, names, patience, kafka.SetAdminRequestTimeout(timeout)))
	})
}
