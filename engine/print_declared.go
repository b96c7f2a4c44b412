package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// bareFormat is the format whose payloads cannot be told from other bytes and mean
// nothing without their columns: only a declaration says what they are.
const bareFormat = "PROTOBUF_NOSR"

// declaredSide is what the streams and tables over a topic say about one side of
// its records in bareFormat.
type declaredSide struct {
	decoder *printDecoder
	// windowed says that a window stands behind a key.
	windowed *plan.WindowInfo
	// note is the line about the format.
	note string
}

// declare finds how the catalog's streams and tables read a topic in bareFormat. Where
// they do not agree the payloads stay what PrintPayload makes of them, and the note
// says so.
func (p *payloadPrinter) declare(cat *catalog.Catalog) {
	for _, key := range []bool{true, false} {
		var first *catalog.Source
		var names []string
		agree, bare := true, false
		for _, src := range cat.Sources() {
			f, cols := sideOf(src, key)
			if src.Topic != p.topic || len(cols) == 0 {
				continue
			}
			bare = bare || f.Name == bareFormat
			if names = append(names, src.Kind.Word()+" "+src.Name); first == nil {
				first = src
				continue
			}
			firstFormat, firstCols := sideOf(first, key)
			agree = agree && f == firstFormat && (src.Windowed == nil) == (first.Windowed == nil) && slices.EqualFunc(cols, firstCols, func(a, b types.Column) bool { return a.Name == b.Name && a.Type.Equal(b.Type) })
		}
		if !bare {
			continue
		}
		d := &declaredSide{note: fmt.Sprintf("%s as declared by %s", bareFormat, strings.Join(names, " and "))}
		p.declared[key] = d
		if !agree {
			d.note += ", which differ: shown without their columns"
			continue
		}
		f, cols := sideOf(first, key)
		d.decoder = &printDecoder{name: bareFormat, inferred: format.Inferred{Columns: cols}}
		d.decoder.row, d.decoder.err = format.NewRow(f, cols, format.Side{Topic: p.topic, Key: key, Schemas: p.schemas})
		if key {
			d.windowed = first.Windowed
		}
	}
}

func sideOf(src *catalog.Source, key bool) (plan.Format, []types.Column) {
	if key {
		return src.Key, src.Schema.Key
	}
	return src.Value, src.BodyColumns()
}

// text renders a payload, as PrintPayload does where it is not what was declared.
func (d *declaredSide) text(payload []byte) string {
	if payload == nil || d.decoder == nil || d.decoder.err != nil {
		return PrintPayload(payload)
	}
	base, start, end, err := format.SplitWindow(payload, d.windowed)
	if err != nil {
		return PrintPayload(payload)
	}
	values, err := d.decoder.row.Decode(base)
	if err != nil {
		return PrintPayload(payload)
	}
	text := string(d.decoder.text(values))
	switch {
	case d.windowed == nil:
		return text
	case len(payload)-len(base) == windowSuffixBytes:
		return fmt.Sprintf("[%s@%d]", text, start)
	}
	return fmt.Sprintf("[%s@%d/%d]", text, start, end)
}
