package wal

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// Encoder writes the bodies of metadata events and of the checkpoint: integers
// as varints (signed ones zig-zag), strings and byte slices with their length
// before them, topic ids as 16 bytes.
type Encoder struct{ Buf []byte }

// Uint writes v as a uvarint.
func (e *Encoder) Uint(v uint64) { e.Buf = binary.AppendUvarint(e.Buf, v) }

// Int writes v as a zig-zag varint.
func (e *Encoder) Int(v int64) { e.Buf = binary.AppendVarint(e.Buf, v) }

// Bool writes 1 or 0.
func (e *Encoder) Bool(v bool) {
	if v {
		e.Uint(1)
		return
	}
	e.Uint(0)
}

// String writes a length and the bytes of s.
func (e *Encoder) String(s string) {
	e.Uint(uint64(len(s)))
	e.Buf = append(e.Buf, s...)
}

// Bytes writes a length and b.
func (e *Encoder) Bytes(b []byte) {
	e.Uint(uint64(len(b)))
	e.Buf = append(e.Buf, b...)
}

// ID writes a topic id.
func (e *Encoder) ID(id TopicID) { e.Buf = append(e.Buf, id[:]...) }

// StringMap writes a map in key order.
func (e *Encoder) StringMap(m map[string]string) {
	e.Uint(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.String(k)
		e.String(m[k])
	}
}

// Decoder reads what Encoder wrote. After a failure Err is set and every read
// returns zero; lengths are checked before anything is allocated.
type Decoder struct {
	Buf []byte
	Err error
}

func (d *Decoder) fail(what string) {
	if d.Err == nil {
		d.Err = fmt.Errorf("%w: metadata: bad %s", ErrCorrupt, what)
	}
	d.Buf = nil
}

// Uint reads a uvarint.
func (d *Decoder) Uint() uint64 {
	v, n := binary.Uvarint(d.Buf)
	if n <= 0 {
		d.fail("integer")
		return 0
	}
	d.Buf = d.Buf[n:]
	return v
}

// Int reads a zig-zag varint.
func (d *Decoder) Int() int64 {
	v, n := binary.Varint(d.Buf)
	if n <= 0 {
		d.fail("integer")
		return 0
	}
	d.Buf = d.Buf[n:]
	return v
}

// Bool reads 1 or 0.
func (d *Decoder) Bool() bool { return d.Uint() == 1 }

// Count reads the number of elements that follow, each of which takes at least
// one byte.
func (d *Decoder) Count() int {
	n := d.Uint()
	if n > uint64(len(d.Buf)) {
		d.fail("count")
		return 0
	}
	return int(n)
}

// Bytes reads a byte slice: a view, valid as long as the buffer.
func (d *Decoder) Bytes() []byte {
	n := d.Count()
	b := d.Buf[:n:n]
	d.Buf = d.Buf[n:]
	return b
}

// String reads a string.
func (d *Decoder) String() string { return string(d.Bytes()) }

// ID reads a topic id.
func (d *Decoder) ID() (id TopicID) {
	if len(d.Buf) < len(id) {
		d.fail("topic id")
		return id
	}
	copy(id[:], d.Buf)
	d.Buf = d.Buf[len(id):]
	return id
}

// StringMap reads a map.
func (d *Decoder) StringMap() map[string]string {
	n := d.Count()
	m := make(map[string]string, n)
	for range n {
		k := d.String()
		m[k] = d.String()
	}
	return m
}
