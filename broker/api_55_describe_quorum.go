package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is the name that Kafka's tools know the metadata log by.
const metadataTopic = "__cluster_metadata"

// DescribeQuorum (55). Versions 0-2. The quorum of the metadata log is this node
// alone; its log end offset is the sequence of the write-ahead log, which holds
// the metadata.
func init() {
	register(55, 0, 2, func(b *Broker, rq *request, req *kmsg.DescribeQuorumRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
		if !rq.may(kmsg.ACLOperationDescribe, clusterResource) {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		for _, rt := range req.Topics {
			st := kmsg.NewDescribeQuorumResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				st.Partitions = append(st.Partitions, b.describeQuorum(rt.Topic, rp.Partition))
			}
			resp.Topics = append(resp.Topics, st)
		}
		node := kmsg.NewDescribeQuorumResponseNode()
		node.NodeID = nodeID
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		host, port := b.advertised(rq.c)
		l.Name, l.Host, l.Port = "CONTROLLER", host, uint16(port)
		node.Listeners = append(node.Listeners, l)
		resp.Nodes = append(resp.Nodes, node)
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) describeQuorum(topic string, partition int32) kmsg.DescribeQuorumResponseTopicPartition {
	sp := kmsg.NewDescribeQuorumResponseTopicPartition()
	sp.Partition = partition
	if topic != metadataTopic || partition != 0 {
		err := kerr.UnknownTopicOrPartition
		sp.ErrorCode, sp.ErrorMessage = err.Code, message(err)
		return sp
	}
	next := int64(b.wal.Root().Synced)
	sp.LeaderID, sp.LeaderEpoch, sp.HighWatermark = nodeID, b.epoch, next
	voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	voter.ReplicaID, voter.LogEndOffset = nodeID, next
	voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = int64(b.now()), int64(b.now())
	sp.CurrentVoters = append(sp.CurrentVoters, voter)
	sp.Observers = []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	return sp
}
