package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// keySASLAuthenticate is one of the keys that peers may use before the login.
const keySASLAuthenticate = 36

// SaslAuthenticate (36). Versions 0-2. From version 1 on the answer says for how
// long the login is good (KIP-368). A failure is SASL_AUTHENTICATION_FAILED with
// a text that does not say why, after a delay, and closes the connection.
func init() {
	register(keySASLAuthenticate, 0, 2, func(b *Broker, rq *request, req *kmsg.SASLAuthenticateRequest) error {
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		err := rq.c.authenticate(req.SASLAuthBytes, resp)
		rq.reply(resp)
		return err
	})
}
