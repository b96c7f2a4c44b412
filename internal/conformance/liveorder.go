package main

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
)

// order says which topics of a case hold one defined sequence of records when all
// queries run at once. The corpus runs them one by one, each to its end over
// everything that its topics hold, and expects what follows from that.
//
// A topic's order is not defined when
//   - two queries write it (INSERT INTO): the corpus expects all of one, then all
//     of the other;
//   - a query writes it and the case feeds it: the corpus reads only what it fed;
//   - the query that writes it reads several topics, and one of them is another
//     query's, or holds INSERT VALUES: the corpus reads such a topic as a whole
//     after everything fed, a pipeline reads it as it grows;
//   - it follows from a topic whose order is not defined.
type order struct {
	fed     map[string]bool // by the case's inputs
	writers map[string][]*plan.Query
	// inserted are topics that INSERT VALUES wrote.
	inserted map[string]bool
}

func newOrder(c *testCase, cat *catalog.Catalog, inserted map[string]bool) order {
	o := order{fed: map[string]bool{}, writers: map[string][]*plan.Query{}, inserted: inserted}
	for _, in := range c.Inputs {
		o.fed[in.Topic] = true
	}
	for _, q := range cat.Queries() {
		topic := sinkTopic(q.Plan)
		o.writers[topic] = append(o.writers[topic], q.Plan)
	}
	return o
}

// sinkTopic returns the topic that a query writes.
func sinkTopic(q *plan.Query) string {
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			if s, ok := n.Op.(*plan.Sink); ok {
				return s.Topic
			}
		}
	}
	return ""
}

// undefined returns why a topic's order is not defined, "" when it is.
func (o order) undefined(topic string) string { return o.visit(topic, nil) }

func (o order) visit(topic string, below []string) string {
	writers := o.writers[topic]
	switch {
	case len(writers) == 0:
		return ""
	case len(writers) > 1:
		return fmt.Sprintf("%d queries write %s", len(writers), topic)
	case o.fed[topic] || o.inserted[topic]:
		return topic + " is fed and written"
	case slices.Contains(below, topic):
		return topic + " follows from itself"
	}
	sources := slices.Compact(slices.Sorted(slices.Values(writers[0].SourceTopics())))
	for _, s := range sources {
		if len(sources) > 1 && (len(o.writers[s]) > 0 || o.inserted[s]) {
			return fmt.Sprintf("%s comes from %d topics, and %s is not fed record by record", topic, len(sources), s)
		}
		if why := o.visit(s, append(below, topic)); why != "" {
			return why
		}
	}
	return ""
}

// meet reports whether some query reads both topics, or what follows from them:
// the order between their records then shows.
func (o order) meet(a, b string) bool {
	for _, queries := range o.writers {
		for _, q := range queries {
			if o.reads(q, a, nil) && o.reads(q, b, nil) {
				return true
			}
		}
	}
	return false
}

func (o order) reads(q *plan.Query, topic string, below []*plan.Query) bool {
	if slices.Contains(below, q) {
		return false
	}
	for _, s := range q.SourceTopics() {
		if s == topic {
			return true
		}
		for _, up := range o.writers[s] {
			if o.reads(up, topic, append(below, q)) {
				return true
			}
		}
	}
	return false
}

// byTimestamp reports whether the order of a case's records is that of their
// timestamps wherever it shows, so that it does not matter when they arrive: a
// task takes the smallest timestamp that its inputs hold. Behind a repartition
// that holds within a bound only (max.task.skew.ms), and a source that takes its
// time from a column has another one than its records.
func (o order) byTimestamp(inputs []record) bool {
	for _, queries := range o.writers {
		for _, q := range queries {
			for _, sub := range q.SubPlans {
				for _, n := range sub.Nodes {
					if s, ok := n.Op.(*plan.Source); len(q.SubPlans) > 1 || ok && s.Timestamp != nil {
						return false
					}
				}
			}
		}
	}
	latest := map[string]int64{}
	for _, in := range inputs {
		at := int64(0)
		if in.Timestamp != nil {
			at = *in.Timestamp
		}
		for topic, before := range latest {
			if topic != in.Topic && o.meet(topic, in.Topic) && at <= before {
				return false
			}
		}
		latest[in.Topic] = max(at, latest[in.Topic])
	}
	return true
}
