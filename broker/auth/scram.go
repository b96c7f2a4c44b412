package auth

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// scramLogin is the server's side of SCRAM (RFC 5802, RFC 7677), without channel
// binding:
//
//	client-first   n,[a=authzid],n=user,r=clientNonce
//	server-first   r=clientNonce serverNonce,s=salt,i=iterations
//	client-final   c=biws,r=both nonces,p=proof
//	server-final   v=signature
//
// Nonces and the channel binding flag are compared with what was sent first:
// otherwise a proof from another exchange could be replayed.
type scramLogin struct {
	d     Directory
	m     Mechanism
	nonce string // ours, and the client's before it from the first step on

	clientNonce string
	user        string
	known       bool
	cred        Credential
	header      string // GS2 header as the client sent it
	firstBare   string
	serverFirst string
	step        int
	done        bool
}

// NewScram starts a SCRAM exchange. nonce is the server's: printable, without
// commas, random, never used before.
func NewScram(d Directory, m Mechanism, nonce string) Login {
	return &scramLogin{d: d, m: m, nonce: nonce}
}

const (
	// scramMessageMaxBytes bounds one message.
	scramMessageMaxBytes = 4096
	// nonceMaxBytes bounds the client's nonce.
	nonceMaxBytes = 256
)

func (l *scramLogin) Step(message []byte) ([]byte, bool, error) {
	if len(message) > scramMessageMaxBytes {
		return nil, false, fail("SCRAM message too long")
	}
	l.step++
	switch l.step {
	case 1:
		return l.first(string(message))
	case 2:
		return l.final(string(message))
	}
	return nil, false, fail("SCRAM message after the end")
}

// first reads client-first-message.
func (l *scramLogin) first(message string) ([]byte, bool, error) {
	flag, rest, ok := strings.Cut(message, ",")
	if !ok || flag != "n" && flag != "y" {
		return nil, false, fail("SCRAM channel binding is not offered")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, false, fail("SCRAM first message is cut short")
	}
	l.header, l.firstBare = flag+","+authzid+",", bare
	// An attribute m= would be a mandatory extension, of which there is none.
	nameAttr, rest, ok := strings.Cut(bare, ",")
	name, isName := strings.CutPrefix(nameAttr, "n=")
	nonceAttr, _, _ := strings.Cut(rest, ",")
	nonce, isNonce := strings.CutPrefix(nonceAttr, "r=")
	if !ok || !isName || !isNonce || !printable(nonce) || len(nonce) > nonceMaxBytes {
		return nil, false, fail("SCRAM first message needs n= and r=")
	}
	user, ok := unescape(name)
	if !ok || CheckUserName(user) != nil {
		return nil, false, fail("bad user name")
	}
	if authzid != "" {
		as, isAs := strings.CutPrefix(authzid, "a=")
		if as, ok = unescape(as); !isAs || !ok || as != user {
			return nil, false, fail("authorization id differs from user name")
		}
	}
	l.user = user
	l.cred, l.known = lookup(l.d, user, l.m)
	l.clientNonce, l.nonce = nonce, nonce+l.nonce
	l.serverFirst = "r=" + l.nonce + ",s=" + base64.StdEncoding.EncodeToString(l.cred.Salt) + ",i=" + strconv.Itoa(l.cred.Iterations)
	return []byte(l.serverFirst), false, nil
}

// final reads client-final-message and checks the proof:
// ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage), and H(ClientKey) is
// the StoredKey.
func (l *scramLogin) final(message string) ([]byte, bool, error) {
	i := strings.LastIndex(message, ",p=")
	if i < 0 {
		return nil, false, fail("SCRAM final message has no proof")
	}
	withoutProof, proofText := message[:i], message[i+len(",p="):]
	binding, rest, ok := strings.Cut(withoutProof, ",")
	nonce, _, _ := strings.Cut(rest, ",")
	wantBinding := "c=" + base64.StdEncoding.EncodeToString([]byte(l.header))
	if !ok || subtle.ConstantTimeCompare([]byte(binding), []byte(wantBinding)) != 1 {
		return nil, false, fail("SCRAM channel binding differs from the first message")
	}
	// librdkafka before 2.6.1 puts its own nonce in front once more. The proof
	// covers ours all the same, so that one other form is as good.
	if nonce != "r="+l.nonce && nonce != "r="+l.clientNonce+l.nonce {
		return nil, false, fail("SCRAM nonce differs")
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(proofText)
	if err != nil || len(proof) != l.m.size() {
		return nil, false, fail("SCRAM proof is malformed")
	}
	authMessage := l.firstBare + "," + l.serverFirst + "," + withoutProof
	clientKey := l.m.mac(l.cred.StoredKey, authMessage)
	subtle.XORBytes(clientKey, clientKey, proof)
	match := hmac.Equal(l.m.digest(clientKey), l.cred.StoredKey)
	if !match || !l.known {
		return nil, false, fail("SCRAM: unknown user or wrong password for " + l.user)
	}
	l.done = true
	return []byte("v=" + base64.StdEncoding.EncodeToString(l.m.mac(l.cred.ServerKey, authMessage))), true, nil
}

func (l *scramLogin) Identity() (string, time.Time) {
	if !l.done {
		return "", time.Time{}
	}
	return l.user, time.Time{}
}

// unescape reads a saslname: =2C is a comma, =3D an equals sign, no other =.
func unescape(s string) (string, bool) {
	if strings.Count(s, "=") != strings.Count(s, "=2C")+strings.Count(s, "=3D") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), true
}

// printable reports whether s is a legal nonce: printable ASCII without comma.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e || c == ',' {
			return false
		}
	}
	return s != ""
}
