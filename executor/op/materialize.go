package op

import (
	"encoding/binary"
	"errors"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/sql/types"
)

// windowedKey appends the window end (8 bytes BE) to a key when it has a window;
// the window start is the store's segment.
func windowedKey(key []byte, b *batch.Batch, i int32) []byte {
	if b.WindowStart == nil {
		return key
	}
	return binary.BigEndian.AppendUint64(key, uint64(b.WindowEnd[i]))
}

// Materialize keeps the latest row per key in a store and passes rows on.
type Materialize struct {
	store *state.Store
	rows  *rowCodec
	next  Port
}

// NewMaterialize returns the operator that fills a result's store.
func NewMaterialize(id string, schema *types.Schema, store *state.Store, next Port) (*Materialize, error) {
	rows, err := newRowCodec(schema)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &Materialize{store: store, rows: rows, next: next}, nil
}

// Process stores the rows, then passes them on.
func (m *Materialize) Process(c *Context, b *batch.Batch) error {
	for _, i := range b.Sel {
		op := b.OpAt(i)
		if op == batch.UpdateBefore || b.KeyNull.Get(i) {
			continue
		}
		segment := int64(0)
		if b.WindowStart != nil {
			segment = b.WindowStart[i]
		}
		key := windowedKey(m.rows.keyOf(b, i), b, i)
		t := m.store.Open(segment)
		if op == batch.Delete || b.ValueNull.Get(i) {
			t.Delete(key)
		} else {
			t.Put(key, m.rows.valueOf(b, i, b.Time[i]))
		}
	}
	return emit(c, m.next, b)
}

// Stored is a row of a materialised table. Values own their bytes.
type Stored struct {
	Key, Value             []types.Value
	Time                   int64
	WindowStart, WindowEnd int64 // 0 without a window
}

// View reads the rows of a materialised table out of its store, for pull
// queries. Each reader makes its own.
type View struct {
	Store *state.Store
	rows  *rowCodec
	// windowed stores have the window start as segment and, unless sizeMs is
	// given, the end behind the key.
	windowed bool
	sizeMs   int64
	// sessions says that a value holds all sessions of its key.
	sessions bool
	// finish turns the stored value into columns; nil for stored rows.
	finish func(stored []byte) ([]types.Value, error)
	vecs   []*batch.Vector
}

// NewView returns a view of a store that Materialize or TableSource fills.
func NewView(schema *types.Schema, windowed bool, store *state.Store) (*View, error) {
	rows, err := newRowCodec(schema)
	if err != nil {
		return nil, err
	}
	v := &View{Store: store, rows: rows, windowed: windowed}
	for _, c := range schema.Value {
		v.vecs = append(v.vecs, batch.NewVector(c.Type, 1))
	}
	return v, nil
}

// Schema returns the columns of the rows.
func (v *View) Schema() *types.Schema { return v.rows.schema }

// row decodes a stored row. key has no window end.
func (v *View) row(key []byte, segment, end int64, stored []byte) (Stored, error) {
	values, err := v.rows.key.DecodeRow(key)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Key: values, Time: rowTime(stored)}
	if v.windowed {
		s.WindowStart, s.WindowEnd = segment, end
	}
	if v.finish != nil {
		s.Value, err = v.finish(stored)
		return s, err
	}
	for k, vec := range v.vecs {
		vec.Reset(v.rows.schema.Value[k].Type, 1)
	}
	if len(stored) < 8 {
		return Stored{}, errBadRow
	}
	if err := v.rows.value.Decode(v.vecs, 0, stored[8:]); err != nil {
		return Stored{}, err
	}
	for _, vec := range v.vecs {
		s.Value = append(s.Value, vec.Value(0))
	}
	return s, nil
}

// split parts a stored key from its window end.
func (v *View) split(key []byte, segment int64) (base []byte, end int64, err error) {
	switch {
	case !v.windowed:
		return key, 0, nil
	case v.sizeMs > 0:
		return key, segment + v.sizeMs, nil
	case len(key) < 8:
		return nil, 0, errBadRow
	}
	n := len(key) - 8
	return key[:n], int64(binary.BigEndian.Uint64(key[n:])), nil
}

// AppendKey appends the stored form of a key, equal for equal keys.
func (v *View) AppendKey(dst []byte, key []types.Value) []byte {
	return v.rows.key.AppendRow(dst, key)
}

// Get yields a key's rows with a window start from first to last, in order,
// until yield answers false. Stores whose keys end with the window end are
// scanned for it.
func (v *View) Get(key []types.Value, first, last int64, yield func(Stored) bool) error {
	base := v.rows.key.AppendRow(nil, key)
	if v.sessions {
		var copied []byte
		err := v.Store.Get(base, 0, 0, func(_ int64, stored []byte) { copied = append([]byte(nil), stored...) })
		if err != nil {
			return err
		}
		_, err = v.eachSession(base, copied, first, last, yield)
		return err
	}
	if v.windowed && v.sizeMs == 0 {
		return v.scan(first, last, yield, base)
	}
	var failed error
	more := true
	err := v.Store.Get(base, first, last, func(segment int64, stored []byte) {
		if !more || failed != nil {
			return
		}
		r, err := v.row(base, segment, segment+v.sizeMs, stored)
		if failed = err; err == nil {
			more = yield(r)
		}
	})
	return errors.Join(failed, err)
}

// Scan yields all rows with a window start from first to last until yield
// answers false.
func (v *View) Scan(first, last int64, yield func(Stored) bool) error {
	return v.scan(first, last, yield, nil)
}

func (v *View) scan(first, last int64, yield func(Stored) bool, only []byte) error {
	var failed error
	if v.sessions {
		err := v.Store.Scan(0, 0, func(_ int64, key, stored []byte) (more bool) {
			more, failed = v.eachSession(key, stored, first, last, yield)
			return more && failed == nil
		})
		return errors.Join(failed, err)
	}
	err := v.Store.Scan(first, last, func(segment int64, key, stored []byte) bool {
		base, end, err := v.split(key, segment)
		if err != nil {
			failed = err
			return false
		}
		if only != nil && string(only) != string(base) {
			return true
		}
		r, err := v.row(base, segment, end, stored)
		if failed = err; err != nil {
			return false
		}
		return yield(r)
	})
	return errors.Join(failed, err)
}

// eachSession yields the sessions of one stored value.
func (v *View) eachSession(key, stored []byte, first, last int64, yield func(Stored) bool) (more bool, err error) {
	list, err := decodeSessions(stored)
	if err != nil {
		return false, err
	}
	for _, s := range list {
		if s.start < first || s.start > last {
			continue
		}
		r, err := v.row(key, s.start, s.end, s.stored)
		if err != nil || !yield(r) {
			return false, err
		}
	}
	return true, nil
}

// windowedKeyBoth appends both bounds of a row's window to a key.
func windowedKeyBoth(key []byte, b *batch.Batch, i int32) []byte {
	if b.WindowStart == nil {
		return key
	}
	key = binary.BigEndian.AppendUint64(key, uint64(b.WindowStart[i]))
	return binary.BigEndian.AppendUint64(key, uint64(b.WindowEnd[i]))
}

// splitWindowedKeyBoth parts a key from the bounds of its window.
func splitWindowedKeyBoth(key []byte) (base []byte, start, end int64, err error) {
	n := len(key) - 16
	if n < 0 {
		return nil, 0, 0, errBadRow
	}
	return key[:n], int64(binary.BigEndian.Uint64(key[n:])), int64(binary.BigEndian.Uint64(key[n+8:])), nil
}
