package broker

import (
	"context"
	"errors"
	"net"
	"sync"
)

// server accepts connections and ends them.
type server struct {
	b      *Broker
	budget budget

	mu        sync.Mutex // a leaf lock, guards the fields below
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	running   sync.WaitGroup // connections and listeners

	// decoding serialises the decoding of large requests of small keys: their
	// arrays may claim many more elements than the bytes hold.
	decoding sync.Mutex
}

func (s *server) init(b *Broker) {
	s.b = b
	s.listeners, s.conns = map[net.Listener]struct{}{}, map[*conn]struct{}{}
	s.budget.init(b.cfg.Limits.InFlightMaxBytes)
}

// serve accepts connections on l until close.
func (s *server) serve(l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	for {
		nc, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.listeners, l)
			if s.closing {
				return nil
			}
			return errors.Join(err, l.Close())
		}
		s.accept(nc)
	}
}

// accept starts a connection, unless there are too many.
func (s *server) accept(nc net.Conn) {
	s.mu.Lock()
	full := len(s.conns) >= s.b.cfg.Limits.MaxConnections
	if s.closing || full {
		s.mu.Unlock()
		nc.Close()
		if full {
			s.b.cfg.Logger.Warn("connection refused: max.connections reached", "remote", nc.RemoteAddr())
		}
		return
	}
	c := newConn(s.b, nc)
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go func() { // ends when the peer or close closes the connection
		defer s.running.Done()
		c.run()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// close stops accepting, cuts the connections and waits for their handlers, as
// long as ctx allows.
func (s *server) close(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last connection
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// budget bounds the request and response bytes that all connections hold.
type budget struct {
	mu   sync.Mutex
	room *sync.Cond
	left int64
	all  int64
}

func (g *budget) init(n int64) {
	g.left, g.all = n, n
	g.room = sync.NewCond(&g.mu)
}

// take waits until n bytes are left; one request always fits when nothing else
// is held.
func (g *budget) take(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.left < n && g.left < g.all {
		g.room.Wait()
	}
	g.left -= n
}

func (g *budget) give(n int64) {
	g.mu.Lock()
	g.left += n
	g.mu.Unlock()
	g.room.Broadcast()
}
