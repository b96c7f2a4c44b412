package broker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/seal"
)

// encryption is the data directory's encryption; the zero value is none. Record
// batches are encrypted and decrypted by package log, metadata events and the
// checkpoint by package wal; this decides which keys a directory needs.
//
// The checkpoint lists them: every key that encrypted anything since it was put
// in, so that a directory is refused at its start, before anything is written,
// rather than found unreadable later. A key leaves the list when a start without
// it finds nothing that it encrypted.
type encryption struct {
	sealer *seal.Sealer // nil: nothing is encrypted
	needed []seal.KeyID
	// What there is to tell at the start: keys that nothing needs any more, and
	// that the directory was not encrypted before.
	retired []seal.KeyID
	began   bool
}

// ErrSealed is wrapped by the error of Open when the data directory is encrypted
// and no key was given.
var ErrSealed = wal.ErrSealed

// ErrUnknownKey is wrapped by the error of Open when a key was not given that
// something in the data directory is encrypted with.
var ErrUnknownKey = seal.ErrUnknownKey

// start makes the sealer of this incarnation.
func (e *encryption) start(keys *seal.Keys) (err error) {
	if keys != nil {
		e.sealer, err = seal.NewSealer(keys)
	}
	return err
}

// sealing is how the checkpoint is written.
func (e *encryption) sealing() wal.Sealing { return wal.Sealing{Sealer: e.sealer, Keys: e.needed} }

// EncryptionKey returns the id of the key that encrypts what is written, ok false
// when nothing is encrypted.
func (b *Broker) EncryptionKey() (id seal.KeyID, ok bool) {
	if b.encryption.sealer == nil {
		return id, false
	}
	return b.encryption.sealer.Keys().First(), true
}

// resolveKeys decides whether the keys given are enough, when the checkpoint was
// decoded and nothing is written yet. listed are the keys of the checkpoint, none
// when it is plain or there is none (fresh).
func (b *Broker) resolveKeys(listed []seal.KeyID, fresh bool) error {
	e := &b.encryption
	if e.sealer == nil {
		return nil
	}
	e.began = !fresh && len(listed) == 0
	keys := e.sealer.Keys()
	e.needed = []seal.KeyID{keys.First()}
	var missing []seal.KeyID
	for _, id := range listed {
		switch {
		case !keys.Has(id):
			missing = append(missing, id)
		case !slices.Contains(e.needed, id):
			e.needed = append(e.needed, id)
		}
	}
	if e.retired = missing; len(missing) > 0 {
		return b.checkKeys()
	}
	return nil
}

// tellKeys logs how the directory is encrypted, when all of it was read.
func (b *Broker) tellKeys() {
	e, logger := &b.encryption, b.cfg.Logger
	if e.sealer == nil {
		return
	}
	if len(e.retired) > 0 {
		logger.Info("encryption keys are not needed any more: nothing is encrypted with them", "keys", fmt.Sprint(e.retired))
	}
	if e.began {
		logger.Warn("encryption at rest begins: what this data directory holds already stays readable to everybody until it is compacted or deleted", "dir", b.cfg.Dir)
	}
	logger.Info("encryption at rest is on", "key", e.sealer.Keys().First().String(), "needed", fmt.Sprint(e.needed))
}

// checkKeys looks for batches in segments whose key was not given. Log files are
// looked at when they are replayed.
func (b *Broker) checkKeys() error {
	var err error
	b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			if err == nil {
				err = p.CheckKeys()
			}
		}
	})
	return err
}

// keyError says which keys were given when one is missing.
func (e *encryption) keyError(err error) error {
	if e.sealer == nil || !errors.Is(err, seal.ErrUnknownKey) {
		return err
	}
	return fmt.Errorf("%w, only %v", err, e.sealer.Keys().IDs())
}
