package broker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/internal/vfs"
)

// guarded opens a broker that checks rules and returns it, its address, and a
// client of a user.
func guarded(t *testing.T, fs vfs.FS, change func(*Config)) (b *Broker, as func(user, password string, opts ...kgo.Opt) *kgo.Client) {
	t.Helper()
	b = openSecure(t, fs, func(c *Config) {
		c.Security = Security{Authorize: true, SuperUsers: []string{"User:root"}}
		if change != nil {
			change(c)
		}
	})
	addr := listenOn(t, b, Listener{Protocol: SASLPlaintext})
	return b, func(user, password string, opts ...kgo.Opt) *kgo.Client {
		return client(t, addr, append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))...)
	}
}

func TestACLs(t *testing.T) {
	fs := vfs.NewMem()
	b, as := guarded(t, fs, nil)
	ctx := testCtx(t)
	admin, alice := kadm.NewClient(as("root", "toor")), as("alice", "wonder", kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("billing"))
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	err := alice.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("v")}).FirstErr()
	if err == nil {
		t.Fatal("alice writes without a rule")
	}
	create := func(builder *kadm.ACLBuilder) {
		t.Helper()
		results, err := admin.CreateACLs(ctx, builder)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatalf("%+v: %v %s", r, r.Err, r.ErrMessage)
			}
		}
	}
	create(kadm.NewACLs().Allow("User:alice").AllowHosts("127.0.0.1").Topics("ord").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite, kadm.OpRead))
	create(kadm.NewACLs().Allow("User:alice").AllowHosts("*").Groups("billing").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead))
	allowed := as("alice", "wonder", kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("billing"))
	produce(t, ctx, allowed, "orders", "one", "two")
	consume(t, ctx, allowed, 2)
	if err := allowed.CommitUncommittedOffsets(ctx); err != nil {
		t.Error(err)
	}

	// The rules are durable.
	all := kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Allow().AllowHosts().Deny().DenyHosts().Operations()
	described, err := admin.DescribeACLs(ctx, all)
	if err != nil || len(described) == 0 {
		t.Fatalf("%v, %v", described, err)
	}
	mustClose(t, b)
	again, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close(context.Background()) })
	if n := again.security.accessRules().Len(); n != 3 {
		t.Errorf("%d rules after a restart", n)
	}
}

