package executor

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

// Defaults of Config.
const (
	DefaultMaxTaskSkew    = time.Second            // max.task.skew.ms
	DefaultCommitInterval = 100 * time.Millisecond // commit.interval.ms
	DefaultCommitMinDelay = 2 * time.Millisecond   // 25 ms suits a cluster
	DefaultCommitBytes    = 8 << 20
	DefaultRestartBackoff = 500 * time.Millisecond
	DefaultRestartMax     = time.Minute
	DefaultPushBuffer     = 4096
	DefaultPushMaxLag     = 30 * time.Second // push.max.lag
	DefaultFetchBytes     = 1 << 20
	DefaultStateMemory    = 1 << 30 // state.memory.max.bytes
)

// Config is what an executor is made of. Zero fields take their defaults.
type Config struct {
	// Log is where records come from and go to. Required.
	Log Log
	// Partitions answers the partition count of a topic. Required. It is asked
	// when a query starts, for its sources, sinks, repartition and changelog
	// topics, which the engine has created by then.
	Partitions func(topic string) (int32, error)
	// Schemas is the schema registry, nil where there is none: queries over formats
	// that need one then fail to start.
	Schemas format.Schemas
	Clock   clock.Clock
	// State is the process's state store on disk. Restarts read it and the tail
	// of the changelogs; without it they read the changelogs whole.
	State *state.Backend
	// StateMemory is the memory, in bytes, that the stores of all queries may
	// take. Above it they evict what State holds as well; stores without a place
	// there (of push queries, and of tables that restore from their own topic)
	// count but stay. Without State nothing is evicted.
	StateMemory int64
	// Workers is the number of goroutines that run tasks, GOMAXPROCS by default.
	Workers int
	// LogWaits says that OpenTxn, Committed and Bounds of Log wait for a network.
	// Tasks then call them in goroutines of their own, at most one a task, instead
	// of on a worker.
	LogWaits bool
	// MaxTaskSkew is how far ahead in event time a task that feeds a repartition
	// topic may run of what its peers have committed. Where only windows stand
	// behind the topic it is at least 1/16 of their grace.
	MaxTaskSkew time.Duration
	// A task commits when its inputs are drained and the larger of
	// CommitMinDelay and twice the last commit's duration has passed, at
	// CommitBytes staged, or after CommitInterval.
	CommitInterval time.Duration
	CommitMinDelay time.Duration
	CommitBytes    int
	// RestartBackoff is the pause before a failed query's first restart; it
	// doubles up to RestartMax.
	RestartBackoff time.Duration
	RestartMax     time.Duration
	// ProcessingLog takes the rows of bad records (DESIGN D10); an empty Topic
	// keeps counters only. ProcessingLogSchema is its shape, format JSON.
	ProcessingLog kafka.TopicPartition
	// AppendLog appends entries of push and pull queries to ProcessingLog, durably.
	// Without it they are counted only. Entries of persistent queries are part of
	// what their tasks commit.
	AppendLog func(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) error
	// PushBuffer is the number of rows that a push query buffers; when it stays
	// full for PushMaxLag the query ends with ErrSlowReader.
	PushBuffer int
	PushMaxLag time.Duration
	// FetchBytes is what one poll of one topic-partition returns at most, about.
	FetchBytes int
	Logger     *slog.Logger
	// OnStatus is told of every change of a query's state. It must not block nor
	// call the executor.
	OnStatus func(Status)

	batchRows int            // rows per decoded batch
	onEntry   func(LogEntry) // takes the entries of the processing log as well
	budget    *state.Budget
}

// withDefaults checks the configuration and fills what is not set.
func (c Config) withDefaults() (*Config, error) {
	if c.Log == nil || c.Partitions == nil {
		return nil, errors.New("executor: Config needs Log and Partitions")
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	setDefault(&c.MaxTaskSkew, DefaultMaxTaskSkew)
	setDefault(&c.CommitInterval, DefaultCommitInterval)
	setDefault(&c.CommitMinDelay, DefaultCommitMinDelay)
	setDefault(&c.CommitBytes, DefaultCommitBytes)
	setDefault(&c.RestartBackoff, DefaultRestartBackoff)
	setDefault(&c.RestartMax, DefaultRestartMax)
	setDefault(&c.PushBuffer, DefaultPushBuffer)
	setDefault(&c.PushMaxLag, DefaultPushMaxLag)
	setDefault(&c.FetchBytes, DefaultFetchBytes)
	setDefault(&c.batchRows, batch.MaxRows)
	setDefault(&c.StateMemory, DefaultStateMemory)
	c.budget = state.NewBudget(c.StateMemory)
	return &c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// StartOptions say how a persistent query runs.
type StartOptions struct {
	// Group is the consumer group whose offsets the query commits. Offsets of
	// -1 start at the first readable one. Required.
	Group string
	// TxnPrefix names the query's transactional units; each task appends its
	// sub-plan and partition. The group's name by default.
	TxnPrefix string
	// Paused starts the query without running it.
	Paused bool
}
