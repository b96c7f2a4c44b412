package broker

import (
	"errors"
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A request is walked before it is decoded: every array must have the elements,
// and every struct the tags, that it claims. Package kmsg loops over as many tags
// as a number says, even behind the end of the request: 30 bytes would keep a
// processor busy for half a minute.

// requestTagsMax bounds the tags of one struct; no version of the protocol has
// more than a few.
const requestTagsMax = 16

var errShape = errors.New("malformed request")

// shapeOp is one step of a walk. A shape is a list of them.
type shapeOp struct {
	kind shapeKind
	n    int                  // shapeFixed: bytes
	sub  []shapeOp            // shapeArray: of an element; shapeNullable: of the struct
	tags map[uint32][]shapeOp // shapeTags: of the tags that kmsg reads into
}

type shapeKind byte

const (
	shapeFixed shapeKind = iota
	shapeString
	shapeBytes
	shapeArray
	shapeNullable // a struct behind a byte that says whether it is there
	shapeTags
)

// shapes are the shapes that were used, by key and version.
var shapes sync.Map

// shapeOf returns the shape of a request in a version.
func shapeOf(key, version int16) []shapeOp {
	at := [2]int16{key, version}
	if s, ok := shapes.Load(at); ok {
		return s.([]shapeOp)
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	s := structShape(reflect.TypeOf(req).Elem(), version, req.IsFlexible())
	shapes.Store(at, s)
	return s
}

func structShape(t reflect.Type, version int16, flexible bool) (ops []shapeOp) {
	tags := map[uint32][]shapeOp{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "Version" && i == 0 || f.Name == "UnknownTags" {
			continue
		}
		v, some := fieldVersions[t.Name()][f.Name]
		switch {
		case some && v.tag > 0:
			tags[uint32(v.tag-1)] = fieldShape(f.Type, version, flexible)
		case some && (version < v.first || version > v.last):
		default:
			ops = append(ops, fieldShape(f.Type, version, flexible)...)
		}
	}
	if flexible {
		ops = append(ops, shapeOp{kind: shapeTags, tags: tags})
	}
	return ops
}

func fieldShape(t reflect.Type, version int16, flexible bool) []shapeOp {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Float64, reflect.Array:
		return []shapeOp{{kind: shapeFixed, n: int(t.Size())}}
	case reflect.String:
		return []shapeOp{{kind: shapeString}}
	case reflect.Struct:
		return structShape(t, version, flexible)
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.String {
			return []shapeOp{{kind: shapeString}}
		}
		return []shapeOp{{kind: shapeNullable, sub: structShape(t.Elem(), version, flexible)}}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return []shapeOp{{kind: shapeBytes}}
		}
		return []shapeOp{{kind: shapeArray, sub: fieldShape(t.Elem(), version, flexible)}}
	}
	panic("broker: a request has a field of type " + t.String())
}

// checkShape walks a request's body.
func checkShape(body []byte, key, version int16, flexible bool) error {
	w := shapeWalker{kbin.Reader{Src: body}, flexible}
	if !w.walk(shapeOf(key, version)) {
		return errShape
	}
	return nil
}

// walk steps over one struct and reports whether it is whole.
func (w *shapeWalker) walk(ops []shapeOp) bool {
	for i := range ops {
		switch op := &ops[i]; op.kind {
		case shapeFixed:
			w.r.Span(op.n)
		case shapeString:
			w.string()
		case shapeBytes:
			w.bytes()
		case shapeArray:
			for range w.array() {
				if !w.walk(op.sub) {
					return false
				}
			}
		case shapeNullable:
			if w.r.Int8() >= 0 && !w.walk(op.sub) {
				return false
			}
		case shapeTags:
			if !w.walkTags(op.tags) {
				return false
			}
		}
		if !w.r.Ok() {
			return false
		}
	}
	return true
}

// walkTags steps over tags, and into those that kmsg reads.
func (w *shapeWalker) walkTags(known map[uint32][]shapeOp) bool {
	n := w.r.Uvarint()
	if n > requestTagsMax {
		return false
	}
	for range n {
		key := w.r.Uvarint()
		size := w.r.Uvarint()
		if int64(size) > int64(len(w.r.Src)) || !w.r.Ok() {
			return false
		}
		body := w.r.Span(int(size))
		if sub := known[key]; len(sub) > 0 {
			inner := shapeWalker{kbin.Reader{Src: body}, w.flexible}
			if !inner.walk(sub) {
				return false
			}
		}
	}
	return w.r.Ok()
}
