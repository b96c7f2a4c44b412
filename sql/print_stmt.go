package sql

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PrintStatement returns the canonical SQL of a statement on one line, without
// the semicolon. Parsing and printing the result gives it again.
func PrintStatement(s Statement) string {
	var p printer
	p.statement(s)
	return p.b.String()
}

func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *Select:
		p.query(s.Query)
	case *CreateSource:
		p.create(s.OrReplace, s.ReadOnly, s.Kind, s.IfNotExists, s.Name)
		if s.Columns != nil {
			p.s(" (")
			p.list(len(s.Columns), func(i int) { p.columnDef(s.Columns[i]) })
			p.s(")")
		}
		p.with(s.With)
	case *CreateAs:
		p.create(s.OrReplace, false, s.Kind, s.IfNotExists, s.Name)
		p.with(s.With)
		p.s(" AS ")
		p.query(s.Query)
	case *InsertSelect:
		p.s("INSERT INTO ")
		p.ident(s.Target)
		p.with(s.With)
		p.s(" ")
		p.query(s.Query)
	case *InsertValues:
		p.insertValues(s)
	case *DropSource:
		p.s("DROP ", strings.ToUpper(s.Kind.String()), " ", when(s.IfExists, "IF EXISTS "))
		p.ident(s.Name)
		p.s(when(s.DeleteTopic, " DELETE TOPIC"))
	case *AlterSource:
		p.s("ALTER ", strings.ToUpper(s.Kind.String()), " ")
		p.ident(s.Name)
		p.s(" ")
		p.list(len(s.Add), func(i int) {
			p.s("ADD COLUMN ")
			p.columnDef(s.Add[i])
		})
	case *CreateType:
		p.s("CREATE TYPE ", when(s.IfNotExists, "IF NOT EXISTS "))
		p.ident(s.Name)
		p.s(" AS ", PrintType(s.Type))
	case *DropType:
		p.s("DROP TYPE ", when(s.IfExists, "IF EXISTS "))
		p.ident(s.Name)
	case *Explain:
		p.s("EXPLAIN ")
		if s.Statement != nil {
			p.statement(s.Statement)
		} else {
			p.ident(s.QueryID)
		}
	default:
		p.admin(s)
	}
}

func (p *printer) admin(s Statement) {
	switch s := s.(type) {
	case *Show:
		p.s("SHOW ", when(s.All, "ALL "), showNames[s.What], when(s.Extended, " EXTENDED"))
	case *Describe:
		p.describe(s)
	case *Print:
		p.print(s)
	case *QueryControl:
		p.s([...]string{"TERMINATE ", "PAUSE ", "RESUME "}[s.Action])
		if s.All {
			p.s("ALL")
		} else {
			p.ident(s.QueryID)
		}
	case *Set:
		p.s("SET ", printString(s.Name), " = ", printString(s.Value))
	case *Unset:
		p.s("UNSET ", printString(s.Name))
	case *AlterSystem:
		p.s("ALTER SYSTEM ", printString(s.Name), " = ", printString(s.Value))
	case *Define:
		p.s("DEFINE ", s.Name.Name, " = ", printString(s.Value))
	case *Undefine:
		p.s("UNDEFINE ", s.Name.Name)
	case *RunScript:
		p.s("RUN SCRIPT ", printString(s.File))
	case *AssertTopic:
		p.s("ASSERT ", when(s.NotExists, "NOT EXISTS "), "TOPIC ", printString(s.Topic.Name))
		p.with(s.With)
		p.duration(" TIMEOUT ", s.Timeout)
	case *AssertSchema:
		p.s("ASSERT ", when(s.NotExists, "NOT EXISTS "), "SCHEMA")
		if s.Subject.Name != "" {
			p.s(" SUBJECT ", printString(s.Subject.Name))
		}
		if s.ID != 0 {
			p.s(" ID ", strconv.Itoa(int(s.ID)))
		}
		p.duration(" TIMEOUT ", s.Timeout)
	default:
		panic(fmt.Sprintf("no text for %T", s))
	}
}

var showNames = [...]string{"STREAMS", "TABLES", "TOPICS", "QUERIES", "FUNCTIONS", "PROPERTIES", "TYPES", "VARIABLES", "CONNECTORS"}

func when(b bool, s string) string {
	if b {
		return s
	}
	return ""
}

func (p *printer) create(replace, readOnly bool, kind SourceKind, ifNotExists bool, name Ident) {
	p.s("CREATE ", when(replace, "OR REPLACE "), when(readOnly, "SOURCE "), strings.ToUpper(kind.String()), " ",
		when(ifNotExists, "IF NOT EXISTS "))
	p.ident(name)
}

func (p *printer) columnDef(c ColumnDef) {
	p.ident(c.Name)
	p.s(" ", PrintType(c.Type))
	switch c.Mark {
	case MarkKey:
		p.s(" KEY")
	case MarkPrimaryKey:
		p.s(" PRIMARY KEY")
	case MarkHeaders:
		p.s(" HEADERS")
	case MarkHeader:
		p.s(" HEADER(", printString(c.Header), ")")
	}
}

