package broker

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/lend"
)

// A request frame:
//
//	 0      4      6         8               12
//	+------+------+---------+----------------+-----------+------+------+
//	| size | key  | version | correlation id | client id | tags | body |
//	+------+------+---------+----------------+-----------+------+------+
//
// client id is a nullable string with an i16 length in every version; tags are
// there in flexible versions only. A response frame is size, correlation id,
// tags (flexible, but never for ApiVersions), body.

const (
	// frameMinBytes: a header without a client id.
	frameMinBytes = 8
	// readBufferBytes is what a connection always holds for reading. Requests
	// longer than it are read straight into their own buffer.
	readBufferBytes = 1 << 10
	// largeRequestBytes: a request of a small key above it is decoded alone.
	largeRequestBytes = 32 << 10
	// headerTagsMax bounds the tags of a request header.
	headerTagsMax = 16
	// writeTimeout cuts a peer that does not take writeStepBytes of a response
	// for so long.
	writeTimeout   = 30 * time.Second
	writeStepBytes = 256 << 10
	// drainTimeout bounds how long a connection that is to close waits until
	// what it has answered is sent.
	drainTimeout = 5 * time.Second
)

// errDrain is wrapped by errors that close the connection after its last answer
// was sent.
var errDrain = errors.New("connection closes")

// conn is one connection: a goroutine that reads and handles requests in order,
// and, from the first request on, one that writes responses in the same order.
type conn struct {
	b       *Broker
	from    *listener
	raw     net.Conn // the socket
	nc      net.Conn // the same, or TLS over it
	host    string   // the peer's address without its port
	r       *bufio.Reader
	pending chan *request // unanswered, in order; made with the first request
	writer  sync.WaitGroup
	gone    chan struct{} // closed when the connection is
	once    sync.Once

	// The reader owns these.
	peer      *peer          // nil until the peer has said who it is
	login     *saslState     // nil unless a login is in progress
	mechanism auth.Mechanism // of the last login
	limit     time.Time      // by when the peer must have logged in
	proven    int            // bytes of the largest request so far, see readBody

	// muted is until when nothing is read, in Unix nanoseconds: the peer has
	// passed a quota.
	muted atomic.Int64
	// unsent is record bytes of responses, guarded by server.unsent.
	unsent int64
	// spent is what handlers took and no quota has counted yet, in nanoseconds.
	spent atomic.Int64
}

// peer is who is at the other end. It is replaced, never changed.
type peer struct {
	principal string
	host      string
	expires   time.Time // zero: never
}

// request is one request in progress.
type request struct {
	c        *conn
	peer     *peer
	version  int16
	id       int32
	clientID string
	flexible bool
	bare     bool // a SASL message without Kafka's headers
	key      int16
	size     int64
	wait     time.Duration      // that a quota asks for already
	held     int64              // record bytes of the response that count as unsent
	ready    chan kmsg.Response // capacity 1; nil means: no response
}

// reply answers the request; nil sends nothing. It is called exactly once, from
// any goroutine, and never blocks.
func (r *request) reply(resp kmsg.Response) {
	if f, ok := resp.(*fetchResponse); ok {
		r.hold(f)
	}
	r.ready <- resp
}

func newConn(b *Broker, nc net.Conn, from *listener) *conn {
	c := &conn{b: b, from: from, raw: nc, nc: nc, gone: make(chan struct{}), host: hostOf(nc.RemoteAddr())}
	if from.tls != nil {
		c.nc = tls.Server(nc, from.tls.config())
	}
	return c
}

// hostOf returns an address without its port.
func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}

// close cuts the connection.
func (c *conn) close() {
	c.once.Do(func() {
		close(c.gone)
		c.raw.Close()
	})
}

// run serves the connection until either side closes it.
func (c *conn) run() {
	err := c.welcome()
	if err == nil {
		err = c.read()
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.b.server.note("connection closed", "listener", c.from.Name, "remote", c.raw.RemoteAddr(), "err", err)
	}
	if c.pending != nil {
		close(c.pending)
		if errors.Is(err, errDrain) {
			cut := c.b.cfg.Clock.AfterFunc(drainTimeout, c.close)
			c.writer.Wait()
			cut.Stop()
		}
	}
	c.close()
	c.writer.Wait()
}

// welcome does what comes before the first request: TLS, and who the peer is
// when it need not log in.
func (c *conn) welcome() error {
	c.limit = c.b.cfg.Clock.Now().Add(c.b.cfg.Limits.HandshakeTimeout)
	if err := c.nc.SetDeadline(c.limit); err != nil {
		return err
	}
	principal := auth.Anonymous
	if nc, ok := c.nc.(*tls.Conn); ok {
		var err error
		if principal, err = c.from.tls.handshake(nc); err != nil {
			return err
		}
	}
	c.r = bufio.NewReaderSize(c.nc, readBufferBytes)
	if c.from.Protocol.SASL() {
		c.login = &saslState{}
		return nil
	}
	c.peer = &peer{principal: principal, host: c.host}
	return nil
}

