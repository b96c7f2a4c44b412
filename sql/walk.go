package sql

// Walk calls f for e and, where f returns true, for its operands in text order,
// depth first. A nil e is left out.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	for _, child := range Operands(e) {
		Walk(child, f)
	}
}

// Operands returns the direct operands of an expression in text order.
func Operands(e Expr) []Expr {
	switch e := e.(type) {
	case *Unary:
		return []Expr{e.X}
	case *Binary:
		return []Expr{e.L, e.R}
	case *Between:
		return []Expr{e.X, e.Low, e.High}
	case *In:
		return append([]Expr{e.X}, e.List...)
	case *Like:
		return []Expr{e.X, e.Pattern}
	case *IsNull:
		return []Expr{e.X}
	case *Case:
		return caseOperands(e)
	case *Cast:
		return []Expr{e.X}
	case *Call:
		if e.Filter == nil {
			return e.Args
		}
		return append(e.Args[:len(e.Args):len(e.Args)], e.Filter)
	case *Lambda:
		return []Expr{e.Body}
	case *Index:
		return []Expr{e.X, e.Index}
	case *FieldRef:
		return []Expr{e.X}
	case *ArrayLit:
		return e.Elems
	case *MapLit:
		var list []Expr
		for i := range e.Keys {
			list = append(list, e.Keys[i], e.Values[i])
		}
		return list
	case *StructLit:
		return e.Values
	case *Paren:
		return []Expr{e.X}
	}
	return nil
}

func caseOperands(e *Case) []Expr {
	var list []Expr
	if e.Operand != nil {
		list = append(list, e.Operand)
	}
	for _, w := range e.Whens {
		list = append(list, w.Cond, w.Then)
	}
	if e.Else != nil {
		list = append(list, e.Else)
	}
	return list
}
