// Package catalog holds the streams, tables, types and queries that exist, as
// immutable snapshots. A change makes a new Catalog that shares what did not
// change; readers keep the one they have. Package engine owns the current one.
package catalog

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Kind tells streams from tables.
type Kind string

// The kinds of source.
const (
	Stream Kind = "STREAM"
	Table  Kind = "TABLE"
)

// Word returns "stream" or "table", for messages.
func (k Kind) Word() string {
	if k == Table {
		return "table"
	}
	return "stream"
}

// Source is a stream or table.
type Source struct {
	Name   string       `json:"name"`
	Kind   Kind         `json:"kind"`
	Schema types.Schema `json:"schema"`
	// Topic, Key, Value, Timestamp, Headers and Windowed are as plan.Source has
	// them.
	Topic     string                `json:"topic"`
	Key       plan.Format           `json:"key"`
	Value     plan.Format           `json:"value"`
	Timestamp *plan.TimestampColumn `json:"timestamp,omitempty"`
	Headers   []string              `json:"headers,omitempty"`
	Windowed  *plan.WindowInfo      `json:"windowed,omitempty"`
	// ReadOnly marks CREATE SOURCE STREAM or TABLE.
	ReadOnly bool `json:"readOnly,omitempty"`
	// Text is the statement that made it.
	Text string `json:"text"`
	// QueryID is the CREATE ... AS query that writes it, or the internal query
	// that materialises a SOURCE TABLE; empty for a plain source.
	QueryID string `json:"queryId,omitempty"`
	// Store is the store of QueryID that holds the table for pull queries, empty
	// when it is not materialised.
	Store string `json:"store,omitempty"`
}

// TimestampColumnName returns the name of the WITH(TIMESTAMP) column, or "".
func (s *Source) TimestampColumnName() string {
	if s.Timestamp == nil {
		return ""
	}
	return s.Schema.Column(s.Timestamp.Column).Name
}

// BodyColumns are the value columns that stand in the record's value, not in its
// headers.
func (s *Source) BodyColumns() []types.Column {
	if s.Headers == nil {
		return s.Schema.Value
	}
	var cols []types.Column
	for i, c := range s.Schema.Value {
		if s.Headers[len(s.Schema.Key)+i] == "" {
			cols = append(cols, c)
		}
	}
	return cols
}

// HasHeaders reports whether any column is read from record headers.
func (s *Source) HasHeaders() bool {
	return slices.ContainsFunc(s.Headers, func(h string) bool { return h != "" })
}

// Query is a persistent query.
type Query struct {
	ID   string      `json:"id"`
	Plan *plan.Query `json:"plan"`
	// Paused says that the user paused it.
	Paused bool `json:"paused,omitempty"`
}

// Catalog is an immutable snapshot.
type Catalog struct {
	version int64
	sources map[string]*Source
	types   map[string]types.Type
	queries map[string]*Query
	order   []string // query ids in order of creation
}

// Version counts the changes since the catalog was empty.
func (c *Catalog) Version() int64 {
	if c == nil {
		return 0
	}
	return c.version
}

// Source returns the stream or table with exactly this name, or nil.
func (c *Catalog) Source(name string) *Source {
	if c == nil {
		return nil
	}
	return c.sources[name]
}

// Sources returns all streams and tables by name.
func (c *Catalog) Sources() []*Source {
	if c == nil {
		return nil
	}
	out := make([]*Source, 0, len(c.sources))
	for _, name := range slices.Sorted(maps.Keys(c.sources)) {
		out = append(out, c.sources[name])
	}
	return out
}

// Type returns the custom type of this name.
func (c *Catalog) Type(name string) (types.Type, bool) {
	if c == nil {
		return types.Type{}, false
	}
	t, ok := c.types[name]
	return t, ok
}

// TypeNames returns the names of the custom types in order.
func (c *Catalog) TypeNames() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.types))
}

// Query returns the persistent query with this id, or nil.
func (c *Catalog) Query(id string) *Query {
	if c == nil {
		return nil
	}
	return c.queries[id]
}

// Queries returns the persistent queries in order of creation.
func (c *Catalog) Queries() []*Query {
	if c == nil {
		return nil
	}
	out := make([]*Query, len(c.order))
	for i, id := range c.order {
		out[i] = c.queries[id]
	}
	return out
}

// ReadBy returns the ids of the queries that read a source.
func (c *Catalog) ReadBy(source string) []string {
	return c.queryIDs(func(q *Query) bool { return slices.Contains(q.Plan.Sources, source) })
}

// WrittenBy returns the ids of the queries that write a source.
func (c *Catalog) WrittenBy(source string) []string {
	return c.queryIDs(func(q *Query) bool { return q.Plan.SinkName == source })
}

// Feeding returns the ids of the queries that write a source's topic, under
// whatever name.
func (c *Catalog) Feeding(source string) []string {
	src := c.Source(source)
	if src == nil {
		return nil
	}
	return c.queryIDs(func(q *Query) bool {
		sink := c.Source(q.Plan.SinkName)
		return sink != nil && sink.Topic == src.Topic
	})
}

func (c *Catalog) queryIDs(match func(*Query) bool) []string {
	var ids []string
	for _, q := range c.Queries() {
		if match(q) {
			ids = append(ids, q.ID)
		}
	}
	return ids
}

// clone returns a copy whose maps may be changed.
func (c *Catalog) clone() *Catalog {
	if c == nil {
		c = &Catalog{}
	}
	n := &Catalog{
		version: c.version + 1,
		sources: maps.Clone(c.sources),
		types:   maps.Clone(c.types),
		queries: maps.Clone(c.queries),
		order:   slices.Clone(c.order),
	}
	if n.sources == nil {
		n.sources = map[string]*Source{}
	}
	if n.types == nil {
		n.types = map[string]types.Type{}
	}
	if n.queries == nil {
		n.queries = map[string]*Query{}
	}
	return n
}

// WithSource returns a catalog that has s, in place of any source of its name.
func (c *Catalog) WithSource(s *Source) *Catalog {
	n := c.clone()
	n.sources[s.Name] = s
	return n
}

// WithoutSource returns a catalog that lacks the source.
func (c *Catalog) WithoutSource(name string) *Catalog {
	n := c.clone()
	delete(n.sources, name)
	return n
}

// WithType returns a catalog that has the custom type.
func (c *Catalog) WithType(name string, t types.Type) *Catalog {
	n := c.clone()
	n.types[name] = t
	return n
}

// WithoutType returns a catalog that lacks the custom type.
func (c *Catalog) WithoutType(name string) *Catalog {
	n := c.clone()
	delete(n.types, name)
	return n
}

// WithQuery returns a catalog that has q, in place of any query of its id.
func (c *Catalog) WithQuery(q *Query) *Catalog {
	n := c.clone()
	if n.queries[q.ID] == nil {
		n.order = append(n.order, q.ID)
	}
	n.queries[q.ID] = q
	return n
}

// WithoutQuery returns a catalog that lacks the query.
func (c *Catalog) WithoutQuery(id string) *Catalog {
	n := c.clone()
	delete(n.queries, id)
	n.order = slices.DeleteFunc(n.order, func(o string) bool { return o == id })
	return n
}
