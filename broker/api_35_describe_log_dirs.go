package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/vfs"
)

// DescribeLogDirs (35). Versions 1-5. The data directory is the one log
// directory; a partition's size is that of its batches, wherever they stand.
// Unknown topics and partitions are left out, as Kafka does.
func init() {
	register(35, 1, 5, func(b *Broker, rq *request, req *kmsg.DescribeLogDirsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
		if !rq.may(kmsg.ACLOperationDescribe, clusterResource) {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code // from version 3 on
			rq.reply(resp)
			return nil
		}
		dir := kmsg.NewDescribeLogDirsResponseDir()
		dir.Dir, dir.TotalBytes, dir.UsableBytes = b.cfg.Dir, -1, -1
		if b.wal.Err() != nil {
			dir.ErrorCode = kerr.KafkaStorageError.Code
		}
		if total, usable, err := vfs.DiskSpace(b.cfg.FS, b.cfg.Dir); err == nil {
			dir.TotalBytes, dir.UsableBytes = total, usable
		}
		if req.Topics == nil {
			b.topics.each(func(t *topic) {
				if t.isLive() {
					dir.Topics = append(dir.Topics, logDirTopic(t, nil))
				}
			})
		}
		seen := map[string]bool{} // a topic is told once
		for _, rt := range req.Topics {
			if t := b.topics.get(rt.Topic); t != nil && !seen[t.name] {
				seen[t.name] = true
				dir.Topics = append(dir.Topics, logDirTopic(t, rt.Partitions))
			}
		}
		resp.Dirs = append(resp.Dirs, dir)
		rq.reply(resp)
		return nil
	})
}

// logDirTopic describes some partitions of a topic, all when none are named.
func logDirTopic(t *topic, partitions []int32) kmsg.DescribeLogDirsResponseDirTopic {
	st := kmsg.NewDescribeLogDirsResponseDirTopic()
	st.Topic = t.name
	parts := t.partitions()
	if len(partitions) == 0 {
		for i := range parts {
			partitions = append(partitions, int32(i))
		}
	}
	for _, partition := range partitions {
		if partition < 0 || int(partition) >= len(parts) {
			continue
		}
		sp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		sp.Partition, sp.Size = partition, parts[partition].Size()
		st.Partitions = append(st.Partitions, sp)
	}
	return st
}
