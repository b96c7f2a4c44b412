package main

// groups draws requests about offsets and members of classic groups. A group has
// one member: a second one would wait for the first, whom nobody answers for.
func (d *dice) groups() []step {
	topic, partition, group := d.name(), d.partition(), d.group()
	generation := func(s *side) int32 { return s.generation[group] }
	wrong := int32(0)
	if d.one(4) {
		wrong = int32(d.IntN(3) - 1)
	}
	current := func(s *side) int32 { return s.generation[group] + wrong }
	switch d.IntN(16) {
	case 0, 1:
		return only("random commit of outsider", offsetCommit(group, "", noGeneration, topic, partition, d.Int64N(50)))
	case 2:
		return only("random commit", offsetCommit(group, group, pick(d, generation, current, noGeneration), topic, partition, d.Int64N(50)))
	case 3, 4:
		return only("random offset fetch", offsetFetch(group, d.one(3), topic))
	case 5, 6, 7:
		return d.join(group)
	case 8:
		return only("random sync", syncGroup(group, current, pick(d, "consumer", "consumer", "other"), pick(d, "range", "range", "roundrobin")))
	case 9:
		return only("random heartbeat", heartbeat(group, pick(d, "", "stranger"), current))
	case 10:
		return only("random leave", leaveGroup(group, pick(d, "", "", "stranger")))
	case 11:
		return only("random describe", describeGroups(group, d.group()))
	case 12:
		return only("random list groups", listGroups(pick(d, nil, []string{"Stable"}, []string{"Empty", "Dead"}, []string{"no such"}, []string{"stable"})...))
	case 13:
		return only("random delete groups", deleteGroups(group))
	case 14:
		return only("random delete offsets", deleteOffsets(group, topic, partition))
	default:
		return only("random coordinator", findCoordinator(0, group))
	}
}

// join makes the one member join again, or a new one after it has left.
func (d *dice) join(group string) []step {
	protocol, kind, session := pick(d, "range", "range", "roundrobin"), pick(d, "consumer", "consumer", "consumer", "connect", ""), pick[int32](d, 30000, 30000, 30000, 10)
	rejoin := joinGroup(group, false, session, kind, protocol)
	if d.one(2) {
		return []step{rejoin}
	}
	// The member leaves first, if there is one.
	return []step{s("random leave", leaveGroup(group, "")), joinGroup(group, true, session, kind, protocol), joinGroup(group, false, 30000, kind, protocol),
		s("random sync", syncGroup(group, func(s *side) int32 { return s.generation[group] }, kind, protocol))}
}

// memberIDs are what members of new groups are called, by both sides.
var memberIDs = []string{"AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBB"}

// members draws requests about groups of KIP-848.
func (d *dice) members() []step {
	topic, group := d.name(), d.group()
	member := pick(d, memberIDs...)
	id := group + "/" + member
	delta := int32(0)
	if d.one(5) {
		delta = int32(d.IntN(5) - 2)
	}
	leaving := pick[int32](d, -1, -1, -2, -3)
	epoch := func(s *side) int32 { return s.generation[id] + delta }
	switch d.IntN(12) {
	case 0, 1, 2:
		return codes(beat("random join", group, member, func(*side) int32 { return 0 }, []string{topic}))
	case 3, 4, 5:
		return codes(beat("random beat", group, member, epoch, nil))
	case 6:
		return codes(beat("random subscribe", group, member, epoch, []string{topic, d.name()}))
	case 7:
		return codes(beat("random leave", group, member, func(*side) int32 { return leaving }, nil))
	case 8:
		return only("random commit", offsetCommit(group, id, epoch, topic, d.partition(), d.Int64N(50)))
	case 9:
		return only("random offset fetch", offsetFetch(group, d.one(3), topic))
	case 10:
		return codes(s("random describe", describeConsumers(group, d.group())))
	default:
		return only("random delete groups", deleteGroups(group))
	}
}

// codes makes a list of one step of whose reply the error codes are compared only:
// Kafka assigns partitions in the background. In the oldest version the broker
// would draw the member's id.
func codes(st step) []step {
	st.codesOnly, st.least = true, 1
	return []step{st}
}
