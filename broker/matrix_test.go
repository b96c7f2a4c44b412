package broker

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// need is an operation that a request needs on the thing it names, and the code
// that it fails with otherwise.
type need struct {
	op   kmsg.ACLOperation
	kind kmsg.ACLResourceType
	code int16
}

// access is what one form of a request needs. tweak changes the request that fill
// makes. hidden says that what the peer may not see is left out of the answer
// without an error. free says that everybody who is logged in may send it.
type access struct {
	needs  []need
	tweak  func(kmsg.Request)
	hidden bool
	free   bool
	from   int16 // the first version that has this form
	to     int16 // the last one, 0 for all that follow
}

// in reports whether a version has the form.
func (a access) in(v int16) bool { return v >= a.from && (a.to == 0 || v <= a.to) }

func onTopic(op kmsg.ACLOperation) need { return need{op, kmsg.ACLResourceTypeTopic, 29} }
func onGroup(op kmsg.ACLOperation) need { return need{op, kmsg.ACLResourceTypeGroup, 30} }
func onTxn(op kmsg.ACLOperation) need   { return need{op, kmsg.ACLResourceTypeTransactionalId, 53} }
func onCluster(op kmsg.ACLOperation) need {
	return need{op, kmsg.ACLResourceTypeCluster, 31}
}

const (
	opRead            = kmsg.ACLOperationRead
	opWrite           = kmsg.ACLOperationWrite
	opCreate          = kmsg.ACLOperationCreate
	opDelete          = kmsg.ACLOperationDelete
	opAlter           = kmsg.ACLOperationAlter
	opDescribe        = kmsg.ACLOperationDescribe
	opClusterAction   = kmsg.ACLOperationClusterAction
	opDescribeConfigs = kmsg.ACLOperationDescribeConfigs
	opAlterConfigs    = kmsg.ACLOperationAlterConfigs
	opIdempotentWrite = kmsg.ACLOperationIdempotentWrite
)

