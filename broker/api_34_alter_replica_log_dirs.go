package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// AlterReplicaLogDirs (34). Versions 1-2. There is one directory: moving a
// partition there is done, anywhere else is LOG_DIR_NOT_FOUND.
func init() {
	register(34, 1, 2, func(b *Broker, rq *request, req *kmsg.AlterReplicaLogDirsRequest) error {
		resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
		allowed := rq.may(kmsg.ACLOperationAlter, clusterResource)
		for _, dir := range req.Dirs {
			for _, rt := range dir.Topics {
				st := kmsg.NewAlterReplicaLogDirsResponseTopic()
				st.Topic = rt.Topic
				for _, partition := range rt.Partitions {
					sp := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
					sp.Partition = partition
					switch {
					case !allowed:
						sp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
					case dir.Dir != b.cfg.Dir:
						sp.ErrorCode = kerr.LogDirNotFound.Code
					case b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: partition}) == nil:
						sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
					}
					st.Partitions = append(st.Partitions, sp)
				}
				resp.Topics = append(resp.Topics, st)
			}
		}
		rq.reply(resp)
		return nil
	})
}
