package planner

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/planner/plan"
)

// split cuts a tree of relations into sub-plans at its repartitions, those that
// are read by others first.
func split(root *relation) []plan.SubPlan {
	var subs []plan.SubPlan
	splitInto(root, &subs)
	return subs
}

func splitInto(root *relation, subs *[]plan.SubPlan) {
	sub := plan.SubPlan{ID: root.id}
	var add func(r *relation) int
	add = func(r *relation) int {
		var inputs []int
		for _, in := range r.inputs {
			if rep, ok := in.op.(*plan.Repartition); ok {
				splitInto(in, subs)
				sub.Nodes = append(sub.Nodes, repartitionSource(in, rep))
				inputs = append(inputs, len(sub.Nodes)-1)
				continue
			}
			inputs = append(inputs, add(in))
		}
		sub.Nodes = append(sub.Nodes, plan.Node{ID: r.id, Inputs: inputs, Schema: r.schema, Table: r.table, Windowed: r.windowed, Op: r.op})
		return len(sub.Nodes) - 1
	}
	add(root)
	*subs = append(*subs, sub)
}

func repartitionSource(r *relation, rep *plan.Repartition) plan.Node {
	return plan.Node{ID: r.id + "-source", Schema: r.schema, Table: r.table, Windowed: r.windowed, Op: &plan.RepartitionSource{Topic: rep.Topic}}
}

// pruneColumns marks in every source the columns that the plan reads: those that
// the operators up to the first projecting one mention.
func pruneColumns(root *relation) {
	var visit func(r *relation, above []*relation)
	visit = func(r *relation, above []*relation) {
		if src, ok := r.op.(*plan.Source); ok {
			markNeeded(src, r, above)
		}
		for _, in := range r.inputs {
			visit(in, append([]*relation{r}, above...))
		}
	}
	visit(root, nil)
}

func markNeeded(src *plan.Source, r *relation, above []*relation) {
	for i := range r.schema.Key {
		src.Needed[i] = true
	}
	mark := func(e *plan.Expr) {
		e.Walk(func(x *plan.Expr) bool {
			if x.Op == plan.OpColumn && x.Column >= 0 && x.Column < len(src.Needed) {
				src.Needed[x.Column] = true
			}
			return true
		})
	}
	if src.Timestamp != nil {
		src.Needed[src.Timestamp.Column] = true
	}
	for _, consumer := range above {
		switch op := consumer.op.(type) {
		case *plan.Filter:
			mark(op.Predicate)
			continue
		case *plan.Project:
			for _, e := range op.Value {
				mark(e)
			}
			return
		case *plan.Rekey:
			for _, e := range append(append([]*plan.Expr(nil), op.Key...), op.Value...) {
				mark(e)
			}
			return
		case *plan.Aggregate:
			for _, c := range op.Calls {
				for _, e := range c.Args {
					mark(e)
				}
			}
			return
		case *plan.Flatten:
			for _, e := range op.Calls {
				mark(e)
			}
			continue
		}
		break
	}
	for i := range src.Needed {
		src.Needed[i] = true
	}
}

// describeOperator renders an operator for EXPLAIN and for comparing plans.
func describeOperator(op plan.Operator) string {
	switch op := op.(type) {
	case *plan.Source:
		return fmt.Sprintf("source %s from topic %s (%s, %s)", op.Name, op.Topic, op.Key.Name, op.Value.Name)
	case *plan.RepartitionSource:
		return "read topic " + op.Topic
	case *plan.Filter:
		return "filter " + op.Predicate.String()
	case *plan.Project:
		return "project " + exprList(op.Value)
	case *plan.Rekey:
		return "rekey by " + exprList(op.Key) + " keeping " + exprList(op.Value)
	case *plan.Flatten:
		return "flatten " + exprList(op.Calls)
	case *plan.Repartition:
		return "repartition through " + op.Topic
	case *plan.Sink:
		return fmt.Sprintf("sink %s to topic %s (%s, %s)", op.Name, op.Topic, op.Key.Name, op.Value.Name)
	case *plan.Result:
		return "result"
	case *plan.Aggregate:
		return describeAggregate(op)
	case *plan.StreamStreamJoin:
		return fmt.Sprintf("%s %s within (%d ms, %d ms) grace %d ms", op.Join, op.Kind(), op.BeforeMs, op.AfterMs, op.GraceMs)
	case *plan.StreamTableJoin:
		return fmt.Sprintf("%s %s", op.Join, op.Kind())
	case *plan.TableTableJoin:
		return fmt.Sprintf("%s %s", op.Join, op.Kind())
	case *plan.ForeignKeyJoin:
		return fmt.Sprintf("%s %s on %s", op.Join, op.Kind(), op.ForeignKey)
	}
	return op.Kind()
}

func describeAggregate(op *plan.Aggregate) string {
	var calls []string
	for _, c := range op.Calls {
		calls = append(calls, c.Function+exprList(c.Args))
	}
	text := "aggregate " + strings.Join(calls, ", ")
	if w := op.Window; w != nil {
		text += fmt.Sprintf(" window %s size %d ms advance %d ms grace %d ms retention %d ms", w.Kind, w.SizeMs, w.AdvanceMs, w.GraceMs, w.RetentionMs)
	}
	if op.EmitFinal {
		text += " emit final"
	}
	return text
}

func exprList(list []*plan.Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
