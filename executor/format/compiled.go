package format

import (
	"sync"

	"github.com/millrace/millrace/executor/format/registry"
)

const (
	// MaxCompiledSchemas bounds the compiled schemas of each kind that are kept. When
	// they are more, all are dropped: a server's queries and statements come back to
	// few.
	MaxCompiledSchemas = 256
	// MaxCompiledSchemaBytes is how long the text of a schema may be that is kept
	// compiled.
	MaxCompiledSchemaBytes = 64 << 10
)

// compiledSchemas keeps compiled schemas by their text, for all tasks and
// statements. What it keeps must not change any more. A schema with references is
// compiled anew each time: what they stand for is the registry's to say.
type compiledSchemas[T any] struct {
	mu sync.Mutex // guards m; held for look-ups only
	m  map[string]T
}

// get returns the compiled form of a schema. Errors are not kept.
func (c *compiledSchemas[T]) get(s registry.Schema, compile func() (T, error)) (T, error) {
	if len(s.References) > 0 || len(s.Text) > MaxCompiledSchemaBytes {
		return compile()
	}
	c.mu.Lock()
	t, ok := c.m[s.Text]
	c.mu.Unlock()
	if ok {
		return t, nil
	}
	t, err := compile()
	if err != nil {
		return t, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= MaxCompiledSchemas || c.m == nil {
		c.m = map[string]T{}
	}
	c.m[s.Text] = t
	return t, nil
}
