package format

import (
	"strconv"

	"github.com/millrace/millrace/sql/types"
)

// one reads a single value that is not held in a typed vector. NULL stands for
// an enum's number that counts as absent.
func (t *protoTarget) one(item protoItem, s *protoScratch, depth int) (types.Value, error) {
	if t.how == howStruct {
		fields := append([]types.Value(nil), t.sub.blank...)
		return types.NewStruct(fields), t.sub.fields(fields, s, item.body, depth+1)
	}
	f := t.field
	switch t.leaf {
	case leafNone:
	case leafWrapper:
		f = t.inner
		var err error
		if item, err = unwrapItem(f, item.body); err != nil {
			return types.NullValue, err
		}
	default:
		return t.leafValue(item.body)
	}
	switch t.how {
	case howInt:
		n, err := f.integer(item.bits, t.typ)
		return intValue(n, t.typ.Kind), err
	case howDouble:
		return types.NewDouble(f.float(item.bits)), nil
	case howBool:
		return types.NewBoolean(item.bits != 0), nil
	case howBytes:
		return types.NewBytes(item.body), nil
	}
	x, ok, err := t.text(f, item)
	if !ok {
		return types.NullValue, err
	}
	return types.NewString(x), nil
}

func (t *protoTarget) leafValue(body []byte) (types.Value, error) {
	var parts protoParts
	if err := parts.read(body); err != nil {
		return types.NullValue, err
	}
	if t.leaf == leafDecimal {
		d, err := parts.decimal(t.typ)
		if err != nil {
			return types.NullValue, err
		}
		return types.NewDecimal(d), nil
	}
	n, err := parts.moment(t.leaf)
	return intValue(n, t.typ.Kind), err
}

// fields reads a message into its slots, which hold what is known so far: a
// message that comes in several parts is merged.
func (r *protoReader) fields(slots []types.Value, s *protoScratch, b []byte, depth int) error {
	if depth > MaxNesting {
		return errProtoDeep
	}
	for len(b) > 0 {
		number, wire, n, err := takeTag(b)
		if err != nil {
			return err
		}
		b = b[n:]
		field, slot := r.shape.find(number), int32(-1)
		if field >= 0 && r.shape.fields[field].takes(wire) {
			slot = r.slots[field]
			if r.clears != nil {
				for _, other := range r.clears[field] {
					slots[other] = r.blank[other]
				}
			}
		}
		if slot < 0 {
			n, err = r.shape.pass(field, number, wire, b, depth)
		} else if slots[slot], n, err = r.targets[slot].gather(slots[slot], s, wire, b, depth); err != nil {
			err = within("."+r.shape.fields[field].name, err)
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// gather adds the value behind a tag to what a slot has, and for a list also the
// values that follow under the same tag.
func (t *protoTarget) gather(have types.Value, s *protoScratch, wire uint8, b []byte, depth int) (types.Value, int, error) {
	switch t.how {
	case howList:
		return t.list(have, s, wire, b, depth)
	case howMap:
		body, n, err := takeBody(b)
		if err != nil {
			return have, 0, err
		}
		have, err = t.entry(have, s, body, depth+1)
		return have, n, err
	case howStruct:
		body, n, err := takeBody(b)
		if err != nil {
			return have, 0, err
		}
		if have.IsNull() {
			have, err = t.one(protoItem{body: body}, s, depth)
			return have, n, err
		}
		return have, n, t.sub.fields(have.Elems(), s, body, depth+1)
	}
	bits, body, n, err := takeScalar(b, wire)
	if err != nil {
		return have, 0, err
	}
	x, err := t.one(protoItem{bits, body}, s, depth)
	if x.IsNull() {
		x = have
	}
	return x, n, err
}

// list adds elements: those of a packed list, or of a run of equal tags.
func (t *protoTarget) list(have types.Value, s *protoScratch, wire uint8, b []byte, depth int) (types.Value, int, error) {
	elems, f := have.Elems(), t.elem.field
	add := func(item protoItem) error {
		x, err := t.elem.one(item, s, depth)
		if err != nil {
			return within("["+strconv.Itoa(len(elems))+"]", err)
		}
		if !x.IsNull() {
			elems = append(elems, x)
		}
		return nil
	}
	at := 0
	for {
		bits, body, n, err := takeScalar(b[at:], wire)
		if err == nil {
			if wire == wireBytes && f.wire != wireBytes {
				err = eachPacked(body, f.wire, func(bits uint64) error { return add(protoItem{bits: bits}) })
			} else {
				err = add(protoItem{bits, body})
			}
		}
		if err != nil {
			return have, 0, err
		}
		at += n
		number, next, n, err := takeTag(b[at:])
		if err != nil || number != f.number || next != wire {
			return types.NewArray(elems), at, nil // an error shows again where the next field is read
		}
		at += n
	}
}

// largeMap is from how many keys on a map is searched by hash.
const largeMap = 16

// entry adds an entry to a MAP. The last one of equal keys wins.
func (t *protoTarget) entry(have types.Value, s *protoScratch, body []byte, depth int) (types.Value, error) {
	pair := [2]types.Value{t.sub.blank[0], t.sub.blank[1]}
	if value := &t.sub.targets[1]; value.how == howStruct && !pair[1].IsNull() {
		pair[1] = types.NewStruct(append([]types.Value(nil), value.sub.blank...)) // its fields are written to
	}
	if err := t.sub.fields(pair[:], s, body, depth); err != nil {
		return have, err
	}
	m := have.Map()
	if len(m.Keys) == 0 {
		m = new(types.MapValue) // an empty one is shared
		have = types.NewMap(m)
	}
	if at := s.find(m, pair[0]); at >= 0 {
		m.Values[at] = pair[1]
		return have, nil
	}
	m.Keys, m.Values = append(m.Keys, pair[0]), append(m.Values, pair[1])
	return have, nil
}

// find returns where a map has a key. When it has not, and is large, the key is
// noted for where it is about to be added.
func (s *protoScratch) find(m *types.MapValue, key types.Value) int {
	if len(m.Keys) < largeMap {
		for i, k := range m.Keys {
			if k.IsNull() == key.IsNull() && k.Str() == key.Str() {
				return i
			}
		}
		return -1
	}
	index := s.large[m]
	if index == nil {
		if s.large == nil {
			s.large = map[*types.MapValue]map[string]int{}
		}
		index = make(map[string]int, 2*largeMap)
		for i, k := range m.Keys {
			index[indexKey(k)] = i
		}
		s.large[m] = index
	}
	if at, ok := index[indexKey(key)]; ok {
		return at
	}
	index[indexKey(key)] = len(m.Keys)
	return -1
}

func indexKey(k types.Value) string {
	if k.IsNull() {
		return ""
	}
	return "=" + k.Str()
}
