package main

import "github.com/twmb/franz-go/pkg/kmsg"

// newAlice makes the user whose rules vary.
func newAlice() []step {
	return []step{
		{name: "new user", build: alterUsers(credential{string(alice), 1, 4096}), quiet: true},
		{name: "wait for the user", build: describeUsers(string(alice)), quiet: true, until: func(resp kmsg.Response) bool {
			return resp.(*kmsg.DescribeUserSCRAMCredentialsResponse).Results[0].ErrorCode == 0
		}},
	}
}

// Words of the access rules.
const (
	toTopics, toGroups, toCluster, toTxns, toUsers = 2, 3, 4, 5, 7
	literal, prefixed                              = 3, 4
	deny, allow                                    = 2, 3
	opAll, opRead, opWrite, opDescribe             = 2, 3, 4, 8
	aliceUser                                      = "User:alice"
)

func aclSteps(t string) []step {
	read := access{toTopics, t, literal, aliceUser, "*", opRead, allow}
	but := func(change func(*access)) access {
		a := read
		change(&a)
		return a
	}
	as := func(st step) step { st.as = alice; return st }
	return []step{
		as(s("metadata of the forbidden", metadata(false, t, t+"-no"))),
		as(s("fetch the forbidden", fetch(t, 0, 0, 0, 1000))),
		as(s("produce to the forbidden", produce(t, 0, -1, nil, plain(1, 0)))),
		as(s("rules forbidden", describeACLs(everything))),
		s("rule", createACLs(read)),
		s("rule again", createACLs(read)),
		s("rule twice", createACLs(but(func(a *access) { a.name += "x" }), but(func(a *access) { a.name += "x" }))),
		s("rule prefixed", createACLs(access{toGroups, t, prefixed, aliceUser, "127.0.0.1", opAll, allow})),
		s("rule of any", createACLs(but(func(a *access) { a.op = 1 }))),
		s("rule of unknown operation", createACLs(but(func(a *access) { a.op = 99 }))),
		s("rule of operation that the resource has not", createACLs(but(func(a *access) { a.name, a.op = t+"-odd", 9 }))),
		s("rule of other principal", createACLs(but(func(a *access) { a.name, a.principal = t+"-odd", "Group:x" }))),
		{name: "delete odd rules", build: deleteACLs(access{toTopics, t + "-odd", literal, "", "", 1, 1}), quiet: true},
		s("rule of match", createACLs(but(func(a *access) { a.pattern = 2 }))),
		s("rule of any pattern", createACLs(but(func(a *access) { a.pattern = 1 }))),
		s("rule of unknown pattern", createACLs(but(func(a *access) { a.pattern = 77 }))),
		s("rule without name", createACLs(but(func(a *access) { a.name = "" }))),
		s("rule of bad principal", createACLs(but(func(a *access) { a.principal = "alice" }))),
		s("rule of empty principal", createACLs(but(func(a *access) { a.principal = "" }))),
		s("rule without host", createACLs(but(func(a *access) { a.host = "" }))),
		s("rule of bad host", createACLs(but(func(a *access) { a.host = "a b" }))),
		s("rule of any permission", createACLs(but(func(a *access) { a.permission = 1 }))),
		s("rule of any resource", createACLs(but(func(a *access) { a.kind = 1 }))),
		s("rule of unknown resource", createACLs(but(func(a *access) { a.kind = 50 }))),
		s("rule of another cluster", createACLs(but(func(a *access) { a.kind, a.name = toCluster, "c" }))),
		s("rule of the cluster", createACLs(but(func(a *access) { a.kind, a.name, a.op = toCluster, "kafka-cluster", opDescribe }))),
		s("rule of everybody", createACLs(but(func(a *access) { a.principal, a.name = "User:*", t+"-c" }))),
		s("rules", describeACLs(access{toTopics, t, 2, "", "", 1, 1})),
		s("rules literal", describeACLs(access{toTopics, t, literal, "", "", 1, 1})),
		s("rules of user", describeACLs(access{1, "", 1, aliceUser, "", 1, 1})),
		s("rules of unknown operation", describeACLs(access{toTopics, t, 2, "", "", 99, 1})),
		s("rules of unknown pattern", describeACLs(access{toTopics, t, 0, "", "", 1, 1})),
		as(s("metadata of the allowed", metadata(false, t, t+"-c", t+"-no"))),
		as(s("fetch the allowed", fetch(t, 0, 2, 0, 1000))),
		as(s("produce to the readable", produce(t, 0, -1, nil, plain(1, 0)))),
		as(s("commit in the allowed group", offsetCommit(t+"-ag", "", noGeneration, t, 0, 1))),
		as(s("all metadata", allMetadata)),
		s("delete rule of nobody", deleteACLs(access{toTopics, t + "-no", literal, "", "", 1, 1})),
		s("delete rules, bad filter", deleteACLs(access{0, "", 1, "", "", 1, 1})),
		s("delete rules", deleteACLs(access{toTopics, t, 2, "", "", 1, 1}, access{toGroups, "", 1, aliceUser, "", 1, 1})),
		as(s("fetch the forbidden again", fetch(t, 0, 2, 0, 1000))),
	}
}

