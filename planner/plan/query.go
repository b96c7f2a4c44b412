package plan

import (
	"slices"
	"strconv"

	"github.com/millrace/millrace/sql/types"
)

// Version is written into every plan. A reader understands Version and
// Version-1.
const Version = 1

// Query is the plan of one query.
type Query struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	// Text is the statement as the user typed it.
	Text string `json:"text"`
	// SubPlans are in topological order: a sub-plan reads only topics from
	// outside and repartition topics of earlier sub-plans.
	SubPlans []SubPlan `json:"subPlans"`
	// Transient marks a push query: no topics, no transactions, no store files;
	// one task reads all partitions of its inputs.
	Transient bool `json:"transient,omitempty"`
	// ResultIsTable says that the result is a table, whose rows are changes.
	ResultIsTable bool `json:"resultIsTable,omitempty"`
	// Windowed is the window of the result's key, nil when it has none.
	Windowed *WindowInfo `json:"windowed,omitempty"`
	// Result is the schema of the query's result.
	Result Schema `json:"result"`
	// Sources are the names of the streams and tables read, in plan input order,
	// without duplicates.
	Sources []string `json:"sources"`
	// SinkName is the stream or table written, empty for a transient query.
	SinkName string `json:"sinkName,omitempty"`
	// Properties are the session's properties that the plan was made with.
	Properties map[string]string `json:"properties,omitempty"`
}

// SourceTopics returns the topics that the query reads from outside, in plan
// input order.
func (q *Query) SourceTopics() []string {
	var topics []string
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			if s, ok := n.Op.(*Source); ok {
				topics = append(topics, s.Topic)
			}
		}
	}
	return topics
}

// Reader is a source of a query: one place where it reads a topic from outside.
// A topic may be read in several places, as in a join of two streams over it; each
// reader stands at an offset of its own.
type Reader struct {
	SubPlan, Node, Topic string
	Table                bool
	// Ordinal counts the readers of the topic, in plan order.
	Ordinal int
}

// Readers returns the sources of the query in plan input order.
func (q *Query) Readers() []Reader {
	var readers []Reader
	count := map[string]int{}
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			if s, ok := n.Op.(*Source); ok {
				readers = append(readers, Reader{sub.ID, n.ID, s.Topic, n.Table, count[s.Topic]})
				count[s.Topic]++
			}
		}
	}
	return readers
}

// Group returns the group that holds the reader's offsets: the query's own for
// the first reader of a topic.
func (r Reader) Group(query string) string {
	if r.Ordinal == 0 {
		return query
	}
	return query + "-reader-" + strconv.Itoa(r.Ordinal+1)
}

// ReaderGroup returns the group that holds the offsets of a source of the query,
// and the query's own for what reads no topic from outside.
func (q *Query) ReaderGroup(query, subPlan, node string) string {
	for _, r := range q.Readers() {
		if r.SubPlan == subPlan && r.Node == node {
			return r.Group(query)
		}
	}
	return query
}

// ReaderGroups returns every group that holds offsets of the query.
func (q *Query) ReaderGroups(query string) []string {
	groups := []string{query}
	for _, r := range q.Readers() {
		if g := r.Group(query); !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// Schema is the shape of a node's rows. It is types.Schema in a form that
// serialises.
type Schema = types.Schema

// SubPlan is a part of a query that runs without changing partition.
type SubPlan struct {
	// ID is unique in the query and derived from meaning.
	ID    string `json:"id"`
	Nodes []Node `json:"nodes"`
}

// Node is one operator in a sub-plan.
type Node struct {
	// ID is unique in the query and derived from meaning, not position, so that
	// a changed query finds its state again (DESIGN D13). Stores and loggers are
	// named after it.
	ID string `json:"id"`
	// Inputs are indexes of earlier nodes of the same sub-plan, in plan input
	// order.
	Inputs []int  `json:"inputs,omitempty"`
	Schema Schema `json:"schema"`
	// Table says that the node's rows are changes of a table.
	Table bool `json:"table,omitempty"`
	// Windowed is the window of the rows' keys, nil when they have none.
	Windowed *WindowInfo `json:"windowed,omitempty"`
	Op       Operator    `json:"op"`
}

// Operator is what a node does: one of the types of this package, each in a file
// of its own.
type Operator interface {
	// Kind is the operator's name in JSON and in EXPLAIN.
	Kind() string
}

// WindowKind is the kind of window of a key.
type WindowKind string

// The window kinds.
const (
	Tumbling WindowKind = "TUMBLING"
	Hopping  WindowKind = "HOPPING"
	Session  WindowKind = "SESSION"
)

// WindowInfo describes a windowed key. A time window's key bytes hold its start,
// a session's its end and start (serde.md section 4).
type WindowInfo struct {
	Kind WindowKind `json:"kind"`
	// SizeMs is the size of a time window, 0 for sessions.
	SizeMs int64 `json:"sizeMs,omitempty"`
}

// Store names a state store. Its content is a changelog topic's latest record
// per key.
type Store struct {
	// Name is unique in the query.
	Name string `json:"name"`
	// Changelog is the changelog topic, empty when the store has none of its own
	// (a plain table restores from its source topic; transient queries do not).
	Changelog string `json:"changelog,omitempty"`
}
