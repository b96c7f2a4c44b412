package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterSteps(t string) []step {
	return []step{
		s("versions", versions("differential", "1")),
		s("versions bad name", versions("-", "1")),
		s("cluster", describeCluster(1)),
		s("cluster bad endpoint", describeCluster(9)),
		s("log directories", logDirs(t, t+"-no")),
		s("quorum", quorum),
		s("reassignments", reassignments()),
		s("reassignments of topics", reassignments(t, t+"-no")),
		s("reassign to where it is", reassign(t, 0, []int32{1})),
		s("reassign elsewhere", reassign(t, 0, []int32{7})),
		s("reassign twice", reassign(t, 0, []int32{1, 1})),
		s("reassign to nobody", reassign(t, 0, []int32{})),
		s("reassign negative", reassign(t, 0, []int32{-1})),
		s("cancel reassignment", reassign(t, 0, nil)),
		s("reassign unknown topic", reassign(t+"-no", 0, []int32{1})),
		s("reassign unknown partition", reassign(t, 9, []int32{1})),
		s("elect", elect(0, t, t+"-no")),
		s("elect unclean", elect(1, t)),
		s("elect unknown kind", elect(7, t)),
		s("elect all", func(s *side) kmsg.Request {
			req := elect(0)(s).(*kmsg.ElectLeadersRequest)
			req.Topics = nil
			return req
		}),
		s("move", move("/no/such", t, 0)),
		s("move unknown topic", move("/no/such", t+"-no", 0)),
		s("move to relative path", move("here", t, 0)),
		s("feature", updateFeature("transaction.version", 2, 1)),
		s("feature down", updateFeature("transaction.version", 1, 1)),
		{name: "feature safely down", build: updateFeature("group.version", 0, 2), least: 1}, // which only from then on is not done
		s("feature up", updateFeature("group.version", 99, 1)),
		s("feature unknown", updateFeature("no.such", 1, 1)),
		s("feature negative", updateFeature("group.version", -1, 1)),
		s("feature unknown kind", updateFeature("group.version", 1, 9)),
		s("config resources", listResources([]int8{16})),
	}
}

func endSteps(t string) []step {
	return []step{
		s("delete topics", deleteTopics(t, t+"-c", t+"-no")),
		s("delete again", deleteTopics(t)),
		{name: "metadata of deleted", newest: true, build: metadata(false, t), until: func(resp kmsg.Response) bool { return !known(resp) }},
		s("produce to deleted", produce(t, 0, -1, nil, plain(1, 0))),
		s("offsets of deleted", listOffsets(t, 0, -1, 0)),
	}
}
