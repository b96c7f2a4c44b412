package engine

import (
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
)

// ProcessingLogStream is the stream over the processing log: the records that
// queries left out or changed, with query, topic-partition, offset, cause and
// bytes. It is there from the start, is read-only, cannot be dropped, and SHOW
// STREAMS leaves it out as SHOW TOPICS leaves out its topic.
const ProcessingLogStream = "KSQL_PROCESSING_LOG"

// withProcessingLog returns the catalog that the command log is replayed on. A
// directory whose command log creates a stream of the same name keeps its own.
func (e *Engine) withProcessingLog(cat *catalog.Catalog) *catalog.Catalog {
	return cat.WithSource(&catalog.Source{
		Name: ProcessingLogStream, Kind: catalog.Stream, Schema: executor.ProcessingLogSchema, Topic: e.ProcessingLogTopic(),
		Key: plan.Format{Name: "NONE"}, Value: plan.Format{Name: "JSON"}, ReadOnly: true,
		Text: "CREATE SOURCE STREAM " + ProcessingLogStream + " (" + executor.ProcessingLogSchema.String("KEY") +
			") WITH (KAFKA_TOPIC='" + e.ProcessingLogTopic() + "', VALUE_FORMAT='JSON');",
	})
}

// systemSource reports whether a source is the engine's own.
func (e *Engine) systemSource(src *catalog.Source) bool {
	return src.ReadOnly && src.Topic == e.ProcessingLogTopic() && src.Name == ProcessingLogStream
}
