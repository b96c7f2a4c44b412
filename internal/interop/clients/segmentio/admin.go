package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	manyTopics     = 50
	manyPartitions = 100
	// visiblePoll is how often is looked whether Kafka has published what it answered.
	visiblePoll = 100 * time.Millisecond
)

func adminTopics(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	config := kafka.TopicConfig{Topic: *topic, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "3600000"}}}
	created, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil || created.Errors[*topic] != nil {
		return errors.Join(err, created.Errors[*topic])
	}
	created, err = c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil || !errors.Is(created.Errors[*topic], kafka.TopicAlreadyExists) {
		return fmt.Errorf("creating it again: %w, %w", err, created.Errors[*topic])
	}
	described, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: *topic, ConfigNames: []string{"retention.ms"}}}})
	if err != nil {
		return err
	}
	if err := expect("retention.ms", described.Resources[0].ConfigEntries[0].ConfigValue, "3600000"); err != nil {
		return err
	}
	grown, err := c.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: *topic, Count: 3}}})
	if err != nil || grown.Errors[*topic] != nil {
		return errors.Join(err, grown.Errors[*topic])
	}
	again, err := client() // the first has the topic in its cache
	if err != nil {
		return err
	}
	md, err := again.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{*topic}})
	if err != nil {
		return err
	}
	if err := expect("partitions", len(md.Topics[0].Partitions), 3); err != nil {
		return err
	}
	deleted, err := c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{*topic}})
	return errors.Join(err, deleted.Errors[*topic])
}

func adminCluster(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	md, err := c.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	versions, err := c.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
	if err != nil {
		return err
	}
	return errors.Join(expect("brokers", len(md.Brokers), 1), expect("has keys", len(versions.ApiKeys) > 0, true), versions.Error)
}

// awaitLeaders waits until every partition has a leader: Kafka publishes them after
// it has answered, and the writer gives up when one is missing. A leader that is
// published may not have begun, for which the writer does try again.
func awaitLeaders(ctx context.Context, c *kafka.Client, names []string) error {
	for {
		m, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
		if err != nil {
			return err
		}
		led := 0
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				if p.Error == nil && p.Leader.Port != 0 {
					led++
				}
			}
		}
		if led == len(names)*manyPartitions {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d partitions have a leader: %w", led, ctx.Err())
		case <-time.After(visiblePoll):
		}
	}
}

func many(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	var configs []kafka.TopicConfig
	var names []string
	for i := range manyTopics {
		names = append(names, fmt.Sprintf("%s.%d", *topic, i))
		configs = append(configs, kafka.TopicConfig{Topic: names[i], NumPartitions: manyPartitions, ReplicationFactor: 1})
	}
	if _, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: configs}); err != nil {
		return err
	}
	if err := awaitLeaders(ctx, c, names); err != nil {
		return err
	}
	for _, name := range names {
		var messages []kafka.Message
		for i := range manyPartitions {
			messages = append(messages, message("v", i, i))
		}
		if err := produce(ctx, name, messages, func(w *kafka.Writer) { w.MaxAttempts = 100 }); err != nil {
			return err
		}
	}
	_, err = c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	return err
}

func adminGroups(ctx context.Context) error {
	if err := produce(ctx, *topic, []kafka.Message{message("v", 0, 0), message("v", 1, 1)}, nil); err != nil {
		return err
	}
	r, err := reader(*topic, 0, *topic)
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := r.ReadMessage(ctx); err != nil {
			return err
		}
	}
	c, err := client()
	if err != nil {
		return err
	}
	groups := []string{*topic}
	described, err := c.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: groups})
	if err != nil {
		return err
	}
	if err := errors.Join(expect("state", described.Groups[0].GroupState, "Stable"), expect("members", len(described.Groups[0].Members), 1)); err != nil {
		return err
	}
	refused, err := c.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: groups})
	if err != nil || !errors.Is(refused.Errors[*topic], kafka.NonEmptyGroup) {
		return fmt.Errorf("deleting a group with members: %w, %w", err, refused.Errors[*topic])
	}
	if err := errors.Join(r.Close(), groupOffsets(ctx, c)); err != nil {
		return err
	}
	deleted, err := c.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: groups})
	if err != nil {
		return err
	}
	return deleted.Errors[*topic]
}

// groupOffsets looks for a group without members and at its offsets, one of which
// it deletes.
func groupOffsets(ctx context.Context, c *kafka.Client) error {
	listed, err := c.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(listed.Groups, func(g kafka.ListGroupsResponseGroup) bool { return g.GroupID == *topic }) {
		return fmt.Errorf("the group is not listed: %+v", listed.Groups)
	}
	if _, err := c.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: *topic, Topics: map[string][]int{*topic: {1}}}); err != nil {
		return err
	}
	got, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: *topic, Topics: map[string][]int{*topic: {0, 1}}})
	if err != nil {
		return err
	}
	at := map[int]int64{}
	for _, p := range got.Topics[*topic] {
		at[p.Partition] = p.CommittedOffset
	}
	return errors.Join(expect("kept offset", at[0], 1), expect("deleted offset", at[1], -1))
}

