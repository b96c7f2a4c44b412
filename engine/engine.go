package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
)

// Version is the version of this build, as /info and `version` print it.
const Version = "0.1.0"

// DefaultServiceID names internal topics and groups when none is given.
const DefaultServiceID = "default"

// Config is what an engine is made of. Zero fields take their defaults.
type Config struct {
	// Dir is the data directory. Required without Bootstrap.
	Dir string
	// Bootstrap are addresses (host:port) of a Kafka-compatible cluster to run
	// over instead of the embedded broker. Experimental: one engine per service.
	Bootstrap []string
	FS        vfs.FS
	Clock     clock.Clock
	Logger    *slog.Logger
	// ServiceID names internal topics and consumer groups.
	ServiceID string
	// Workers is the number of goroutines that run queries, by default one per
	// processor.
	Workers int
	// StateMemory is how many bytes of state queries keep in memory
	// (state.memory.max.bytes); what is over it is read from disk when needed.
	StateMemory int64
	// Broker sets limits and defaults of the embedded broker; its directory, file
	// system, clock and logger are the engine's. Its Keys encrypt the state store
	// too.
	Broker broker.Config
	// SchemaRegistry is an external schema registry to use instead of the embedded
	// one, which its empty URL means.
	SchemaRegistry registry.ClientConfig
}

// Engine runs statements and queries over a log.
type Engine struct {
	cfg     Config
	cluster cluster
	broker  *broker.Broker // nil over an external cluster
	exec    *executor.Executor
	state   *state.Backend
	schemas *registry.Registry // the embedded one
	client  *registry.Client   // of an external registry, nil without

	catalog atomic.Pointer[catalog.Catalog]
	nextID  atomic.Int64 // of queries: the next offset of the command log

	// ddl is held while a statement changes the catalog or the schema registry. Lock order: ddl first,
	// then nothing of the engine.
	ddl sync.Mutex

	stopPurge context.CancelFunc
	purged    chan struct{} // closed when purge has ended

	transient atomic.Int64 // numbers push queries
	pushes    pushRegistry
	inserts   insertCache
}

// Open locks the data directory, recovers the log, replays the command log and
// starts the queries. It returns when statements will succeed. Errors: the
// directory is locked by another process or was made by a newer version; the log
// is corrupt.
func Open(cfg Config) (_ *Engine, err error) {
	cfg = cfg.withDefaults()
	client, err := cfg.registryClient()
	if err != nil {
		return nil, err
	}
	if len(cfg.Bootstrap) > 0 {
		if cfg.Broker.Keys != nil {
			return nil, errors.New("encryption keys have no meaning over a Kafka cluster: it holds the data")
		}
		return openOverKafka(cfg, client)
	}
	bc := cfg.Broker
	bc.Dir, bc.FS, bc.Clock, bc.Logger = cfg.Dir, cfg.FS, cfg.Clock, cfg.Logger
	b, err := broker.Open(bc)
	if err != nil {
		return nil, err
	}
	own := []string{planner.InternalPrefix + cfg.ServiceID + "-"}
	b.Protect(own, own)
	e := &Engine{cfg: cfg, cluster: embedded{b}, broker: b, schemas: NewRegistry(), client: client}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(context.Background()))
		}
	}()
	return e, e.start()
}

// openOverKafka opens an engine whose log is a cluster. The first engine of a
// service that was opened before can write no more.
func openOverKafka(cfg Config, client *registry.Client) (_ *Engine, err error) {
	c, err := openKafka(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, cluster: c, schemas: NewRegistry(), client: client}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(context.Background()))
		}
	}()
	return e, e.start()
}

// registryClient returns nil when the embedded registry is to be used.
func (c Config) registryClient() (*registry.Client, error) {
	if c.SchemaRegistry.URL == "" {
		return nil, nil
	}
	rc := c.SchemaRegistry
	if rc.Clock == nil {
		rc.Clock = c.Clock
	}
	return registry.NewClient(rc)
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.ServiceID == "" {
		c.ServiceID = DefaultServiceID
	}
	return c
}