// read handles requests until the connection ends. A panic of a handler ends
// this connection only.
func (c *conn) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.b.cfg.Logger.Error("panic in a request", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	for {
		if err := c.one(); err != nil {
			return err
		}
	}
}

// one reads and handles one request.
func (c *conn) one() error {
	if err := c.nc.SetReadDeadline(c.deadline(c.b.cfg.Limits.IdleTimeout)); err != nil {
		return err
	}
	if c.login != nil && c.login.bare {
		return c.bareLogin()
	}
	var head [12]byte
	if _, err := io.ReadFull(c.r, head[:4]); err != nil {
		return err
	}
	if head[0] == 0x16 && head[1] == 0x03 {
		return errors.New("a TLS client on a plain-text listener")
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if most := c.sizeLimit(keyProduce); size < frameMinBytes || int64(size) > int64(most) {
		return fmt.Errorf("request of %d bytes: from %d to %d are allowed", size, frameMinBytes, most)
	}
	if _, err := io.ReadFull(c.r, head[4:]); err != nil {
		return err
	}
	key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
	a := apis[key]
	if a == nil {
		return fmt.Errorf("request with unknown key %d", key)
	}
	if err := c.admit(key); err != nil {
		return err
	}
	if limit := c.sizeLimit(key); int64(size) > int64(limit) {
		return fmt.Errorf("request of %d bytes for key %d: limit is %d", size, key, limit)
	}
	if err := c.pause(); err != nil {
		return err
	}
	rq := &request{
		c: c, peer: c.peer, key: key, version: version, id: int32(binary.BigEndian.Uint32(head[8:])),
		size: int64(size), ready: make(chan kmsg.Response, 1),
	}
	produce := key == keyProduce
	body, err := c.readBody(int(size)-frameMinBytes, produce)
	if err != nil {
		return err
	}
	c.enqueue(rq) // the writer gives the budget back
	err = c.handle(a, rq, body)
	if produce { // its records are in a frame of the log, the rest is copied
		lend.Return(body)
	}
	return err
}

// deadline returns by when the next bytes must come: before the login, all of it
// has one limit.
func (c *conn) deadline(d time.Duration) time.Time {
	if c.peer == nil {
		return c.limit
	}
	return c.b.cfg.Clock.Now().Add(d)
}

// sizeLimit returns the largest request of a key.
func (c *conn) sizeLimit(key int16) int {
	switch {
	case c.peer == nil:
		return c.b.cfg.Limits.LoginMaxBytes
	case key == keyProduce:
		return c.b.cfg.Limits.RequestMaxBytes
	}
	return c.b.cfg.Limits.SmallRequestMaxBytes
}

// enqueue puts a request into the line of those to be answered.
func (c *conn) enqueue(rq *request) {
	if c.pending == nil {
		c.pending = make(chan *request, c.b.cfg.Limits.PipelinedRequests)
		c.writer.Go(c.write) // ends when pending is closed
	}
	c.pending <- rq
}

// pause waits while the peer is muted for having passed a quota (KIP-219).
func (c *conn) pause() error {
	until := c.muted.Load()
	if until == 0 {
		return nil
	}
	wait := time.Unix(0, until).Sub(c.b.cfg.Clock.Now())
	if wait <= 0 {
		return nil
	}
	timer := c.b.cfg.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.gone:
		return net.ErrClosed
	}
}

// handle decodes a request and calls its handler. An error closes the
// connection after what is pending was answered as far as possible.
func (c *conn) handle(a *api, rq *request, body []byte) error {
	if rq.version < a.min || rq.version > a.max {
		if rq.key != keyApiVersions {
			rq.reply(nil)
			return fmt.Errorf("request for key %d with version %d, served are %d to %d", rq.key, rq.version, a.min, a.max)
		}
		rq.version = 0
		rq.reply(c.b.unsupportedApiVersions())
		return nil
	}
	req := kmsg.RequestForKey(rq.key)
	req.SetVersion(rq.version)
	rq.flexible = req.IsFlexible()
	body, err := rq.header(body)
	if err == nil {
		err = c.decode(req, rq, body)
	}
	if err != nil {
		rq.reply(nil)
		return fmt.Errorf("request for key %d version %d: %w", rq.key, rq.version, err)
	}
	if !c.b.quotas.time.Load() {
		return a.handle(c.b, rq, req)
	}
	began := c.b.cfg.Clock.Now()
	err = a.handle(c.b, rq, req)
	c.spent.Add(int64(c.b.cfg.Clock.Now().Sub(began)))
	return err
}

