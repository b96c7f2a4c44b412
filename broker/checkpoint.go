package broker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

// The checkpoint's body, behind the root:
//
//	state version | sequence | cluster id | topics | transactions |
//	offsets of groups | offsets of open transactions | group states | sections
//
// sections are a count and, for each, its id, its length and its bytes.
// sequence is the first frame whose effects are not in it. A topic is: id, name,
// internal, configs, partition count, and for every partition its producers
// (package txn) and its log (package log).

// encodeStaged encodes the staged state as it is now. The caller holds Broker.mu,
// or is alone. finish adds the published state; it must run when exactly the
// frames that were queued until now are published. sequence is the next one.
func (b *Broker) encodeStaged() (finish func(sequence uint64) []byte) {
	type snapshot struct {
		p         *partition
		producers []byte
	}
	var list []*topic
	b.topics.each(func(t *topic) { list = append(list, t) })
	heads := make([][]byte, len(list))
	parts := make([][]snapshot, len(list))
	for i, t := range list {
		info := t.info()
		var w wal.Encoder
		w.ID(info.ID)
		w.String(info.Name)
		w.Bool(info.Internal)
		w.StringMap(info.Configs)
		w.Uint(uint64(info.Partitions))
		heads[i] = w.Buf
		for _, p := range t.partitions() {
			var w wal.Encoder
			p.producers.Encode(&w)
			parts[i] = append(parts[i], snapshot{p, w.Buf})
		}
	}
	var txns wal.Encoder
	b.txns.Encode(&txns)

	return func(sequence uint64) []byte {
		var w wal.Encoder
		w.Uint(stateVersion)
		w.Uint(sequence)
		w.String(b.clusterID)
		w.Uint(uint64(len(list)))
		for i := range list {
			w.Buf = append(w.Buf, heads[i]...)
			for _, s := range parts[i] {
				w.Buf = append(w.Buf, s.producers...)
				s.p.Encode(&w)
			}
		}
		w.Buf = append(w.Buf, txns.Buf...)
		b.offsets.encode(&w)
		b.offsets.encodeHeld(&w)
		b.groupStates.encode(&w)
		encodeSections(b, &w)
		return w.Buf
	}
}

// decodeState fills an empty broker from a checkpoint's body and returns its
// sequence.
func (b *Broker) decodeState(state []byte) (sequence uint64, err error) {
	d := &wal.Decoder{Buf: state}
	version := d.Uint()
	if version > stateVersion {
		return 0, fmt.Errorf("%w: checkpoint body has version %d, this program reads %d", wal.ErrVersion, version, stateVersion)
	}
	sequence = d.Uint()
	b.clusterID = d.String()
	for range d.Count() {
		e := topicCreated{id: d.ID(), name: d.String(), internal: d.Bool(), configs: d.StringMap(), partitions: int32(d.Uint())}
		if d.Err != nil || int64(e.partitions) > int64(len(d.Buf)) {
			return 0, errors.Join(fmt.Errorf("%w: checkpoint: bad topic", wal.ErrCorrupt), d.Err)
		}
		e.stage(b)
		e.publishEarly(b)
		for _, p := range e.t.partitions() {
			p.producers.Decode(d)
			p.Decode(d, version >= 3)
		}
	}
	b.txns.Decode(d, b.cfg.Clock.Now())
	b.offsets.decode(d)
	b.offsets.decodeHeld(d)
	b.groupStates.decode(d)
	if version >= 2 {
		decodeSections(b, d)
	}
	if d.Err != nil {
		return 0, fmt.Errorf("checkpoint: %w", d.Err)
	}
	return sequence, nil
}

// checkpoint makes the present state durable. Log files up to number, which must
// be archived, are not part of it any more; 0 keeps all. clean says that nothing
// will be appended.
func (b *Broker) checkpoint(number uint64, clean bool) error {
	type snapshot struct {
		state []byte
		root  wal.Root
		next  uint64
		err   error
	}
	if err := b.store.SyncNames(); err != nil {
		return b.wal.Fence("sync the names of segments", err)
	}
	done := make(chan snapshot, 1)
	b.mu.Lock()
	finish := b.encodeStaged()
	b.wal.Barrier(func(next uint64, err error) {
		if err != nil {
			done <- snapshot{err: err}
			return
		}
		done <- snapshot{state: finish(next), root: b.wal.RootWithout(number), next: next}
	})
	b.mu.Unlock()
	s := <-done
	if s.err != nil {
		return s.err
	}
	s.root.Clean = clean
	if clean {
		s.root.Synced = b.wal.Root().Synced
	}
	if clean && b.freshLog.Load() {
		var err error
		if s.root, err = b.freshRoot(s.root, s.next); err != nil {
			return err
		}
		b.freshFile = s.root.FirstFile
	}
	if err := wal.SaveCheckpoint(b.cfg.FS, b.cfg.Dir, s.root, s.state, b.encryption.sealing()); err != nil {
		if vfs.IsFull(err) {
			return err // the old one stands
		}
		return b.wal.Fence("write the checkpoint", err)
	}
	return nil
}

// section is a part of the checkpoint's body that stands for itself: state that
// only published events change, so it is encoded when they are published.
type section struct {
	id     uint64
	encode func(*Broker, *wal.Encoder)
	decode func(*Broker, *wal.Decoder)
}

// sections is every section, in id order. An id is never used again for
// something else.
var sections = []section{
	{sectionSecurity, func(b *Broker, w *wal.Encoder) { b.security.encode(w) }, func(b *Broker, d *wal.Decoder) { b.security.decode(d) }},
	{sectionQuotas, func(b *Broker, w *wal.Encoder) { b.quotas.encode(w) }, func(b *Broker, d *wal.Decoder) { b.quotas.decode(d) }},
	{30, encodeSteady, decodeSteady},
}

func encodeSections(b *Broker, w *wal.Encoder) {
	w.Uint(uint64(len(sections)))
	for _, s := range sections {
		var body wal.Encoder
		s.encode(b, &body)
		w.Uint(s.id)
		w.Bytes(body.Buf)
	}
}

// decodeSections fails for a section that it does not know: a newer program
// wrote it, and what it says would be lost.
func decodeSections(b *Broker, d *wal.Decoder) {
	for range d.Count() {
		id, body := d.Uint(), wal.Decoder{Buf: d.Bytes()}
		if d.Err != nil {
			return
		}
		i := slices.IndexFunc(sections, func(s section) bool { return s.id == id })
		if i < 0 {
			d.Err = fmt.Errorf("%w: checkpoint section %d", wal.ErrVersion, id)
			return
		}
		sections[i].decode(b, &body)
		if body.Err != nil {
			d.Err = fmt.Errorf("section %d: %w", id, body.Err)
			return
		}
	}
}
