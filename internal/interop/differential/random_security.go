package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// security draws rules, quotas and users, and requests of one whom rules concern.
func (d *dice) security() []step {
	switch d.IntN(12) {
	case 0, 1:
		r := d.rule(true)
		return only(fmt.Sprint("random rule ", r), createACLs(r))
	case 2:
		return only("random rules", createACLs(d.rule(false), d.rule(false)))
	case 3:
		return only("random rules deleted", deleteACLs(d.filter()))
	case 4:
		return only("random rules described", describeACLs(d.filter()))
	case 5:
		entity, a, b := d.entity(), d.limit(), d.limit()
		return only(fmt.Sprint("random quota ", entity, a, b), alterQuotas(d.one(4), entity, a, b))
	case 6:
		return only("random quotas", describeQuotas(d.one(2), d.components()...))
	case 7:
		a, b := d.credential(), d.credential()
		if a.user == b.user { // which of its errors Kafka tells depends on a hash
			return only("random user", alterUsers(a))
		}
		return only("random users changed", alterUsers(a, b))
	case 8:
		return only("random users", describeUsers(d.user(), d.user()))
	default:
		st := d.byAlice()
		st.as, st.name = alice, st.name+" by alice"
		return []step{st}
	}
}

// dropRules deletes all rules: the script begins without any.
func (d *dice) dropRules() []step {
	return only("all rules deleted", deleteACLs(access{1, "", 1, "", "", 1, 1}))
}

// operations are those of each kind of resource that both brokers take.
var operations = map[kmsg.ACLResourceType][]kmsg.ACLOperation{
	toTopics: {2, 3, 4, 5, 6, 7, 8, 10, 11}, toGroups: {2, 3, 6, 8}, toCluster: {2, 5, 7, 8, 9, 10, 11, 12}, toTxns: {2, 4, 8}, toUsers: {2, 13, 14},
}

// rule draws one about alice and what the dice make. Of a bad one, none of the
// request is taken by Kafka, which fails before it looks at them one by one.
func (d *dice) rule(bad bool) access {
	kind := pick[kmsg.ACLResourceType](d, toTopics, toTopics, toTopics, toGroups, toGroups, toTxns, toCluster, toUsers)
	name := d.name()
	pattern, op, principal := pick[kmsg.ACLResourcePatternType](d, literal, literal, literal, prefixed), pick(d, operations[kind]...), pick(d, aliceUser, aliceUser, aliceUser, "User:*", "User:bob")
	switch {
	case kind == toGroups:
		name = d.group()
	case kind == toCluster:
		name = "kafka-cluster"
	case d.one(10):
		name = "*"
	case d.one(10):
		name, pattern = d.topic, prefixed
	}
	if bad && d.one(6) {
		switch d.IntN(4) {
		case 0:
			pattern = 2
		case 1:
			op = 1
		case 2:
			principal = "bob"
		default:
			kind, name = toCluster, "other"
		}
	}
	return access{kind, name, pattern, principal, pick(d, "*", "127.0.0.1", "10.0.0.9"), op, pick[kmsg.ACLPermissionType](d, allow, allow, allow, deny)}
}

func (d *dice) filter() access {
	a := d.rule(false)
	if d.one(2) {
		a.principal = ""
	}
	if d.one(2) {
		a.host = ""
	}
	if d.one(3) {
		a.kind, a.name = 1, ""
	}
	if d.one(3) {
		a.name = ""
	}
	if !d.one(3) {
		a.op = 1
	}
	if !d.one(3) {
		a.permission = 1
	}
	a.pattern = pick[kmsg.ACLResourcePatternType](d, 1, 2, literal, prefixed)
	if a.kind == 1 && a.name == "" && a.principal == "" { // all of them: Kafka's and ours differ by nobody's fault
		a.principal = aliceUser
	}
	return a
}

func (d *dice) entity() []part {
	user, client := part{"user", pick(d, "", "alice", d.topic)}, part{"client-id", pick(d, "", d.topic)}
	return pick(d, []part{user}, []part{client}, []part{user, client}, []part{client, user}, []part{{"ip", pick(d, "", "10.0.0.1", "x y")}}, []part{user, {"ip", ""}}, []part{user, user})
}

// limit draws one that does not slow anybody down.
func (d *dice) limit() limit {
	return limit{pick(d, "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate", "no_such"),
		pick(d, 1e9, 2e9, 1e9, 0, -5, 1e9+0.5), d.one(3)}
}

