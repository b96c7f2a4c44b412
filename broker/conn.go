package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	// readStepBytes is how much is allocated for a request before any of its
	// bytes have arrived.
	readStepBytes = 64 << 10
	// largeRequestBytes: a request of a small key above it is decoded alone.
	largeRequestBytes = 32 << 10
	// headerTagsMax bounds the tags of a request header.
	headerTagsMax = 16
	// writeTimeout cuts a peer that does not read its responses.
	writeTimeout = 60 * time.Second
)

// conn is one connection: a goroutine that reads and handles requests in order,
// and one that writes responses in the same order.
type conn struct {
	b       *Broker
	nc      net.Conn
	r       *bufio.Reader
	pending chan *request // unanswered, in order
	gone    chan struct{} // closed when the connection is
	once    sync.Once
}

// request is one request in progress.
type request struct {
	c        *conn
	version  int16
	id       int32
	clientID string
	flexible bool
	key      int16
	size     int64
	ready    chan kmsg.Response // capacity 1; nil means: no response
}

// reply answers the request; nil sends nothing. It is called exactly once, from
// any goroutine, and never blocks.
func (r *request) reply(resp kmsg.Response) { r.ready <- resp }

func newConn(b *Broker, nc net.Conn) *conn {
	return &conn{
		b: b, nc: nc, r: bufio.NewReaderSize(nc, 16<<10),
		pending: make(chan *request, b.cfg.Limits.PipelinedRequests),
		gone:    make(chan struct{}),
	}
}

// close cuts the connection.
func (c *conn) close() {
	c.once.Do(func() {
		close(c.gone)
		c.nc.Close()
	})
}

// run serves the connection until either side closes it.
func (c *conn) run() {
	var writer sync.WaitGroup
	writer.Go(c.write) // ends when pending is closed
	err := c.read()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.b.cfg.Logger.Info("connection closed", "remote", c.nc.RemoteAddr(), "err", err)
	}
	c.close()
	close(c.pending)
	writer.Wait()
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
	if err := c.nc.SetReadDeadline(c.b.cfg.Clock.Now().Add(c.b.cfg.Limits.IdleTimeout)); err != nil {
		return err
	}
	var head [12]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if head[0] == 0x16 && head[1] == 0x03 {
		return errors.New("a TLS client on a plain-text listener")
	}
	key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
	a := apis[key]
	if a == nil {
		return fmt.Errorf("request with unknown key %d", key)
	}
	limit := c.b.cfg.Limits.SmallRequestMaxBytes
	if key == keyProduce {
		limit = c.b.cfg.Limits.RequestMaxBytes
	}
	if size < frameMinBytes || int64(size) > int64(limit) {
		return fmt.Errorf("request of %d bytes for key %d: limit is %d", size, key, limit)
	}
	rq := &request{
		c: c, key: key, version: version, id: int32(binary.BigEndian.Uint32(head[8:])),
		size: int64(size), ready: make(chan kmsg.Response, 1),
	}
	c.b.server.budget.take(rq.size)
	body, err := readBody(c.r, int(size)-frameMinBytes)
	if err != nil {
		c.b.server.budget.give(rq.size)
		return err
	}
	c.pending <- rq // the writer gives the budget back
	return c.handle(a, rq, body)
}

// readBody reads n bytes into a buffer that grows as they arrive: what a peer
// claims costs nothing.
func readBody(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, readStepBytes))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		m, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+m]
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
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
	return a.handle(c.b, rq, req)
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
	if len(body) > largeRequestBytes {
		c.b.server.decoding.Lock()
		defer c.b.server.decoding.Unlock()
	}
	return req.ReadFrom(body)
}

// write sends responses in request order.
func (c *conn) write() {
	defer c.close()
	var buf []byte
	for rq := range c.pending {
		buf = c.writeOne(rq, buf)
		c.b.server.budget.give(rq.size)
	}
}

// keptBufferBytes is the largest response buffer that a connection keeps.
const keptBufferBytes = 1 << 20

// writeOne waits for one response and sends it.
func (c *conn) writeOne(rq *request, buf []byte) []byte {
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
		return buf
	}
	if resp == nil {
		return buf
	}
	resp.SetVersion(rq.version)
	buf = append(buf[:0], 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint32(buf, uint32(rq.id))
	if rq.flexible && rq.key != keyApiVersions {
		buf = append(buf, 0)
	}
	buf = resp.AppendTo(buf)
	binary.BigEndian.PutUint32(buf, uint32(len(buf)-4))
	err := c.nc.SetWriteDeadline(c.b.cfg.Clock.Now().Add(writeTimeout))
	if err == nil {
		_, err = c.nc.Write(buf)
	}
	if err != nil {
		c.close()
	}
	if cap(buf) > keptBufferBytes {
		return nil
	}
	return buf
}
