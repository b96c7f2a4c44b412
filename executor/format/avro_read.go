package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Limits of what one payload may hold.
const (
	// maxAvroValues is how many values may be made for nested columns, besides one
	// for each byte of the payload: a missing field of a STRUCT takes no byte.
	maxAvroValues = 1 << 18
	// maxAvroEmpty is how many items of arrays may take no bytes at all, as nulls
	// and empty records do.
	maxAvroEmpty = 1 << 16
)

var (
	errAvroShort  = errors.New("Avro payload ends too early")
	errAvroVarint = errors.New("Avro number is longer than 64 bits")
	errAvroDeep   = fmt.Errorf("Avro value nests deeper than %d", MaxNesting)
	errAvroMany   = errors.New("Avro payload holds too many values")
)

// avroReader walks one Avro binary payload (Avro specification, "Binary
// Encoding"). Lengths are checked against the bytes that are left before they
// are believed.
type avroReader struct {
	b  []byte
	at int
	// values and empty are what is left of the limits.
	values int
	empty  int
}

func (r *avroReader) reset(b []byte, at int) {
	r.b, r.at = b, at
	r.values, r.empty = maxAvroValues+len(b), maxAvroEmpty
}

// zigzag reads an int or long at a position and returns the next one, which is
// negative when there is none. Numbers of up to eight bytes are read by one load,
// and the bits of seven per byte moved together in three steps.
func zigzag(b []byte, at int) (int64, int) {
	if at+8 > len(b) {
		return endZigzag(b, at)
	}
	x := binary.LittleEndian.Uint64(b[at:])
	stop := ^x & 0x8080808080808080
	if stop == 0 {
		return endZigzag(b, at)
	}
	x &= (stop - 1) & ^stop & 0x7f7f7f7f7f7f7f7f
	if x > 0x7fff {
		x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
		x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
		x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
	} else {
		x = x&0x7f | x>>1&0x3f80
	}
	return int64(x>>1) ^ -int64(x&1), at + bits.TrailingZeros64(stop)/8 + 1
}

// endZigzag reads a number near the end, or a longer one.
func endZigzag(b []byte, at int) (int64, int) {
	x, n := binary.Uvarint(b[at:])
	if n < 0 {
		return 0, -2
	}
	if n == 0 {
		return 0, -1
	}
	return int64(x>>1) ^ -int64(x&1), at + n
}

// zigzagError says why zigzag returned a negative position, or else that its
// number is no int.
func zigzagError(at int, x int64) error {
	switch at {
	case -1:
		return errAvroShort
	case -2:
		return errAvroVarint
	}
	return fmt.Errorf("%d is no int of 32 bits", x)
}

func (r *avroReader) long() (int64, error) {
	n, at := zigzag(r.b, r.at)
	if at < 0 {
		return 0, zigzagError(at, 0)
	}
	r.at = at
	return n, nil
}

func (r *avroReader) int() (int64, error) {
	n, err := r.long()
	if err == nil && n != int64(int32(n)) {
		return 0, zigzagError(r.at, n)
	}
	return n, err
}

// take returns the next n bytes.
func (r *avroReader) take(n int) ([]byte, error) {
	if n > len(r.b)-r.at {
		return nil, errAvroShort
	}
	r.at += n
	return r.b[r.at-n : r.at : r.at], nil
}

// bytes reads a length and so many bytes.
func (r *avroReader) bytes() ([]byte, error) {
	n, err := r.long()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(r.b)-r.at) {
		return nil, errAvroLength(n)
	}
	return r.take(int(n))
}

func errAvroLength(n int64) error {
	if n < 0 {
		return fmt.Errorf("negative length %d", n)
	}
	return errAvroShort
}

func (r *avroReader) boolean() (bool, error) {
	b, err := r.take(1)
	if err != nil {
		return false, err
	}
	if b[0] > 1 {
		return false, fmt.Errorf("%d is no boolean", b[0])
	}
	return b[0] == 1, nil
}

// index reads the number of a branch or symbol.
func (r *avroReader) index(n int, what string) (int, error) {
	k, err := r.long()
	if err != nil {
		return 0, err
	}
	if k < 0 || k >= int64(n) {
		return 0, fmt.Errorf("there is no %s %d of %d", what, k, n)
	}
	return int(k), nil
}

// blocks walks the items of an array or map, calling each in front of every one.
// size is the fewest bytes that an item takes.
func (r *avroReader) blocks(size int, each func() error) error {
	for {
		n, err := r.block(size)
		if err != nil || n == 0 {
			return err
		}
		for range n {
			if err := each(); err != nil {
				return err
			}
		}
	}
}

// block reads the head of a block and returns its number of items, 0 at the end.
// A negative count has the block's size in bytes behind it.
func (r *avroReader) block(size int) (int, error) {
	n, err := r.long()
	if err != nil || n == 0 {
		return 0, err
	}
	if n < 0 {
		held, err := r.long()
		if err != nil {
			return 0, err
		}
		if held < 0 || held > int64(len(r.b)-r.at) {
			return 0, errAvroLength(held)
		}
		if n = -n; n < 0 {
			return 0, errAvroMany
		}
	}
	if size == 0 {
		if n > int64(r.empty) {
			return 0, errAvroMany
		}
		r.empty -= int(n)
	} else if n > int64((len(r.b)-r.at)/size) {
		return 0, errAvroShort
	}
	return int(n), nil
}

// skip reads past a value, checking all of it.
func (r *avroReader) skip(t *avroType, depth int) error {
	if depth > MaxNesting {
		return errAvroDeep
	}
	var err error
	switch t.kind {
	case avroNull:
	case avroBoolean:
		_, err = r.boolean()
	case avroInt:
		_, err = r.int()
	case avroLong:
		_, err = r.long()
	case avroFloat:
		_, err = r.take(4)
	case avroDouble:
		_, err = r.take(8)
	case avroBytes, avroString:
		_, err = r.bytes()
	case avroFixed:
		_, err = r.take(t.size)
	case avroEnum:
		_, err = r.index(len(t.symbols), "symbol")
	case avroRecord:
		for k := range t.fields {
			if err := r.skip(t.fields[k].typ, depth+1); err != nil {
				return within("."+t.fields[k].name, err)
			}
		}
	case avroArray:
		err = r.blocks(t.items.least(), func() error { return r.skip(t.items, depth+1) })
	case avroMap:
		err = r.blocks(1+t.items.least(), func() error {
			if _, err := r.bytes(); err != nil {
				return err
			}
			return r.skip(t.items, depth+1)
		})
	case avroUnion:
		var k int
		if k, err = r.index(len(t.branches), "branch"); err == nil {
			err = r.skip(t.branches[k], depth+1)
		}
	}
	return err
}

// least is the fewest bytes that a value of the type takes. A type inside itself
// counts as none.
func (t *avroType) least() int {
	if !t.measured {
		t.measured = true // leastBytes is 0 while it is being found
		t.leastBytes = t.measure()
	}
	return t.leastBytes
}

func (t *avroType) measure() int {
	switch t.kind {
	case avroNull:
		return 0
	case avroFloat:
		return 4
	case avroDouble:
		return 8
	case avroFixed:
		return t.size
	case avroRecord:
		n := 0
		for k := range t.fields {
			n = min(n+t.fields[k].typ.least(), maxLeast)
		}
		return n
	}
	return 1
}

// maxLeast keeps the sums of least from overflowing.
const maxLeast = 1 << 30
