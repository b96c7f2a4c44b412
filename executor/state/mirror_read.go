package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// The methods of this file read single records of a mirror. They use no scratch
// memory of the Mirror: a task and any number of pull queries may call them at
// once.

// appendKey appends the place of a changelog key in the Backend.
func (m *Mirror) appendKey(dst, key []byte) []byte {
	return append(append(append(dst, m.prefix...), kindRecord), key...)
}

// get returns a copy of a record's value, nil when there is none.
func (m *Mirror) get(key []byte) (value []byte, err error) {
	v, closer, err := m.b.db.Get(m.appendKey(make([]byte, 0, 128), key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state store: %w", err)
	}
	value = append([]byte{}, v...)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("read state store: %w", err)
	}
	return value, nil
}

// walk calls f with the keys of a segment from a key on, in byte order, until it
// answers false; more says that it did. Key and value die with the call.
func (m *Mirror) walk(segment int64, from []byte, f func(key, value []byte) bool) (more bool, err error) {
	head := appendChangeKey(nil, segment, nil)
	lower := m.appendKey(nil, appendChangeKey(nil, segment, from))
	err = m.iterate(lower, successor(m.appendKey(nil, head)), func(it *pebble.Iterator) (bool, error) {
		v, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		more = !f(it.Key()[len(m.prefix)+1+len(head):], v)
		return !more, nil
	})
	return more, err
}

// notes calls f with the changelog records of all notes.
func (m *Mirror) notes(f func(key, value []byte) error) error {
	lower := m.appendKey(nil, []byte{tagNote})
	return m.iterate(lower, successor(m.appendKey(nil, nil)), func(it *pebble.Iterator) (bool, error) {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key()[len(m.prefix)+1:], notNil(v))
		}
		return err == nil, err
	})
}

// segments calls f with every segment that has a key, skipping from one to the
// next.
func (m *Mirror) segments(f func(id int64)) error {
	upper := m.appendKey(nil, []byte{tagNote})
	for lower := m.appendKey(nil, nil); lower != nil; {
		from := lower
		lower = nil
		err := m.iterate(from, upper, func(it *pebble.Iterator) (bool, error) {
			key := it.Key()[len(m.prefix)+1:]
			id := int64(0)
			switch {
			case len(key) > 0 && key[0] == tagPlain:
			case len(key) >= 9 && key[0] == tagSegment:
				id = int64(binary.BigEndian.Uint64(key[1:]) ^ 1<<63)
			default:
				return false, errBadKey
			}
			f(id)
			lower = successor(m.appendKey(nil, appendChangeKey(nil, id, nil)))
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// iterate walks records from lower to upper, exclusive, while f answers true.
func (m *Mirror) iterate(lower, upper []byte, f func(it *pebble.Iterator) (bool, error)) (err error) {
	it, err := m.b.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read state store: %w", err)
	}
	defer func() {
		if err = errors.Join(err, it.Close()); err != nil {
			err = fmt.Errorf("read state store: %w", err)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if more, err := f(it); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// successor returns the first key behind all that begin with prefix.
func successor(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil // none: prefixes begin with a length below 2^12
}
