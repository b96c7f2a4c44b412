package format

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// protoItem is a value as it stands on the wire.
type protoItem struct {
	bits uint64
	body []byte
}

// protoScratch is what the reading of one record needs beside its output.
type protoScratch struct {
	seen []bool // by column: the payload has it
	// large are the keys of the record's large maps.
	large map[*types.MapValue]map[string]int
}

// record reads a payload into the columns that are not nil.
func (r *protoReader) record(s *protoScratch, cols []*batch.Vector, i int32, b []byte) error {
	clear(s.seen)
	if len(s.large) > 0 {
		clear(s.large)
	}
	for at := 0; at < len(b); {
		number, wire, n, err := takeTag(b[at:])
		if err != nil {
			return err
		}
		at += n
		field, slot := r.shape.find(number), int32(-1)
		if field >= 0 && r.shape.fields[field].takes(wire) {
			slot = r.slots[field]
			if r.clears != nil {
				for _, other := range r.clears[field] {
					s.seen[other] = false
				}
			}
		}
		if slot < 0 || cols[slot] == nil {
			n, err = r.shape.pass(field, number, wire, b[at:], 0)
		} else {
			n, err = r.targets[slot].column(s, cols[slot], i, &s.seen[slot], wire, b[at:])
			if err != nil {
				err = within("."+r.shape.fields[field].name, err)
			}
		}
		if err != nil {
			return err
		}
		at += n
	}
	for slot, v := range cols {
		if !s.seen[slot] && v != nil && !v.Set(i, r.targets[slot].absent) {
			return fmt.Errorf("default of %s does not fit %s", r.targets[slot].field.name, v.Type)
		}
	}
	return nil
}

// column reads the value behind a tag into value i of a vector.
func (t *protoTarget) column(s *protoScratch, v *batch.Vector, i int32, seen *bool, wire uint8, b []byte) (int, error) {
	if t.plain && len(b) > 0 {
		x, n := uint64(b[0]), 1
		if x >= 0x80 {
			if x, n = takeVarint(b); n == 0 {
				return 0, errProtoShort
			}
		}
		v.SetValid(i)
		v.I64[i] = int64(x)
		*seen = true
		return n, nil
	}
	if t.how >= howList {
		have := t.absent
		if *seen {
			have = v.Boxed[i]
		}
		x, n, err := t.gather(have, s, wire, b, 0)
		if err != nil {
			return 0, err
		}
		*seen = true
		v.Set(i, x)
		return n, nil
	}
	var item protoItem
	var n int
	var err error
	if item.bits, item.body, n, err = takeScalar(b, wire); err != nil {
		return 0, err
	}
	set, err := t.store(v, i, item)
	*seen = *seen || set
	return n, err
}

// store sets value i of a vector; set is false for an enum's number that counts
// as absent.
func (t *protoTarget) store(v *batch.Vector, i int32, item protoItem) (set bool, err error) {
	f := t.field
	if t.leaf != leafNone {
		if t.leaf != leafWrapper {
			return true, t.storeLeaf(v, i, item.body)
		}
		f = t.inner
		if item, err = unwrapItem(f, item.body); err != nil {
			return false, err
		}
	}
	switch t.how {
	case howInt:
		n, err := f.integer(item.bits, t.typ)
		v.SetValid(i)
		v.I64[i] = n
		return true, err
	case howDouble:
		v.SetValid(i)
		v.F64[i] = f.float(item.bits)
		return true, nil
	case howBool:
		v.SetValid(i)
		v.Bits.Put(i, item.bits != 0)
		return true, nil
	case howString:
		if v.Clean && !jsonClean(item.body) {
			v.Clean = false
		}
		if !utf8.Valid(item.body) {
			return false, errProtoUTF8
		}
		setView(v, i, item.body)
		return true, nil
	case howBytes:
		setView(v, i, item.body)
		return true, nil
	}
	x, ok, err := t.text(f, item)
	if ok {
		v.SetValid(i)
		v.SetString(i, x)
	}
	return ok, err
}