func (d *dice) components() []component {
	user := component{"user", kmsg.QuotasMatchType(d.IntN(3)), pick(d, "alice", d.topic)}
	client := component{"client-id", kmsg.QuotasMatchType(d.IntN(3)), d.topic}
	ip := component{"ip", kmsg.QuotasMatchType(d.IntN(3)), "10.0.0.1"}
	return pick(d, []component{user}, []component{client}, []component{user, client}, []component{ip}, []component{ip, user}, []component{user, user})
}

func (d *dice) user() string { return fmt.Sprint(d.topic, "-u", d.IntN(4)) }

func (d *dice) credential() credential {
	return credential{d.user(), pick[int8](d, 1, 1, 2, 2, 3, 0), pick[int32](d, 4096, 4096, 4097, 0, 0, 100, 16384, 20000)}
}

// byAlice draws a request that rules decide about, one for every kind of rule.
func (d *dice) byAlice() step {
	topic, partition, group, id := d.name(), d.partition(), d.group(), d.topic+"-t"
	return pick(d,
		s("produce", produce(topic, partition, -1, nil, plain(1, 0))),
		s("fetch", fetch(topic, partition, 0, 0, 1<<20)),
		s("list offsets", listOffsets(topic, partition, -1, 0)),
		s("metadata", metadata(false, topic, d.name())),
		s("all metadata", allMetadata),
		s("commit", offsetCommit(group, "", noGeneration, topic, partition, 3)),
		s("offset fetch", offsetFetch(group, d.one(2), topic)),
		s("coordinator", findCoordinator(int8(d.IntN(2)), group)),
		joinGroup(group+"j", true, 10, "consumer", "range"), // with a session that is refused
		s("heartbeat", heartbeat(group, "x", noGeneration)),
		s("leave", leaveGroup(group, "x")),
		s("sync", syncGroup(group, noGeneration, "consumer", "range")),
		s("describe groups", describeGroups(group)),
		s("list groups", listGroups()),
		s("validate", create(true, newTopic(d.topic+"-new", 1, 1))),
		s("delete topics", deleteTopics(d.topic+"-no")),
		s("delete records", deleteRecords(topic, partition, 0)),
		s("epoch", epochs(topic, 0, 0)),
		s("grow", grow(topic, 1)),
		s("configs", describeConfigs(kmsg.ConfigResourceTypeTopic, topic, "segment.bytes")),
		s("alter", alterConfigs(topic, edit(0, "flush.ms", "1000"))),
		s("replace", replaceConfigs(topic, "segment.ms", oneSegment, true)),
		s("init", initProducer("by-alice", nil, 60000).build),
		s("init transactional", initProducer("by-alice", &id, 60000).build),
		s("add partitions", addPartitions(id, topic, partition)),
		s("add offsets", addOffsets(id, group)),
		s("end", endTxn("", id, true, 0).build),
		s("txn commit", txnCommit(id, group, topic, 1, 0)),
		s("markers", markers(id, topic, partition, true, 0, 0)),
		s("describe transactions", describeTxns(id)),
		s("list transactions", listTxns()),
		s("rules", describeACLs(access{toTopics, topic, literal, "", "", 1, 1})),
		s("rule", createACLs(access{toTopics, d.topic + "-by", literal, "User:bob", "*", opRead, allow})),
		s("delete rules", deleteACLs(access{toTopics, d.topic + "-by", literal, "", "", 1, 1})),
		s("quotas", describeQuotas(true, component{"user", 0, d.topic})),
		s("quota", alterQuotas(true, []part{{"user", d.topic}}, limit{"producer_byte_rate", 1e9, false})),
		s("users", describeUsers(d.user())),
		s("user", alterUsers(credential{d.topic + "-by", 1, 4096})),
		s("delete groups", deleteGroups(group+"-no")),
		s("delete offsets", deleteOffsets(group, topic, partition)),
		s("log directories", logDirs(topic)),
		s("move", move("/no/such", topic, partition)),
		s("reassign", reassign(topic, partition, nil)),
		s("reassignments", reassignments(topic)),
		s("elect", elect(0, topic)),
		s("cluster", describeCluster(1)),
		s("producers", describeProducers(topic, partition)),
		s("partitions", describePartitions(100, "", 0, topic, d.name())),
		s("resources", listResources([]int8{2})),
		step{name: "feature", least: 1, build: updateFeature("group.version", 1, 1)},
		s("members", describeConsumers(group)),
		beat("beat", group+"n", memberIDs[0], func(*side) int32 { return 7 }, nil),
		s("quorum", quorum),
	)
}