func adminACLs(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	rule := kafka.ACLEntry{ResourceType: kafka.ResourceTypeTopic, ResourceName: *topic, ResourcePatternType: kafka.PatternTypePrefixed, Principal: "User:alice", Host: "*",
		Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}
	created, err := c.CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{rule}})
	if err := errors.Join(err, created.Errors[0]); err != nil {
		return err
	}
	described, err := c.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{ResourceTypeFilter: rule.ResourceType, ResourceNameFilter: *topic,
		ResourcePatternTypeFilter: rule.ResourcePatternType, PrincipalFilter: rule.Principal, HostFilter: rule.Host, Operation: rule.Operation, PermissionType: rule.PermissionType}})
	if err := errors.Join(err, described.Error); err != nil {
		return err
	}
	if err := expect("resources with rules", len(described.Resources), 1); err != nil {
		return err
	}
	want := kafka.ACLDescription{Principal: rule.Principal, Host: rule.Host, Operation: rule.Operation, PermissionType: rule.PermissionType}
	if err := expect("rule", described.Resources[0].ACLs[0], want); err != nil {
		return err
	}
	deleted, err := c.DeleteACLs(ctx, &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{ResourceTypeFilter: rule.ResourceType, ResourceNameFilter: *topic,
		ResourcePatternTypeFilter: rule.ResourcePatternType, PrincipalFilter: rule.Principal, HostFilter: rule.Host, Operation: rule.Operation, PermissionType: rule.PermissionType}}})
	if err := errors.Join(err, deleted.Results[0].Error); err != nil {
		return err
	}
	return expect("deleted", len(deleted.Results[0].MatchingACLs), 1)
}

func adminSCRAM(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	const iterations = 8192
	salt := []byte("salt of the user")
	salted, err := pbkdf2.Key(sha256.New, "secret", salt, iterations, sha256.Size)
	if err != nil {
		return err
	}
	alter := func(req kafka.AlterUserScramCredentialsRequest) error {
		altered, err := c.AlterUserScramCredentials(ctx, &req)
		if err != nil {
			return err
		}
		return altered.Results[0].Error
	}
	// credentials waits until there are so many.
	credentials := func(want int) error {
		for {
			described, err := c.DescribeUserScramCredentials(ctx, &kafka.DescribeUserScramCredentialsRequest{Users: []kafka.UserScramCredentialsUser{{Name: *topic}}})
			if err := errors.Join(err, described.Error); err != nil {
				return err
			}
			got := described.Results[0].CredentialInfos
			if len(got) == want {
				if want > 0 {
					return expect("iterations", got[0].Iterations, iterations)
				}
				return nil
			}
			time.Sleep(visiblePoll)
		}
	}
	set := kafka.UserScramCredentialsUpsertion{Name: *topic, Mechanism: kafka.ScramMechanismSha256, Iterations: iterations, Salt: salt, SaltedPassword: salted}
	if err := alter(kafka.AlterUserScramCredentialsRequest{Upsertions: []kafka.UserScramCredentialsUpsertion{set}}); err != nil {
		return err
	}
	if err := credentials(1); err != nil {
		return err
	}
	gone := kafka.UserScramCredentialsDeletion{Name: *topic, Mechanism: kafka.ScramMechanismSha256}
	if err := alter(kafka.AlterUserScramCredentialsRequest{Deletions: []kafka.UserScramCredentialsDeletion{gone}}); err != nil {
		return err
	}
	return credentials(0)
}

func adminQuotas(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	const rate = "producer_byte_rate"
	alter := func(op kafka.AlterClientQuotaOps) error {
		altered, err := c.AlterClientQuotas(ctx, &kafka.AlterClientQuotasRequest{Entries: []kafka.AlterClientQuotaEntry{
			{Entities: []kafka.AlterClientQuotaEntity{{EntityType: "client-id", EntityName: *topic}}, Ops: []kafka.AlterClientQuotaOps{op}}}})
		if err != nil {
			return err
		}
		return altered.Entries[0].Error
	}
	// limit waits until the client is limited to so much, 0 for not at all.
	limit := func(want float64) error {
		for {
			described, err := c.DescribeClientQuotas(ctx, &kafka.DescribeClientQuotasRequest{Strict: true,
				Components: []kafka.DescribeClientQuotasRequestComponent{{EntityType: "client-id", Match: *topic}}})
			if err := errors.Join(err, described.Error); err != nil {
				return err
			}
			got := 0.0
			if len(described.Entries) > 0 {
				got = described.Entries[0].Values[0].Value
			}
			if got == want {
				return nil
			}
			time.Sleep(visiblePoll)
		}
	}
	return errors.Join(alter(kafka.AlterClientQuotaOps{Key: rate, Value: 1e6}), limit(1e6), alter(kafka.AlterClientQuotaOps{Key: rate, Remove: true}), limit(0))
}
