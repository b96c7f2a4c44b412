package executor

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/planner/plan"
)

// Pull answers a pull query on a table that the driver's query keeps, from what
// has been pushed so far. Pull queries on streams are refused.
func (d *Driver) Pull(p *plan.Pull) ([]Row, error) {
	if p.Stream != nil {
		return nil, fmt.Errorf("a driver pulls from tables, %s is a stream", p.Stream.Name)
	}
	if p.Limit == 0 {
		return nil, nil
	}
	var rows []Row
	r, err := newPuller(&Executor{cfg: d.cfg}, p, newProblems(d.cfg, "pull"), func(row Row) error { rows = append(rows, row); return nil })
	if err != nil {
		return nil, err
	}
	views, err := d.q.views(p.Store)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		if err := r.read(context.Background(), v); err != nil {
			return nil, err
		}
	}
	if err := r.flush(); err != nil {
		return nil, err
	}
	return rows, r.top.finish(func(row Row) error { rows = append(rows, row); return nil })
}
