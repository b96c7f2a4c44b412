package format

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire types (protobuf.dev, "Encoding").
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireGroup   = 3
	wireEnd     = 4
	wireFixed32 = 5
)

const maxFieldNumber = 1<<29 - 1

var (
	errProtoShort = errors.New("protobuf message is cut off")
	errProtoTag   = errors.New("protobuf message has a field number out of range")
	errProtoDeep  = fmt.Errorf("protobuf messages nest deeper than %d", MaxNesting)
)

// takeVarint reads a varint: n is 0 when b is too short or the number too long.
func takeVarint(b []byte) (x uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return takeLongVarint(b)
}

func takeLongVarint(b []byte) (x uint64, n int) {
	x, n = binary.Uvarint(b)
	return x, max(n, 0)
}

// takeTag reads what stands before a value.
func takeTag(b []byte) (number uint32, wire uint8, n int, err error) {
	if len(b) > 0 && b[0] >= 8 && b[0] < 0x80 {
		return uint32(b[0] >> 3), b[0] & 7, 1, nil
	}
	return takeLongTag(b)
}

func takeLongTag(b []byte) (number uint32, wire uint8, n int, err error) {
	x, n := takeVarint(b)
	if n == 0 {
		return 0, 0, 0, errProtoShort
	}
	if x>>3 == 0 || x>>3 > maxFieldNumber {
		return 0, 0, 0, errProtoTag
	}
	return uint32(x >> 3), uint8(x & 7), n, nil
}

// takeBody reads a length and as many bytes.
func takeBody(b []byte) (body []byte, n int, err error) {
	size, n := takeVarint(b)
	if n == 0 || size > uint64(len(b)-n) {
		return nil, 0, errProtoShort
	}
	end := n + int(size)
	return b[n:end:end], end, nil
}

// takeScalar reads a value of a wire type that is not a group: a number's bits,
// or bytes.
func takeScalar(b []byte, wire uint8) (bits uint64, body []byte, n int, err error) {
	switch wire {
	case wireVarint:
		if bits, n = takeVarint(b); n == 0 {
			err = errProtoShort
		}
	case wireFixed64:
		if n = 8; len(b) < 8 {
			return 0, nil, 0, errProtoShort
		}
		bits = binary.LittleEndian.Uint64(b)
	case wireFixed32:
		if n = 4; len(b) < 4 {
			return 0, nil, 0, errProtoShort
		}
		bits = uint64(binary.LittleEndian.Uint32(b))
	case wireBytes:
		body, n, err = takeBody(b)
	default:
		err = fmt.Errorf("protobuf message has wire type %d where a value should begin", wire)
	}
	return bits, body, n, err
}

// skipValue returns the length of the value of a field that nobody knows.
func skipValue(b []byte, number uint32, wire uint8, depth int) (int, error) {
	if wire != wireGroup {
		_, _, n, err := takeScalar(b, wire)
		return n, err
	}
	if depth >= MaxNesting {
		return 0, errProtoDeep
	}
	at := 0
	for {
		inner, wire, n, err := takeTag(b[at:])
		if err != nil {
			return 0, err
		}
		at += n
		if wire == wireEnd {
			if inner != number {
				return 0, fmt.Errorf("protobuf group %d ends as group %d", number, inner)
			}
			return at, nil
		}
		if n, err = skipValue(b[at:], inner, wire, depth+1); err != nil {
			return 0, err
		}
		at += n
	}
}

// appendProtoTag appends what stands before a value.
func appendProtoTag(dst []byte, number uint32, wire uint8) []byte {
	return binary.AppendUvarint(dst, uint64(number)<<3|uint64(wire))
}

// openBody leaves room for a length, which closeBody fills in: one byte, which
// nearly always does.
func openBody(dst []byte) (out []byte, mark int) { return append(dst, 0), len(dst) }

func closeBody(dst []byte, mark int) []byte {
	size := len(dst) - mark - 1
	if size < 0x80 {
		dst[mark] = byte(size)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(size))
	dst = append(dst, length[:n-1]...) // grows by what the length needs more
	copy(dst[mark+n:], dst[mark+1:mark+1+size])
	copy(dst[mark:], length[:n])
	return dst
}

// takeIndexes reads the path of a message in its schema that stands behind the
// schema id: a count and as many indexes, zig-zag; a single 0 is the path [0].
func takeIndexes(b []byte) (path []int, n int, err error) {
	count, n := binary.Varint(b)
	switch {
	case n <= 0:
		return nil, 0, errProtoShort
	case count == 0:
		return []int{0}, n, nil
	case count < 0 || count > maxProtoDepth:
		return nil, 0, fmt.Errorf("message index path of length %d", count)
	}
	for range count {
		index, k := binary.Varint(b[n:])
		if k <= 0 {
			return nil, 0, errProtoShort
		}
		if index < 0 || index > maxFieldNumber {
			return nil, 0, fmt.Errorf("message index %d is out of range", index)
		}
		path, n = append(path, int(index)), n+k
	}
	return path, n, nil
}

func appendIndexes(dst []byte, path []int) []byte {
	if len(path) == 1 && path[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(path)))
	for _, index := range path {
		dst = binary.AppendVarint(dst, int64(index))
	}
	return dst
}