// matrix is what every key needs; a key without a line fails the test.
var matrix = map[int16][]access{
	0: {
		{needs: []need{onTopic(opWrite)}, tweak: func(r kmsg.Request) { r.(*kmsg.ProduceRequest).Acks = 1 }},
		{needs: []need{onTopic(opWrite), onTxn(opWrite)}, tweak: func(r kmsg.Request) {
			r.(*kmsg.ProduceRequest).Acks, r.(*kmsg.ProduceRequest).TransactionID = 1, &secret
		}},
	},
	1:  {{needs: []need{onTopic(opRead)}}},
	2:  {{needs: []need{onTopic(opDescribe)}}},
	3:  {{needs: []need{onTopic(opDescribe)}}, {needs: []need{onTopic(opDescribe)}, hidden: true, tweak: func(r kmsg.Request) { r.(*kmsg.MetadataRequest).Topics = nil }}},
	8:  {{needs: []need{onGroup(opRead), onTopic(opRead)}}},
	9:  {{needs: []need{onGroup(opDescribe), onTopic(opDescribe)}}},
	10: {{needs: []need{onGroup(opDescribe)}}, {from: 1, needs: []need{onTxn(opDescribe)}, tweak: func(r kmsg.Request) { r.(*kmsg.FindCoordinatorRequest).CoordinatorType = 1 }}},
	11: {{needs: []need{onGroup(opRead)}}},
	12: {{needs: []need{onGroup(opRead)}}},
	13: {{needs: []need{onGroup(opRead)}}},
	14: {{needs: []need{onGroup(opRead)}}},
	15: {{needs: []need{onGroup(opDescribe)}}},
	16: {{needs: []need{onGroup(opDescribe)}, hidden: true}, {needs: []need{onCluster(opDescribe)}, hidden: true}},
	17: {{free: true}},
	18: {{free: true, tweak: func(r kmsg.Request) {
		r.(*kmsg.ApiVersionsRequest).ClientSoftwareName, r.(*kmsg.ApiVersionsRequest).ClientSoftwareVersion = "x", "1"
	}}},
	19: {{needs: []need{onTopic(opCreate)}}, {needs: []need{{opCreate, kmsg.ACLResourceTypeCluster, 29}}}},
	20: {{needs: []need{onTopic(opDelete)}}, {needs: []need{onTopic(opDelete)}, tweak: func(r kmsg.Request) {
		if r.GetVersion() >= 6 {
			r.(*kmsg.DeleteTopicsRequest).Topics[0].Topic = nil // by id
		}
	}}},
	21: {{needs: []need{onTopic(opDelete)}}},
	22: {
		{needs: []need{onTxn(opWrite)}},
		{needs: []need{onCluster(opIdempotentWrite)}, tweak: func(r kmsg.Request) { r.(*kmsg.InitProducerIDRequest).TransactionalID = nil }},
		{needs: []need{{opWrite, kmsg.ACLResourceTypeTopic, 31}}, tweak: func(r kmsg.Request) { r.(*kmsg.InitProducerIDRequest).TransactionalID = nil }},
	},
	23: {{needs: []need{onTopic(opDescribe)}}},
	24: {{to: 3, needs: []need{onTxn(opWrite), onTopic(opWrite)}}, {from: 4, needs: []need{onCluster(opClusterAction)}}},
	25: {{needs: []need{onTxn(opWrite), onGroup(opRead)}}},
	26: {{needs: []need{onTxn(opWrite)}}},
	27: {{needs: []need{onCluster(opClusterAction)}}},
	28: {{needs: []need{onTxn(opWrite), onGroup(opRead), onTopic(opRead)}}},
	29: {{needs: []need{onCluster(opDescribe)}}},
	30: {{needs: []need{onCluster(opAlter)}}},
	31: {{needs: []need{onCluster(opAlter)}}},
	32: {{needs: []need{onTopic(opDescribeConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.DescribeConfigsRequest).Resources[0].ResourceType = 2 }},
		{needs: []need{onCluster(opDescribeConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.DescribeConfigsRequest).Resources[0].ResourceType = 4 }}},
	33: {{needs: []need{onTopic(opAlterConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.AlterConfigsRequest).Resources[0].ResourceType = 2 }}},
	34: {{needs: []need{onCluster(opAlter)}}},
	35: {{to: 2, hidden: true, needs: []need{onCluster(opDescribe)}}, {from: 3, needs: []need{onCluster(opDescribe)}}},
	36: {{free: true}},
	37: {{needs: []need{onTopic(opAlter)}}},
	42: {{needs: []need{onGroup(opDelete)}}},
	43: {{needs: []need{onCluster(opAlter)}}},
	44: {{needs: []need{onTopic(opAlterConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.IncrementalAlterConfigsRequest).Resources[0].ResourceType = 2 }},
		{needs: []need{onCluster(opAlterConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.IncrementalAlterConfigsRequest).Resources[0].ResourceType = 4 }}},
	45: {{needs: []need{onCluster(opAlter)}}},
	46: {{needs: []need{onCluster(opDescribe)}}},
	47: {{needs: []need{onGroup(opDelete), onTopic(opRead)}}},
	48: {{needs: []need{onCluster(opDescribeConfigs)}}},
	49: {{needs: []need{onCluster(opAlterConfigs)}, tweak: func(r kmsg.Request) { r.(*kmsg.AlterClientQuotasRequest).ValidateOnly = true }}},
	50: {{needs: []need{onCluster(opDescribe)}}},
	51: {{needs: []need{onCluster(opAlter)}}},
	55: {{needs: []need{onCluster(opDescribe)}}},
	57: {{needs: []need{onCluster(opAlter)}}},
	60: {{free: true}},
	61: {{needs: []need{onTopic(opRead)}}},
	65: {{needs: []need{onTxn(opDescribe)}}},
	66: {{needs: []need{onTxn(opDescribe)}, hidden: true}},
	68: {{needs: []need{onGroup(opRead)}}},
	69: {{needs: []need{onGroup(opDescribe)}}},
	74: {{needs: []need{onCluster(opDescribeConfigs)}}},
	75: {{needs: []need{onTopic(opDescribe)}}},
}

// secret and absent are of one length: answers about them differ in nothing else
// when nothing may leak.
var secret, absent = "secret", "absent"

var authorizationCodes = []int16{29, 30, 31, 53, 65}

// names are the request fields that name what is asked for; left are arrays that
// stay empty.
var (
	names = []string{"Topic", "Topics", "TopicNames", "Group", "Groups", "TransactionalID", "TransactionalIDs", "CoordinatorKey", "CoordinatorKeys", "ResourceName", "Name"}
	left  = []string{"ReplicaAssignment", "Assignment", "ForgottenTopics", "Configs", "GroupAssignment", "Protocols", "TypesFilter", "StatesFilter",
		"StateFilters", "ProducerIDFilters", "Components", "Entity", "Replicas", "ConfigNames", "FeatureUpdates", "TargetReplicas"}
)

