package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	manyTopics     = 50
	manyPartitions = 100
)

func (p *program) adminTopics(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	retention := "3600000"
	if _, err := a.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &retention}, p.topic); err != nil {
		return err
	}
	if _, err := a.CreateTopic(ctx, 2, 1, nil, p.topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating it again: %v", err)
	}
	policy := "compact"
	altered, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &policy},
		{Op: kadm.DeleteConfig, Name: "retention.ms"}}, p.topic)
	if err != nil || altered[0].Err != nil {
		return fmt.Errorf("alter: %v, %v", err, altered)
	}
	configs, err := a.DescribeTopicConfigs(ctx, p.topic)
	if err != nil || len(configs) != 1 {
		return fmt.Errorf("describe: %v, %v", err, configs)
	}
	values := map[string]string{}
	for _, c := range configs[0].Configs {
		values[c.Key] = c.MaybeValue()
	}
	if err := expect("cleanup.policy", values["cleanup.policy"], policy); err != nil {
		return err
	}
	grown, err := a.UpdatePartitions(ctx, 3, p.topic)
	if err != nil || grown[p.topic].Err != nil {
		return fmt.Errorf("partitions: %v, %v", err, grown)
	}
	policy = "delete" // a topic that only compacts refuses DeleteRecords
	if _, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &policy}}, p.topic); err != nil {
		return err
	}
	var records []*kgo.Record
	for i := range 9 {
		records = append(records, p.record(int32(i%3), "v", i))
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset(p.topic, 2, 2, -1)
	if _, err := a.DeleteRecords(ctx, offsets); err != nil {
		return err
	}
	starts, err := a.ListStartOffsets(ctx, p.topic)
	if err != nil {
		return err
	}
	start, _ := starts.Lookup(p.topic, 2)
	if err := all(expect("partitions", len(starts[p.topic]), 3), expect("log start offset", start.Offset, 2)); err != nil {
		return err
	}
	if _, err := a.DeleteTopic(ctx, p.topic); err != nil {
		return err
	}
	return p.isGone(ctx)
}

// isGone checks that a topic is not known; a client of its own has nothing of it
// in its cache.
func (p *program) isGone(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	left, err := a.ListTopics(ctx, p.topic)
	if err != nil {
		return err
	}
	if !errors.Is(left[p.topic].Err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("a deleted topic: %v", left[p.topic].Err)
	}
	return nil
}

func (p *program) adminGroups(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	if err := p.produce(ctx, []*kgo.Record{p.record(0, "v", 0), p.record(1, "v", 1)}); err != nil {
		return err
	}
	m, err := p.join()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	if err := until(ctx, "consume", func() bool { return len(seen) == 2 }, seen, m); err != nil {
		return err
	}
	described, err := a.DescribeGroups(ctx, p.topic)
	if err != nil {
		return err
	}
	g := described[p.topic]
	if err := all(expect("state", g.State, "Stable"), expect("members", len(g.Members), 1), expect("type", g.ProtocolType, "consumer")); err != nil {
		return err
	}
	if _, err := a.DeleteGroup(ctx, p.topic); !errors.Is(err, kerr.NonEmptyGroup) {
		return fmt.Errorf("deleting a group with members: %v", err)
	}
	m.Close()
	listed, err := a.ListGroups(ctx)
	if err != nil {
		return err
	}
	if err := expect("state in the list", listed[p.topic].State, "Empty"); err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset(p.topic, 0, 0, -1)
	if err := a.CommitAllOffsets(ctx, p.topic, offsets); err != nil {
		return err
	}
	if _, err := a.DeleteOffsets(ctx, p.topic, kadm.TopicsSet{p.topic: {1: {}}}); err != nil {
		return err
	}
	committed, err := a.FetchOffsets(ctx, p.topic)
	if err != nil {
		return err
	}
	o, ok := committed.Lookup(p.topic, 0)
	_, other := committed.Lookup(p.topic, 1)
	if err := all(expect("there", ok, true), expect("offset", o.At, 0), expect("deleted one is there", other, false)); err != nil {
		return err
	}
	_, err = a.DeleteGroup(ctx, p.topic)
	return err
}

func (p *program) adminCluster(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	md, err := a.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	dirs, err := a.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return err
	}
	quorum, err := a.ApiVersions(ctx)
	return all(err, expect("cluster id is empty", md.Cluster == "", false), expect("brokers", len(md.Brokers), 1),
		expect("log directories", len(dirs), 1), expect("brokers with versions", len(quorum), 1))
}

func (p *program) adminACLs(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	b := kadm.NewACLs().Topics(p.topic).ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpRead, kadm.OpWrite).Allow("User:alice").AllowHosts("*")
	created, err := a.CreateACLs(ctx, b)
	if err != nil {
		return err
	}
	for _, c := range created {
		if c.Err != nil {
			return c.Err
		}
	}
	described, err := a.DescribeACLs(ctx, b)
	if err != nil {
		return err
	}
	n := 0
	for _, d := range described {
		n += len(d.Described)
	}
	deleted, err := a.DeleteACLs(ctx, b)
	if err != nil {
		return err
	}
	gone := 0
	for _, d := range deleted {
		gone += len(d.Deleted)
	}
	return all(expect("described", n, 2), expect("deleted", gone, 2))
}

func (p *program) adminSCRAM(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	altered, err := a.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: p.topic, Mechanism: kadm.ScramSha256, Iterations: 8192, Password: "secret"}})
	if err != nil || altered[p.topic].Err != nil {
		return fmt.Errorf("upsert: %v, %v", err, altered[p.topic].Err)
	}
	described, err := a.DescribeUserSCRAMs(ctx, p.topic)
	if err != nil {
		return err
	}
	infos := described[p.topic].CredInfos
	if len(infos) != 1 || infos[0].Iterations != 8192 {
		return fmt.Errorf("credentials are %v", infos)
	}
	altered, err = a.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: p.topic, Mechanism: kadm.ScramSha256}}, nil)
	return all(err, altered[p.topic].Err)
}

func (p *program) adminQuotas(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	name := p.topic
	entity := kadm.ClientQuotaEntity{{Type: "client-id", Name: &name}}
	altered, err := a.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 1e6}}}})
	if err != nil || altered[0].Err != nil {
		return fmt.Errorf("alter: %v, %v", err, altered)
	}
	described, err := a.DescribeClientQuotas(ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &name, MatchType: 0}})
	if err != nil {
		return err
	}
	if len(described) != 1 || len(described[0].Values) != 1 || described[0].Values[0].Value != 1e6 {
		return fmt.Errorf("quotas are %v", described)
	}
	altered, err = a.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Remove: true}}}})
	return all(err, altered[0].Err)
}

func (p *program) many(ctx context.Context) error {
	a, err := p.admin()
	if err != nil {
		return err
	}
	defer a.Close()
	var names []string
	for i := range manyTopics {
		names = append(names, fmt.Sprintf("%s.%d", p.topic, i))
	}
	created, err := a.CreateTopics(ctx, manyPartitions, 1, nil, names...)
	if err != nil {
		return err
	}
	if err := created.Error(); err != nil {
		return err
	}
	var records []*kgo.Record
	for _, name := range names {
		for i := range manyPartitions {
			r := p.record(int32(i), "v", i)
			r.Topic = name
			records = append(records, r)
		}
	}
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	ends, err := a.ListEndOffsets(ctx, names...)
	if err != nil {
		return err
	}
	n := int64(0)
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	if err := expect("records", n, manyTopics*manyPartitions); err != nil {
		return err
	}
	deleted, err := a.DeleteTopics(ctx, names...)
	return all(err, deleted.Error())
}
