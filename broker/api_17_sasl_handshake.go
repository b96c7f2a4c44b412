package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// keySASLHandshake is one of the keys that peers may use before the login.
const keySASLHandshake = 17

// SaslHandshake (17). Versions 0-1. After version 0 the messages of the exchange
// come without Kafka's headers, after version 1 in SaslAuthenticate. A listener
// without SASL answers ILLEGAL_SASL_STATE. See sasl.go for the states.
func init() {
	register(keySASLHandshake, 0, 1, func(b *Broker, rq *request, req *kmsg.SASLHandshakeRequest) error {
		resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
		err := rq.c.handshake(req, resp)
		rq.reply(resp)
		return err
	})
}
