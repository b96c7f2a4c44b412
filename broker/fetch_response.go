package broker

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/lend"
)

// fetchResponse is a Fetch response whose records stay where they are until they
// are sent: kmsg would copy them into one buffer.
type fetchResponse struct {
	kmsg.FetchResponse
	// records are those of each topic's partitions.
	records [][]records
	// memory returns when the response is sent.
	memory fetchMemory
}

// fetchMemory is memory that records stand in: some of it lent for them, some in
// pinned frames of the log.
type fetchMemory struct {
	lent   [][]byte
	pinned []*wal.Frame
}

// release gives all of it back. The records may not be read any more.
func (m *fetchMemory) release() {
	for _, b := range m.lent {
		lend.Return(b)
	}
	for _, f := range m.pinned {
		f.Unpin()
	}
	m.lent, m.pinned = m.lent[:0], m.pinned[:0]
}

// records are the batches of one partition.
type records struct {
	runs  [][]byte
	bytes int
}

// bytes returns how many bytes of record batches the response has.
func (f *fetchResponse) bytes() (n int) {
	for _, partitions := range f.records {
		for _, r := range partitions {
			n += r.bytes
		}
	}
	return n
}

// drop takes the records out of the response, as if there were none yet.
func (f *fetchResponse) drop() {
	for i := range f.Topics {
		clear(f.records[i])
		for j := range f.Topics[i].Partitions {
			f.Topics[i].Partitions[j].AbortedTransactions = nil
		}
	}
}

// AppendTo is the whole response in one buffer.
func (f *fetchResponse) AppendTo(dst []byte) []byte {
	head, cuts := f.appendHead(nil)
	at := 0
	for _, c := range cuts {
		dst = append(dst, head[at:c.at]...)
		for _, run := range c.runs {
			dst = append(dst, run...)
		}
		at = c.at
	}
	return append(dst, head[at:]...)
}

// cut is a place in a response's bytes where records belong.
type cut struct {
	at   int
	runs [][]byte
}

// appendHead appends everything but the records, and says where those belong. The
// layout is that of FetchResponse in Kafka's message definitions, versions 4-18.
func (f *fetchResponse) appendHead(dst []byte) ([]byte, []cut) {
	flexible := f.Version >= 12
	dst = kbin.AppendInt32(dst, f.ThrottleMillis)
	if f.Version >= 7 {
		dst = kbin.AppendInt16(dst, f.ErrorCode)
		dst = kbin.AppendInt32(dst, f.SessionID)
	}
	var cuts []cut
	dst = appendArrayLen(dst, len(f.Topics), flexible)
	for i := range f.Topics {
		t := &f.Topics[i]
		switch {
		case f.Version >= 13:
			dst = kbin.AppendUuid(dst, t.TopicID)
		case flexible:
			dst = kbin.AppendCompactString(dst, t.Topic)
		default:
			dst = kbin.AppendString(dst, t.Topic)
		}
		dst = appendArrayLen(dst, len(t.Partitions), flexible)
		for j := range t.Partitions {
			r := f.records[i][j]
			dst = f.appendPartition(dst, &t.Partitions[j], r.bytes)
			if r.bytes > 0 {
				cuts = append(cuts, cut{len(dst), r.runs})
			}
			if flexible {
				dst = appendDivergingEpoch(dst, &t.Partitions[j].DivergingEpoch)
			}
		}
		if flexible {
			dst = append(dst, 0) // tags
		}
	}
	if flexible {
		dst = append(dst, 0) // tags
	}
	return dst, cuts
}

// appendPartition appends a partition up to its records, of which there are n
// bytes.
func (f *fetchResponse) appendPartition(dst []byte, p *kmsg.FetchResponseTopicPartition, n int) []byte {
	flexible := f.Version >= 12
	dst = kbin.AppendInt32(dst, p.Partition)
	dst = kbin.AppendInt16(dst, p.ErrorCode)
	dst = kbin.AppendInt64(dst, p.HighWatermark)
	dst = kbin.AppendInt64(dst, p.LastStableOffset)
	if f.Version >= 5 {
		dst = kbin.AppendInt64(dst, p.LogStartOffset)
	}
	aborted := len(p.AbortedTransactions)
	if p.AbortedTransactions == nil {
		aborted = -1 // null
	}
	dst = appendArrayLen(dst, aborted, flexible)
	for _, a := range p.AbortedTransactions {
		dst = kbin.AppendInt64(dst, a.ProducerID)
		dst = kbin.AppendInt64(dst, a.FirstOffset)
		if flexible {
			dst = append(dst, 0)
		}
	}
	if f.Version >= 11 {
		dst = kbin.AppendInt32(dst, p.PreferredReadReplica)
	}
	return appendArrayLen(dst, n, flexible)
}

// appendDivergingEpoch appends a partition's tags, of which the diverging epoch
// (KIP-595) is the only one that is ever there.
func appendDivergingEpoch(dst []byte, e *kmsg.FetchResponseTopicPartitionDivergingEpoch) []byte {
	if e.Epoch < 0 {
		return append(dst, 0)
	}
	dst = append(dst, 1, 0, 4+8+1) // one tag, number 0, its bytes
	dst = kbin.AppendInt32(dst, e.Epoch)
	dst = kbin.AppendInt64(dst, e.EndOffset)
	return append(dst, 0)
}

// appendArrayLen appends the length of an array or of bytes, -1 for null.
func appendArrayLen(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(dst, uint64(n+1))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(int32(n)))
}