func TestDeleteACLs(t *testing.T) {
	b, as := guarded(t, vfs.NewMem(), nil)
	ctx := testCtx(t)
	admin := kadm.NewClient(as("root", "toor"))
	add := kadm.NewACLs().Allow("User:a", "User:b").AllowHosts("*").Topics("x", "y").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead)
	for range 2 { // the second time nothing is new
		if _, err := admin.CreateACLs(ctx, add); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.security.accessRules().Len(); n != 4 {
		t.Fatalf("%d rules", n)
	}
	results, err := admin.DeleteACLs(ctx, kadm.NewACLs().Allow("User:a").AllowHosts().Topics("x").ResourcePatternType(kadm.ACLPatternAny).Operations(kadm.OpAny))
	if err != nil || len(results) != 1 || len(results[0].Deleted) != 1 {
		t.Errorf("%+v, %v", results, err)
	}
	if n := b.security.accessRules().Len(); n != 3 {
		t.Errorf("%d rules are left", n)
	}
	for name, rule := range map[string]kmsg.CreateACLsRequestCreation{
		"unknown permission": {ResourceType: 2, ResourceName: "x", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 3},
		"no principal":       {ResourceType: 2, ResourceName: "x", ResourcePatternType: 3, Host: "*", Operation: 3, PermissionType: 3},
		"match pattern":      {ResourceType: 2, ResourceName: "x", ResourcePatternType: 2, Principal: "User:a", Host: "*", Operation: 3, PermissionType: 3},
	} {
		req := kmsg.NewPtrCreateACLsRequest()
		req.Creations = append(req.Creations, rule)
		resp, err := req.RequestWith(ctx, as("root", "toor"))
		if err != nil || resp.Results[0].ErrorCode != kerr.InvalidRequest.Code {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
	}
}

func TestACLLimit(t *testing.T) {
	_, as := guarded(t, vfs.NewMem(), func(c *Config) { c.Limits.MaxACLs = 2 })
	results, err := kadm.NewClient(as("root", "toor")).CreateACLs(testCtx(t),
		kadm.NewACLs().Allow("User:a").AllowHosts("*").Topics("x", "y", "z").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, r := range results {
		if errors.Is(r.Err, kerr.PolicyViolation) {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d of 3 are refused", refused)
	}
}

// TestNoAuthorizer: without one the ACL requests say so, and everybody may do
// everything.
func TestNoAuthorizer(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	cl := client(t, listenOn(t, b, Listener{}))
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
	resp, err := req.RequestWith(testCtx(t), cl)
	if err != nil || resp.ErrorCode != kerr.SecurityDisabled.Code {
		t.Errorf("%+v, %v", resp, err)
	}
	produce(t, testCtx(t), cl, "t", "v")
}

func TestAllowEveryoneIfNoACL(t *testing.T) {
	b, as := guarded(t, vfs.NewMem(), func(c *Config) { c.Security.AllowEveryoneIfNoACL = true })
	ctx := testCtx(t)
	alice := as("alice", "wonder")
	produce(t, ctx, alice, "free", "v")
	(&rulesChanged{added: []auth.Rule{{Resource: 2, Name: "free", Pattern: 3, Principal: "User:bob", Host: "*", Operation: kmsg.ACLOperationRead, Allow: true}}}).publish(b)
	if err := as("alice", "wonder").ProduceSync(ctx, &kgo.Record{Topic: "free"}).FirstErr(); err == nil {
		t.Error("alice writes to a topic that has a rule for bob only")
	}
}

// TestAuthorizedOperations: KIP-430.
func TestAuthorizedOperations(t *testing.T) {
	m := newMaze(t)
	m.ensure()
	m.rules(
		onTopic(opRead).rule(secret, 3, true), onTopic(opAlterConfigs).rule(secret, 3, true),
		onGroup(opDelete).rule(secret, 3, true), onCluster(opCreate).rule("", 3, true),
	)
	bits := func(ops ...kmsg.ACLOperation) (n int32) {
		for _, op := range ops {
			n |= 1 << op
		}
		return n
	}
	meta := m.build(3, 10, access{}, secret).(*kmsg.MetadataRequest)
	meta.IncludeTopicAuthorizedOperations, meta.IncludeClusterAuthorizedOperations = true, true
	got := m.ask(meta).(*kmsg.MetadataResponse)
	if want := bits(opRead, opDescribe, opAlterConfigs, opDescribeConfigs); got.Topics[0].AuthorizedOperations != want {
		t.Errorf("topic: %b, want %b", got.Topics[0].AuthorizedOperations, want)
	}
	if want := bits(opCreate); got.AuthorizedOperations != want {
		t.Errorf("cluster: %b, want %b", got.AuthorizedOperations, want)
	}
	groups := m.build(15, 5, access{}, secret).(*kmsg.DescribeGroupsRequest)
	groups.IncludeAuthorizedOperations = true
	if got, want := m.ask(groups).(*kmsg.DescribeGroupsResponse).Groups[0].AuthorizedOperations, bits(opDelete, opDescribe); got != want {
		t.Errorf("group: %b, want %b", got, want)
	}
	cluster := kmsg.NewPtrDescribeClusterRequest()
	cluster.IncludeClusterAuthorizedOperations = true
	if got, want := m.ask(cluster).(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations, int32(0); got != want { // as Kafka, which tells them to who may describe it
		t.Errorf("describe cluster: %b, want %b", got, want)
	}
	if got := m.ask(m.build(3, 10, access{}, secret)).(*kmsg.MetadataResponse); got.Topics[0].AuthorizedOperations >= 0 {
		t.Errorf("not asked for, but told: %b", got.Topics[0].AuthorizedOperations)
	}
}

// TestAuthorizerLog: refusals are logged as Kafka logs them.
func TestAuthorizerLog(t *testing.T) {
	var log logged
	_, as := guarded(t, vfs.NewMem(), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil)) // INFO
	})
	if err := as("alice", "wonder").ProduceSync(testCtx(t), &kgo.Record{Topic: "x"}).FirstErr(); err == nil {
		t.Fatal("alice writes")
	}
	want := "Principal = User:alice is Denied operation = Describe from host = 127.0.0.1 on resource = Topic:LITERAL:x for request = Metadata with resourceRefCount = 1 based on rule DefaultDeny"
	if !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log.String())
	}
	if strings.Contains(log.String(), "Allowed") {
		t.Error("what is allowed is logged at INFO")
	}
}

