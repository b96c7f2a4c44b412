package log

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
)

// Info is what the headers of a run of batches say.
type Info struct {
	Batches int
	// Offsets is how many offsets the run takes.
	Offsets      int64
	MaxTimestamp kafka.Timestamp
	// Plain: no batch is compressed, transactional or a marker.
	Plain bool
}

const notPlain = kafka.AttrCodecMask | kafka.AttrTransactional | kafka.AttrControl

// Inspect reads the headers of a run of batches, not their records.
func Inspect(batches []byte) (Info, error) {
	info := Info{Plain: true, MaxTimestamp: kafka.NoTimestamp}
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			return Info{}, err
		}
		if b.LastOffsetDelta() < 0 {
			return Info{}, fmt.Errorf("%w: last offset delta %d", kafka.ErrCorruptBatch, b.LastOffsetDelta())
		}
		info.Batches++
		info.Offsets += int64(b.LastOffsetDelta()) + 1
		info.MaxTimestamp = max(info.MaxTimestamp, b.MaxTimestamp())
		info.Plain = info.Plain && b.Attributes()&notPlain == 0
		batches = rest
	}
	return info, nil
}

// Assign writes base offsets from base on and the leader epoch into the
// batches' headers.
func Assign(batches []byte, base kafka.Offset, leaderEpoch int32) {
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			return // Inspect has walked the same bytes
		}
		b.SetBaseOffset(base)
		b.SetLeaderEpoch(leaderEpoch)
		base += kafka.Offset(b.LastOffsetDelta()) + 1
		batches = rest
	}
}

// A marker is a control batch of one record: key = version i16 | type i16
// (0 abort, 1 commit), value = version i16 | coordinator epoch i32.

// NewMarker returns the control batch that ends a producer's transaction.
func NewMarker(pid kafka.ProducerID, epoch kafka.Epoch, commit bool, coordinatorEpoch int32, now kafka.Timestamp) []byte {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	value := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(coordinatorEpoch))
	var w kafka.BatchBuilder
	w.Append(now, key, value, nil)
	w.FinishAs(kafka.AttrTransactional|kafka.AttrControl, pid, epoch, -1)
	return w.Bytes()
}

// MarkerCommits reads a marker's type; known is false when the batch is none.
func MarkerCommits(b kafka.Batch) (commit, known bool) {
	r := b.Records(b.Payload())
	if !r.Next() || len(r.Record().Key) < 4 {
		return false, false
	}
	t := binary.BigEndian.Uint16(r.Record().Key[2:])
	return t == 1, t <= 1
}
