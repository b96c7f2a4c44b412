package planner

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/planner/plan"
)

// Explain renders a plan as EXPLAIN prints it: one line per operator, the last
// first, inputs indented below it, sub-plans in the order they run.
func Explain(q *plan.Query) string {
	var b strings.Builder
	for i, sub := range q.SubPlans {
		if i > 0 {
			b.WriteString("\n")
		}
		if len(q.SubPlans) > 1 {
			fmt.Fprintf(&b, "sub-plan %s\n", sub.ID)
		}
		explainNode(&b, sub.Nodes, len(sub.Nodes)-1, 0)
	}
	return b.String()
}

func explainNode(b *strings.Builder, nodes []plan.Node, i, depth int) {
	n := nodes[i]
	marker := "KEY"
	if n.Table {
		marker = "PRIMARY KEY"
	}
	fmt.Fprintf(b, "%s > [%s] %s\n", strings.Repeat("  ", depth), n.ID, describeOperator(n.Op))
	fmt.Fprintf(b, "%s     schema: %s\n", strings.Repeat("  ", depth), n.Schema.String(marker))
	for _, in := range n.Inputs {
		explainNode(b, nodes, in, depth+1)
	}
}

// ExplainPull renders the plan of a pull query.
func ExplainPull(p *plan.Pull) string {
	var b strings.Builder
	switch {
	case p.Stream != nil:
		fmt.Fprintf(&b, " > read topic %s from its beginning to its present end\n", p.Stream.Topic)
	case p.Keys != nil:
		fmt.Fprintf(&b, " > look up %d key(s) in store %s of query %s\n", len(p.Keys), p.Store, p.QueryID)
	default:
		fmt.Fprintf(&b, " > scan store %s of query %s\n", p.Store, p.QueryID)
	}
	if p.Filter != nil {
		fmt.Fprintf(&b, "   filter %s\n", p.Filter)
	}
	fmt.Fprintf(&b, "   project %s\n", exprList(p.Columns))
	if p.Limit >= 0 {
		fmt.Fprintf(&b, "   limit %d\n", p.Limit)
	}
	return b.String()
}