// jsonClean reports whether a string needs no escape in JSON.
func jsonClean(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (t *protoTarget) storeLeaf(v *batch.Vector, i int32, body []byte) error {
	var parts protoParts
	if err := parts.read(body); err != nil {
		return err
	}
	if t.leaf != leafDecimal {
		n, err := parts.moment(t.leaf)
		v.SetValid(i)
		v.I64[i] = n
		return err
	}
	if v.Rep == batch.RepDecimal {
		if x, ok := parts.int128(t.typ); ok {
			v.SetValid(i)
			v.Dec[i] = x
			return nil
		}
	}
	d, err := parts.decimal(t.typ)
	if err != nil {
		return err
	}
	if !v.Set(i, types.NewDecimal(d)) {
		return fmt.Errorf("value does not fit %s", t.typ)
	}
	return nil
}

// unwrapItem reads the one field of a wrapper message.
func unwrapItem(f *protoField, body []byte) (item protoItem, err error) {
	for len(body) > 0 {
		number, wire, n, err := takeTag(body)
		if err != nil {
			return item, err
		}
		body = body[n:]
		if number == f.number && wire == f.wire {
			item.bits, item.body, n, err = takeScalar(body, wire)
		} else {
			n, err = skipValue(body, number, wire, 0)
		}
		if err != nil {
			return item, err
		}
		body = body[n:]
	}
	return item, nil
}

// integer returns the number that bits stand for. INTEGER takes unsigned ones
// that fit.
func (f *protoField) integer(bits uint64, t types.Type) (int64, error) {
	n := f.number64(bits)
	if t.Kind == types.KindInteger && int64(int32(n)) != n {
		return 0, fmt.Errorf("%d is out of range for %s", n, t)
	}
	return n, nil
}

func (f *protoField) number64(bits uint64) int64 {
	switch f.kind {
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind, protoreflect.EnumKind:
		return int64(int32(bits))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return int64(uint32(bits))
	case protoreflect.Sint32Kind:
		return int64(int32(uint32(bits)>>1) ^ -int32(bits&1))
	case protoreflect.Sint64Kind:
		return int64(bits>>1) ^ -int64(bits&1)
	}
	return int64(bits)
}

func (f *protoField) float(bits uint64) float64 {
	if f.kind == protoreflect.FloatKind {
		return float64(math.Float32frombits(uint32(bits)))
	}
	return math.Float64frombits(bits)
}

// text returns a number, BOOLEAN or enum as STRING, ok false for an enum's
// number that counts as absent.
func (t *protoTarget) text(f *protoField, item protoItem) (s string, ok bool, err error) {
	switch f.kind {
	case protoreflect.EnumKind:
		n := int32(item.bits)
		if name, ok := f.enum.names[n]; ok {
			return name, true, nil
		}
		if f.enum.closed {
			return "", false, nil
		}
		// The name that Java's runtime gives, which KSQL shows.
		return "UNKNOWN_ENUM_VALUE_" + f.enum.name + "_" + strconv.Itoa(int(n)), true, nil
	case protoreflect.BoolKind:
		return strconv.FormatBool(item.bits != 0), true, nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return string(types.AppendDouble(nil, f.float(item.bits))), true, nil
	case protoreflect.StringKind: // the STRING key of a map
		if !utf8.Valid(item.body) {
			return "", false, errProtoUTF8
		}
		return string(item.body), true, nil
	}
	return strconv.FormatInt(f.number64(item.bits), 10), true, nil
}

// defaultBits returns a declared default as it would stand on the wire.
func defaultBits(k protoreflect.Kind, v protoreflect.Value) uint64 {
	switch k {
	case protoreflect.BoolKind:
		return uint64(boolByte(v.Bool()))
	case protoreflect.FloatKind:
		return uint64(math.Float32bits(float32(v.Float())))
	case protoreflect.DoubleKind:
		return math.Float64bits(v.Float())
	case protoreflect.EnumKind:
		return uint64(v.Enum())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return v.Uint()
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return uint64(v.Int())<<1 ^ uint64(v.Int()>>63)
	}
	return uint64(v.Int())
}
