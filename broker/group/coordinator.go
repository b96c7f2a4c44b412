package group

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/internal/clock"
)

// Config configures a Coordinator.
type Config struct {
	Clock clock.Clock
	// InitialDelay is how long an empty group waits for more members.
	InitialDelay time.Duration
	// MaxSize bounds a group's members, MaxGroups the groups with members.
	MaxSize, MaxGroups int
	// SessionTimeout and HeartbeatInterval are those of groups of KIP-848.
	SessionTimeout, HeartbeatInterval time.Duration
	// Topics is asked, with the coordinator's lock held, by groups of KIP-848.
	Topics Topics
	// Persist makes a group's state durable and calls done, from any goroutine; no
	// state means that the group is forgotten.
	// It is called with the coordinator's lock held and may not wait.
	Persist func(group string, state []byte, done func(error))
}

const (
	// sessionTimeoutMin and sessionTimeoutMax (group.min/max.session.timeout.ms)
	// bound a member's session timeout.
	sessionTimeoutMin = 6 * time.Second
	sessionTimeoutMax = 30 * time.Minute
	// protocolsMax bounds the protocols that one member offers.
	protocolsMax = 100
)

// Coordinator holds the consumer groups. Its methods are safe for concurrent use.
type Coordinator struct {
	cfg Config

	mu        sync.Mutex // guards all groups; first in the lock order
	groups    map[string]*group
	consumers map[string]*consumerGroup // a name is in one of the two
	closed    bool
}

// New returns a coordinator without groups.
func New(cfg Config) *Coordinator {
	return &Coordinator{cfg: cfg, groups: map[string]*group{}, consumers: map[string]*consumerGroup{}}
}

// State is a group's state.
type State uint8

// The states.
const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
)

// String returns Kafka's name of the state.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// group is one consumer group, guarded by Coordinator.mu.
type group struct {
	c            *Coordinator
	name         string
	state        State
	generation   int32
	protocolType string
	protocol     string
	leader       string
	members      map[string]*member
	static       map[string]string // member id by instance id
	pending      map[string]*time.Timer
	timer        *time.Timer // of the state
	timerRound   int         // tells a timer that fired late from the current one
	delayUntil   time.Time   // the initial delay may be extended up to here
	joined       bool        // a member came since the initial delay began
	empty        time.Time   // since when no member is left
}

// member is one member of a group.
type member struct {
	id, instance         string
	clientID, clientHost string
	sessionTimeout       time.Duration
	rebalanceTimeout     time.Duration
	protocols            []Protocol
	assignment           []byte
	order                int // of joining

	deadline time.Time
	timer    *time.Timer
	join     func(JoinResponse) // waiting JoinGroup
	sync     func(SyncResponse) // waiting SyncGroup
}

// Protocol is an assignment strategy that a member offers.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Close ends all timers. Waiting requests get no answer: their connections are
// gone.
func (c *Coordinator) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, g := range c.groups {
		g.stopTimer()
		for _, t := range g.pending {
			t.Stop()
		}
		for _, m := range g.members {
			m.stopTimer()
		}
	}
	for _, g := range c.consumers {
		for _, m := range g.members {
			m.stopTimers()
		}
	}
}

func (m *member) stopTimer() {
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}

// after runs f under the lock after d, unless the coordinator was closed.
func (c *Coordinator) after(d time.Duration, f func()) *time.Timer {
	return c.cfg.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed {
			f()
		}
	})
}

func (g *group) stopTimer() {
	g.timerRound++
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// schedule replaces the state's timer.
func (g *group) schedule(d time.Duration, f func()) {
	g.stopTimer()
	round := g.timerRound
	g.timer = g.c.after(d, func() {
		if g.timerRound == round {
			f()
		}
	})
}

// touch starts a member's session anew.
func (g *group) touch(m *member) {
	m.deadline = g.c.cfg.Clock.Now().Add(m.sessionTimeout)
	if m.timer == nil {
		g.watchSession(m, m.sessionTimeout)
	}
}

// watchSession expels a member whose session has ended. One timer per member is
// enough: heartbeats only move the deadline.
func (g *group) watchSession(m *member, d time.Duration) {
	m.timer = g.c.after(d, func() {
		if g.members[m.id] != m {
			return
		}
		now := g.c.cfg.Clock.Now()
		switch left := m.deadline.Sub(now); {
		case m.join != nil || m.sync != nil:
			g.watchSession(m, m.sessionTimeout) // waiting for us
		case left > 0:
			g.watchSession(m, left)
		default:
			g.remove(m)
			g.rebalanceAfterLeave()
		}
	})
}

// ordered returns the members in the order of joining.
func (g *group) ordered() []*member {
	all := make([]*member, 0, len(g.members))
	for _, m := range g.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *member) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.id, b.id)) })
	return all
}

// getOrCreate returns a group, made when it is not known.
func (c *Coordinator) getOrCreate(name string) (*group, error) {
	if name == "" {
		return nil, kerr.InvalidGroupID
	}
	g := c.groups[name]
	if g == nil {
		if len(c.groups)+len(c.consumers) >= c.cfg.MaxGroups {
			return nil, kerr.GroupMaxSizeReached
		}
		g = c.newGroup(name)
		c.groups[name] = g
	}
	return g, nil
}

func (c *Coordinator) newGroup(name string) *group {
	return &group{c: c, name: name, empty: c.cfg.Clock.Now(), members: map[string]*member{}, static: map[string]string{}, pending: map[string]*time.Timer{}}
}

// newMemberID returns an id as Kafka makes them: client id, then a UUID.
func newMemberID(prefix string) string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("group: no randomness: " + err.Error()) // crypto/rand does not fail
	}
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", prefix, b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// holder returns the id of the member that a request names, by its instance id when
// it has one; an id beside it must be that of the member who holds it.
func holder(static map[string]string, memberID, instance string) (string, error) {
	if instance == "" {
		return memberID, nil
	}
	id, ok := static[instance]
	if !ok {
		return "", kerr.UnknownMemberID
	}
	if memberID != "" && id != memberID {
		return "", kerr.FencedInstanceID
	}
	return id, nil
}

// identify returns the member that a request names, checking the instance id.
func (g *group) identify(memberID, instance string) (*member, error) {
	memberID, err := holder(g.static, memberID, instance)
	if err != nil {
		return nil, err
	}
	m := g.members[memberID]
	if m == nil {
		return nil, kerr.UnknownMemberID
	}
	return m, nil
}
