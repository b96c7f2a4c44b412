package main

// groupSteps goes through the life of a classic group with one member, then of
// one of KIP-848.
func groupSteps(t string) []step {
	g := t + "-g"
	generation := func(s *side) int32 { return s.generation[g] }
	old := func(s *side) int32 { return s.generation[g] - 1 }
	join := func(name string, timeout int32, again bool) step {
		st := joinGroup(g, !again, timeout, "consumer", "range")
		st.name = name
		return st
	}
	sync := syncGroup(g, generation, "consumer", "range")
	describe := describeGroups(g, t+"-no")
	return append([]step{
		s("coordinator", findCoordinator(0, g)),
		s("coordinator of share", findCoordinator(2, "x")),
		s("coordinator of unknown kind", findCoordinator(7, "x")),
		s("coordinator of transactions", findCoordinator(1, g)),
		s("simple commit", offsetCommit(t+"-s", "", noGeneration, t, 0, 3)),
		s("simple commit unknown topic", offsetCommit(t+"-s", "", noGeneration, t+"-no", 0, 3)),
		s("simple commit unknown partition", offsetCommit(t+"-s", "", noGeneration, t, 9, 3)),
		s("simple commit with generation", offsetCommit(t+"-s", "", func(*side) int32 { return 3 }, t, 0, 3)),
		s("simple commit empty group", offsetCommit("", "", noGeneration, t, 0, 3)),
		s("simple fetch", offsetFetch(t+"-s", false, t)),
		s("simple fetch all", offsetFetch(t+"-s", true)),
		s("fetch of unknown group", offsetFetch(t+"-no", false, t)),
		s("fetch of all of unknown group", offsetFetch(t+"-no", true)),
		s("fetch of unknown topic", offsetFetch(t+"-s", false, t+"-no")),
		join("join with short session", 10, false),
		join("join", 30000, false),
		join("join again", 30000, true),
		s("heartbeat before sync", heartbeat(g, "", generation)),
		s("sync", sync),
		s("sync again", sync),
		s("heartbeat", heartbeat(g, "", generation)),
		s("heartbeat old generation", heartbeat(g, "", old)),
		s("heartbeat of stranger", heartbeat(g, "stranger", generation)),
		s("describe groups", describe),
		s("list groups", listGroups()),
		s("list stable groups", listGroups("Stable")),
		s("commit", offsetCommit(g, g, generation, t, 0, 4)),
		s("commit old generation", offsetCommit(g, g, old, t, 0, 4)),
		s("commit of outsider", offsetCommit(g, "", noGeneration, t, 0, 4)),
		s("fetch committed offset", offsetFetch(g, false, t)),
		s("delete group with members", deleteGroups(g)),
		s("delete offsets of subscribed", deleteOffsets(g, t, 0)),
		s("leave of stranger", leaveGroup(g, "stranger")),
		s("leave", leaveGroup(g, "")),
		s("leave again", leaveGroup(g, "")),
		s("describe after leave", describe),
		s("delete offsets", deleteOffsets(g, t, 0)),
		s("delete offsets of unknown group", deleteOffsets(t+"-no", t, 0)),
		s("delete offsets of unknown topic", deleteOffsets(g, t+"-no", 0)),
		s("delete groups", deleteGroups(g, t+"-no", t+"-s")),
		s("list after delete", listGroups()),
	}, newGroupSteps(t)...)
}

func newGroupSteps(t string) []step {
	g, member := t+"-n", memberIDs[0]
	id := g + "/" + member
	fixed := func(e int32) func(*side) int32 { return func(*side) int32 { return e } }
	current := func(s *side) int32 { return s.generation[id] }
	describe := describeConsumers(g, t+"-no")
	return []step{
		beat("new join", g, member, fixed(0), []string{t}),
		beat("new beat", g, member, current, nil),
		beat("new beat with wrong epoch", g, member, fixed(99), nil),
		beat("new beat with bad epoch", g, member, fixed(-7), nil),
		s("new describe", describe),
		s("new commit", offsetCommit(g, id, current, t, 0, 2)),
		s("new commit with wrong epoch", offsetCommit(g, id, fixed(99), t, 0, 2)),
		beat("new leave", g, member, fixed(-1), nil),
		beat("new leave again", g, member, fixed(-1), nil),
		s("new describe after leave", describe),
	}
}
