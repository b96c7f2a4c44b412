package broker

// expireGroups forgets groups that have neither members nor offsets: a console
// consumer leaves one behind at every start. As in Kafka they are known until a
// pass finds them (offsets.retention.check.interval.ms). The engine's groups stay.
func (b *Broker) expireGroups() {
	b.offsets.forgetEmpty()
	b.groups.Expire(func(name string) bool { return b.protectedGroup(name) || b.offsets.has(name) })
}

// forgetEmpty forgets groups all of whose offsets are gone, but not those that an
// open transaction will commit offsets for. It is not logged: a group without
// offsets that a restart brings back is forgotten in the next pass.
func (s *offsetStore) forgetEmpty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, g := range s.byGroup {
		if len(g) == 0 && len(s.unstable[name]) == 0 {
			delete(s.byGroup, name)
		}
	}
}
