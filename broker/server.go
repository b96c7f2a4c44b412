package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// server accepts connections and ends them.
type server struct {
	b      *Broker
	budget budget
	unsent unsent

	mu        sync.Mutex // guards the fields below; taken before the locks of quotas
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	entered   int            // connections, and those about to be in conns
	perHost   map[string]int // connections by the peer's address
	noted     time.Time      // when the present second of notes began
	notes     int            // in it
	untold    int            // not logged since the last that was
	running   sync.WaitGroup // connections and listeners

	// decoding serialises the decoding of large requests of small keys: their
	// arrays may claim many more elements than the bytes hold.
	decoding sync.Mutex
	// expanding is held by the one batch of unusual expansion that is checked.
	expanding sync.Mutex
	// hashing bounds how many passwords are hashed at once, so that peers who
	// try them leave processors to the others.
	hashing chan struct{}
}

func (s *server) init(b *Broker) {
	s.b = b
	s.listeners, s.conns = map[net.Listener]struct{}{}, map[*conn]struct{}{}
	s.perHost = map[string]int{}
	s.hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	s.budget.init(b.cfg.Limits, b.cfg.Clock)
	s.unsent.all = b.cfg.Limits.UnsentMaxBytes
}

func (s *server) expansion() expansion {
	return expansion{s.b.cfg.Limits.DecompressedMaxBytes, &s.expanding}
}

// serve accepts connections on l until close.
func (s *server) serve(l net.Listener, from *listener) error {
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
		if err != nil && passing(err) {
			s.note("connection not accepted", "listener", from.Name, "err", err)
			<-s.b.cfg.Clock.NewTimer(acceptPause).C
			continue
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.listeners, l)
			if s.closing {
				return nil
			}
			return errors.Join(err, l.Close())
		}
		s.accept(nc, from)
	}
}

// acceptPause is the pause after a failure to accept that will pass.
const acceptPause = 50 * time.Millisecond

// passing reports whether a failure to accept is no reason to stop: the process
// has too many files open just now, or the peer has gone already.
func passing(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// accept starts a connection, unless there are too many.
func (s *server) accept(nc net.Conn, from *listener) {
	host := hostOf(nc.RemoteAddr())
	if why := s.enter(host); why != "" {
		nc.Close()
		s.note("connection refused: "+why, "listener", from.Name, "remote", nc.RemoteAddr())
		return
	}
	c := newConn(s.b, nc, from)
	s.mu.Lock()
	if s.closing {
		c.close()
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	go func() { // ends when the peer or close closes the connection
		defer s.running.Done()
		c.run()
		s.leave(c)
	}()
}

// enter counts a connection in, or says why it may not come in.
func (s *server) enter(host string) (refused string) {
	limits := s.b.cfg.Limits
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return "shutting down"
	case s.entered >= limits.MaxConnections:
		return "max.connections reached"
	case s.perHost[host] >= limits.MaxConnectionsPerIP:
		return "max.connections.per.ip reached"
	case !s.b.quotas.admit(host, s.b.cfg.Clock.Now()):
		return "connection_creation_rate reached"
	}
	s.entered++
	s.perHost[host]++
	s.running.Add(1)
	return ""
}

// leave undoes enter.
func (s *server) leave(c *conn) {
	s.unsent.leave(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.entered--
	if s.perHost[c.host]--; s.perHost[c.host] == 0 {
		delete(s.perHost, c.host)
	}
}

// notesPerSecond bounds what peers can make us log.
const notesPerSecond = 20

// note logs what a peer did, unless peers do so much that the log would flood;
// then it says later how much was left out.
func (s *server) note(msg string, args ...any) { s.tell(slog.LevelInfo, msg, args...) }

// tell is note at any level.
func (s *server) tell(level slog.Level, msg string, args ...any) {
	s.mu.Lock()
	now := s.b.cfg.Clock.Now()
	if now.Sub(s.noted) >= time.Second {
		s.noted, s.notes = now, 0
	}
	s.notes++
	if s.notes > notesPerSecond {
		s.untold++
		s.mu.Unlock()
		return
	}
	if s.untold > 0 {
		args = append(args, "not_logged", s.untold)
		s.untold = 0
	}
	s.mu.Unlock()
	s.b.cfg.Logger.Log(context.Background(), level, msg, args...)
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
