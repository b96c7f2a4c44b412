package batch

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/decimal256"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/millrace/millrace/sql/types"
)

// ArrowType returns the Arrow type that a column of type t becomes.
func ArrowType(t types.Type) (arrow.DataType, error) {
	switch t.Kind {
	case types.KindBoolean:
		return arrow.FixedWidthTypes.Boolean, nil
	case types.KindInteger:
		return arrow.PrimitiveTypes.Int32, nil
	case types.KindBigint:
		return arrow.PrimitiveTypes.Int64, nil
	case types.KindDouble:
		return arrow.PrimitiveTypes.Float64, nil
	case types.KindDecimal:
		if t.Precision <= MaxInt128Digits {
			return &arrow.Decimal128Type{Precision: t.Precision, Scale: t.Scale}, nil
		}
		return &arrow.Decimal256Type{Precision: t.Precision, Scale: t.Scale}, nil
	case types.KindString:
		return arrow.BinaryTypes.String, nil
	case types.KindBytes:
		return arrow.BinaryTypes.Binary, nil
	case types.KindTime:
		return arrow.FixedWidthTypes.Time32ms, nil
	case types.KindDate:
		return arrow.FixedWidthTypes.Date32, nil
	case types.KindTimestamp:
		return arrow.FixedWidthTypes.Timestamp_ms, nil
	case types.KindArray:
		elem, err := ArrowType(*t.Elem)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	case types.KindMap:
		key, err := ArrowType(*t.Key)
		if err != nil {
			return nil, err
		}
		elem, err := ArrowType(*t.Elem)
		if err != nil {
			return nil, err
		}
		return arrow.MapOf(key, elem), nil
	case types.KindStruct:
		fields := make([]arrow.Field, len(t.Fields))
		for i, f := range t.Fields {
			ft, err := ArrowType(f.Type)
			if err != nil {
				return nil, err
			}
			fields[i] = arrow.Field{Name: f.Name, Type: ft, Nullable: true}
		}
		return arrow.StructOf(fields...), nil
	}
	return nil, fmt.Errorf("type %s has no Arrow form", t)
}

// Record copies the selected rows into an Arrow record with a column per name.
// It belongs at the edges (results, files): it costs microseconds per call. The
// caller releases the record.
func (b *Batch) Record(mem memory.Allocator, names []string) (arrow.Record, error) {
	fields := make([]arrow.Field, len(b.Cols))
	cols := make([]arrow.Array, 0, len(b.Cols))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i, v := range b.Cols {
		at, err := ArrowType(v.Type)
		if err != nil {
			return nil, err
		}
		fields[i] = arrow.Field{Name: names[i], Type: at, Nullable: true}
		builder := array.NewBuilder(mem, at)
		builder.Reserve(len(b.Sel))
		for _, row := range b.Sel {
			appendArrow(builder, v.Type, v.View(row))
		}
		cols = append(cols, builder.NewArray())
		builder.Release()
	}
	return array.NewRecord(arrow.NewSchema(fields, nil), cols, int64(len(b.Sel))), nil
}

// appendArrow appends one value to the builder of its type.
func appendArrow(builder array.Builder, t types.Type, v types.Value) {
	if v.IsNull() {
		builder.AppendNull()
		return
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.Int32Builder:
		b.Append(int32(v.Int()))
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.Decimal128Builder:
		d, ok := FromApd(v.Decimal(), t.Scale)
		if !ok {
			b.AppendNull()
			return
		}
		b.Append(decimal128.New(d.Hi, d.Lo))
	case *array.Decimal256Builder:
		coeff := v.Decimal().Coeff.MathBigInt()
		if v.Decimal().Negative {
			coeff.Neg(coeff)
		}
		b.Append(decimal256.FromBigInt(coeff))
	case *array.StringBuilder:
		b.Append(v.Str())
	case *array.BinaryBuilder:
		b.Append([]byte(v.Str()))
	case *array.Time32Builder:
		b.Append(arrow.Time32(v.Int()))
	case *array.Date32Builder:
		b.Append(arrow.Date32(v.Int()))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.Int()))
	case *array.MapBuilder:
		b.Append(true)
		for i, k := range v.Map().Keys {
			appendArrow(b.KeyBuilder(), *t.Key, k)
			appendArrow(b.ItemBuilder(), *t.Elem, v.Map().Values[i])
		}
	case *array.ListBuilder:
		b.Append(true)
		for _, e := range v.Elems() {
			appendArrow(b.ValueBuilder(), *t.Elem, e)
		}
	case *array.StructBuilder:
		b.Append(true)
		for i, e := range v.Elems() {
			appendArrow(b.FieldBuilder(i), t.Fields[i].Type, e)
		}
	}
}