// start builds the executor, replays the command log and starts the queries.
func (e *Engine) start() error {
	ctx := context.Background()
	if err := e.createSystemTopics(ctx); err != nil {
		return err
	}
	var err error
	delay := executor.DefaultCommitMinDelay
	if e.broker == nil {
		delay = kafkaCommitMinDelay
	} else if e.state, err = e.openState(); err != nil {
		return fmt.Errorf("open the state store: %w", err)
	}
	e.exec, err = executor.New(executor.Config{
		CommitMinDelay: delay,
		Log:            e.cluster, Partitions: e.partitions, Clock: e.cfg.Clock, State: e.state, StateMemory: e.cfg.StateMemory,
		Workers: e.cfg.Workers, LogWaits: e.broker == nil,
		ProcessingLog: e.processingLog(), AppendLog: func(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) error {
			_, err := e.cluster.Append(ctx, tp, batches, records)
			return err
		}, Logger: e.cfg.Logger, Schemas: e.registry(),
	})
	if err != nil {
		return err
	}
	e.catalog.Store(e.withProcessingLog(nil))
	if err := e.replaySchemas(ctx); err != nil {
		return err
	}
	if n := len(e.schemas.Subjects()); n > 0 && e.client != nil {
		e.cfg.Logger.Warn("the embedded schema registry is not used: records with its ids cannot be read", "subjects", n, "registry", e.client.URL())
	}
	if err := e.replay(ctx); err != nil {
		return err
	}
	for _, q := range e.Catalog().Queries() {
		if err := e.exec.Start(q.Plan, executor.StartOptions{Group: e.group(q.ID), Paused: q.Paused}); err != nil {
			e.cfg.Logger.Error("query cannot be started", "query", q.ID, "err", err)
		}
	}
	purgeCtx, stop := context.WithCancel(ctx)
	e.stopPurge, e.purged = stop, make(chan struct{})
	go e.purge(purgeCtx, e.purged) // ends with stopPurge, which Close calls
	return nil
}

// openState opens the state store, encrypted when the data directory is. It is
// derived data: one that is damaged, or not encrypted with the keys of now, is
// thrown away and made again from the changelogs.
func (e *Engine) openState() (*state.Backend, error) {
	fsys, dir := e.cfg.FS, e.cfg.FS.PathJoin(e.cfg.Dir, "state")
	if keys := e.cfg.Broker.Keys; keys != nil {
		files := seal.NewFiles(fsys, keys)
		reason, err := files.Check(dir)
		if err != nil {
			return nil, err
		}
		if reason != nil {
			e.cfg.Logger.Warn("state store is built again from the changelogs: it is not encrypted with the present keys", "err", reason)
			if err := fsys.RemoveAll(dir); err != nil {
				return nil, fmt.Errorf("remove %s: %w", dir, err)
			}
		}
		fsys = files
	}
	backend, err := state.OpenBackend(fsys, dir)
	if err != nil {
		return nil, err
	}
	if backend.Discarded != nil {
		e.cfg.Logger.Warn("state store was damaged and is built again from the changelogs", "err", backend.Discarded)
	} else if backend.Volatile {
		e.cfg.Logger.Warn("the disk is full: the state of queries is kept in memory until the next start")
	}
	return backend, nil
}

// Serve answers Kafka clients on l until the engine is closed. An engine over a
// cluster has nothing to answer with.
func (e *Engine) Serve(l net.Listener) error {
	return e.ServeListener(l, broker.Listener{})
}

var errOverCluster = errors.New("an engine over a Kafka cluster serves no Kafka clients: they go to the cluster")

// ServeListener is Serve with what the listener asks of its clients.
func (e *Engine) ServeListener(l net.Listener, cfg broker.Listener) error {
	if e.broker == nil {
		return errOverCluster
	}
	return e.broker.ServeListener(l, cfg)
}

// CheckListener reports why ServeListener would refuse a listener.
func (e *Engine) CheckListener(l net.Listener, cfg broker.Listener) error {
	if e.broker == nil {
		return errOverCluster
	}
	return e.broker.CheckListener(l, cfg)
}

// HasUser reports whether a user of the embedded broker has a password.
func (e *Engine) HasUser(name string) bool { return e.broker != nil && e.broker.HasUser(name) }

// SetPassword creates a user of the embedded broker or changes its password.
func (e *Engine) SetPassword(user, password string) error {
	if e.broker == nil {
		return errOverCluster
	}
	return e.broker.SetPassword(user, password)
}

// Catalog returns the current catalog.
func (e *Engine) Catalog() *catalog.Catalog { return e.catalog.Load() }

// ServiceID returns the name that internal topics and groups carry.
func (e *Engine) ServiceID() string { return e.cfg.ServiceID }

// Err says why nothing can be written any more, nil while all is well.
func (e *Engine) Err() error { return e.cluster.Err() }

// Close ends push queries, commits and stops persistent ones, and closes the log.
// It is idempotent.
func (e *Engine) Close(ctx context.Context) error {
	e.pushes.closeAll()
	if e.stopPurge != nil {
		e.stopPurge()
		<-e.purged
		e.stopPurge = nil
	}
	var errs []error
	if e.exec != nil {
		errs = append(errs, e.exec.Close())
		e.exec = nil
	}
	if e.state != nil {
		errs = append(errs, e.state.Close())
		e.state = nil
	}
	return errors.Join(append(errs, e.cluster.Close(ctx))...)
}

// partitions answers the executor.
func (e *Engine) partitions(topic string) (int32, error) {
	t, ok := e.cluster.Topic(topic)
	if !ok {
		return 0, fmt.Errorf("topic %s does not exist", topic)
	}
	return t.Partitions, nil
}

// group names the consumer group of a query.
func (e *Engine) group(queryID string) string {
	return fmt.Sprintf(planner.InternalPrefix+"%s-query_%s", e.cfg.ServiceID, queryID)
}
