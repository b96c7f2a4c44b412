package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/millrace/millrace/internal/vfs"
)

// Backend is the store on disk behind the tables in memory: one Pebble per
// process. Its write-ahead log is off: what a crash loses of it, the changelogs
// still hold. It is never ahead of the log, because only committed changes are
// applied to it, so a crash never makes it worthless.
//
// A mirror's keys begin with its name:
//
//	+------------------+------+----+---------------------------------------+
//	| name length, 2 BE| name | 00 | -> next changelog offset, 8 bytes BE  |
//	| name length, 2 BE| name | 01 | changelog key -> changelog value      |
//	+------------------+------+----+---------------------------------------+
//
// Offset and changes are written in one Pebble batch, and memtables are flushed
// in order, so that the offset on disk is always that of the changes on disk.
type Backend struct {
	db *pebble.DB
	// Discarded is why the store that was on disk was thrown away at open, nil
	// when it was not.
	Discarded error
	// Volatile: the disk is full, and the store is in memory until the process
	// ends.
	Volatile bool
}

const (
	kindOffset = 0x00
	kindRecord = 0x01

	// maxMirrorName bounds the names of mirrors.
	maxMirrorName = 1 << 12
	// backendCacheBytes is Pebble's block cache, backendMemtableBytes one of its
	// memtables.
	backendCacheBytes    = 8 << 20
	backendMemtableBytes = 4 << 20
	// bloomBitsPerKey makes a miss of a new key, which every insert into an
	// evicted table is, cheap: 1 % of them read a block.
	bloomBitsPerKey = 10
	// reserveSuffix is added to the store's directory for the file of its reserve.
	reserveSuffix = ".reserve"
)

// OpenBackend opens or makes the store in a directory. One that is damaged is
// thrown away, as the changelogs hold all of it: a power loss may keep the entry of
// Pebble's marker in the directory and lose that of the manifest it names, since
// both are made before the directory is synced.
func OpenBackend(fsys vfs.FS, dir string) (*Backend, error) {
	cache := pebble.NewCache(backendCacheBytes)
	defer cache.Unref()
	reserve := vfs.NewReserve(fsys, dir+reserveSuffix, reserveBytes)
	if err := reserve.Hold(); err != nil {
		return nil, err
	}
	volatile := !reserve.Held()
	if volatile {
		fsys = vfs.NewMem()
	}
	opts := &pebble.Options{
		FS: metadataFS{fsys, reserve}, DisableWAL: true, Cache: cache, MemTableSize: backendMemtableBytes, Logger: silent{},
		FormatMajorVersion: pebble.FormatNewest,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	db, err := pebble.Open(dir, opts)
	if err == nil {
		return &Backend{db: db, Volatile: volatile}, nil
	}
	if !vfs.IsNotExist(err) && !pebble.IsCorruptionError(err) && !errors.Is(err, vfs.ErrCorrupt) {
		return nil, fmt.Errorf("open state store %s: %w", dir, err)
	}
	damage := err
	if err := fsys.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove damaged state store %s: %w", dir, err)
	}
	if db, err = pebble.Open(dir, opts); err != nil {
		return nil, fmt.Errorf("open state store %s: %w", dir, err)
	}
	return &Backend{db: db, Discarded: damage}, nil
}

// silent drops Pebble's chatter; what matters comes back as errors.
type silent struct{}

func (silent) Infof(string, ...any)         {}
func (silent) Errorf(string, ...any)        {}
func (silent) Fatalf(f string, args ...any) { panic(fmt.Sprintf("state: pebble: "+f, args...)) }

// Close flushes and closes the store.
func (b *Backend) Close() error { return errors.Join(b.db.Flush(), b.db.Close()) }

// Flush makes everything applied so far durable.
func (b *Backend) Flush() error { return b.db.Flush() }

// Mirror is the part of a Backend that follows one store's changelog.
type Mirror struct {
	b      *Backend
	prefix []byte
	key    []byte
	// resume is the key that Load goes on from, nil for the start.
	resume []byte
}

// Mirror returns the mirror of a name, which is unique in the process.
func (b *Backend) Mirror(name string) (*Mirror, error) {
	if len(name) == 0 || len(name) > maxMirrorName {
		return nil, fmt.Errorf("state: mirror name of %d bytes", len(name))
	}
	prefix := binary.BigEndian.AppendUint16(nil, uint16(len(name)))
	return &Mirror{b: b, prefix: append(prefix, name...)}, nil
}

func (m *Mirror) recordKey(key []byte) []byte {
	m.key = append(append(m.key[:0], m.prefix...), kindRecord)
	m.key = append(m.key, key...)
	return m.key
}

func (m *Mirror) offsetKey() []byte { return append(append(m.key[:0], m.prefix...), kindOffset) }

// Next returns the changelog offset up to which changes are held, exclusive, -1
// for none.
func (m *Mirror) Next() (next int64, err error) {
	v, closer, err := m.b.db.Get(m.offsetKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read state store: %w", err)
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: changelog offset of %d bytes", errBadKey, len(v))
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// Load gives up to most records to f and io.EOF behind the last; it goes on from
// there at the next call. Key and value die with the call.
func (m *Mirror) Load(most int, f func(key, value []byte) error) (err error) {
	lower := m.resume
	if lower == nil {
		lower = append([]byte(nil), m.recordKey(nil)...)
	}
	upper := append(append([]byte(nil), m.prefix...), kindRecord+1)
	it, err := m.b.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read state store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if most--; most < 0 {
			m.resume = append([]byte(nil), it.Key()...)
			return nil
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read state store: %w", err)
		}
		if err := f(it.Key()[len(m.prefix)+1:], notNil(v)); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("read state store: %w", err)
	}
	m.resume = nil
	return io.EOF
}

// Apply writes committed changes, as Store.Changes gives them, and the changelog
// offset behind them.
func (m *Mirror) Apply(next int64, changes func(f func(key, value []byte)) error) (err error) {
	w := m.b.db.NewBatch()
	defer func() { err = errors.Join(err, w.Close()) }()
	missed := changes(func(key, value []byte) {
		if err != nil {
			return
		}
		if value == nil {
			err = w.Delete(m.recordKey(key), nil)
		} else {
			err = w.Set(m.recordKey(key), value, nil)
		}
	})
	if err = errors.Join(err, missed); err == nil {
		err = w.Set(m.offsetKey(), binary.BigEndian.AppendUint64(nil, uint64(next)), nil)
	}
	if err == nil {
		err = w.Commit(pebble.NoSync)
	}
	if err != nil {
		return fmt.Errorf("write state store: %w", err)
	}
	return nil
}

// Clear forgets everything that the mirror holds.
func (m *Mirror) Clear() error {
	m.resume = nil
	return m.b.deleteRange(append(append([]byte(nil), m.prefix...), kindOffset), append(append([]byte(nil), m.prefix...), kindRecord+1))
}

func (b *Backend) deleteRange(from, next []byte) error {
	if err := b.db.DeleteRange(from, next, pebble.NoSync); err != nil {
		return fmt.Errorf("clear state store: %w", err)
	}
	return nil
}
