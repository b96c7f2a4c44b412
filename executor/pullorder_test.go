package executor

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/sql/types"
)

// TestFirstRows gives many rows in an order that scatters them: those that stay
// are the first ones, and memory stays near the limit.
func TestFirstRows(t *testing.T) {
	const all, step = 10007, 7919 // coprime: every row once
	for _, limit := range []int64{0, 1, 5, 3000, all, 1 << 62} {
		f := &firstRows{limit: limit}
		for i := range all {
			n := i * step % all
			f.add(fmt.Sprintf("%06d", n), Row{Values: []types.Value{types.NewBigint(int64(n))}})
			if len(f.rows) > min(all, int(min(limit, all))*2+firstRowsSlack+1) {
				t.Fatalf("limit %d: %d rows are kept", limit, len(f.rows))
			}
		}
		next := int64(0)
		err := f.finish(func(r Row) error {
			if r.Values[0].Int() != next {
				t.Fatalf("limit %d: row %d is %d", limit, next, r.Values[0].Int())
			}
			next++
			return nil
		})
		if err != nil || next != min(limit, all) {
			t.Errorf("limit %d: %d rows, %v", limit, next, err)
		}
	}
}
