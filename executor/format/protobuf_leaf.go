package format

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/cockroachdb/apd/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// protoLeaf is a message that stands for one SQL value.
type protoLeaf uint8

const (
	leafNone protoLeaf = iota
	leafWrapper
	leafDecimal
	leafDate
	leafTime
	leafTimestamp
)

var protoLeaves = map[protoreflect.FullName]protoLeaf{
	"confluent.type.Decimal":      leafDecimal,
	"google.type.Date":            leafDate,
	"google.type.TimeOfDay":       leafTime,
	"google.protobuf.Timestamp":   leafTimestamp,
	"google.protobuf.BoolValue":   leafWrapper,
	"google.protobuf.Int32Value":  leafWrapper,
	"google.protobuf.Int64Value":  leafWrapper,
	"google.protobuf.UInt32Value": leafWrapper,
	"google.protobuf.UInt64Value": leafWrapper,
	"google.protobuf.FloatValue":  leafWrapper,
	"google.protobuf.DoubleValue": leafWrapper,
	"google.protobuf.StringValue": leafWrapper,
	"google.protobuf.BytesValue":  leafWrapper,
}

func leafOf(fd protoreflect.FieldDescriptor) protoLeaf {
	if fd.Kind() != protoreflect.MessageKind {
		return leafNone
	}
	return protoLeaves[fd.Message().FullName()]
}

// wrapped returns the one field of a wrapper.
func wrapped(fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	return fd.Message().Fields().ByNumber(1)
}

// protoParts are the fields of a leaf message: Decimal{value 1, precision 2,
// scale 3}, Date{year 1, month 2, day 3}, TimeOfDay{hours 1, minutes 2,
// seconds 3, nanos 4}, Timestamp{seconds 1, nanos 2}.
type protoParts struct {
	value []byte
	n     [5]int64 // by number
}