// fill sets what a request names to name and id.
func fill(v reflect.Value, name string, id TopicID) {
	for i := range v.NumField() {
		field, f := v.Type().Field(i), v.Field(i)
		named := slices.Contains(names, field.Name)
		switch {
		case slices.Contains(left, field.Name):
		case f.Kind() == reflect.String && named:
			f.SetString(name)
		case f.Type() == reflect.TypeFor[*string]() && named:
			f.Set(reflect.ValueOf(&name))
		case f.Type() == reflect.TypeFor[[16]byte]() && field.Name == "TopicID":
			f.Set(reflect.ValueOf([16]byte(id)))
		case f.Type() == reflect.TypeFor[[]string]() && named:
			f.Set(reflect.ValueOf([]string{name}))
		case f.Type() == reflect.TypeFor[[]int32]() && field.Name == "Partitions":
			f.Set(reflect.ValueOf([]int32{0}))
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && field.Name != "UnknownTags":
			e := reflect.New(f.Type().Elem())
			if d, ok := e.Interface().(interface{ Default() }); ok {
				d.Default()
			}
			fill(e.Elem(), name, id)
			f.Set(reflect.Append(reflect.MakeSlice(f.Type(), 0, 1), e.Elem()))
		}
	}
}

// codes returns every error code of a response, each once, without 0.
func codes(v reflect.Value) []int16 {
	var all []int16
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all = codes(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, codes(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "ErrorCode" && v.Field(i).Int() != 0 {
				all = append(all, int16(v.Field(i).Int()))
			} else if v.Type().Field(i).IsExported() && name != "UnknownTags" {
				all = append(all, codes(v.Field(i))...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// refusals returns the authorization codes of a response.
func refusals(resp kmsg.Response) []int16 {
	return slices.DeleteFunc(codes(reflect.ValueOf(resp)), func(c int16) bool { return !slices.Contains(authorizationCodes, c) })
}

// maze is a broker with one key under test.
type maze struct {
	*testing.T
	b     *Broker
	addr  string
	clock *movableClock
	c     *rawClient // logged in as alice
}

func newMaze(t *testing.T) *maze { return newMazeWith(t, nil) }

func newMazeWith(t *testing.T, logger *slog.Logger) *maze {
	t.Helper()
	clk := &movableClock{Clock: clock.System}
	b := openSecure(t, vfs.NewMem(), func(c *Config) {
		c.Security = Security{Authorize: true, SuperUsers: []string{"User:root"}}
		c.Clock, c.Limits.SessionLifetime, c.Logger = clk, time.Hour, logger
	})
	return &maze{T: t, b: b, clock: clk, addr: listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]})}
}

// build makes a request about a thing.
func (m *maze) build(key, version int16, a access, name string) kmsg.Request {
	var id TopicID
	if t := m.b.topics.get(name); t != nil {
		id = t.id
	}
	req := kmsg.RequestForKey(key)
	if d, ok := req.(interface{ Default() }); ok {
		d.Default()
	}
	req.SetVersion(version)
	fill(reflect.ValueOf(req).Elem(), name, id)
	if a.tweak != nil {
		a.tweak(req)
	}
	return req
}

// ensure makes sure that what is asked for exists.
func (m *maze) ensure() {
	m.Helper()
	for _, name := range []string{secret, "public"} {
		if m.b.topics.get(name) == nil {
			if err := m.b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: name}}, Offsets: []GroupOffset{{Group: secret}}}); err != nil {
				m.Fatal(err)
			}
		}
	}
	if !m.b.offsets.has(secret) {
		if err := m.b.submitEvents([]event{&offsetsCommitted{secret, groupOffsets{{}: {}}}}); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *maze) rules(list ...auth.Rule) {
	m.b.security.mu.Lock()
	defer m.b.security.mu.Unlock()
	m.b.security.rules = auth.NewRules(list)
}

func (n need) rule(name string, pattern kmsg.ACLResourcePatternType, allow bool) auth.Rule {
	if n.kind == kmsg.ACLResourceTypeCluster {
		name, pattern = auth.ClusterName, kmsg.ACLResourcePatternTypeLiteral
	}
	return auth.Rule{Resource: n.kind, Name: name, Pattern: pattern, Principal: "User:alice", Host: "*", Operation: n.op, Allow: allow}
}

