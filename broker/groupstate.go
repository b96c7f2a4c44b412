package broker

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/broker/group"
	"github.com/millrace/millrace/broker/wal"
)

// groupStates holds the durable state of groups, encoded by package group.
type groupStates struct {
	mu     sync.Mutex // a leaf lock, guards byName
	byName map[string][]byte
}

func (s *groupStates) init() { s.byName = map[string][]byte{} }

func (s *groupStates) encode(w *wal.Encoder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Uint(uint64(len(s.byName)))
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		w.String(name)
		w.Bytes(s.byName[name])
	}
}

func (s *groupStates) decode(d *wal.Decoder) {
	for range d.Count() {
		name := d.String()
		s.byName[name] = slices.Clone(d.Bytes())
	}
}

// groupState: group, state. No state means that the group is forgotten; offsets
// that were committed for it meanwhile stay.
type groupState struct {
	group string
	state []byte
}

func (*groupState) kind() byte              { return kindGroupState }
func (e *groupState) encode(w *wal.Encoder) { w.String(e.group); w.Bytes(e.state) }
func (e *groupState) decode(d *wal.Decoder) {
	e.group, e.state = d.String(), slices.Clone(d.Bytes())
}
func (*groupState) stage(*Broker)       {}
func (*groupState) undo(*Broker) func() { return nil }
func (e *groupState) publish(b *Broker) {
	b.groupStates.mu.Lock()
	defer b.groupStates.mu.Unlock()
	if len(e.state) == 0 {
		delete(b.groupStates.byName, e.group)
		return
	}
	b.groupStates.byName[e.group] = e.state
}

// groupDeleted: group. Its offsets go too.
type groupDeleted struct{ group string }

func (*groupDeleted) kind() byte              { return kindGroupDeleted }
func (e *groupDeleted) encode(w *wal.Encoder) { w.String(e.group) }
func (e *groupDeleted) decode(d *wal.Decoder) { e.group = d.String() }
func (*groupDeleted) stage(*Broker)           {}
func (*groupDeleted) undo(*Broker) func()     { return nil }
func (e *groupDeleted) publish(b *Broker) {
	b.groupStates.mu.Lock()
	delete(b.groupStates.byName, e.group)
	b.groupStates.mu.Unlock()
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	delete(b.offsets.byGroup, e.group)
}

// groupConfig connects the group coordinator with the log.
func (b *Broker) groupConfig() group.Config {
	l := b.cfg.Limits
	return group.Config{
		Clock: b.cfg.Clock, InitialDelay: l.GroupInitialRebalanceDelay,
		MaxSize: l.GroupMaxSize, MaxGroups: l.MaxGroups,
		SessionTimeout: l.GroupConsumerSessionTimeout, HeartbeatInterval: l.GroupConsumerHeartbeatInterval,
		Topics: groupTopics{b},
		Persist: func(name string, state []byte, done func(error)) {
			c := newChange(len(state) + len(name) + 16)
			b.submit(c, func() error { b.stage(c, &groupState{name, state}); return nil }, done)
		},
	}
}

// groupTopics is what groups know of topics.
type groupTopics struct{ b *Broker }

func (t groupTopics) Version() uint64 { return t.b.topics.version.Load() }

func (t groupTopics) Lookup(name string) (wal.TopicID, int32, bool) {
	info, ok := t.b.Topic(name)
	return info.ID, info.Partitions, ok
}

func (t groupTopics) Names() []string {
	var names []string
	for _, info := range t.b.Topics() {
		names = append(names, info.Name)
	}
	return names
}

// restoreGroups brings back the groups that had members. One that cannot be
// read starts empty: its offsets are kept elsewhere.
func (b *Broker) restoreGroups() {
	for name, state := range b.groupStates.byName {
		if err := b.groups.Restore(name, state); err != nil {
			b.cfg.Logger.Warn("group members forgotten", "group", name, "err", err)
		}
	}
}

// protectedGroup reports whether a group belongs to the engine.
func (b *Broker) protectedGroup(name string) bool {
	b.protectMu.RLock()
	defer b.protectMu.RUnlock()
	return slices.ContainsFunc(b.protectedGroups, func(p string) bool { return strings.HasPrefix(name, p) })
}

// protectedTopic reports whether a topic refuses changes from the wire.
func (b *Broker) protectedTopic(name string) bool {
	if t := b.topics.get(name); t != nil && t.internal {
		return true
	}
	b.protectMu.RLock()
	defer b.protectMu.RUnlock()
	return slices.ContainsFunc(b.protectedTopics, func(p string) bool { return strings.HasPrefix(name, p) })
}
