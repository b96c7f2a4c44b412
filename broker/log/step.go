package log

import "github.com/millrace/millrace/internal/vfs"

// stepBytes are written to a segment at once and handed to the disk before the
// next: a commit's sync, which waits for whatever the disk has begun, then waits
// for one step of what is written behind the log, and a segment's own sync finds
// little left to write. Files that are smaller go in one step.
const stepBytes = 256 << 10

// giveWay lets commits go first. It stands before every step and every sync of
// what is written behind the log.
func (s *Store) giveWay() {
	if s.wal != nil { // some tests have segments only
		s.wal.GiveWay()
	}
}

// stepDone hands to the disk what a step wrote to a file of size bytes.
func (s *Store) stepDone(f vfs.File, size int64) error { return vfs.SyncTo(f, size) }
