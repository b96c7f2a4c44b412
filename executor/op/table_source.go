package op

import (
	"errors"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/sql/types"
)

var errNullTableKey = errors.New("record of a table has a null key")

// TableSource turns a topic's records into changes of a table: a null key is
// dropped, a null value deletes. With a store, changes carry their before rows.
type TableSource struct {
	id    string
	store *state.Store // nil without
	rows  *rowCodec
	out   appender
}

// NewTableSource returns the operator behind a decoder of a table.
func NewTableSource(id string, schema *types.Schema, windowed bool, store *state.Store, next Port) (*TableSource, error) {
	rows, err := newRowCodec(schema)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &TableSource{id: id, store: store, rows: rows, out: appender{next: next, schema: schema, windowed: windowed}}, nil
}

// Process makes changes of records.
func (s *TableSource) Process(c *Context, b *batch.Batch) error {
	if s.store == nil {
		return s.upserts(c, b)
	}
	s.out.begin(c, b.Topic)
	for _, i := range b.Sel {
		if b.KeyNull.Get(i) {
			c.report(s.id, KindTable, b, i, errNullTableKey, effectRecordOut)
			continue
		}
		if err := s.change(b, i); err != nil {
			return fatal(s.id, err)
		}
		if err := s.out.flush(); err != nil {
			return err
		}
	}
	return s.out.end()
}

// upserts marks rows without looking up what they replace.
func (s *TableSource) upserts(c *Context, b *batch.Batch) error {
	d := c.Scratch.Derive(b)
	sel := c.Scratch.Sel(len(b.Sel))
	ops := make([]batch.Op, b.Rows)
	for _, i := range b.Sel {
		if b.KeyNull.Get(i) {
			c.report(s.id, KindTable, b, i, errNullTableKey, effectRecordOut)
			continue
		}
		ops[i] = batch.UpdateAfter
		if b.ValueNull.Get(i) {
			ops[i] = batch.Delete
		}
		sel = append(sel, i)
	}
	d.Sel, d.Op = sel, ops
	return emit(c, s.out.next, d)
}

// change emits what row i does to the table and stores it.
func (s *TableSource) change(b *batch.Batch, i int32) error {
	segment := int64(0)
	if b.WindowStart != nil {
		segment = b.WindowStart[i]
	}
	t := s.store.Open(segment)
	key := s.key(b, i)
	old, had := t.Get(key)
	if b.ValueNull.Get(i) {
		o := s.row(b, i, batch.Delete)
		if !had {
			s.out.b.SetValueNull(o)
			return nil
		}
		if err := s.rows.load(s.out.b, s.out.b.Keys, o, old); err != nil {
			return err
		}
		t.Delete(key)
		return nil
	}
	op := batch.Insert
	if had {
		o := s.row(b, i, batch.UpdateBefore)
		if err := s.rows.load(s.out.b, s.out.b.Keys, o, old); err != nil {
			return err
		}
		op = batch.UpdateAfter
	}
	o := s.row(b, i, op)
	for k := s.out.b.Keys; k < len(b.Cols); k++ {
		s.out.b.Cols[k].Copy(o, b.Cols[k], i)
	}
	t.Put(key, s.rows.valueOf(b, i, b.Time[i]))
	return nil
}

// key returns the stored key: a windowed one with its end behind it, since
// sessions of one start may differ in it.
func (s *TableSource) key(b *batch.Batch, i int32) []byte {
	return windowedKey(s.rows.keyOf(b, i), b, i)
}

func (s *TableSource) row(b *batch.Batch, i int32, op batch.Op) int32 {
	o := s.out.row(b, i, b.Time[i], op)
	s.out.copyKey(o, b, i)
	s.out.copyWindow(o, b, i)
	return o
}

// Restore stores rows without passing anything on: a table whose changelog is
// its source topic.
func (s *TableSource) Restore(b *batch.Batch) {
	for _, i := range b.Sel {
		if b.KeyNull.Get(i) {
			continue
		}
		segment := int64(0)
		if b.WindowStart != nil {
			segment = b.WindowStart[i]
		}
		t, key := s.store.Open(segment), s.key(b, i)
		if b.ValueNull.Get(i) {
			t.Delete(key)
		} else {
			t.Put(key, s.rows.valueOf(b, i, b.Time[i]))
		}
	}
}
