package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker/group"
	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Broker is an open data directory. Its methods are safe for concurrent use.
type Broker struct {
	cfg       Config
	lock      io.Closer
	wal       *wal.Log
	store     *log.Store
	epoch     int32 // leader epoch: the incarnation, higher after every start
	clusterID string
	topics    topics
	offsets   offsetStore
	// groupStates is what is durable of groups, groups is what they do.
	groupStates   groupStates
	groups        *group.Coordinator
	keeper        keeper
	cleaner       cleaner
	refused       refused
	steady        steady
	server        server
	fetchSessions fetchSessions
	authorizer    *authorizer // nil: everybody may do everything
	security      security
	tokens        tokens
	quotas        quotas
	encryption    encryption
	// freshLog: the checkpoint of a clean end begins a new log, with file freshFile.
	freshLog  atomic.Bool
	freshFile uint64
	// mended says what the start did about a damaged checkpoint.
	mended string

	// mu orders everything that is appended: it guards the staged state, which
	// is partition.next, partition.producers, txns and handles. It is held for
	// validation and queueing, never while waiting.
	mu      sync.Mutex
	txns    *txn.Coordinator
	handles map[string]uint64 // newest Txn token by id

	protectMu       sync.RWMutex // a leaf lock, guards the next two
	protectedTopics []string
	protectedGroups []string

	closeOnce sync.Once
	closeErr  error
	closed    atomic.Bool
}

// stateVersion is the version of the checkpoint's body. Version 1 had no
// sections, version 2 no compacted segments.
const stateVersion = 3

// Open locks the data directory, recovers it and returns a broker that is
// ready. The error wraps wal.ErrVersion when a newer program wrote the
// directory, wal.ErrCorrupt or log.ErrCorrupt when acknowledged data is damaged,
// ErrSealed or ErrUnknownKey when a key is missing; then nothing was written.
func Open(cfg Config) (_ *Broker, err error) {
	cfg = cfg.withDefaults()
	b := &Broker{cfg: cfg}
	if err := cfg.Limits.check(); err != nil {
		return nil, err
	}
	if err := b.encryption.start(cfg.Keys); err != nil {
		return nil, err
	}
	b.init()
	b.server.init(b)
	b.authorizer = newAuthorizer(b)
	if err := b.tokens.init(b); err != nil {
		return nil, err
	}
	if err := b.lockDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.lock.Close())
		}
	}()
	root, err := b.recover()
	if err != nil {
		err = fmt.Errorf("open %s: %w", cfg.Dir, b.encryption.keyError(err))
		if isDamage(err) {
			err = fmt.Errorf("%w; nothing was changed: millrace log dump %s shows what can be read, a copy of the directory restores it", err, cfg.Dir)
		}
		return nil, err
	}
	b.epoch = int32(root.Epoch)
	b.steady.start(b.now())
	b.wal.Start(root.Epoch)
	b.groups = group.New(b.groupConfig())
	b.restoreGroups()
	b.keeper.start(b)
	b.cleaner.start(b)
	return b, nil
}

// init makes an empty state.
func (b *Broker) init() {
	b.txns, b.handles = txn.NewCoordinator(b.cfg.Limits.MaxTransactionalIDs), map[string]uint64{}
	b.topics.init()
	b.offsets.init()
	b.groupStates.init()
	b.security.init()
	b.fetchSessions.init(b.cfg.Limits.FetchSessions)
	b.store = log.NewStore(log.Options{
		FS: b.cfg.FS, Dir: b.cfg.Dir, TailMaxBytes: b.cfg.Limits.TailMaxBytes,
		OpenFiles: b.cfg.Limits.OpenFiles, DecompressedMaxBytes: b.cfg.Limits.DecompressedMaxBytes,
		Sealer: b.encryption.sealer, OnLack: b.noteLack,
	})
}

// Err says why the data directory is fenced, nil while it is healthy.
func (b *Broker) Err() error { return b.wal.Err() }

// ClusterID returns the id that was made with the data directory.
func (b *Broker) ClusterID() string { return b.clusterID }

// Close stops serving, makes durable what was appended, writes a checkpoint and
// releases the directory. It is idempotent and waits; ctx bounds the wait for
// connections only, which are cut when it ends.
func (b *Broker) Close(ctx context.Context) error {
	b.closeOnce.Do(func() { b.closeErr = b.close(ctx) })
	return b.closeErr
}

func (b *Broker) close(ctx context.Context) error {
	b.closed.Store(true)
	b.server.close(ctx)
	b.groups.Close()
	b.cleaner.stop()
	b.keeper.stop()
	b.refused.done.Wait()
	var errs []error
	checkpointed := false
	if b.wal.Err() == nil {
		err := b.keeper.lastCheckpoint()
		checkpointed = err == nil
		errs = append(errs, err)
	}
	errs = append(errs, b.wal.Close())
	b.store.Close()
	if checkpointed && b.freshLog.Load() {
		errs = append(errs, b.removeLog())
	}
	errs = append(errs, b.lock.Close())
	return errors.Join(errs...)
}

// Serve is ServeListener without encryption or login.
func (b *Broker) Serve(l net.Listener) error { return b.ServeListener(l, Listener{}) }

// ServeListener answers Kafka clients on l until Close, then returns nil. It
// closes l. The error wraps ErrInsecure when the listener would let in everybody
// from other machines without saying so.
func (b *Broker) ServeListener(l net.Listener, cfg Listener) error {
	from, err := b.newListener(cfg, l.Addr())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	from.warn(b)
	return b.server.serve(l, from)
}

// CheckListener reports why ServeListener would refuse a listener.
func (b *Broker) CheckListener(l net.Listener, cfg Listener) error {
	_, err := b.newListener(cfg, l.Addr())
	return err
}

// Protect names topics and groups that belong to the engine, by prefix: topics
// refuse produce, delete, alter and DeleteRecords from the wire, groups refuse
// members, commits and deletion.
func (b *Broker) Protect(topicPrefixes, groupPrefixes []string) {
	b.protectMu.Lock()
	defer b.protectMu.Unlock()
	b.protectedTopics = append(b.protectedTopics, topicPrefixes...)
	b.protectedGroups = append(b.protectedGroups, groupPrefixes...)
}

// now returns wall time in milliseconds.
func (b *Broker) now() kafka.Timestamp { return kafka.Timestamp(b.cfg.Clock.Now().UnixMilli()) }