// allMetadata asks for every topic that the sender may see. Others than alice's
// would see topics of Kafka's that we have not.
func allMetadata(*side) kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil
	return req
}

func quotaSteps(t string) []step {
	client, rate := []part{{"client-id", t}}, limit{"producer_byte_rate", 1e9, false}
	of := func(kind, name string) component { return component{kind, 0, name} }
	return []step{
		s("quota", alterQuotas(false, client, rate, limit{"consumer_byte_rate", 2e9, false})),
		s("quota of user and client", alterQuotas(false, []part{{"user", t}, {"client-id", t}}, rate)),
		s("quota of default user", alterQuotas(false, []part{{"user", ""}, {"client-id", t}}, rate)),
		s("quota of address", alterQuotas(false, []part{{"ip", "10.1.2.3"}}, limit{"connection_creation_rate", 1000, false})),
		s("quota of bad address", alterQuotas(false, []part{{"ip", "no such"}}, limit{"connection_creation_rate", 10, false})),
		s("quota of address and user", alterQuotas(false, []part{{"ip", "10.1.2.3"}, {"user", t}}, rate)),
		s("quota of nothing", alterQuotas(false, nil, rate)),
		s("quota of unknown type", alterQuotas(false, []part{{"planet", t}}, rate)),
		s("quota of empty type", alterQuotas(false, []part{{"", t}}, rate)),
		s("quota of unknown key", alterQuotas(false, client, limit{"no_such_rate", 1, false})),
		s("quota key of another entity", alterQuotas(false, client, limit{"connection_creation_rate", 1, false})),
		s("quota of zero", alterQuotas(false, client, limit{"producer_byte_rate", 0, false})),
		s("negative quota", alterQuotas(false, client, limit{"producer_byte_rate", -1, false})),
		s("fraction of bytes", alterQuotas(false, client, limit{"producer_byte_rate", 1.5, false})),
		s("fraction of time", alterQuotas(false, client, limit{"request_percentage", 1000.5, false})),
		s("quota twice", alterQuotas(false, client, rate, rate)),
		s("quota validated", alterQuotas(true, []part{{"client-id", t + "-v"}}, rate)),
		s("remove quota that is not set", alterQuotas(false, client, limit{"controller_mutation_rate", 0, true})),
		s("remove unknown quota", alterQuotas(false, client, limit{"no_such_rate", 0, true})),
		s("quotas", describeQuotas(false, of("client-id", t))),
		s("quotas strict", describeQuotas(true, of("client-id", t))),
		s("quotas of default", describeQuotas(false, component{"user", 1, ""}, of("client-id", t))),
		s("quotas of any", describeQuotas(false, component{"user", 2, ""}, of("client-id", t))),
		s("quotas of address", describeQuotas(false, component{"ip", 2, ""})),
		s("quotas of nothing", describeQuotas(true)),
		s("quotas of bad match", describeQuotas(false, component{"user", 9, ""})),
		s("quotas of exactly nothing", describeQuotas(false, component{"user", 0, ""})),
		s("quotas of unknown type", describeQuotas(false, of("planet", t))),
		s("quotas of a type twice", describeQuotas(false, of("user", t), of("user", t))),
		s("quotas of address and user", describeQuotas(false, of("ip", "10.1.2.3"), of("user", t))),
		s("remove quotas", alterQuotas(false, client, limit{"producer_byte_rate", 0, true}, limit{"consumer_byte_rate", 0, true}, limit{"request_percentage", 0, true})),
		s("quotas after removal", describeQuotas(true, of("client-id", t))),
	}
}

