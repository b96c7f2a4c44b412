package wal

import "errors"

// ErrFenced is wrapped by every error that a fenced log returns.
var ErrFenced = errors.New("wal: data directory is fenced")

// Position is a place in a log file.
type Position struct {
	File   uint64
	Offset int64
}
