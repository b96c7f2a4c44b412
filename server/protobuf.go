package server

import (
	"encoding/base64"
	"fmt"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// openProto readies rows as protobuf messages and returns the schema of these:
// message ConnectDefault1 with a field per column. It does nothing for other media
// types.
func (o *rowWriter) openProto(columns []types.Column) (schema string, err error) {
	if o.media != typeProtobuf {
		return "", nil
	}
	f := plan.Format{Name: "PROTOBUF_NOSR"}
	s, err := format.DeriveSchema(f, columns)
	if err == nil {
		o.proto, err = format.NewRow(f, columns, format.Side{})
	}
	if err != nil {
		return "", &engine.StatementError{Err: &sql.Error{Code: sql.CodeFormat, Msg: fmt.Sprintf("the rows cannot be written as protobuf: %v", err), Hint: "give the columns other names with AS, or ask for JSON"}}
	}
	return s.Text, nil
}

// protoValues appends a row as a base64 text.
func (o *rowWriter) protoValues(r executor.Row) error {
	b, err := o.proto.Encode(r.Values)
	if err != nil {
		return fmt.Errorf("write row as protobuf: %w", err)
	}
	o.buf = append(base64.StdEncoding.AppendEncode(append(o.buf, '"'), b), '"')
	return nil
}
