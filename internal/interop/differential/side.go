package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

const (
	// replyTimeout bounds one request.
	replyTimeout = 30 * time.Second
	// maxReplyBytes is the largest reply that is read.
	maxReplyBytes = 64 << 20

	keyApiVersions = 18
)

// side is one of the two brokers: a connection, and what its replies taught that
// later requests need, since ids differ between the two.
type side struct {
	name, addr string
	conn       net.Conn
	next       int32
	versions   map[int16][2]int16

	topicIDs map[string][16]byte
	pid      map[string]int64
	epoch    map[string]int16
	member   map[string]string
	// generation is a group's, or the member's epoch.
	generation map[string]int32
}

func newSide(name, addr string) *side {
	return &side{name: name, addr: addr, topicIDs: map[string][16]byte{}, pid: map[string]int64{}, epoch: map[string]int16{},
		member: map[string]string{}, generation: map[string]int32{}}
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
func (s *side) do(req kmsg.Request) (kmsg.Response, error) {
	if s.conn == nil {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			return nil, err
		}
		s.conn = c
	}
	resp, err := s.roundTrip(req)
	if err != nil {
		err = errors.Join(err, s.conn.Close())
		s.conn = nil
	}
	return resp, err
}

func (s *side) roundTrip(req kmsg.Request) (kmsg.Response, error) {
	s.next++
	if err := s.conn.SetDeadline(clock.System.Now().Add(replyTimeout)); err != nil {
		return nil, err
	}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("differential")).AppendRequest(nil, req, s.next)
	if _, err := s.conn.Write(frame); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(s.conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxReplyBytes {
		return nil, fmt.Errorf("a reply of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return nil, err
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
	resp, err := s.do(req)
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
