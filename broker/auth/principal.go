package auth

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Principals have a type and a name; the only type is User.
const (
	userPrefix = "User:"
	// Anonymous is who did not say who it is.
	Anonymous = "User:ANONYMOUS"
)

// User returns the principal of a user name.
func User(name string) string { return userPrefix + name }

// UserName returns the name of a principal, and whether it is a user's.
func UserName(principal string) (string, bool) { return strings.CutPrefix(principal, userPrefix) }

// attributeNames are the keywords of RFC 2253; other attributes are printed by
// number.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// DistinguishedName prints a certificate's raw subject as RFC 2253 says: the
// most specific first, every attribute in it. It is what mapping rules see, so it
// must be the same as Kafka's for the same certificate.
func DistinguishedName(rawSubject []byte) (string, error) {
	var rdns []rdnSET
	if rest, err := asn1.Unmarshal(rawSubject, &rdns); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("%w: certificate subject is not a name", ErrCredential)
	}
	var parts []string
	for i := len(rdns) - 1; i >= 0; i-- {
		var attrs []string
		for _, a := range rdns[i] {
			attrs = append(attrs, printAttribute(a))
		}
		parts = append(parts, strings.Join(attrs, "+"))
	}
	return strings.Join(parts, ","), nil
}

// rdnSET is a set of attributes whose values keep their encoding. The name ends
// in SET because encoding/asn1 goes by that.
type rdnSET []rawAttribute

type rawAttribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

func printAttribute(a rawAttribute) string {
	oid := a.Type.String()
	var text string
	if _, err := asn1.Unmarshal(a.Value.FullBytes, &text); err == nil && attributeNames[oid] != "" {
		return attributeNames[oid] + "=" + escapeValue(text)
	}
	name := oid
	if attributeNames[oid] != "" {
		name = attributeNames[oid]
	}
	return name + "=#" + hex.EncodeToString(a.Value.FullBytes)
}

// escapeValue escapes what RFC 2253, section 2.4, says.
func escapeValue(v string) string {
	var b strings.Builder
	for i, r := range v {
		first, last := i == 0, i+utf8.RuneLen(r) == len(v)
		switch {
		case strings.ContainsRune(`,+"\<>;`, r), first && (r == '#' || r == ' '), last && r == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// MappingRules turn a distinguished name into a user name: the first rule that
// matches all of it decides.
type MappingRules []mappingRule

type mappingRule struct {
	pattern     *regexp.Regexp // nil: DEFAULT, the name as it is
	replacement string
	fold        func(string) string
}

// ParseMappingRules reads Kafka's ssl.principal.mapping.rules: a list of DEFAULT
// and RULE:pattern/replacement/[LU]. Patterns are RE2 and must match the whole
// name; $1 in the replacement is a group, \/ a slash. An empty text is DEFAULT.
func ParseMappingRules(text string) (MappingRules, error) {
	var rules MappingRules
	rest := strings.TrimSpace(text)
	for rest != "" {
		var r mappingRule
		var err error
		if after, ok := strings.CutPrefix(rest, "DEFAULT"); ok {
			rest = after
		} else if after, ok := strings.CutPrefix(rest, "RULE:"); ok {
			if r, rest, err = parseRule(after); err != nil {
				return nil, err
			}
		} else {
			return nil, fmt.Errorf("principal mapping rules: expected RULE: or DEFAULT at %q", rest)
		}
		rules = append(rules, r)
		after, more := strings.CutPrefix(strings.TrimSpace(rest), ",")
		if !more && after != "" {
			return nil, fmt.Errorf("principal mapping rules: expected a comma at %q", rest)
		}
		rest = strings.TrimSpace(after)
	}
	if len(rules) == 0 {
		rules = MappingRules{{}}
	}
	return rules, nil
}

// parseRule reads pattern/replacement/[LU].
func parseRule(text string) (r mappingRule, rest string, err error) {
	pattern, rest, ok := cutSlash(text)
	replacement, rest, ok2 := cutSlash(rest)
	if !ok || !ok2 {
		return r, "", fmt.Errorf("principal mapping rules: RULE:%s: expected pattern/replacement/", text)
	}
	if r.pattern, err = regexp.Compile(`^(?:` + pattern + `)$`); err != nil {
		return r, "", fmt.Errorf("principal mapping rules: %w", err)
	}
	// $1x means group 1 and an x, not a group of the name 1x.
	r.replacement = groupReference.ReplaceAllString(replacement, "$${$1}")
	switch {
	case strings.HasPrefix(rest, "L"):
		r.fold, rest = strings.ToLower, rest[1:]
	case strings.HasPrefix(rest, "U"):
		r.fold, rest = strings.ToUpper, rest[1:]
	}
	return r, rest, nil
}

var groupReference = regexp.MustCompile(`\$(\d)`)

// cutSlash cuts text at the first slash that no backslash precedes.
func cutSlash(text string) (before, after string, ok bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
		case text[i] == '/':
			return strings.ReplaceAll(text[:i], `\/`, "/"), text[i+1:], true
		}
	}
	return "", "", false
}

// Map returns the user name of a distinguished name. No rule that matches is an
// error: the peer is not let in under a name that nobody chose.
func (rules MappingRules) Map(dn string) (string, error) {
	for _, r := range rules {
		if r.pattern == nil {
			return dn, nil
		}
		m := r.pattern.FindStringSubmatchIndex(dn)
		if m == nil {
			continue
		}
		name := string(r.pattern.ExpandString(nil, r.replacement, dn, m))
		if r.fold != nil {
			name = r.fold(name)
		}
		if CheckUserName(name) != nil {
			return "", fail("mapping rule makes a bad user name of " + dn)
		}
		return name, nil
	}
	return "", fail("no mapping rule matches " + dn)
}

// CertificateUser returns the user name of a verified certificate's subject. An
// empty subject is nobody: ok is false.
func CertificateUser(rawSubject []byte, rules MappingRules) (name string, ok bool, err error) {
	dn, err := DistinguishedName(rawSubject)
	if err != nil || dn == "" {
		return "", false, err
	}
	name, err = rules.Map(dn)
	return name, err == nil, err
}
