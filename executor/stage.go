package executor

import (
	"sync"

	"github.com/millrace/millrace/internal/kafka"
)

// stage collects what the next commit appends. It is the operators' Output.
type stage struct {
	builders map[kafka.TopicPartition]*kafka.BatchBuilder
	order    []kafka.TopicPartition // in order of first use
	last     *kafka.BatchBuilder
	lastTP   kafka.TopicPartition
}

// Builder returns the builder of a topic-partition.
func (s *stage) Builder(tp kafka.TopicPartition) *kafka.BatchBuilder {
	if s.last != nil && s.lastTP == tp {
		return s.last
	}
	b := s.builders[tp]
	if b == nil {
		if s.builders == nil {
			s.builders = map[kafka.TopicPartition]*kafka.BatchBuilder{}
		}
		b = new(kafka.BatchBuilder)
		b.Take(takeBuffer())
		s.builders[tp] = b
		s.order = append(s.order, tp)
	}
	s.last, s.lastTP = b, tp
	return b
}

// bytes returns the size of what is staged.
func (s *stage) bytes() (n int) {
	for _, b := range s.builders {
		n += b.Len()
	}
	return n
}

// take empties the stage into appends.
func (s *stage) take() (appends []PartitionBatches) {
	for _, tp := range s.order {
		b := s.builders[tp]
		if n := b.Records(); n > 0 {
			appends = append(appends, PartitionBatches{TP: tp, Batches: b.Take(nil), Records: n})
		} else {
			giveBuffer(b.Take(nil))
		}
	}
	s.clear()
	return appends
}

// drop empties the stage without a trace.
func (s *stage) drop() {
	for _, tp := range s.order {
		giveBuffer(s.builders[tp].Take(nil))
	}
	s.clear()
}

func (s *stage) clear() {
	clear(s.builders)
	s.order, s.last = s.order[:0], nil
}

// maxPooledBuffer is the largest output buffer that is kept for reuse.
const maxPooledBuffer = 4 << 20

// buffers are output buffers of all tasks that are not in use.
var buffers = sync.Pool{}

func takeBuffer() []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

func giveBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= maxPooledBuffer {
		b = b[:0]
		buffers.Put(&b)
	}
}
