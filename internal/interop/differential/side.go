package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/internal/clock"
)

const (
	// replyTimeout bounds one request. On a busy machine Kafka takes its time.
	replyTimeout = 15 * time.Second
	// maxReplyBytes is the largest reply that is read.
	maxReplyBytes = 64 << 20

	keyApiVersions      = 18
	keySASLAuthenticate = 36
)

// who sends a request: the super user who needs no login, one whose rules vary, or
// somebody who has not logged in on a listener that asks for it.
type who string

const (
	super    who = ""
	alice    who = "alice"
	stranger who = "stranger"
)

// alicePassword is alice's at both brokers.
const alicePassword = "wonderland"

// side is one of the two brokers: connections, and what its replies taught that
// later requests need, since ids differ between the two.
type side struct {
	name     string
	addr     map[string]string // by security protocol
	conns    map[who]net.Conn
	next     int32
	versions map[int16][2]int16

	topicIDs map[string][16]byte
	// leaderEpoch is of partition 0 of a topic.
	leaderEpoch map[string]int32
	pid         map[string]int64
	epoch       map[string]int16
	// sequence is the next one of a producer on a partition.
	sequence map[string]int32
	// lastSequence is the last one of the batch that was sent last.
	lastSequence int32
	member       map[string]string
	// generation is a group's, or the member's epoch.
	generation map[string]int32
}

func newSide(name string, addr map[string]string) *side {
	return &side{name: name, addr: addr, conns: map[who]net.Conn{}, topicIDs: map[string][16]byte{}, leaderEpoch: map[string]int32{}, pid: map[string]int64{},
		epoch: map[string]int16{}, sequence: map[string]int32{}, member: map[string]string{}, generation: map[string]int32{}}
}

// forget begins the sequences of a producer again.
func (s *side) forget(producer string) {
	maps.DeleteFunc(s.sequence, func(name string, _ int32) bool { return strings.HasPrefix(name, producer+"/") })
}

// topicNames returns the names of the topic ids that the side gave.
func (s *side) topicNames() map[[16]byte]string {
	names := map[[16]byte]string{}
	for name, id := range s.topicIDs {
		if id != ([16]byte{}) { // old versions of Metadata tell none
			names[id] = name
		}
	}
	return names
}

// do sends a request at the version that it has and returns the reply. An error
// is that of the connection, which the next request makes anew.
func (s *side) do(as who, req kmsg.Request) (resp kmsg.Response, err error) {
	err = s.on(as, func(c net.Conn) error {
		resp, err = s.roundTrip(c, req)
		return err
	})
	return resp, err
}

// bare sends a message without a header, as logins of old do, and returns the
// reply.
func (s *side) bare(as who, message []byte) (reply []byte, err error) {
	err = s.on(as, func(c net.Conn) error {
		if err := c.SetDeadline(clock.System.Now().Add(replyTimeout)); err != nil {
			return err
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)); err != nil {
			return err
		}
		reply, err = readFrame(c)
		return err
	})
	return reply, err
}

// on calls f with a connection, and closes it when f fails.
func (s *side) on(as who, f func(net.Conn) error) error {
	c, err := s.connect(as)
	if err == nil {
		err = f(c)
	}
	if err != nil {
		err = errors.Join(err, s.hangUp(as))
	}
	return err
}

// connect returns the connection of one who sends, made and logged in.
func (s *side) connect(as who) (net.Conn, error) {
	if c := s.conns[as]; c != nil {
		return c, nil
	}
	protocol := "PLAINTEXT"
	if as != super {
		protocol = "SASL_PLAINTEXT"
	}
	c, err := net.Dial("tcp", s.addr[protocol])
	if err != nil {
		return nil, err
	}
	s.conns[as] = c
	if as == alice {
		err = s.login(c)
	}
	return c, err
}

// hangUp closes a connection, if there is one.
func (s *side) hangUp(as who) error {
	c := s.conns[as]
	if c == nil {
		return nil
	}
	delete(s.conns, as)
	return c.Close()
}

// login logs alice in by SCRAM-SHA-256.
func (s *side) login(c net.Conn) error {
	ctx := context.Background()
	session, message, err := scram.Auth{User: string(alice), Pass: alicePassword}.AsSha256Mechanism().Authenticate(ctx, "")
	if err != nil {
		return err
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, "SCRAM-SHA-256"
	if _, err := s.roundTrip(c, handshake); err != nil {
		return err
	}
	for done := false; !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.Version, req.SASLAuthBytes = 2, message
		resp, err := s.roundTrip(c, req)
		if err != nil {
			return err
		}
		r := resp.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("%s: login: %w", s.name, err)
		}
		if done, message, err = session.Challenge(r.SASLAuthBytes); err != nil {
			return err
		}
	}
	return nil
}

// readFrame reads one frame's body.
func readFrame(c net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxReplyBytes {
		return nil, fmt.Errorf("a reply of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(c, body)
	return body, err
}

func (s *side) roundTrip(c net.Conn, req kmsg.Request) (kmsg.Response, error) {
	s.next++
	if err := c.SetDeadline(clock.System.Now().Add(replyTimeout)); err != nil {
		return nil, err
	}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("differential")).AppendRequest(nil, req, s.next)
	if _, err := c.Write(frame); err != nil {
		return nil, err
	}
	body, err := readFrame(c)
	if err != nil {
		return nil, err
	}
	if len(body) < 4 {
		return nil, fmt.Errorf("a reply of %d bytes", len(body))
	}
	if id := int32(binary.BigEndian.Uint32(body)); id != s.next {
		return nil, fmt.Errorf("correlation id %d, expected %d", id, s.next)
	}
	body = body[4:]
	if req.IsFlexible() && req.Key() != keyApiVersions {
		if len(body) == 0 || body[0] != 0 {
			return nil, errors.New("the reply's header has tags")
		}
		body = body[1:]
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp, resp.ReadFrom(body)
}

// learnVersions asks for the keys and versions that the broker serves.
func (s *side) learnVersions() error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(0)
	resp, err := s.do(super, req)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.versions = map[int16][2]int16{}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		s.versions[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return nil
}

// level is which of the versions that both serve are used.
type level int

const (
	lowest level = iota
	middle
	highest
)

func (l level) String() string { return [...]string{"lowest", "middle", "highest"}[l] }

// firstUsable are versions below which a key is advertised but not served.
var firstUsable = map[int16]int16{0: 3}

// version returns the version of a key that both sides serve, false if none.
func version(a, b *side, key int16, l level) (int16, bool) {
	va, okA := a.versions[key]
	vb, okB := b.versions[key]
	low, high := max(va[0], vb[0], firstUsable[key]), min(va[1], vb[1])
	if kind := kmsg.RequestForKey(key); kind != nil {
		high = min(high, kind.MaxVersion())
	}
	if !okA || !okB || low > high {
		return 0, false
	}
	switch l {
	case lowest:
		return low, true
	case middle:
		return low + (high-low)/2, true
	default:
		return high, true
	}
}
