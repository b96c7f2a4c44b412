package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"github.com/millrace/millrace/broker/auth"
)

// tokenEnv is where a command looks for an OAuth token that no file is given for.
// A token is never a flag, for the same reason as a password.
const tokenEnv = "MILLRACE_OAUTH_TOKEN"

// tokenText is what a token is made of (RFC 6750, section 2.1). Anything else
// could end the message that it is sent in.
var tokenText = regexp.MustCompile(`^[-._~+/A-Za-z0-9]+=*$`)

// readToken returns the token of a file, or of the environment when there is
// none. Its errors never show what was read.
func readToken(file string) (string, error) {
	text, from := os.Getenv(tokenEnv), tokenEnv
	if file != "" {
		var err error
		if text, err = readFile(file); err != nil {
			return "", fmt.Errorf("--oauth-token-file: %w", err)
		}
		from = file
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "" && file == "":
		return "", errors.New("no token: give --oauth-token-file or set " + tokenEnv)
	case text == "":
		return "", fmt.Errorf("%s is empty: expected a token", from)
	case len(text) > auth.TokenMaxBytes:
		return "", fmt.Errorf("%s has %d bytes: a token has %d at most", from, len(text), auth.TokenMaxBytes)
	case !tokenText.MatchString(text):
		return "", fmt.Errorf("%s holds something else than a token: expected letters, digits and -._~+/ only, as a JWT has them, without quotes or JSON around it", from)
	}
	return text, nil
}

// bearer is OAUTHBEARER (RFC 7628) for a client. The token is read for every
// login, so that one that was renewed in its file is found when the session ends
// (KIP-368) and by new connections.
type bearer struct{ file string }

// Name returns the name under which the mechanism is registered.
func (bearer) Name() string { return string(auth.OAuthBearer) }

// Authenticate reads the token and returns the client's first message.
func (b bearer) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	token, err := readToken(b.file)
	if err != nil {
		return nil, nil, err
	}
	_, first, err := oauth.Auth{Token: token}.AsMechanism().Authenticate(ctx, host)
	return &bearerSession{}, first, err
}

// bearerSession is an exchange after its first message:
//
//	sent --nothing--> logged in
//	  |
//	  +---JSON---> refused --> the broker's error code
type bearerSession struct{ refused bool }

// Challenge takes the broker's answer. A refusal comes as JSON; one byte asks for
// the error code that follows it, as section 3.2.3 wants.
func (s *bearerSession) Challenge(answer []byte) (done bool, next []byte, err error) {
	switch {
	case s.refused:
		return false, nil, errors.New("the broker refuses the token and goes on all the same")
	case len(answer) == 0:
		return true, nil, nil
	}
	s.refused = true
	return false, []byte{1}, nil
}