// ask sends a request as alice.
func (m *maze) ask(req kmsg.Request) kmsg.Response {
	m.Helper()
	if m.c == nil {
		m.c = dialRaw(m.T, m.addr)
		m.c.login("alice", "wonder")
	}
	resp, err := m.c.try(req, req.GetVersion())
	if err != nil {
		m.c = nil
		m.Errorf("%s version %d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
		return req.ResponseKind()
	}
	return resp
}

// served returns the versions of a key that have answers.
func served(key int16) (versions []int16) {
	for v := apis[key].min; v <= apis[key].max; v++ {
		if key != keyProduce || v >= 3 { // older ones are advertised only
			versions = append(versions, v)
		}
	}
	return versions
}

// TestAccessMatrix: every key, in every version and every form, needs exactly
// what its line says.
func TestAccessMatrix(t *testing.T) {
	for _, key := range slices.Sorted(maps.Keys(apis)) {
		forms := matrix[key]
		if len(forms) == 0 {
			t.Errorf("%s (%d) has no line in the matrix: say what it needs", kmsg.NameForKey(key), key)
			continue
		}
		t.Run(fmt.Sprintf("%d_%s", key, kmsg.NameForKey(key)), func(t *testing.T) {
			m := newMaze(t)
			for _, v := range served(key) {
				for i, a := range forms {
					if !a.free && a.in(v) {
						m.form(fmt.Sprintf("version %d form %d", v, i), key, v, a)
					}
				}
			}
		})
	}
}

// form tries one form of a request with all kinds of rules.
func (m *maze) form(what string, key, v int16, a access) {
	m.Helper()
	m.rules()
	m.ensure()
	refused := m.ask(m.build(key, v, a, secret))
	m.refusedWell(what, refused, a)
	if key != 3 || v < 12 { // the answer about an unknown id has that id
		other := m.ask(m.build(key, v, a, absent))
		if byID := usesID(m.build(key, v, a, secret)); !byID && !bytes.Equal(bytes.ReplaceAll(other.AppendTo(nil), []byte(absent), []byte(secret)), refused.AppendTo(nil)) {
			m.Errorf("%s: the answer tells whether a thing exists:\n%x\n%x", what, other.AppendTo(nil), refused.AppendTo(nil))
		}
	}
	for how, pattern := range map[string]struct {
		name    string
		pattern kmsg.ACLResourcePatternType
	}{"by name": {secret, 3}, "by prefix": {"sec", 4}, "by wildcard": {"*", 3}} {
		var allow []auth.Rule
		for _, n := range a.needs {
			allow = append(allow, n.rule(pattern.name, pattern.pattern, true))
		}
		m.rules(allow...)
		m.ensure()
		resp := m.ask(m.build(key, v, a, secret))
		if got := refusals(resp); len(got) > 0 || a.hidden && !bytes.Contains(resp.AppendTo(nil), []byte(secret)) && key != 66 {
			m.Errorf("%s, allowed %s: refused with %v", what, how, got)
		}
		for _, n := range a.needs {
			m.rules(append(slices.Clone(allow), n.rule(pattern.name, pattern.pattern, false))...)
			m.ensure()
			m.refusedWell(fmt.Sprintf("%s, allowed %s, %v of %v denied", what, how, n.op, n.kind), m.ask(m.build(key, v, a, secret)), access{needs: []need{n}, hidden: a.hidden})
		}
		for _, n := range a.needs { // each need alone is not enough
			if len(a.needs) > 1 {
				m.rules(n.rule(pattern.name, pattern.pattern, true))
				m.ensure()
				rest := slices.DeleteFunc(slices.Clone(a.needs), func(o need) bool { return o == n })
				m.refusedWell(fmt.Sprintf("%s, only %v of %v", what, n.op, n.kind), m.ask(m.build(key, v, a, secret)), access{needs: rest})
			}
		}
	}
}

// refusedWell verifies that a response refuses for want of one of the needs, and
// for nothing else.
func (m *maze) refusedWell(what string, resp kmsg.Response, a access) {
	m.Helper()
	got := refusals(resp)
	if a.hidden {
		if len(got) > 0 || bytes.Contains(resp.AppendTo(nil), []byte(secret)) {
			m.Errorf("%s: %v, or it shows what is to be hidden", what, got)
		}
		return
	}
	if len(got) == 0 || slices.ContainsFunc(got, func(c int16) bool {
		return !slices.ContainsFunc(a.needs, func(n need) bool { return n.code == c })
	}) {
		m.Errorf("%s: refused with %v, needs %v", what, got, a.needs)
	}
}

// usesID reports whether a request carries a topic id on the wire.
func usesID(req kmsg.Request) bool {
	before := req.AppendTo(nil)
	var clear func(reflect.Value)
	clear = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				clear(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).Name == "TopicID" {
					v.Field(i).SetZero()
				} else if v.Type().Field(i).IsExported() {
					clear(v.Field(i))
				}
			}
		}
	}
	clear(reflect.ValueOf(req).Elem())
	return !bytes.Equal(before, req.AppendTo(nil))
}

