package engine

import (
	"fmt"
	"sync"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/catalog"
)

const (
	// maxInsertSources bounds the sources whose codecs are kept between INSERT VALUES.
	// When they are more, all are dropped.
	maxInsertSources = 256
	// maxIdleRows bounds the codecs kept for one source: as many statements insert
	// into it at once without making new ones.
	maxIdleRows = 4
)

// insertRows are the codecs of a source's key and value. They belong to one
// statement at a time. A side without columns has none.
type insertRows struct {
	source     *catalog.Source
	key, value *format.Row
}

func newInsertRows(src *catalog.Source, schemas format.Schemas) (*insertRows, error) {
	r := &insertRows{source: src}
	var err error
	if len(src.Schema.Key) > 0 {
		if r.key, err = format.NewRow(src.Key, src.Schema.Key, format.Side{Topic: src.Topic, Key: true, Schemas: schemas}); err != nil {
			return nil, fmt.Errorf("could not serialize key: %w", err)
		}
	}
	if len(src.Schema.Value) > 0 {
		if r.value, err = format.NewRow(src.Value, src.Schema.Value, format.Side{Topic: src.Topic, Schemas: schemas}); err != nil {
			return nil, fmt.Errorf("could not serialize value: %w", err)
		}
	}
	return r, nil
}

// insertCache keeps codecs between statements: making one compiles a schema. A
// source of the catalog is never changed but replaced, so that codecs of an older
// one are told by its address.
type insertCache struct {
	mu   sync.Mutex // guards idle; leaf
	idle map[string][]*insertRows
}

// take returns codecs for a source, for give to take back.
func (c *insertCache) take(src *catalog.Source, schemas format.Schemas) (*insertRows, error) {
	c.mu.Lock()
	if list := c.idle[src.Name]; len(list) > 0 && list[0].source == src {
		r := list[len(list)-1]
		c.idle[src.Name] = list[:len(list)-1]
		c.mu.Unlock()
		return r, nil
	}
	c.mu.Unlock()
	return newInsertRows(src, schemas)
}

func (c *insertCache) give(r *insertRows) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := r.source.Name
	if _, ok := c.idle[name]; c.idle == nil || !ok && len(c.idle) >= maxInsertSources {
		c.idle = map[string][]*insertRows{}
	}
	list := c.idle[name]
	if len(list) > 0 && list[0].source != r.source {
		list = nil
	}
	if len(list) < maxIdleRows {
		list = append(list, r)
	}
	c.idle[name] = list
}
