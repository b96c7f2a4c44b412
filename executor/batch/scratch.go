package batch

import "github.com/millrace/millrace/sql/types"

// Scratch lends vectors, batches and selections for the time of one run. It
// belongs to a worker, not to a query: ten thousand idle queries hold none of
// it. Memory is lent like a stack: Release gives back what was lent since Mark.
type Scratch struct {
	vectors [reps][]*Vector
	batches []*Batch // own their memory
	derived []*Batch // share another batch's
	sels    [][]int32
	top     Mark
}

// Mark is a height of the stack.
type Mark struct {
	vectors                [reps]int
	batches, derived, sels int
}

// Mark returns the present height.
func (s *Scratch) Mark() Mark { return s.top }

// Release takes back everything lent since m.
func (s *Scratch) Release(m Mark) { s.top = m }

// Reset takes everything back.
func (s *Scratch) Reset() { s.top = Mark{} }

// Vector lends a vector of n valid, unset values.
func (s *Scratch) Vector(t types.Type, n int) *Vector {
	r := RepOf(t)
	at := s.top.vectors[r]
	if at == len(s.vectors[r]) {
		s.vectors[r] = append(s.vectors[r], new(Vector))
	}
	s.top.vectors[r]++
	v := s.vectors[r][at]
	v.Reset(t, n)
	return v
}

// Sel lends an empty selection with room for n rows.
func (s *Scratch) Sel(n int) []int32 {
	at := s.top.sels
	if at == len(s.sels) {
		s.sels = append(s.sels, nil)
	}
	s.top.sels++
	s.sels[at] = sized(s.sels[at], n)
	return s.sels[at][:0]
}

// Derive lends a batch that shares all of b's memory. Its Cols slice is its
// own: b's columns may be replaced in it, not written to.
func (s *Scratch) Derive(b *Batch) *Batch {
	at := s.top.derived
	if at == len(s.derived) {
		s.derived = append(s.derived, new(Batch))
	}
	s.top.derived++
	d := s.derived[at]
	cols := append(d.Cols[:0], b.Cols...)
	*d = *b
	d.Cols = cols
	return d
}

// Batch lends an empty batch with columns of a schema, to be filled through an
// Appender.
func (s *Scratch) Batch(schema *types.Schema, windowed bool) *Batch {
	at := s.top.batches
	if at == len(s.batches) {
		s.batches = append(s.batches, new(Batch))
	}
	s.top.batches++
	b := s.batches[at]
	b.Reset(schema, windowed)
	return b
}

// Reset empties a batch that owns its memory and gives it a schema's columns.
func (b *Batch) Reset(schema *types.Schema, windowed bool) {
	n := schema.Len()
	for len(b.Cols) < n {
		b.Cols = append(b.Cols, new(Vector))
	}
	all := b.Cols[:cap(b.Cols)]
	b.Cols = all[:n]
	for i, v := range b.Cols {
		if v == nil {
			v = new(Vector)
			b.Cols[i] = v
		}
		v.Reset(schema.Column(i).Type, 0)
	}
	b.Topic, b.Keys, b.Rows, b.Sel = "", len(schema.Key), 0, nil
	b.Time, b.Partition, b.Offset = b.Time[:0], b.Partition[:0], b.Offset[:0]
	b.Op, b.KeyNull, b.ValueNull = b.Op[:0], b.KeyNull[:0], b.ValueNull[:0]
	b.Headers, b.HeaderData = b.Headers[:0], b.HeaderData[:0]
	b.WindowStart, b.WindowEnd = b.WindowStart[:0], b.WindowEnd[:0]
	switch {
	case !windowed:
		b.WindowStart, b.WindowEnd = nil, nil
	case b.WindowStart == nil:
		b.WindowStart, b.WindowEnd = make([]int64, 0, 16), make([]int64, 0, 16)
	}
}

// Grow makes room for n more rows at once; Append then only counts. Values of
// rows not appended are never selected.
func (b *Batch) Grow(n int) {
	for _, v := range b.Cols {
		v.Extend(b.Rows + n)
	}
}

// Append adds a row whose values are valid and unset and returns its number. It
// goes with a batch that owns its memory.
func (b *Batch) Append(time int64, partition int32, offset int64, op Op) int32 {
	i := b.Rows
	b.Rows++
	b.Time = append(b.Time, time)
	b.Partition = append(b.Partition, partition)
	b.Offset = append(b.Offset, offset)
	b.Op = append(b.Op, op)
	b.KeyNull = resize(b.KeyNull, b.Rows, false)
	b.ValueNull = resize(b.ValueNull, b.Rows, false)
	b.Headers = append(b.Headers, View{})
	if b.WindowStart != nil {
		b.WindowStart = append(b.WindowStart, 0)
		b.WindowEnd = append(b.WindowEnd, 0)
	}
	for _, v := range b.Cols {
		v.Extend(b.Rows)
	}
	return int32(i)
}

// SetHeaders copies a raw header section into row i.
func (b *Batch) SetHeaders(i int32, raw []byte) {
	if len(raw) <= 1 {
		return
	}
	b.Headers[i] = View{uint32(len(b.HeaderData)), uint32(len(raw))}
	b.HeaderData = append(b.HeaderData, raw...)
}

// SetValueNull marks row i as one without a value; its value columns are NULL.
func (b *Batch) SetValueNull(i int32) {
	b.ValueNull.Set(i)
	for _, v := range b.Cols[b.Keys:] {
		v.SetNull(i)
	}
}

// SetKeyNull marks row i as one without a key; its key columns are NULL.
func (b *Batch) SetKeyNull(i int32) {
	b.KeyNull.Set(i)
	for _, v := range b.Cols[:b.Keys] {
		v.SetNull(i)
	}
}

// Unappend takes the last row back, whatever was set in it.
func (b *Batch) Unappend() {
	b.Rows--
	i := int32(b.Rows)
	b.KeyNull.Clear(i)
	b.ValueNull.Clear(i)
	b.Time, b.Partition, b.Offset = b.Time[:i], b.Partition[:i], b.Offset[:i]
	b.Op, b.Headers = b.Op[:i], b.Headers[:i]
	if b.WindowStart != nil {
		b.WindowStart, b.WindowEnd = b.WindowStart[:i], b.WindowEnd[:i]
	}
}
