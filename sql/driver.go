package sql

import (
	"io"
	"strings"
	"sync"

	tidb "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
)

// TiDB's parser asks its embedder for the nodes that hold values. We emit no
// value but parameter markers, so one node type does for all.

// marker is a parameter marker, and the stand-in for any literal.
type marker struct {
	ast.TexprNode
	offset int
}

// Restore is part of ast.Node and never called: text is never made from TiDB's
// tree.
func (m *marker) Restore(ctx *format.RestoreCtx) error {
	ctx.WritePlain("?")
	return nil
}

// Accept is part of ast.Node.
func (m *marker) Accept(v ast.Visitor) (ast.Node, bool) {
	n, _ := v.Enter(m)
	return v.Leave(n)
}

// Format is part of ast.ExprNode and never called.
func (m *marker) Format(w io.Writer) { _, _ = io.Copy(w, strings.NewReader("?")) }

// The rest of ast.ParamMarkerExpr; a marker has no value.

func (m *marker) SetValue(any)             {}
func (m *marker) GetValue() any            { return nil }
func (m *marker) GetDatumString() string   { return "" }
func (m *marker) GetString() string        { return "" }
func (m *marker) GetProjectionOffset() int { return -1 }
func (m *marker) SetProjectionOffset(int)  {}
func (m *marker) SetOrder(int)             {}

var installDriver = sync.OnceFunc(func() {
	ast.NewValueExpr = func(any, string, string) ast.ValueExpr { return &marker{offset: -1} }
	ast.NewParamMarkerExpr = func(offset int) ast.ParamMarkerExpr { return &marker{offset: offset} }
	ast.NewDecimal = func(string) (any, error) { return nil, nil }
	ast.NewHexLiteral = func(string) (any, error) { return nil, nil }
	ast.NewBitLiteral = func(string) (any, error) { return nil, nil }
})

// parsers holds idle parsers. A parser writes into trees that it returned
// earlier, so one goroutine owns it from parse to converted tree; Reset then
// drops its references to the tree.
var parsers = sync.Pool{New: func() any {
	installDriver()
	return tidb.New()
}}

// withTree parses an emitted text, a single SELECT, and hands its tree to f, which
// must not keep any of it.
func withTree(text string, f func(*ast.SelectStmt)) error {
	p := parsers.Get().(*tidb.Parser)
	defer func() {
		p.Reset()
		parsers.Put(p)
	}()
	stmt, err := p.ParseOneStmt(text, "", "")
	if err != nil {
		return err
	}
	f(stmt.(*ast.SelectStmt))
	return nil
}
