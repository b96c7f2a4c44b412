// Package format turns record keys and values into columns and back: JSON,
// JSON_SR, AVRO, PROTOBUF, PROTOBUF_NOSR, DELIMITED, KAFKA and NONE for topics that
// users see, a private binary form for internal topics and state.
//
// A Codec handles one side (key or value) of a topic's records. It decodes
// straight from fetched bytes into vectors, views where possible, and appends
// straight into the output batch. The whole payload is validated even when few
// columns are wanted. A Codec holds scratch memory and belongs to one task.
//
// Formats with schemas (a dialect in schema.go) also derive a schema from columns
// and columns from a schema. Where the schema is registered its id stands before
// the payload (Confluent's wire format); sub-package registry holds the schemas.
//
//	+----+--------------+------------------------------+------------------+
//	| 00 | schema id,   | PROTOBUF only: index path of | Avro binary,     |
//	|    | 4 bytes BE   | the message, zig-zag varints | protobuf or JSON |
//	+----+--------------+------------------------------+------------------+
//
// # Binary value (internal topics, state)
//
//	+------------------------+---------------------------------------------+
//	| null bits, (n+7)/8     | per column that is not NULL, in order:      |
//	| bytes, bit set = NULL  | BOOLEAN 1 byte; INTEGER BIGINT TIME DATE    |
//	|                        | TIMESTAMP zig-zag varint; DOUBLE 8 bytes BE;|
//	|                        | DECIMAL, STRING, BYTES length + bytes;      |
//	|                        | ARRAY, MAP count + values, each with a null |
//	|                        | byte before it; STRUCT as a whole row       |
//	+------------------------+---------------------------------------------+
//
// # Sortable key (internal topics, state)
//
//	per column: 00 for NULL, else 01 and
//	  BOOLEAN          1 byte
//	  INTEGER ... TS   8 bytes BE, sign bit flipped
//	  DOUBLE           8 bytes BE, sign bit flipped, negative ones inverted
//	  STRING BYTES     bytes, 00 written as 00 FF, ended by 00 01
//	  DECIMAL          33 bytes BE two's complement, sign bit flipped
//	  ARRAY            each element as a column behind a 01 byte, then 00
//	  STRUCT           its fields as columns
//
// Byte order is value order, and no key is a prefix of another one of the same
// type.
package format
