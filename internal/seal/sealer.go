package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	blobVersion = 1
	saltBytes   = 16
	nonceBytes  = 12
	// TagBytes end a blob.
	TagBytes = 16
	// prefixBytes precede the ciphertext.
	prefixBytes = 1 + 8 + saltBytes + 8
	// Overhead is what a blob is longer than what it holds.
	Overhead = prefixBytes + TagBytes
	// runsMax bounds the ciphers that are kept of runs that data was read from.
	runsMax = 1024
)

// ErrOpen is wrapped by errors about bytes that are no blob, or not the one that
// was sealed here: damaged, changed, or put in another's place.
var ErrOpen = errors.New("seal: encrypted data cannot be opened")

// Sealer makes blobs with a run key of its own and opens those of any run whose
// key was given. It is safe for concurrent use.
type Sealer struct {
	keys   *Keys
	run    run
	cipher cipher.AEAD
	count  atomic.Uint64

	mu   sync.RWMutex // a leaf lock, guards runs
	runs map[run]cipher.AEAD
}

// run names a run key.
type run struct {
	id   KeyID
	salt [saltBytes]byte
}

// NewSealer returns a sealer with a fresh run key.
func NewSealer(k *Keys) (*Sealer, error) {
	s := &Sealer{keys: k, run: run{id: k.First()}, runs: map[run]cipher.AEAD{}}
	if _, err := rand.Read(s.run.salt[:]); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	var err error
	s.cipher, err = s.open(s.run)
	return s, err
}

// Keys returns the sealer's keys.
func (s *Sealer) Keys() *Keys { return s.keys }

// open returns a run's cipher.
func (s *Sealer) open(r run) (cipher.AEAD, error) {
	s.mu.RLock()
	c := s.runs[r]
	s.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	key, err := s.keys.derive(r.id, r.salt, labelRun)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	if c, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) >= runsMax {
		clear(s.runs)
	}
	s.runs[r] = c
	return c, nil
}

// Seal appends a blob to dst that holds the parts of plain one after the other
// and is bound to context: Open needs the same. The parts may not overlap dst.
func (s *Sealer) Seal(dst, context []byte, plain ...[]byte) []byte {
	n := s.count.Add(1)
	size := Overhead
	for _, p := range plain {
		size += len(p)
	}
	dst = slices.Grow(dst, size)
	dst = append(dst, blobVersion)
	dst = append(dst, s.run.id[:]...)
	dst = append(dst, s.run.salt[:]...)
	dst = binary.BigEndian.AppendUint64(dst, n)
	from := len(dst)
	for _, p := range plain {
		dst = append(dst, p...)
	}
	p := newParams(n, context)
	defer paramsPool.Put(p)
	return s.cipher.Seal(dst[:from], p.nonce(), dst[from:], p.additional())
}

// Open appends what a blob holds to dst, which may not overlap it. Errors wrap
// ErrUnknownKey or ErrOpen.
func (s *Sealer) Open(dst, context, blob []byte) ([]byte, error) {
	return s.openTo(dst, context, blob)
}

// OpenInPlace is Open that leaves what the blob holds in the blob's memory, of
// which nothing else is left.
func (s *Sealer) OpenInPlace(context, blob []byte) ([]byte, error) {
	return s.openTo(blob[min(len(blob), prefixBytes):min(len(blob), prefixBytes)], context, blob)
}

func (s *Sealer) openTo(dst, context, blob []byte) ([]byte, error) {
	r, err := runOf(blob)
	if err != nil {
		return nil, err
	}
	c := s.cipher
	if r != s.run {
		if c, err = s.open(r); err != nil {
			return nil, err
		}
	}
	p := newParams(binary.BigEndian.Uint64(blob[prefixBytes-8:]), context)
	defer paramsPool.Put(p)
	out, err := c.Open(dst, p.nonce(), blob[prefixBytes:], p.additional())
	if err != nil {
		return nil, fmt.Errorf("%w: sealed with key %s", ErrOpen, r.id)
	}
	return out, nil
}

// KeyOf returns the id of the key that sealed a blob.
func KeyOf(blob []byte) (KeyID, error) {
	r, err := runOf(blob)
	return r.id, err
}

func runOf(blob []byte) (r run, err error) {
	if len(blob) < Overhead {
		return r, fmt.Errorf("%w: %d bytes are too few", ErrOpen, len(blob))
	}
	if blob[0] != blobVersion {
		return r, fmt.Errorf("%w: version %d", ErrOpen, blob[0])
	}
	copy(r.id[:], blob[1:])
	copy(r.salt[:], blob[9:])
	return r, nil
}

// params are a nonce and the additional data behind it, in memory that is used
// again.
type params struct{ b []byte }

var paramsPool = sync.Pool{New: func() any { return new(params) }}

func newParams(n uint64, context []byte) *params {
	p := paramsPool.Get().(*params)
	p.b = append(p.b[:0], make([]byte, nonceBytes-8)...)
	p.b = binary.BigEndian.AppendUint64(p.b, n)
	p.b = append(append(p.b, blobVersion), context...)
	return p
}

func (p *params) nonce() []byte      { return p.b[:nonceBytes] }
func (p *params) additional() []byte { return p.b[nonceBytes:] }
