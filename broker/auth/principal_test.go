package auth

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

func oid(n ...int) asn1.ObjectIdentifier { return n }

// subject encodes RDNs as a certificate has them, the most general first.
func subject(t *testing.T, rdns ...pkix.RelativeDistinguishedNameSET) []byte {
	t.Helper()
	raw, err := asn1.Marshal(pkix.RDNSequence(rdns))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDistinguishedName(t *testing.T) {
	cn, ou, o, c := oid(2, 5, 4, 3), oid(2, 5, 4, 11), oid(2, 5, 4, 10), oid(2, 5, 4, 6)
	for want, rdns := range map[string][]pkix.RelativeDistinguishedNameSET{
		"": nil,
		"CN=alice,OU=Dev,O=Acme,C=DE": {
			{{Type: c, Value: "DE"}}, {{Type: o, Value: "Acme"}}, {{Type: ou, Value: "Dev"}}, {{Type: cn, Value: "alice"}},
		},
		`CN=Smith\, John,O=A\+B \<x\>\; \"y\" \\z`: {{{Type: o, Value: `A+B <x>; "y" \z`}}, {{Type: cn, Value: "Smith, John"}}},
		`CN=\#1\ `:                {{{Type: cn, Value: "#1 "}}},
		`CN=\ `:                   {{{Type: cn, Value: " "}}},
		"CN=a=b":                  {{{Type: cn, Value: "a=b"}}},
		"CN=alice+UID=7,O=Ünïted": {{{Type: o, Value: "Ünïted"}}, {{Type: cn, Value: "alice"}, {Type: oid(0, 9, 2342, 19200300, 100, 1, 1), Value: "7"}}},
		"2.5.4.5=#13023432,CN=a":  {{{Type: cn, Value: "a"}}, {{Type: oid(2, 5, 4, 5), Value: "42"}}},
		"CN=a,OU=two,OU=one":      {{{Type: ou, Value: "one"}}, {{Type: ou, Value: "two"}}, {{Type: cn, Value: "a"}}},
		"DC=org,DC=com":           {{{Type: oid(0, 9, 2342, 19200300, 100, 1, 25), Value: "com"}}, {{Type: oid(0, 9, 2342, 19200300, 100, 1, 25), Value: "org"}}},
	} {
		got, err := DistinguishedName(subject(t, rdns...))
		if err != nil || got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	for _, raw := range [][]byte{nil, {0x30}, {0x30, 0x80}, []byte("CN=alice"), append(subject(t), 0)} {
		if got, err := DistinguishedName(raw); err == nil {
			t.Errorf("%x is %q", raw, got)
		}
	}
}

func TestMappingRules(t *testing.T) {
	const dn = "CN=Alice,OU=Dev,O=Acme,C=DE"
	for _, c := range []struct{ rules, want string }{
		{"", dn},
		{"DEFAULT", dn},
		{`RULE:^CN=(.*?),OU=Dev.*$/$1/`, "Alice"},
		{`RULE:CN=(.*?),OU=Dev.*/$1@dev/L`, "alice@dev"},
		{`RULE:CN=(.*?),OU=(.*?),.*/$2x$1/U`, "DEVXALICE"},
		{`RULE:CN=(.*?),OU=Ops.*/$1/, RULE:.*O=(.*?),.*/$1/ , DEFAULT`, "Acme"},
		{`RULE:CN=Alice/root/,DEFAULT`, dn}, // not the whole name
		{`RULE:.*C=(..)/a\/$1/`, "a/DE"},
	} {
		rules, err := ParseMappingRules(c.rules)
		if err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		if got, err := rules.Map(dn); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.rules, got, err, c.want)
		}
	}
	for _, text := range []string{"default", "RULE:a/b", "RULE:a", "RULE:(/b/", "RULE:a/b/X", "RULE:a/b/L DEFAULT", "DEFAULT;DEFAULT", "RULE:(?=a)/b/"} {
		if _, err := ParseMappingRules(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	rules, err := ParseMappingRules(`RULE:CN=Bob.*/bob/`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rules.Map(dn); err == nil {
		t.Errorf("no rule matches, but the user is %q", got)
	}
	if name, ok, err := CertificateUser(subject(t), rules); ok || err != nil {
		t.Errorf("an empty subject: %q %v %v", name, ok, err)
	}
}
