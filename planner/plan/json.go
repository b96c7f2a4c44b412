package plan

import (
	"encoding/json"
	"fmt"
)

// newOperator makes an empty operator of a kind, for decoding.
var newOperator = map[string]func() Operator{
	"aggregate":          func() Operator { return new(Aggregate) },
	"filter":             func() Operator { return new(Filter) },
	"flatten":            func() Operator { return new(Flatten) },
	"foreign-key join":   func() Operator { return new(ForeignKeyJoin) },
	"project":            func() Operator { return new(Project) },
	"rekey":              func() Operator { return new(Rekey) },
	"repartition":        func() Operator { return new(Repartition) },
	"repartition source": func() Operator { return new(RepartitionSource) },
	"result":             func() Operator { return new(Result) },
	"sink":               func() Operator { return new(Sink) },
	"source":             func() Operator { return new(Source) },
	"stream-stream join": func() Operator { return new(StreamStreamJoin) },
	"stream-table join":  func() Operator { return new(StreamTableJoin) },
	"table-table join":   func() Operator { return new(TableTableJoin) },
}

// nodeJSON is Node with the operator's kind beside it.
type nodeJSON struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Inputs   []int           `json:"inputs,omitempty"`
	Schema   Schema          `json:"schema"`
	Table    bool            `json:"table,omitempty"`
	Windowed *WindowInfo     `json:"windowed,omitempty"`
	Op       json.RawMessage `json:"op"`
}

// MarshalJSON writes the node with its operator's kind.
func (n Node) MarshalJSON() ([]byte, error) {
	op, err := json.Marshal(n.Op)
	if err != nil {
		return nil, err
	}
	return json.Marshal(nodeJSON{n.ID, n.Op.Kind(), n.Inputs, n.Schema, n.Table, n.Windowed, op})
}

// UnmarshalJSON reads a node; an operator of an unknown kind is an error.
func (n *Node) UnmarshalJSON(b []byte) error {
	var j nodeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	make, ok := newOperator[j.Kind]
	if !ok {
		return fmt.Errorf("plan node %s: unknown operator %q", j.ID, j.Kind)
	}
	op := make()
	if err := json.Unmarshal(j.Op, op); err != nil {
		return fmt.Errorf("plan node %s: %w", j.ID, err)
	}
	*n = Node{j.ID, j.Inputs, j.Schema, j.Table, j.Windowed, op}
	return nil
}
