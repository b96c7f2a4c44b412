package auth

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// directory is a Directory of one user.
type directory struct {
	user  string
	creds map[Mechanism]Credential
}

func (d directory) Credential(user string, m Mechanism) (Credential, bool) {
	c, ok := d.creds[m]
	return c, ok && user == d.user
}
func (directory) Secret() []byte { return []byte("0123456789abcdef0123456789abcdef") }

func alice(t testing.TB, password string) directory {
	t.Helper()
	d := directory{"alice", map[Mechanism]Credential{}}
	for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
		c, err := NewCredential(m, password, []byte("salt-salt-salt-salt-salt"), DefaultIterations)
		if err != nil {
			t.Fatal(err)
		}
		d.creds[m] = c
	}
	return d
}

// rfc7677 is the example exchange of RFC 7677, section 3.
func TestScramExample(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	cred, err := NewCredential(ScramSHA256, "pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	d := directory{"user", map[Mechanism]Credential{ScramSHA256: cred}}
	l := NewScram(d, ScramSHA256, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
	got, done, err := l.Step([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	if want := "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"; err != nil || done || string(got) != want {
		t.Fatalf("first: %s %v %v", got, done, err)
	}
	got, done, err = l.Step([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if want := "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; err != nil || !done || string(got) != want {
		t.Fatalf("final: %s %v %v", got, done, err)
	}
	if user, _ := l.Identity(); user != "user" {
		t.Errorf("user %q", user)
	}
	if _, _, err := l.Step([]byte("c=biws,r=x,p=y")); !errors.Is(err, ErrAuthentication) {
		t.Errorf("a third message: %v", err)
	}
}

// exchange logs in with a client of another make and lets alter change each of
// its messages.
func exchange(t *testing.T, d Directory, m Mechanism, user, password string, alter func(step int, message string) string) error {
	t.Helper()
	a := scram.Auth{User: user, Pass: password, Nonce: []byte("clientnonce")}
	client := a.AsSha256Mechanism()
	if m == ScramSHA512 {
		client = a.AsSha512Mechanism()
	}
	session, message, err := client.Authenticate(t.Context(), "host")
	if err != nil {
		t.Fatal(err)
	}
	l := NewScram(d, m, "servernonce")
	for step := 1; ; step++ {
		text := string(message)
		if alter != nil {
			text = alter(step, text)
		}
		challenge, done, err := l.Step([]byte(text))
		if err != nil {
			if user, _ := l.Identity(); user != "" {
				t.Errorf("a failed login has user %q", user)
			}
			return err
		}
		finished, next, err := session.Challenge(challenge)
		if err != nil {
			t.Fatalf("the client does not take %q: %v", challenge, err)
		}
		if done {
			if !finished {
				t.Error("the server is done before the client")
			}
			return nil
		}
		message = next
	}
}

func TestScram(t *testing.T) {
	d := alice(t, "wonder,land=")
	for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
		if err := exchange(t, d, m, "alice", "wonder,land=", nil); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		for name, user := range map[string]string{"wrong password": "alice", "unknown user": "bob", "control character": "al\x01ice"} {
			if err := exchange(t, d, m, user, "other", nil); !errors.Is(err, ErrAuthentication) {
				t.Errorf("%s, %s: %v", m, name, err)
			}
		}
	}
	if err := exchange(t, directory{"a,b=c", d.creds}, ScramSHA256, "a,b=c", "wonder,land=", nil); err != nil {
		t.Errorf("a name that needs escapes: %v", err)
	}
}

// TestScramOldLibrdkafka: librdkafka before 2.6.1 repeats its nonce in the last
// message, and makes the proof of that.
func TestScramOldLibrdkafka(t *testing.T) {
	d := alice(t, "secret")
	cred := d.creds[ScramSHA256]
	l := NewScram(d, ScramSHA256, "server")
	serverFirst, _, err := l.Step([]byte("n,,n=alice,r=client"))
	if err != nil {
		t.Fatal(err)
	}
	m := ScramSHA256
	withoutProof := "c=biws,r=clientclientserver"
	salted := m.salted("secret", cred.Salt, cred.Iterations)
	proof := m.mac(cred.StoredKey, "n=alice,r=client,"+string(serverFirst)+","+withoutProof)
	for i, b := range m.mac(salted, "Client Key") {
		proof[i] ^= b
	}
	if _, done, err := l.Step([]byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof))); !done || err != nil {
		t.Errorf("done %v, %v", done, err)
	}
}

// TestScramTampered: every message that differs from the exchange is refused,
// even with the right password.
func TestScramTampered(t *testing.T) {
	d := alice(t, "secret")
	final := func(f func(string) string) func(int, string) string {
		return func(step int, m string) string {
			if step == 2 {
				return f(m)
			}
			return m
		}
	}
	first := func(to string) func(int, string) string {
		return func(step int, m string) string {
			if step == 1 {
				return to
			}
			return m
		}
	}
	replace := func(from, to string) func(int, string) string {
		return final(func(m string) string {
			if !strings.Contains(m, from) {
				t.Fatalf("%q is not in %q", from, m)
			}
			return strings.Replace(m, from, to, 1)
		})
	}
	for name, alter := range map[string]func(int, string) string{
		"server nonce missing": replace("servernonce", ""),
		"other server nonce":   replace("servernonce", "servernoncE"),
		"client nonce only":    replace("Y2xpZW50bm9uY2Uservernonce", "Y2xpZW50bm9uY2U"),
		"nonce thrice":         replace("r=Y2", "r=Y2xpZW50bm9uY2UY2xpZW50bm9uY2UY2"),
		"other nonce first":    replace("r=Y2", "r=xY2"),
		"other binding":        replace("c=biws", "c=eSws"),
		"no proof":             final(func(m string) string { return m[:strings.Index(m, ",p=")] }),
		"empty proof":          final(func(m string) string { return m[:strings.Index(m, ",p=")] + ",p=" }),
		"zero proof":           final(func(m string) string { return m[:strings.Index(m, ",p=")] + ",p=" + strings.Repeat("A", 43) + "=" }),
		"channel binding":      first("p=tls-unique,,n=alice,r=clientnonce"),
		"other authzid":        first("n,a=root,n=alice,r=clientnonce"),
		"extension":            first("n,,m=x,n=alice,r=clientnonce"),
		"no nonce":             first("n,,n=alice,r="),
		"nonce with a space":   first("n,,n=alice,r=a b"),
		"bad escape":           first("n,,n=al=ice,r=clientnonce"),
		"empty":                first(""),
		"only commas":          first(",,,,,"),
		"long":                 first("n,,n=alice,r=" + strings.Repeat("r", 5000)),
	} {
		if err := exchange(t, d, ScramSHA256, "alice", "secret", alter); !errors.Is(err, ErrAuthentication) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScramHidesUsers: what comes before the password tells nobody who exists.
func TestScramHidesUsers(t *testing.T) {
	d := alice(t, "secret")
	ask := func(user string) string {
		challenge, _, err := NewScram(d, ScramSHA256, "s").Step([]byte("n,,n=" + user + ",r=c"))
		if err != nil {
			t.Fatal(err)
		}
		return string(challenge)
	}
	first, second := ask("bob"), ask("bob")
	if first != second || first == ask("carol") {
		t.Error("the salt of an unknown user must be the same every time, and its own")
	}
	if known := ask("alice"); len(known) != len(first) || known[strings.LastIndex(known, ","):] != first[strings.LastIndex(first, ","):] {
		t.Errorf("an unknown user's challenge looks different: %s, %s", first, known)
	}
	// Nobody knows a password of the decoy, even one who knows its keys.
	c := Decoy(d.Secret(), ScramSHA256, "bob")
	forged := directory{"bob", map[Mechanism]Credential{ScramSHA256: c}}
	if _, known := lookup(forged, "mallory", ScramSHA256); known {
		t.Error("lookup knows a user who does not exist")
	}
}

func TestPlain(t *testing.T) {
	d := alice(t, "secret")
	for message, want := range map[string]bool{
		"\x00alice\x00secret":      true,
		"alice\x00alice\x00secret": true,
		"bob\x00alice\x00secret":   false,
		"\x00alice\x00Secret":      false,
		"\x00alice\x00":            false,
		"\x00\x00secret":           false,
		"\x00bob\x00secret":        false,
		"alice\x00secret":          false,
		"\x00alice\x00secret\x00":  false,
		"":                         false,
		"\x00al\xffice\x00secret":  false,
		"\x00alice\x00" + strings.Repeat("x", PasswordMaxBytes+1): false,
	} {
		l := NewPlain(d)
		_, done, err := l.Step([]byte(message))
		if done != want || (err == nil) != want || err != nil && !errors.Is(err, ErrAuthentication) {
			t.Errorf("%q: done %v, %v", message, done, err)
		}
	}
	// One credential is enough, whichever it is.
	for m := range d.creds {
		one := directory{"alice", map[Mechanism]Credential{m: d.creds[m]}}
		if _, done, err := NewPlain(one).Step([]byte("\x00alice\x00secret")); !done || err != nil {
			t.Errorf("only %s: %v %v", m, done, err)
		}
	}
}

func TestCredentialLimits(t *testing.T) {
	salt := []byte("salt-salt")
	for name, err := range map[string]error{
		"few iterations":  second(NewCredential(ScramSHA256, "p", salt, MinIterations-1)),
		"many iterations": second(NewCredential(ScramSHA256, "p", salt, MaxIterations+1)),
		"empty password":  second(NewCredential(ScramSHA256, "", salt, MinIterations)),
		"no salt":         second(FromSalted(ScramSHA256, make([]byte, 32), nil, MinIterations)),
		"other hash":      second(FromSalted(ScramSHA512, make([]byte, 32), salt, MinIterations)),
		"not SCRAM":       second(FromSalted(Plain, make([]byte, 32), salt, MinIterations)),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func second(_ Credential, err error) error { return err }

func FuzzScram(f *testing.F) {
	d := alice(f, "secret")
	f.Add([]byte("n,,n=alice,r=c"), []byte("c=biws,r=cs,p=AAAA"))
	f.Add([]byte("y,a=alice,n=alice,r=c,x=y"), []byte("c=,r=,p="))
	f.Fuzz(func(t *testing.T, first, final []byte) {
		l := NewScram(d, ScramSHA256, "s")
		if _, done, err := l.Step(first); done || err != nil {
			if done {
				t.Error("done after one message")
			}
			return
		}
		if _, done, _ := l.Step(final); done {
			t.Errorf("logged in with %q, %q", first, final)
		}
	})
}

func FuzzPlain(f *testing.F) {
	d := alice(f, "secret")
	f.Add([]byte("\x00alice\x00guess"))
	f.Fuzz(func(t *testing.T, message []byte) {
		_, done, _ := NewPlain(d).Step(message)
		if done && !strings.HasSuffix(string(message), "alice\x00secret") {
			t.Errorf("logged in with %q", message)
		}
	})
}
