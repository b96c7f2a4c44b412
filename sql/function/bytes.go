package function

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

func bytesFunctions() []*Function {
	number := func(name, ret string, size int, convert func(uint64) types.Value) *Function {
		b := func(a []types.Value) (types.Value, error) { return fromBytes(a, size, convert) }
		return fn(name, "CONVERSIONS", fmt.Sprintf("%s from %d bytes in BIG_ENDIAN (default) or LITTLE_ENDIAN order.", ret, size),
			over("value BYTES", ret, b), over("value BYTES, byteOrder STRING", ret, b))
	}
	return []*Function{
		number("BIGINT_FROM_BYTES", "BIGINT", 8, func(n uint64) types.Value { return types.NewBigint(int64(n)) }),
		number("DOUBLE_FROM_BYTES", "DOUBLE", 8, func(n uint64) types.Value { return types.NewDouble(math.Float64frombits(n)) }),
		number("INT_FROM_BYTES", "INTEGER", 4, func(n uint64) types.Value { return types.NewInteger(int32(uint32(n))) }),
		fn("ENCODE", stringCategory, "Text from one encoding to another of hex, utf8, ascii, base64.",
			over("value STRING, inputEncoding STRING, outputEncoding STRING", "STRING", encode)),
		fn("FROM_BYTES", stringCategory, "BYTES as text in hex, utf8, ascii or base64.", over("value BYTES, encoding STRING", "STRING", func(a []types.Value) (types.Value, error) {
			s, err := encodeBytes(a[0].Str(), a[1].Str())
			if strings.EqualFold(a[1].Str(), "hex") {
				s = strings.ToUpper(s)
			}
			return types.NewString(s), err
		})),
		fn("TO_BYTES", stringCategory, "Text in hex, utf8, ascii or base64 as BYTES.", over("value STRING, encoding STRING", "BYTES", func(a []types.Value) (types.Value, error) {
			b, err := decodeBytes(a[0].Str(), a[1].Str())
			return types.NewBytes(b), err
		})),
	}
}

func fromBytes(a []types.Value, size int, convert func(uint64) types.Value) (types.Value, error) {
	b := []byte(a[0].Str())
	if len(b) != size {
		return types.NullValue, fmt.Errorf("expected %d bytes, got %d", size, len(b))
	}
	var order binary.ByteOrder = binary.BigEndian
	if len(a) > 1 {
		switch strings.ToUpper(a[1].Str()) {
		case "BIG_ENDIAN":
		case "LITTLE_ENDIAN":
			order = binary.LittleEndian
		default:
			return types.NullValue, fmt.Errorf("unknown byte order %q, expected BIG_ENDIAN or LITTLE_ENDIAN", a[1].Str())
		}
	}
	if size == 4 {
		return convert(uint64(order.Uint32(b))), nil
	}
	return convert(order.Uint64(b)), nil
}

// decodeBytes reads text in an encoding.
func decodeBytes(s, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return hex.DecodeString(s)
	case "utf8":
		return []byte(s), nil
	case "ascii":
		b := make([]byte, 0, len(s))
		for _, r := range s {
			if r > 127 {
				r = '?'
			}
			b = append(b, byte(r))
		}
		return b, nil
	case "base64":
		return base64.StdEncoding.DecodeString(s)
	}
	return nil, unknownEncoding(encoding)
}

// encodeBytes writes bytes in an encoding. What an encoding of text cannot hold
// becomes U+FFFD.
func encodeBytes(s, encoding string) (string, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return hex.EncodeToString([]byte(s)), nil
	case "utf8":
		return strings.ToValidUTF8(s, "\uFFFD"), nil
	case "ascii":
		var b strings.Builder
		for i := range len(s) {
			if s[i] > 127 {
				b.WriteRune('\uFFFD')
			} else {
				b.WriteByte(s[i])
			}
		}
		return b.String(), nil
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(s)), nil
	}
	return "", unknownEncoding(encoding)
}

func unknownEncoding(encoding string) error {
	return fmt.Errorf("unknown encoding %q, expected hex, utf8, ascii or base64", encoding)
}

// encode reads hex with an optional 0x in front or as x'..'.
func encode(a []types.Value) (types.Value, error) {
	s, in, out := a[0].Str(), strings.ToLower(a[1].Str()), strings.ToLower(a[2].Str())
	if in == out {
		return types.NullValue, fmt.Errorf("input and output encoding are both %q", in)
	}
	if in == "hex" {
		if rest, ok := strings.CutPrefix(s, "0x"); ok {
			s = strings.Repeat("0", len(rest)%2) + rest
		} else if len(s) >= 3 && (s[0] == 'x' || s[0] == 'X') && s[1] == '\'' && strings.HasSuffix(s, "'") {
			s = s[2 : len(s)-1]
		}
	}
	b, err := decodeBytes(s, in)
	if err != nil {
		return types.NullValue, err
	}
	result, err := encodeBytes(string(b), out)
	return types.NewString(result), err
}