func scramSteps(t string) []step {
	return []step{
		s("user", alterUsers(credential{t, 1, 4096})),
		s("user's other mechanism", alterUsers(credential{t, 2, 8192})),
		s("user's both mechanisms", alterUsers(credential{t + "-b", 1, 4096}, credential{t + "-b", 2, 4096})),
		s("user twice", alterUsers(credential{t, 1, 4096}, credential{t, 1, 8192})),
		s("user of few iterations", alterUsers(credential{t + "-few", 1, 4095})),
		s("user of many iterations", alterUsers(credential{t + "-many", 1, 16385})),
		s("user of unknown mechanism", alterUsers(credential{t + "-m", 9, 4096})),
		s("user of no mechanism", alterUsers(credential{t + "-m", 0, 4096})),
		s("user without name", alterUsers(credential{"", 1, 4096})),
		s("users", alterUsers(credential{t + "-1", 1, 4096}, credential{t + "-2", 1, 100}, credential{t + "-no", 1, 0})),
		s("delete user that is not", alterUsers(credential{t + "-no", 1, 0})),
		s("delete and set", alterUsers(credential{t, 1, 0}, credential{t, 1, 4096})),
		s("describe user", describeUsers(t)),
		s("describe users", describeUsers(t, t+"-1", t+"-no")),
		s("describe user twice", describeUsers(t, t)),
		s("describe nameless user", describeUsers("")),
		s("delete user", alterUsers(credential{t, 2, 0})),
		s("describe user after deletion", describeUsers(t)),
	}
}

func loginSteps(string) []step {
	at := func(name string, fresh bool, build func(*side) kmsg.Request) step {
		return step{name: name, build: build, as: stranger, fresh: fresh, newest: true}
	}
	plainLogin := "\x00admin\x00p=a,s\"s word"
	return []step{
		at("handshake", true, handshake("PLAIN")),
		at("handshake twice", false, handshake("PLAIN")),
		at("handshake of unknown mechanism", true, handshake("NO-SUCH")),
		at("handshake of empty mechanism", true, handshake("")),
		{name: "old handshake", build: handshake("PLAIN"), as: stranger, fresh: true},
		{name: "old handshake of unknown mechanism", build: handshake("x"), as: stranger, fresh: true},
		{name: "handshake without login", build: handshake("PLAIN"), fresh: true},
		{name: "authenticate without login", build: authenticate(plainLogin), fresh: true},
		{name: "new connection", build: metadata(false), fresh: true, quiet: true}, // ours closes it after a message out of place
		at("authenticate before handshake", true, authenticate(plainLogin)),
		at("metadata before login", true, metadata(false)),
		at("versions before login", true, versions("differential", "1")),
		at("handshake after versions", false, handshake("PLAIN")),
		at("versions in login", false, versions("differential", "1")),
		at("handshake for login", true, handshake("PLAIN")),
		at("login", false, authenticate(plainLogin)),
		at("metadata after login", false, metadata(false)),
		at("authenticate after login", false, authenticate(plainLogin)),
		at("handshake for login again", true, handshake("PLAIN")),
		at("login once more", false, authenticate(plainLogin)),
		at("handshake after login", false, handshake("PLAIN")),
		at("login again", false, authenticate(plainLogin)),
		at("metadata after login again", false, metadata(false)),
		at("other mechanism after login", false, handshake("SCRAM-SHA-256")),
		at("handshake for wrong password", true, handshake("PLAIN")),
		at("wrong password", false, authenticate("\x00admin\x00no")),
		at("handshake for unknown user", true, handshake("PLAIN")),
		at("unknown user", false, authenticate("\x00nobody\x00no")),
		at("handshake for another", true, handshake("PLAIN")),
		at("login for another", false, authenticate("alice"+plainLogin)),
		at("handshake for itself", true, handshake("PLAIN")),
		at("login for itself", false, authenticate("admin"+plainLogin)),
		at("handshake for garbage", true, handshake("PLAIN")),
		at("garbage", false, authenticate("garbage")),
		at("handshake for nothing", true, handshake("PLAIN")),
		at("nothing", false, authenticate("")),
		at("handshake for SCRAM", true, handshake("SCRAM-SHA-256")),
		at("first message", false, authenticate("n,,n=alice,r=abcdefgh")),
		at("wrong proof", false, authenticate("c=biws,r=abcdefgh,p=AAAA")),
		at("handshake for unknown SCRAM user", true, handshake("SCRAM-SHA-512")),
		at("first message of unknown user", false, authenticate("n,,n=nobody,r=abcdefgh")),
		at("handshake for SCRAM garbage", true, handshake("SCRAM-SHA-256")),
		at("SCRAM garbage", false, authenticate("garbage")),
		{name: "old handshake for login", build: handshake("PLAIN"), as: stranger, fresh: true, oldest: true},
		{name: "old login", bare: []byte(plainLogin), as: stranger, newest: true},
		at("metadata after old login", false, metadata(false)),
		{name: "old handshake for wrong password", build: handshake("PLAIN"), as: stranger, fresh: true, oldest: true},
		{name: "old wrong password", bare: []byte("\x00admin\x00no"), as: stranger, newest: true},
	}
}
