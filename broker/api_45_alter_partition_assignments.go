package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// AlterPartitionAssignments (45, in Kafka AlterPartitionReassignments). Versions
// 0-1. Every partition is on this node and stays there: asking for that is done,
// any other assignment is INVALID_REPLICA_ASSIGNMENT, and there is never a
// reassignment that could be cancelled.
func init() {
	register(45, 0, 1, func(b *Broker, rq *request, req *kmsg.AlterPartitionAssignmentsRequest) error {
		resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
		resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
		if !rq.may(kmsg.ACLOperationAlter, clusterResource) {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		}
		for _, rt := range req.Topics {
			st := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
				sp.Partition = rp.Partition
				var err error
				switch {
				case resp.ErrorCode != 0:
					err = kerr.ClusterAuthorizationFailed
				case b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}) == nil:
					err = kerr.UnknownTopicOrPartition
				case rp.Replicas == nil:
					err = kerr.NoReassignmentInProgress
				case len(rp.Replicas) != 1 || rp.Replicas[0] != nodeID:
					err = fmt.Errorf("%w: replicas %v: there is one broker, %d", kerr.InvalidReplicaAssignment, rp.Replicas, nodeID)
				}
				sp.ErrorCode, sp.ErrorMessage = errorCode(err), message(err)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}
