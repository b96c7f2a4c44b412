package broker

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kbin"
)

const (
	// produceTopicsMax and producePartitionsMax bound one Produce request.
	produceTopicsMax     = 10_000
	producePartitionsMax = 100_000
)

var errProduceShape = errors.New("malformed produce request")

// checkProduceShape walks a Produce request, which may be large, before it is
// decoded: every array must really have the elements that it claims, and not
// too many, so that decoding allocates in proportion to what was sent.
func checkProduceShape(body []byte, version int16, flexible bool) error {
	w := shapeWalker{kbin.Reader{Src: body}, flexible}
	if version >= 3 {
		w.string()
	}
	w.r.Span(6) // acks, timeout
	topics, partitions := w.array(), 0
	if topics > produceTopicsMax {
		return errProduceShape
	}
	for range topics {
		if version >= 13 {
			w.r.Span(16)
		} else {
			w.string()
		}
		n := w.array()
		if partitions += n; partitions > producePartitionsMax || !w.r.Ok() {
			return errProduceShape
		}
		for range n {
			w.r.Span(4)
			w.bytes()
			w.tags()
		}
		w.tags()
	}
	w.tags()
	if !w.r.Ok() || len(w.r.Src) != 0 {
		return errProduceShape
	}
	return nil
}

// shapeWalker steps over the primitives of a request.
type shapeWalker struct {
	r        kbin.Reader
	flexible bool
}

func (w *shapeWalker) string() {
	if w.flexible {
		w.compact()
		return
	}
	if n := w.r.Int16(); n > 0 {
		w.r.Span(int(n))
	}
}

func (w *shapeWalker) bytes() {
	if w.flexible {
		w.compact()
		return
	}
	if n := w.r.Int32(); n > 0 {
		w.r.Span(int(n))
	}
}

// compact steps over a compact string or byte array: length + 1, 0 for null.
func (w *shapeWalker) compact() {
	if n := w.r.Uvarint(); n > 1 {
		w.r.Span(int(n - 1))
	}
}

func (w *shapeWalker) array() int {
	n := 0
	if w.flexible {
		n = int(w.r.Uvarint()) - 1
	} else {
		n = int(w.r.Int32())
	}
	return max(n, 0)
}

// tags steps over the tags of a struct, none of which kmsg reads.
func (w *shapeWalker) tags() {
	if w.flexible && !w.walkTags(nil) {
		w.r.Span(len(w.r.Src) + 1) // not Ok from here on
	}
}
