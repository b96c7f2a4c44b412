package function

import "github.com/millrace/millrace/sql/types"

// TypeText returns the parameter's type as DESCRIBE FUNCTION prints it.
func (p Param) TypeText() string { return p.text() }

// ReturnText returns the result's type as DESCRIBE FUNCTION prints it: a type, a
// pattern over the parameters' letters, or "" where it follows from the arguments.
func (o *Overload) ReturnText() string {
	if o.result != nil {
		return o.result.text()
	}
	if o.Returns == nil || len(o.Params) > 0 && o.Params[0].Shape != "" {
		return ""
	}
	args := make([]types.Type, len(o.Params))
	for i, p := range o.Params {
		args[i] = p.Type
	}
	t, err := o.Returns(args, make([]*types.Value, len(args)))
	if err != nil || t.Kind == types.KindNull {
		return ""
	}
	if t.Kind == types.KindDecimal && t.Precision == 0 {
		return "DECIMAL"
	}
	return t.String()
}

func (s shape) text() string {
	switch {
	case s.letter != "":
		return s.letter
	case s.key != nil:
		return "MAP<" + s.key.text() + ", " + s.elem.text() + ">"
	case s.elem != nil:
		return "ARRAY<" + s.elem.text() + ">"
	}
	return s.concrete.String()
}

// TableSafe reports whether an aggregate overload can take a row back, so that it
// may aggregate a TABLE.
func (o *Overload) TableSafe(args []types.Type, literals []*types.Value) bool {
	if o.NewAggregator == nil {
		return false
	}
	a, err := o.NewAggregator(args, literals)
	if err != nil {
		return false
	}
	_, ok := a.(Undoer)
	return ok
}

// CheckTimestampPattern reports why text is no date and time pattern of
// java.time, nil when it is one.
func CheckTimestampPattern(text string) error {
	_, err := findPattern(text)
	return err
}