func TestAlterUsers(t *testing.T) {
	fs := vfs.NewMem()
	b, as := guarded(t, fs, nil)
	ctx := testCtx(t)
	admin := kadm.NewClient(as("root", "toor"))
	results, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: "carol", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "lorac"},
		{User: "erin", Mechanism: kadm.ScramSha512, Iterations: 8192, Password: "nire"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if results["carol"].Err != nil || results["erin"].Err != nil {
		t.Errorf("%+v", results)
	}
	if err := as("carol", "lorac").Ping(ctx); err != nil {
		t.Errorf("carol: %v", err)
	}
	weak := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	weak.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: "dave", Mechanism: 1, Iterations: 100, Salt: make([]byte, 16), SaltedPassword: make([]byte, 32)}}
	resp, err := weak.RequestWith(ctx, as("root", "toor"))
	if err != nil || resp.Results[0].ErrorCode != kerr.UnacceptableCredential.Code {
		t.Errorf("100 iterations: %+v, %v", resp, err)
	}
	if err := as("erin", "nire").Ping(ctx); err == nil {
		t.Error("erin has no SCRAM-SHA-256 credential")
	}
	described, err := admin.DescribeUserSCRAMs(ctx)
	if err != nil || described["carol"].CredInfos[0].Iterations != 4096 || len(described) != 4 {
		t.Errorf("%+v, %v", described, err)
	}
	results, err = admin.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{
		{User: "carol", Mechanism: kadm.ScramSha256}, {User: "nobody", Mechanism: kadm.ScramSha256},
	}, nil)
	if err != nil || results["carol"].Err != nil || !errors.Is(results["nobody"].Err, kerr.ResourceNotFound) {
		t.Errorf("%+v, %v", results, err)
	}
	if err := as("carol", "lorac").Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("carol, deleted: %v", err)
	}
	mustClose(t, b)
	again, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close(context.Background()) })
	if got := again.security.userNames(); !slices.Equal(got, []string{"alice", "erin", "root"}) {
		t.Errorf("after a restart: %v", got)
	}
}

// TestSecuritySurvivesCrash: what was answered is there when the log is replayed,
// and what was deleted is not.
func TestSecuritySurvivesCrash(t *testing.T) {
	fs := vfs.NewCrashable()
	b := openSecure(t, fs, nil)
	kept := auth.Rule{Resource: 2, Name: "t", Pattern: 3, Principal: "User:alice", Host: "*", Operation: opRead, Allow: true}
	gone := auth.Rule{Resource: 3, Name: "g", Pattern: 4, Principal: "User:*", Host: "10.0.0.1", Operation: opDelete}
	limited := quota.Entity{User: quota.Named("alice"), Client: quota.DefaultPart}
	unlimited := quota.Entity{IP: quota.DefaultPart}
	for _, events := range [][]event{
		{&rulesChanged{added: []auth.Rule{kept, gone}}},
		{&quotaSet{limited, quota.Limits{quota.ProducerByteRate: 10}}, &quotaSet{unlimited, quota.Limits{quota.ConnectionCreationRate: 1}}},
		{&rulesChanged{deleted: []auth.Rule{gone}}, &quotaSet{unlimited, nil}},
		{&credentialDeleted{"root", auth.ScramSHA256}, &credentialDeleted{"root", auth.ScramSHA512}},
	} {
		if err := b.submitEvents(events); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close(context.Background()) })
	if got := again.security.accessRules().Sorted(); !slices.Equal(got, []auth.Rule{kept}) {
		t.Errorf("rules: %v", got)
	}
	if got := again.security.userNames(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("users: %v", got)
	}
	if c, ok := again.security.Credential("alice", auth.ScramSHA256); !ok || !c.Verify("wonder") {
		t.Error("alice's credential is another")
	}
	if table := again.quotas.limits(); table.Len() != 1 || table.Of(limited)[quota.ProducerByteRate] != 10 {
		t.Errorf("quotas: %v", table.Entities())
	}
	if string(again.security.Secret()) != string(b.security.Secret()) {
		t.Error("the secret is another")
	}
}

// Ends of epochs are told to who may act as a broker, whatever the topic's rules.
func TestEpochEndsForBrokers(t *testing.T) {
	_, as := guarded(t, vfs.NewMem(), nil)
	ctx := testCtx(t)
	admin, alice := kadm.NewClient(as("root", "toor")), as("alice", "wonder")
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	ends := func() int16 {
		t.Helper()
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.ReplicaID = -1
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}
		resp, err := alice.SeedBrokers()[0].Request(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0].ErrorCode
	}
	wantCode(t, "without a rule", ends(), kerr.TopicAuthorizationFailed)
	rule := kadm.NewACLs().Allow("User:alice").AllowHosts("*").Clusters().ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpClusterAction)
	if _, err := admin.CreateACLs(ctx, rule); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "with CLUSTER_ACTION", ends(), nil)
}
