package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

const (
	topic    = kmsg.ACLResourceTypeTopic
	group    = kmsg.ACLResourceTypeGroup
	literal  = kmsg.ACLResourcePatternTypeLiteral
	prefixed = kmsg.ACLResourcePatternTypePrefixed
	read     = kmsg.ACLOperationRead
	write    = kmsg.ACLOperationWrite
	describe = kmsg.ACLOperationDescribe
	all      = kmsg.ACLOperationAll
)

func rule(name string, pattern kmsg.ACLResourcePatternType, principal, host string, op kmsg.ACLOperation, allow bool) Rule {
	return Rule{topic, name, pattern, principal, host, op, allow}
}

func TestDecide(t *testing.T) {
	a, b := "User:a", "User:b"
	s := NewRules([]Rule{
		rule("orders", literal, a, "*", read, true),
		rule("orders", literal, a, "10.0.0.9", read, false),
		rule("logs-", prefixed, a, "*", all, true),
		rule("logs-secret", prefixed, a, "*", read, false),
		rule("*", literal, b, "10.0.0.1", write, true),
		rule("open", literal, "User:*", "*", kmsg.ACLOperationAlterConfigs, true),
		rule("shut", literal, "User:*", "*", all, false),
		rule("shut", literal, a, "*", all, true),
		rule("x", literal, a, "*", describe, false),
		rule("x", literal, a, "*", read, true),
	})
	for _, c := range []struct {
		principal, host string
		op              kmsg.ACLOperation
		name            string
		want            bool
	}{
		{a, "10.0.0.1", read, "orders", true},
		{a, "10.0.0.1", describe, "orders", true}, // implied
		{a, "10.0.0.1", write, "orders", false},
		{a, "10.0.0.9", read, "orders", false},    // DENY over ALLOW
		{a, "10.0.0.9", describe, "orders", true}, // a DENY implies nothing
		{b, "10.0.0.1", read, "orders", false},
		{b, "10.0.0.1", write, "orders", true}, // wildcard
		{b, "10.0.0.2", write, "orders", false},
		{a, "h", read, "logs-web", true},
		{a, "h", read, "logs-", true},
		{a, "h", read, "logs", false},
		{a, "h", read, "logs-secret-1", false},
		{a, "h", write, "logs-secret-1", true},
		{"User:c", "h", kmsg.ACLOperationDescribeConfigs, "open", true},
		{"User:c", "h", describe, "open", false}, // ALTER_CONFIGS does not imply DESCRIBE
		{a, "h", read, "shut", false},
		{a, "h", describe, "x", false},
		{a, "h", read, "x", true},
		{"User:A", "h", read, "orders", false},
		{"user:a", "h", read, "orders", false},
	} {
		d := s.Decide(c.principal, c.host, c.op, topic, c.name)
		if d.Allowed != c.want {
			t.Errorf("%s %s from %s on %s: %v by %v", c.principal, c.op, c.host, c.name, d.Allowed, d.Rule)
		}
	}
	if d := s.Decide(a, "h", read, group, "orders"); d.Allowed || !d.NoRules {
		t.Errorf("a rule for a topic decides about a group: %+v", d)
	}
}

func TestDecideAny(t *testing.T) {
	a := "User:a"
	for name, c := range map[string]struct {
		rules []Rule
		want  bool
	}{
		"none":                      {nil, false},
		"literal":                   {[]Rule{rule("x", literal, a, "*", write, true)}, true},
		"read only":                 {[]Rule{rule("x", literal, a, "*", read, true)}, false},
		"denied literal":            {[]Rule{rule("x", literal, a, "*", write, true), rule("x", literal, a, "*", write, false)}, false},
		"denied by prefix":          {[]Rule{rule("xy", literal, a, "*", write, true), rule("x", prefixed, a, "*", all, false)}, false},
		"longer prefix denied":      {[]Rule{rule("x", prefixed, a, "*", write, true), rule("xy", prefixed, a, "*", write, false)}, true},
		"denied everywhere":         {[]Rule{rule("x", prefixed, a, "*", write, true), rule("*", literal, "User:*", "*", write, false)}, false},
		"wildcard, one denied":      {[]Rule{rule("*", literal, a, "*", write, true), rule("x", literal, a, "*", write, false)}, true},
		"another host":              {[]Rule{rule("x", literal, a, "h2", write, true)}, false},
		"denied from another host":  {[]Rule{rule("x", literal, a, "*", write, true), rule("x", literal, a, "h2", write, false)}, true},
		"literal denied, prefix ok": {[]Rule{rule("x", prefixed, a, "*", write, true), rule("x", literal, a, "*", write, false)}, true},
	} {
		if got := NewRules(c.rules).DecideAny(a, "h", write, topic); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDecideOracle compares the index with a look at every rule.
func TestDecideOracle(t *testing.T) {
	names := []string{"a", "ab", "abc", "b", "*"}
	ops := []kmsg.ACLOperation{all, read, write, describe}
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Rule {
			return rule(rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom([]kmsg.ACLResourcePatternType{literal, prefixed}).Draw(t, "pattern"),
				rapid.SampledFrom([]string{"User:a", "User:b", "User:*"}).Draw(t, "principal"), rapid.SampledFrom([]string{"h", "i", "*"}).Draw(t, "host"),
				rapid.SampledFrom(ops).Draw(t, "op"), rapid.Bool().Draw(t, "allow"))
		}), 0, 12).Draw(t, "rules")
		name, op := rapid.SampledFrom(names[:4]).Draw(t, "asked"), rapid.SampledFrom(ops[1:]).Draw(t, "asked op")
		allowed, denied := false, false
		for _, r := range rules {
			covers := r.Name == name || r.Pattern == literal && r.Name == "*" || r.Pattern == prefixed && strings.HasPrefix(name, r.Name)
			who := (r.Principal == "User:a" || r.Principal == "User:*") && (r.Host == "h" || r.Host == "*")
			direct := r.Operation == op || r.Operation == all
			denied = denied || covers && who && !r.Allow && direct
			allowed = allowed || covers && who && r.Allow && (direct || op == describe)
		}
		if got := NewRules(rules).Decide("User:a", "h", op, topic, name); got.Allowed != (allowed && !denied) {
			t.Fatalf("%s on %s with %v: %v", op, name, rules, got.Allowed)
		}
	})
}