// header reads the rest of the request header.
func (rq *request) header(b []byte) ([]byte, error) {
	r := kbin.Reader{Src: b}
	if id := r.NullableString(); id != nil {
		rq.clientID = *id
	}
	if rq.flexible {
		n := r.Uvarint()
		if n > headerTagsMax {
			return nil, fmt.Errorf("%d header tags", n)
		}
		for range n {
			r.Uvarint()
			r.Span(int(min(r.Uvarint(), uint32(len(r.Src)+1))))
		}
	}
	if !r.Ok() {
		return nil, errors.New("the request header is cut short")
	}
	return r.Src, nil
}

// decode decodes a request body.
func (c *conn) decode(req kmsg.Request, rq *request, body []byte) error {
	if rq.key == keyProduce {
		if err := checkProduceShape(body, rq.version, rq.flexible); err != nil {
			return err
		}
		return req.ReadFrom(body)
	}
	if err := checkShape(body, rq.key, rq.version, rq.flexible); err != nil {
		return err
	}
	if len(body) > largeRequestBytes {
		c.b.server.decoding.Lock()
		defer c.b.server.decoding.Unlock()
	}
	return req.ReadFrom(body)
}

// write sends responses in request order.
func (c *conn) write() {
	defer c.close()
	for rq := range c.pending {
		c.writeOne(rq)
		c.b.server.budget.give(rq.size)
	}
}

// keptBufferBytes is the largest response buffer that is kept for the next
// response of any connection.
const keptBufferBytes = 1 << 20

// responseBuffers lends buffers to writers, so that an idle connection has none.
var responseBuffers = sync.Pool{New: func() any { return new([]byte) }}

// writeOne waits for one response and sends it.
func (c *conn) writeOne(rq *request) {
	defer func() {
		if p := recover(); p != nil {
			c.b.cfg.Logger.Error("panic in a response", "panic", p, "stack", string(debug.Stack()))
			c.close()
		}
	}()
	var resp kmsg.Response
	select {
	case resp = <-rq.ready:
	case <-c.gone:
		return
	}
	c.charge(rq, resp)
	if resp == nil {
		return
	}
	lent := responseBuffers.Get().(*[]byte)
	buf, cuts := c.encode((*lent)[:0], rq, resp)
	if err := c.send(buf, cuts); err != nil {
		c.close()
	}
	if f, ok := resp.(*fetchResponse); ok {
		f.memory.release()
		c.b.server.unsent.release(c, rq.held)
	}
	if cap(buf) <= keptBufferBytes {
		*lent = buf
		responseBuffers.Put(lent)
	}
}

// send writes a frame, with the records that belong into it; each step of it must
// be taken in time.
func (c *conn) send(frame []byte, cuts []cut) error {
	var pieces net.Buffers
	at := 0
	for _, cut := range cuts {
		pieces = append(append(pieces, frame[at:cut.at]), cut.runs...)
		at = cut.at
	}
	pieces = append(pieces, frame[at:])
	for len(pieces) > 0 {
		var step net.Buffers
		for left := writeStepBytes; left > 0 && len(pieces) > 0; {
			n := min(left, len(pieces[0]))
			step = append(step, pieces[0][:n])
			left -= n
			if pieces[0] = pieces[0][n:]; len(pieces[0]) == 0 {
				pieces = pieces[1:]
			}
		}
		if err := c.nc.SetWriteDeadline(c.b.cfg.Clock.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := step.WriteTo(c.nc); err != nil {
			return err
		}
	}
	return nil
}

// encode appends a response frame to buf, without the records of a Fetch, whose
// places are cuts.
func (c *conn) encode(buf []byte, rq *request, resp kmsg.Response) (_ []byte, cuts []cut) {
	buf = append(buf, 0, 0, 0, 0)
	records := 0
	if rq.bare {
		buf = append(buf, resp.(*kmsg.SASLAuthenticateResponse).SASLAuthBytes...)
	} else {
		resp.SetVersion(rq.version)
		buf = binary.BigEndian.AppendUint32(buf, uint32(rq.id))
		if rq.flexible && rq.key != keyApiVersions {
			buf = append(buf, 0)
		}
		if f, ok := resp.(*fetchResponse); ok {
			buf, cuts = f.appendHead(buf)
			records = f.bytes()
		} else {
			buf = resp.AppendTo(buf)
		}
	}
	binary.BigEndian.PutUint32(buf, uint32(len(buf)-4+records))
	return buf, cuts
}
