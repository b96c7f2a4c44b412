package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// WriteTxnMarkers (27). Versions 1-2.
//
// Between brokers it ends transactions; here only an administrator sends it, to
// end one that hangs (kafka-transactions abort). All markers of a request are
// one frame. A marker of version 2 must have a higher epoch than the producer
// (KIP-1228), unless it repeats one and nothing is open: refusing a repeat left
// transactions stuck (KAFKA-19999).
func init() {
	register(27, 1, 2, func(b *Broker, rq *request, req *kmsg.WriteTxnMarkersRequest) error {
		resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
		allowed := rq.may(kmsg.ACLOperationClusterAction, clusterResource) || rq.may(kmsg.ACLOperationAlter, clusterResource)
		c := newChange(markerBytes)
		b.submit(c, func() error {
			for _, m := range req.Markers {
				sm := kmsg.NewWriteTxnMarkersResponseMarker()
				sm.ProducerID = m.ProducerID
				for _, rt := range m.Topics {
					st := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
					st.Topic = rt.Topic
					for _, partition := range rt.Partitions {
						sp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
						sp.Partition = partition
						if sp.ErrorCode = kerr.ClusterAuthorizationFailed.Code; allowed {
							sp.ErrorCode = errorCode(b.stageMarker(c, m, kafka.TopicPartition{Topic: rt.Topic, Partition: partition}))
						}
						st.Partitions = append(st.Partitions, sp)
					}
					sm.Topics = append(sm.Topics, st)
				}
				resp.Markers = append(resp.Markers, sm)
			}
			return nil
		}, func(err error) {
			for _, sm := range resp.Markers {
				for _, st := range sm.Topics {
					for i := range st.Partitions {
						if st.Partitions[i].ErrorCode == 0 {
							st.Partitions[i].ErrorCode = errorCode(err)
						}
					}
				}
			}
			rq.reply(resp)
		})
		return nil
	})
}

// stageMarker adds one marker to a frame. The caller holds Broker.mu.
func (b *Broker) stageMarker(c *change, m kmsg.WriteTxnMarkersRequestMarker, tp kafka.TopicPartition) error {
	p := b.topics.partition(tp)
	if p == nil || p.deleted {
		return ErrUnknownTopic
	}
	pid, epoch := kafka.ProducerID(m.ProducerID), kafka.Epoch(m.ProducerEpoch)
	if pid < 0 || epoch < 0 {
		return fmt.Errorf("%w: marker of producer %d with epoch %d", ErrInvalid, pid, epoch)
	}
	current, known := p.producers.Epoch(pid)
	open := p.producers.Open(pid)
	strict := m.TransactionVersion >= 2
	if known && (epoch < current || strict && open && epoch == current) {
		return fmt.Errorf("%w: marker with epoch %d, the producer is at %d", kerr.InvalidProducerEpoch, epoch, current)
	}
	marker := log.NewMarker(pid, epoch, m.Committed, m.CoordinatorEpoch, b.now())
	c.append(p, marker, log.Info{Batches: 1, Offsets: 1, MaxTimestamp: kafka.NoTimestamp})
	return nil
}
