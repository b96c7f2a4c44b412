package format

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// envelopeLen is what stands before a payload whose schema is registered: a zero
// byte and the schema's id, big-endian.
const envelopeLen = 5

var errNoEnvelope = errors.New("payload does not begin with a schema id (a zero byte and four more): it was not written with a schema registry")

// openEnvelope returns the schema id of a payload and what follows it.
func openEnvelope(payload []byte) (id int32, rest []byte, err error) {
	if len(payload) < envelopeLen || payload[0] != 0 {
		return 0, nil, errNoEnvelope
	}
	id = int32(binary.BigEndian.Uint32(payload[1:]))
	if id < 0 {
		return 0, nil, fmt.Errorf("schema id %d is out of range", uint32(id))
	}
	return id, payload[envelopeLen:], nil
}

// SchemaIDOf returns the schema id that a payload begins with; ok is false when it
// does not look like one of a registry.
func SchemaIDOf(payload []byte) (id int32, ok bool) {
	id, _, err := openEnvelope(payload)
	return id, err == nil && id > 0
}

// appendEnvelope begins a payload with a schema id.
func appendEnvelope(dst []byte, id int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}

// writerID finds the id of the schema that a codec writes with, at the first
// payload: the schema is registered only after the codec was built, when the
// statement that needs it takes effect.
type writerID struct {
	id   int32
	find func() (int32, error)
}

func (w *writerID) get() (int32, error) {
	if w.id == 0 {
		id, err := w.find()
		if err != nil {
			return 0, err
		}
		w.id = id
	}
	return w.id, nil
}
