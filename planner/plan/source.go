package plan

// Source reads a topic as a stream or a table. It has no inputs. The node's
// schema is the declared one; header columns are value columns.
type Source struct {
	Name  string `json:"name"` // the stream or table
	Topic string `json:"topic"`
	Key   Format `json:"key"`
	Value Format `json:"value"`
	// Timestamp is the column that gives the row time, nil for the record's own.
	Timestamp *TimestampColumn `json:"timestamp,omitempty"`
	// Needed marks the columns that the plan reads, by column number; others
	// need not be decoded.
	Needed []bool `json:"needed"`
	// Headers holds, per column number, "*" for a HEADERS column, "=key" for a
	// HEADER('key') column, and "" for a column of the key or value.
	Headers []string `json:"headers,omitempty"`
	// Store materialises a table so that changes carry their before rows, nil
	// when the plan proves that they are not needed, and for streams. A table
	// without a store still drops null keys and turns null values into deletes.
	Store *Store `json:"store,omitempty"`
}

// Kind returns "source".
func (*Source) Kind() string { return "source" }

// TimestampColumn says which column holds event time.
type TimestampColumn struct {
	Column int `json:"column"`
	// Format is a java.time pattern for a STRING column, else empty: BIGINT and
	// TIMESTAMP columns hold ms.
	Format string `json:"format,omitempty"`
}

// Format is a serialisation format of a key or value.
type Format struct {
	Name string `json:"name"` // JSON, DELIMITED, KAFKA, NONE, ...
	// Delimiter of DELIMITED, one character; empty for a comma.
	Delimiter string `json:"delimiter,omitempty"`
	// Unwrapped marks a single column that stands by itself, not in a record.
	Unwrapped bool `json:"unwrapped,omitempty"`
	// SchemaID, SchemaName and NullableRepresentation belong to registry formats.
	SchemaID               int32  `json:"schemaId,omitempty"`
	SchemaName             string `json:"schemaName,omitempty"`
	NullableRepresentation string `json:"nullableRepresentation,omitempty"`
}

// RepartitionSource reads the repartition topic that an earlier sub-plan's
// Repartition writes. It has no inputs.
type RepartitionSource struct {
	Topic string `json:"topic"`
	// Store materialises a re-keyed table; nil for streams.
	Store *Store `json:"store,omitempty"`
}

// Kind returns "repartition source".
func (*RepartitionSource) Kind() string { return "repartition source" }
