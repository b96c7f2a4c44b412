package sql

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/sql/types"
)

func (p *parser) isNumber(token int) bool {
	k := p.toks[token].Kind
	return k == TokInteger || k == TokDecimal || k == TokDouble
}

// literal converts the token that a marker stands for: a literal or an interval
// unit. minus is the token of a sign that belongs to the number, -1 for none.
func (c *converter) literal(token, minus int) node {
	t := c.p.toks[token]
	if unit := unitName(t); unit != "" {
		return node{&IntervalUnit{c.at(token, token), unit}, token, token}
	}
	if t.Word == "DECIMAL" {
		text := c.p.toks[token+1]
		value, typ := c.p.decimal(strings.TrimSpace(unquote(c.p.textOf(text))), text.Span)
		return node{&Literal{c.at(token, token+1), value, typ}, token, token + 1}
	}
	first := token
	if minus >= 0 {
		first = minus
	}
	value, typ := c.p.literalValue(t, minus >= 0, c.p.span(first, token))
	return node{&Literal{c.at(first, token), value, typ}, first, token}
}

// literalValue reads the value of a literal token; span is for errors.
func (p *parser) literalValue(t Token, negative bool, span Span) (types.Value, types.Type) {
	text := p.textOf(t)
	if negative {
		text = "-" + text
	}
	switch t.Kind {
	case TokString:
		return types.NewString(unquote(text)), types.String
	case TokInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			p.fail(&Error{Code: CodeLiteral, Msg: "integer " + text + " is out of range", Span: span,
				Hint: "write " + text + ". for a DECIMAL"})
		}
		if n >= math.MinInt32 && n <= math.MaxInt32 {
			return types.NewInteger(int32(n)), types.Integer
		}
		return types.NewBigint(n), types.Bigint
	case TokDecimal:
		return p.decimal(text, span)
	case TokDouble:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			p.failf(CodeLiteral, span, "number %s is out of the range of DOUBLE", text)
		}
		return types.NewDouble(f), types.Double
	}
	switch t.Word {
	case "TRUE", "FALSE":
		return types.NewBoolean(t.Word == "TRUE"), types.Boolean
	}
	return types.NullValue, types.Null
}

func (p *parser) decimal(text string, span Span) (types.Value, types.Type) {
	if len(text) > types.MaxDecimalPrecision*4 {
		p.failf(CodeLiteral, span, "number has more than %d digits", types.MaxDecimalPrecision)
	}
	d, _, err := apd.NewFromString(text)
	if err != nil || d.Form != apd.Finite {
		p.failf(CodeLiteral, span, "%s is not a number", text)
	}
	value, typ, err := types.DecimalLiteral(d)
	if err != nil {
		p.failf(CodeLiteral, span, "%v", err)
	}
	return value, typ
}