func (p *printer) with(props []Property) {
	if props == nil {
		return
	}
	p.s(" WITH (")
	p.list(len(props), func(i int) {
		if name := props[i].Name.Name; plainName(name) && !Reserved(name) {
			p.s(name)
		} else {
			p.s(printString(name))
		}
		p.s("=", printLiteral(props[i].Value))
	})
	p.s(")")
}

func (p *printer) insertValues(s *InsertValues) {
	p.s("INSERT INTO ")
	p.ident(s.Target)
	if s.Columns != nil {
		p.s(" (")
		p.list(len(s.Columns), func(i int) { p.ident(s.Columns[i]) })
		p.s(")")
	}
	p.s(" VALUES (")
	p.exprs(s.Values)
	p.s(")")
}

func (p *printer) describe(s *Describe) {
	p.s("DESCRIBE ")
	switch s.What {
	case DescribeStreams:
		p.s("STREAMS")
	case DescribeTables:
		p.s("TABLES")
	case DescribeFunction:
		p.s("FUNCTION ")
		p.ident(s.Name)
	default:
		if s.Name.Name == "TABLES" || s.Name.Name == "FUNCTION" {
			p.s("`", s.Name.Name, "`")
		} else {
			p.ident(s.Name)
		}
	}
	p.s(when(s.Extended, " EXTENDED"))
}

func (p *printer) print(s *Print) {
	p.s("PRINT ", printString(s.Topic.Name), when(s.FromBeginning, " FROM BEGINNING"))
	if s.Interval != 0 {
		p.s(" INTERVAL ", strconv.Itoa(s.Interval))
	}
	if s.Limit >= 0 {
		p.s(" LIMIT ", strconv.Itoa(s.Limit))
	}
}

func (p *printer) query(q *Query) {
	p.s("SELECT ")
	p.list(len(q.Items), func(i int) { p.item(q.Items[i]) })
	p.s(" FROM ")
	p.sourceRef(q.From.Source)
	for _, j := range q.From.Joins {
		p.join(j)
	}
	if q.Window != nil {
		p.window(q.Window)
	}
	if q.Where != nil {
		p.s(" WHERE ")
		p.expr(q.Where, 0)
	}
	p.valueList(" GROUP BY ", q.GroupBy)
	p.valueList(" PARTITION BY ", q.PartitionBy)
	if q.Having != nil {
		p.s(" HAVING ")
		p.expr(q.Having, 0)
	}
	p.s([...]string{"", " EMIT CHANGES", " EMIT FINAL"}[q.Emit])
	if q.Limit >= 0 {
		p.s(" LIMIT ", strconv.Itoa(q.Limit))
	}
}

func (p *printer) item(item SelectItem) {
	switch {
	case item.Star && item.Expr != nil:
		p.expr(item.Expr, bindPrimary)
		p.s("->*")
	case item.Star && item.Source.Name != "":
		p.ident(item.Source)
		p.s(".*")
	case item.Star:
		p.s("*")
	default:
		p.expr(item.Expr, 0)
	}
	if item.Alias.Name != "" {
		p.s(" AS ")
		p.ident(item.Alias)
	}
}

func (p *printer) sourceRef(r SourceRef) {
	p.ident(r.Name)
	if r.Alias.Name != "" {
		p.s(" AS ")
		p.ident(r.Alias)
	}
}

func (p *printer) join(j Join) {
	p.s([...]string{" INNER", " LEFT", " RIGHT", " FULL"}[j.Kind], " JOIN ")
	p.sourceRef(j.Source)
	if w := j.Within; w != nil {
		p.s(" WITHIN ")
		if w.Before == w.After {
			p.s(printDuration(w.Before))
		} else {
			p.s("(", printDuration(w.Before), ", ", printDuration(w.After), ")")
		}
		p.duration(" GRACE PERIOD ", w.Grace)
	}
	p.s(" ON ")
	p.expr(j.On, 0)
}

func (p *printer) window(w *Window) {
	switch w.Kind {
	case Tumbling:
		p.s(" WINDOW TUMBLING (SIZE ", printDuration(w.Size))
	case Hopping:
		p.s(" WINDOW HOPPING (SIZE ", printDuration(w.Size), ", ADVANCE BY ", printDuration(w.Advance))
	case Session:
		p.s(" WINDOW SESSION (", printDuration(w.Size))
	}
	p.duration(", RETENTION ", w.Retention)
	p.duration(", GRACE PERIOD ", w.Grace)
	p.s(")")
}

// valueList prints GROUP BY or PARTITION BY. Parentheses around a lone
// expression belong to the clause (see stripParens).
func (p *printer) valueList(clause string, list []Expr) {
	if len(list) == 0 {
		return
	}
	p.s(clause)
	p.list(len(list), func(i int) { p.expr(list[i], bindConcat) })
}

func (p *printer) duration(prefix string, d *Duration) {
	if d != nil {
		p.s(prefix, printDuration(d.Value))
	}
}

// printDuration uses the longest unit that gives a whole number.
func printDuration(d time.Duration) string {
	for _, unit := range []string{"DAYS", "HOURS", "MINUTES", "SECONDS"} {
		if length := unitLength[unit]; d != 0 && d%length == 0 {
			return fmt.Sprintf("%d %s", d/length, unit)
		}
	}
	return fmt.Sprintf("%d MILLISECONDS", d/time.Millisecond)
}
