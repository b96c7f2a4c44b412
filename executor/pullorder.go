package executor

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/millrace/millrace/executor/op"
)

// firstRows keeps the first rows of a table in order of key, window start and
// window end, so that a LIMIT has one answer however rows are spread over
// partitions and stores. It costs a look at every row that the query selects, and
// memory for twice the limit at most.
type firstRows struct {
	limit int64
	rows  []placedRow
}

// placedRow is a row with its place in the order, compared byte by byte.
type placedRow struct {
	place string
	row   Row
}

// firstRowsSlack is how many rows more than twice the limit are collected before
// those behind the limit are dropped: it keeps small limits from sorting often.
const firstRowsSlack = 1024

// placeOf returns where a stored row stands in the order: the stored form of a key
// sorts as its values do, and flipping the sign bit makes times sort so, too.
func placeOf(v *op.View, s op.Stored) string {
	const sign = 1 << 63
	b := v.AppendKey(nil, s.Key)
	b = binary.BigEndian.AppendUint64(b, uint64(s.WindowStart)^sign)
	return string(binary.BigEndian.AppendUint64(b, uint64(s.WindowEnd)^sign))
}

func (f *firstRows) add(place string, row Row) {
	f.rows = append(f.rows, placedRow{place, row})
	if n := int64(len(f.rows)); n-firstRowsSlack > f.limit && n-firstRowsSlack-f.limit > f.limit {
		f.cut()
	}
}

// cut sorts the rows and drops those behind the limit.
func (f *firstRows) cut() {
	slices.SortFunc(f.rows, func(a, b placedRow) int { return cmp.Compare(a.place, b.place) })
	if n := min(f.limit, int64(len(f.rows))); n < int64(len(f.rows)) {
		clear(f.rows[n:])
		f.rows = f.rows[:n]
	}
}

// finish yields the rows. A nil f has none.
func (f *firstRows) finish(yield func(Row) error) error {
	if f == nil {
		return nil
	}
	f.cut()
	for _, r := range f.rows {
		if err := yield(r.row); err != nil {
			return err
		}
	}
	return nil
}