func TestFilter(t *testing.T) {
	list := []Rule{
		rule("orders", literal, "User:a", "*", read, true),
		rule("ord", prefixed, "User:a", "*", read, false),
		rule("*", literal, "User:b", "h", write, true),
		{group, "orders", literal, "User:a", "*", read, true},
	}
	slices.SortFunc(list, Rule.Compare)
	any := Filter{Resource: kmsg.ACLResourceTypeAny, Pattern: kmsg.ACLResourcePatternTypeAny, Operation: kmsg.ACLOperationAny, Allow: kmsg.ACLPermissionTypeAny}
	orders, a := "orders", "User:a"
	for name, c := range map[string]struct {
		change func(*Filter)
		want   int
	}{
		"any":       {func(*Filter) {}, 4},
		"topics":    {func(f *Filter) { f.Resource = topic }, 3},
		"name":      {func(f *Filter) { f.Name = &orders }, 2},
		"match":     {func(f *Filter) { f.Resource, f.Name, f.Pattern = topic, &orders, kmsg.ACLResourcePatternTypeMatch }, 3},
		"literal":   {func(f *Filter) { f.Pattern = literal }, 3},
		"prefixed":  {func(f *Filter) { f.Pattern = prefixed }, 1},
		"principal": {func(f *Filter) { f.Principal = &a }, 3},
		"host":      {func(f *Filter) { f.Host = &a }, 0},
		"deny":      {func(f *Filter) { f.Allow = kmsg.ACLPermissionTypeDeny }, 1},
		"operation": {func(f *Filter) { f.Operation = write }, 1},
	} {
		f := any
		c.change(&f)
		n := 0
		for _, r := range list {
			if f.Selects(r) {
				n++
			}
		}
		if n != c.want || f.Check() != nil {
			t.Errorf("%s selects %d, %v", name, n, f.Check())
		}
	}
	if err := (Filter{}).Check(); !errors.Is(err, ErrRule) {
		t.Errorf("an unknown filter: %v", err)
	}
}

func TestRuleCheck(t *testing.T) {
	good := rule("t", literal, "User:a", "*", read, true)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Rule){
		"resource":          func(r *Rule) { r.Resource = 99 },
		"pattern match":     func(r *Rule) { r.Pattern = kmsg.ACLResourcePatternTypeMatch },
		"no name":           func(r *Rule) { r.Name = "" },
		"long name":         func(r *Rule) { r.Name = strings.Repeat("n", nameMaxBytes+1) },
		"no host":           func(r *Rule) { r.Host = "" },
		"no type":           func(r *Rule) { r.Principal = "a" },
		"other type":        func(r *Rule) { r.Principal = "Group:a" },
		"no user":           func(r *Rule) { r.Principal = "User:" },
		"any operation":     func(r *Rule) { r.Operation = kmsg.ACLOperationAny },
		"cluster operation": func(r *Rule) { r.Operation = kmsg.ACLOperationClusterAction },
		"cluster name":      func(r *Rule) { r.Resource, r.Operation = kmsg.ACLResourceTypeCluster, describe },
	} {
		r := good
		if change(&r); !errors.Is(r.Check(), ErrRule) {
			t.Errorf("%s: %v", name, r.Check())
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	var list []Rule
	for i := range 1000 {
		list = append(list, rule(strings.Repeat("t", i%50+1), prefixed, "User:a", "*", read, true))
	}
	s := NewRules(list)
	b.ReportAllocs()
	for b.Loop() {
		s.Decide("User:a", "10.0.0.1", read, topic, "tttttttttttttttt")
	}
}
