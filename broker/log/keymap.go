package log

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/millrace/millrace/internal/kafka"
)

// keyHash stands for a record's key: 16 bytes of a salted SHA-256. Two keys with
// the same hash would lose a record, so it is one that nobody can collide.
type keyHash [16]byte

// keyMap maps keys to the offset of their newest record, in bounded memory: an
// open-addressing table of key hashes that doubles up to its limit.
type keyMap struct {
	salt  [16]byte
	slots []keySlot
	used  int
	limit int // keys
	buf   []byte
}

type keySlot struct {
	hash   keyHash
	offset kafka.Offset // -1 when empty
}

const (
	keySlotBytes = 24
	// keyMapLoadNum / keyMapLoadDen is how full the table gets.
	keyMapLoadNum, keyMapLoadDen = 3, 4
	keyMapMinSlots               = 64
)

// newKeyMap returns an empty map that takes at most maxBytes; one that holds
// keyMapMinSlots always fits.
func newKeyMap(maxBytes int) (*keyMap, error) {
	slots := keyMapMinSlots
	for slots*2*keySlotBytes <= maxBytes {
		slots *= 2
	}
	m := &keyMap{limit: slots * keyMapLoadNum / keyMapLoadDen}
	if _, err := rand.Read(m.salt[:]); err != nil {
		return nil, err
	}
	m.slots = emptySlots(keyMapMinSlots)
	return m, nil
}

func emptySlots(n int) []keySlot {
	slots := make([]keySlot, n)
	for i := range slots {
		slots[i].offset = -1
	}
	return slots
}

func (m *keyMap) hash(key []byte) (h keyHash) {
	m.buf = append(append(m.buf[:0], m.salt[:]...), key...)
	sum := sha256.Sum256(m.buf)
	copy(h[:], sum[:])
	return h
}

// find returns the slot of a hash, or the empty one where it belongs.
func find(slots []keySlot, h keyHash) *keySlot {
	mask := uint64(len(slots) - 1)
	for i := binary.LittleEndian.Uint64(h[:]) & mask; ; i = (i + 1) & mask {
		if s := &slots[i]; s.offset < 0 || s.hash == h {
			return s
		}
	}
}

// put records a newer offset of a key. It returns false, and does nothing, when
// the key is new and the map is full.
func (m *keyMap) put(key []byte, offset kafka.Offset) bool {
	h := m.hash(key)
	s := find(m.slots, h)
	if s.offset < 0 {
		if m.used >= m.limit {
			return false
		}
		if m.used >= len(m.slots)*keyMapLoadNum/keyMapLoadDen {
			m.grow()
			s = find(m.slots, h)
		}
		m.used++
	}
	*s = keySlot{h, offset}
	return true
}

func (m *keyMap) grow() {
	old := m.slots
	m.slots = emptySlots(2 * len(old))
	for _, s := range old {
		if s.offset >= 0 {
			*find(m.slots, s.hash) = s
		}
	}
}

// superseded reports whether the map knows a newer record of a key.
func (m *keyMap) superseded(key []byte, offset kafka.Offset) bool {
	return find(m.slots, m.hash(key)).offset > offset
}