// TestMixedPartitions: one topic of a request is refused, the other served.
func TestMixedPartitions(t *testing.T) {
	for key, forms := range matrix {
		if apis[key] == nil {
			continue
		}
		for _, v := range served(key) {
			for _, a := range forms {
				if a.hidden || a.free || !a.in(v) || !slices.ContainsFunc(a.needs, func(n need) bool { return n.kind == kmsg.ACLResourceTypeTopic }) {
					continue
				}
				req := reflect.ValueOf(kmsg.RequestForKey(key)).Elem().FieldByName("Topics")
				if !req.IsValid() || req.Kind() != reflect.Slice || req.Type().Elem().Kind() != reflect.Struct || key == 20 && v < 6 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d", kmsg.NameForKey(key), v), func(t *testing.T) {
					m := newMaze(t)
					m.ensure()
					var allow []auth.Rule
					for _, n := range a.needs {
						name := secret
						if n.kind == kmsg.ACLResourceTypeTopic {
							name = "public"
						}
						allow = append(allow, n.rule(name, 3, true))
					}
					m.rules(allow...)
					both := m.build(key, v, a, secret)
					public := reflect.ValueOf(m.build(key, v, a, "public")).Elem().FieldByName("Topics")
					topics := reflect.ValueOf(both).Elem().FieldByName("Topics")
					topics.Set(reflect.AppendSlice(topics, public))
					resp := reflect.ValueOf(m.ask(both)).Elem().FieldByName("Topics")
					if !resp.IsValid() || resp.Len() != 2 {
						t.Skip("the answer has another shape")
					}
					one, two := codes(resp.Index(0)), codes(resp.Index(1))
					if key == 75 { // those that are refused come last
						one, two = two, one
					}
					if !slices.Contains(one, 29) || slices.Contains(two, 29) {
						t.Errorf("refused %v, served %v", one, two)
					}
				})
			}
		}
	}
}

// TestLoginMatrix: what every key meets on connections that are not logged in.
func TestLoginMatrix(t *testing.T) {
	m := newMaze(t)
	m.ensure()
	type outcome struct{ any, handshake, authenticate, versions int16 }
	const closed = -100
	for state, c := range map[string]struct {
		prepare func(*rawClient)
		want    outcome
	}{
		"new":           {func(*rawClient) {}, outcome{closed, 33, 34, 0}},
		"mid-handshake": {func(c *rawClient) { c.handshake("PLAIN", 1) }, outcome{closed, 34, 58, 0}},
		"failed": {func(c *rawClient) {
			c.handshake("PLAIN", 1)
			c.authenticate("\x00alice\x00wrong")
		}, outcome{closed, closed, closed, closed}},
		"expired": {func(c *rawClient) {
			c.login("alice", "wonder")
			m.clock.advance(2 * time.Hour)
		}, outcome{closed, 33, 34, closed}},
		"again": {func(c *rawClient) {
			c.login("alice", "wonder")
			c.handshake("PLAIN", 1)
		}, outcome{closed, 34, 58, closed}},
	} {
		for _, key := range slices.Sorted(maps.Keys(apis)) {
			for v := apis[key].min; v <= apis[key].max; v++ {
				if key == keySASLHandshake && v == 0 && state != "new" {
					continue // out of place whatever it says
				}
				cl := dialRaw(t, m.addr)
				c.prepare(cl)
				var a access
				if len(matrix[key]) > 0 {
					a = matrix[key][0]
				}
				got := int16(closed)
				if resp, err := cl.try(m.build(key, v, a, secret), v); err == nil {
					got = 0
					if all := codes(reflect.ValueOf(resp)); len(all) > 0 {
						got = all[0]
					}
				} else if err != io.EOF {
					t.Errorf("%s, %s version %d: %v", state, kmsg.NameForKey(key), v, err)
				}
				want := c.want.any
				switch key {
				case keySASLHandshake:
					want = c.want.handshake
				case keySASLAuthenticate:
					want = c.want.authenticate
				case keyApiVersions:
					want = c.want.versions
				}
				if got != want {
					t.Errorf("%s, %s version %d: %d, want %d", state, kmsg.NameForKey(key), v, got, want)
				}
				cl.nc.Close()
			}
		}
	}
}
