package wal

import (
	"errors"
	"fmt"
	"io/fs"
)

// consequence says what a fence because of cause means for who runs the server. A
// restart recovers from a write or sync that failed. It does not bring back durable
// data that cannot be read, and Open refuses when they are the log's.
func (l *Log) consequence(cause error) string {
	if !l.unreadable(cause) {
		return "what was not acknowledged may be lost, restart to recover"
	}
	return fmt.Sprintf("data that was acknowledged cannot be read, which no restart mends, and a start refuses when it is the log that is damaged: "+
		"`millrace log dump %s` shows where; restore a copy", l.opts.FS.PathDir(l.opts.Dir))
}

// unreadable reports whether cause is about durable bytes, damaged or not given by
// the disk.
func (l *Log) unreadable(cause error) bool {
	var path *fs.PathError
	if errors.As(cause, &path) && path.Op == "read" {
		return true
	}
	return errors.Is(cause, ErrCorrupt) || l.opts.Damage != nil && l.opts.Damage(cause)
}