func (p *protoParts) read(b []byte) error {
	for len(b) > 0 {
		number, wire, n, err := takeTag(b)
		if err != nil {
			return err
		}
		b = b[n:]
		switch {
		case wire == wireVarint && number < uint32(len(p.n)):
			var bits uint64
			if bits, n = takeVarint(b); n == 0 {
				return errProtoShort
			}
			p.n[number] = int64(bits)
		case wire == wireBytes && number == 1:
			if p.value, n, err = takeBody(b); err != nil {
				return err
			}
		default:
			if n, err = skipValue(b, number, wire, 0); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

// Bounds of a Timestamp's seconds that have milliseconds in 64 bits.
const maxProtoSeconds = 9_223_372_036_854_775

// moment returns the number of a DATE, TIME or TIMESTAMP.
func (p *protoParts) moment(leaf protoLeaf) (int64, error) {
	switch leaf {
	case leafDate:
		year, month, day := int64(int32(p.n[1])), int64(int32(p.n[2])), int64(int32(p.n[3]))
		if month < 1 || month > 12 || day < 1 || day > int64(types.DaysInMonth(year, int(month))) {
			return 0, fmt.Errorf("%d-%d-%d is not a date", year, month, day)
		}
		days := types.DaysOf(year, int(month), int(day))
		if int64(int32(days)) != days {
			return 0, fmt.Errorf("%d-%d-%d is out of range", year, month, day)
		}
		return days, nil
	case leafTime:
		h, m, s, nanos := int64(int32(p.n[1])), int64(int32(p.n[2])), int64(int32(p.n[3])), int64(int32(p.n[4]))
		if uint64(h) > 23 || uint64(m) > 59 || uint64(s) > 59 || uint64(nanos) > 999_999_999 {
			return 0, fmt.Errorf("%d:%d:%d and %d ns is not a time of day", h, m, s, nanos)
		}
		return (h*60+m)*60_000 + s*1000 + nanos/1_000_000, nil
	}
	seconds, nanos := p.n[1], int64(int32(p.n[2]))
	if seconds > maxProtoSeconds-1 || seconds < -maxProtoSeconds || uint64(nanos) > 999_999_999 {
		return 0, fmt.Errorf("timestamp of %d s and %d ns is out of range", seconds, nanos)
	}
	return seconds*1000 + nanos/1_000_000, nil
}

// appendMoment appends the fields of a Date, TimeOfDay or Timestamp. Those that
// are 0 are left out.
func appendMoment(dst []byte, leaf protoLeaf, x int64) []byte {
	part := func(number uint32, n int64) {
		if n != 0 {
			dst = binary.AppendUvarint(appendProtoTag(dst, number, wireVarint), uint64(n))
		}
	}
	switch leaf {
	case leafDate:
		year, month, day := types.CivilDate(x)
		part(1, year)
		part(2, int64(month))
		part(3, int64(day))
	case leafTime:
		part(1, x/3_600_000)
		part(2, x/60_000%60)
		part(3, x/1000%60)
		part(4, x%1000*1_000_000)
	default:
		ms := x % 1000
		if ms < 0 {
			ms += 1000
		}
		part(1, (x-ms)/1000)
		part(2, ms*1_000_000)
	}
	return dst
}

// maxProtoDecimalBytes is the longest unscaled value that is read: 76 digits take 32.
const maxProtoDecimalBytes = 40

// unscaledBytes drops the bytes of a two's complement number that only repeat
// its sign.
func unscaledBytes(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// int128 returns the unscaled value at a type's scale, false when it needs the
// general way or does not fit.
func (p *protoParts) int128(t types.Type) (batch.Int128, bool) {
	b := unscaledBytes(p.value)
	if len(b) > 16 {
		return batch.Int128{}, false
	}
	var x batch.Int128
	if len(b) > 0 && b[0] >= 0x80 {
		x = batch.FromInt64(-1)
	}
	for _, c := range b {
		x.Hi = x.Hi<<8 | int64(x.Lo>>56)
		x.Lo = x.Lo<<8 | uint64(c)
	}
	shift := int64(t.Scale) - int64(int32(p.n[3]))
	if shift < 0 || shift > batch.MaxInt128Digits {
		return x, x.IsZero()
	}
	x, ok := x.Scale10(int(shift))
	return x, ok && x.FitsDigits(int(t.Precision))
}

// decimal returns the value at a type's scale. A digit lost or too many digits
// are an error.
func (p *protoParts) decimal(t types.Type) (*apd.Decimal, error) {
	b, scale := unscaledBytes(p.value), int32(p.n[3])
	if len(b) > maxProtoDecimalBytes || scale > maxExponent || scale < -maxExponent {
		return nil, fmt.Errorf("decimal of %d bytes and scale %d is out of range", len(b), scale)
	}
	x := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	d := &apd.Decimal{Exponent: -scale, Negative: x.Sign() < 0}
	d.Coeff.SetMathBigInt(x.Abs(x))
	return fitDecimal(d, t)
}

// appendDecimalParts appends the fields of a Decimal whose unscaled value is in
// two's complement.
func appendDecimalParts(dst []byte, unscaled []byte, precision, scale int32) []byte {
	unscaled = unscaledBytes(unscaled)
	dst = append(dst, 1<<3|wireBytes, byte(len(unscaled)))
	dst = append(dst, unscaled...)
	if precision > 0 {
		dst = binary.AppendUvarint(append(dst, 2<<3|wireVarint), uint64(precision))
	}
	if scale > 0 {
		dst = binary.AppendUvarint(append(dst, 3<<3|wireVarint), uint64(scale))
	}
	return dst
}

// appendInt128Decimal appends the fields of a DECIMAL of up to 38 digits.
func appendInt128Decimal(dst []byte, x batch.Int128, precision, scale int32) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(x.Hi))
	binary.BigEndian.PutUint64(b[8:], x.Lo)
	return appendDecimalParts(dst, b[:], precision, scale)
}

// appendApdDecimal is appendInt128Decimal for any DECIMAL.
func appendApdDecimal(dst []byte, d *apd.Decimal, t types.Type, precision int32) ([]byte, error) {
	d, err := fitDecimal(d, t)
	if err != nil {
		return dst, err
	}
	x := new(big.Int).Set(d.Coeff.MathBigInt())
	if d.Negative {
		x.Neg(x)
	}
	width := x.BitLen()/8 + 1
	if x.Sign() < 0 {
		x.Add(x, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
	}
	return appendDecimalParts(dst, x.FillBytes(make([]byte, width)), precision, t.Scale), nil
}
