package broker

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// scramble sets every field of a request to something that is not its default.
func scramble(v reflect.Value, r *rand.Rand, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(200) - 100))
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.String:
		v.SetString("some text"[:r.IntN(9)])
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.IntN(256)))
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(v.Elem(), r, depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("bytes"[:r.IntN(6)]))
			return
		}
		n := r.IntN(4)
		if n == 3 {
			return // null or empty
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			scramble(v.Index(i), r, depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.Name == "Version" && depth == 0:
			case f.Name == "UnknownTags":
				tags := v.Field(i).Addr().Interface().(*kmsg.Tags)
				if r.IntN(4) == 0 {
					tags.Set(uint32(100+r.IntN(100)), []byte("tag"))
				}
			default:
				scramble(v.Field(i), r, depth+1)
			}
		}
	}
}

// TestShapes: what kmsg encodes has the shape that is walked before it is decoded,
// in every version of every key, and nothing is left behind its end.
func TestShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, key := range slices.Sorted(maps.Keys(matrix)) { // those to come, too
		first, last := int16(0), kmsg.RequestForKey(key).MaxVersion()
		if apis[key] != nil {
			first, last = apis[key].min, apis[key].max
		}
		for v := first; v <= last; v++ {
			for range 40 {
				req := kmsg.RequestForKey(key)
				req.SetVersion(v)
				scramble(reflect.ValueOf(req).Elem(), r, 0)
				body := req.AppendTo(nil)
				if err := checkShape(body, key, v, req.IsFlexible()); err != nil {
					t.Errorf("%s version %d: %v: %+v\n%x", kmsg.NameForKey(key), v, err, req, body)
				}
				if len(body) > 0 && checkShape(body[:len(body)-1], key, v, req.IsFlexible()) == nil {
					t.Errorf("%s version %d: a request without its last byte passes: %+v\n%x", kmsg.NameForKey(key), v, req, body)
				}
			}
		}
	}
}

// TestTagsThatAreNotThere: a number of tags beyond the request is refused, where
// kmsg would count to it.
func TestTagsThatAreNotThere(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for name, c := range map[string]struct {
		key, version int16
		body         []byte
	}{
		"ApiVersions":       {18, 3, append([]byte{2, 'x', 2, '1'}, huge...)},
		"SaslAuthenticate":  {36, 2, append([]byte{1}, huge...)},
		"fetch, in a tag":   {1, 15, append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, huge...)},
		"produce, 16 there": {0, 9, append([]byte{0, 0, 1, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, make([]byte, 32)...)},
	} {
		c1 := &conn{b: &Broker{}, peer: &peer{}}
		req := kmsg.RequestForKey(c.key)
		req.SetVersion(c.version)
		if err := c1.decode(req, &request{key: c.key, version: c.version, flexible: true}, c.body); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}
