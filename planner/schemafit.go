package planner

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql/types"
)

// unfit says what of the declared columns of one side does not fit the schema that
// its subject has already, and what will happen. It refuses nothing: as in ksqlDB a
// declared source may read what it likes of a topic that others write, and a schema
// is registered by the first who writes.
func (p *planner) unfit(src *catalog.Source, s recordSide) (warnings []string) {
	f, declared := src.Value, src.BodyColumns()
	if s.key {
		f, declared = src.Key, src.Schema.Key
	}
	if p.Schemas == nil || !formatInfo(f.Name).Infers || f.SchemaID != 0 || len(declared) == 0 {
		return nil
	}
	subject := src.Topic + "-" + s.word
	cols := declared
	in, err := p.Schemas.Infer(src.Topic, s.key, f)
	switch {
	case errors.Is(err, ErrNoSchema):
		return nil
	case err != nil:
		warnings = append(warnings, fmt.Sprintf("the registered schema of subject %s cannot be compared with the declared columns: %v", subject, err))
		cols = nil
	}
	for _, c := range cols {
		registered, ok := findColumn(in.Columns, c.Name)
		if f.Unwrapped && len(in.Columns) == 1 {
			registered, ok = in.Columns[0], true
		}
		switch {
		case !ok:
			warnings = append(warnings, fmt.Sprintf("column %s is not in the registered schema of subject %s: it is NULL in the records written with that schema", c.Name, subject))
		case !registered.Type.Equal(c.Type):
			warnings = append(warnings, fmt.Sprintf("column %s is %s, but %s in the registered schema of subject %s: records whose value does not fit are left out", c.Name, c.Type, registered.Type, subject))
		}
	}
	if src.ReadOnly {
		return warnings
	}
	if s.key {
		if len(warnings) > 0 {
			warnings = append(warnings, fmt.Sprintf("INSERT INTO %s will be refused: keys are written by the registered schema of subject %s only", src.Name, subject))
		}
	} else if err := p.Schemas.Check(src.Topic, s.key, f, declared, true); err != nil {
		warnings = append(warnings, fmt.Sprintf("INSERT INTO %s will be refused: %v", src.Name, err))
	}
	return warnings
}

// findColumn looks a column up as readers of records do: by its name, else by its
// name in any case.
func findColumn(cols []types.Column, name string) (found types.Column, ok bool) {
	for _, c := range cols {
		if c.Name == name {
			return c, true
		}
		if strings.EqualFold(c.Name, name) {
			found, ok = c, true
		}
	}
	return found, ok
}
