package plan

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

var pseudoNames = map[int]string{
	ColRowTime: "ROWTIME", ColRowPartition: "ROWPARTITION", ColRowOffset: "ROWOFFSET",
	ColWindowStart: "WINDOWSTART", ColWindowEnd: "WINDOWEND", ColHeaders: "HEADERS",
}

// String renders the expression for EXPLAIN: columns are #n over the input.
func (e *Expr) String() string {
	if e == nil {
		return ""
	}
	switch e.Op {
	case OpColumn:
		if e.Column < 0 {
			return pseudoNames[e.Column]
		}
		return fmt.Sprintf("#%d", e.Column)
	case OpLiteral:
		return literalText(e)
	case OpCall:
		name, _, _ := strings.Cut(e.Name, "(")
		return name + "(" + joinExprs(e.Args) + ")"
	case OpCast:
		return "CAST(" + e.Args[0].String() + " AS " + e.Type.String() + ")"
	case OpField:
		return e.Args[0].String() + "->" + e.Name
	case OpIndex:
		return e.Args[0].String() + "[" + e.Args[1].String() + "]"
	case OpParam:
		return e.Name
	case OpLambda:
		return "(" + strings.Join(e.Params, ", ") + ") => " + e.Args[0].String()
	case OpNot, OpNeg:
		return strings.ToUpper(string(e.Op)) + " " + e.Args[0].String()
	case OpIsNull:
		return e.Args[0].String() + " IS NULL"
	case OpCase, OpArray, OpMap, OpStruct:
		return strings.ToUpper(string(e.Op)) + "(" + joinExprs(e.Args) + ")"
	case OpIn:
		return e.Args[0].String() + " IN (" + joinExprs(e.Args[1:]) + ")"
	}
	parts := make([]string, len(e.Args))
	for i, a := range e.Args {
		parts[i] = a.String()
	}
	return "(" + strings.Join(parts, " "+strings.ToUpper(string(e.Op))+" ") + ")"
}

func joinExprs(list []*Expr) string {
	parts := make([]string, len(list))
	for i, a := range list {
		parts[i] = a.String()
	}
	return strings.Join(parts, ", ")
}

func literalText(e *Expr) string {
	if e.Value == nil || e.Value.IsNull() {
		return "NULL"
	}
	text := types.FormatText(*e.Value, e.Type)
	if e.Type.Kind.Numeric() || e.Type.Kind == types.KindBoolean {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
