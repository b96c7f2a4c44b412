package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// KeyBytes is the size of a key.
	KeyBytes = 32
	// KeysMax bounds the keys of one directory.
	KeysMax = 64
	// KeyFileMaxBytes bounds a file of keys.
	KeyFileMaxBytes = 64 << 10
)

// The labels that HKDF keeps apart what it makes out of one key.
const (
	labelID   = "millrace key id"
	labelRun  = "millrace blobs v1"
	labelFile = "millrace file v1"
)

// ErrKeys is wrapped by errors about keys that cannot be read.
var ErrKeys = errors.New("encryption keys")

// ErrUnknownKey is wrapped by errors about data whose key was not given.
var ErrUnknownKey = errors.New("encryption key is not given")

// KeyID names a key without telling anything about it.
type KeyID [8]byte

// String returns the id as 16 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Keys are the keys of a data directory: the first encrypts, all decrypt. They
// never change.
type Keys struct {
	order  []KeyID
	secret map[KeyID][]byte
}

// ParseKeys reads one key a line, each 32 bytes as 64 hexadecimal digits or as
// base64 with or without padding; empty lines and those that begin with # do not
// count. Errors wrap ErrKeys and never show what was given.
func ParseKeys(text string) (*Keys, error) {
	k := &Keys{secret: map[KeyID][]byte{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, ok := decodeKey(line)
		if !ok {
			return nil, fmt.Errorf("%w: line %d: expected %d bytes as 64 hexadecimal digits or in base64", ErrKeys, i+1, KeyBytes)
		}
		id, err := idOf(key)
		if err != nil {
			return nil, err
		}
		if k.secret[id] != nil {
			return nil, fmt.Errorf("%w: line %d: key %s is there twice", ErrKeys, i+1, id)
		}
		if len(k.order) == KeysMax {
			return nil, fmt.Errorf("%w: more than %d", ErrKeys, KeysMax)
		}
		k.order, k.secret[id] = append(k.order, id), key
	}
	if len(k.order) == 0 {
		return nil, fmt.Errorf("%w: none given", ErrKeys)
	}
	return k, nil
}

func decodeKey(text string) ([]byte, bool) {
	if len(text) == hex.EncodedLen(KeyBytes) {
		key, err := hex.DecodeString(text)
		return key, err == nil
	}
	text = strings.TrimRight(text, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := enc.Strict().DecodeString(text); err == nil && len(key) == KeyBytes {
			return key, true
		}
	}
	return nil, false
}

func idOf(key []byte) (id KeyID, err error) {
	b, err := hkdf.Key(sha256.New, key, nil, labelID, len(id))
	if err != nil {
		return id, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	copy(id[:], b)
	return id, nil
}

// First returns the id of the key that encrypts.
func (k *Keys) First() KeyID { return k.order[0] }

// String names the keys by their ids: printing them shows no key.
func (k *Keys) String() string { return fmt.Sprint(k.order) }

// GoString is String, for %#v.
func (k *Keys) GoString() string { return k.String() }

// IDs returns the ids of all keys, the one that encrypts first.
func (k *Keys) IDs() []KeyID { return slices.Clone(k.order) }

// Has reports whether a key was given.
func (k *Keys) Has(id KeyID) bool { return k.secret[id] != nil }

// derive makes a key of 32 bytes out of a key and a salt.
func (k *Keys) derive(id KeyID, salt [saltBytes]byte, label string) ([]byte, error) {
	key := k.secret[id]
	if key == nil {
		return nil, &UnknownKeyError{id}
	}
	return hkdf.Key(sha256.New, key, salt[:], label, KeyBytes)
}

// UnknownKeyError says which key is missing. It wraps ErrUnknownKey.
type UnknownKeyError struct{ ID KeyID }

// Error implements error.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("encryption key %s is not given", e.ID)
}

// Unwrap returns ErrUnknownKey.
func (e *UnknownKeyError) Unwrap() error { return ErrUnknownKey }
