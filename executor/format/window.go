package format

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/planner/plan"
)

// WindowSuffixBytes is the number of bytes that follow a windowed key: 8 for
// time windows (start), 16 for sessions (end, start); 0 without a window.
func WindowSuffixBytes(w *plan.WindowInfo) int {
	switch {
	case w == nil:
		return 0
	case w.Kind == plan.Session:
		return 16
	}
	return 8
}

// AppendWindow appends the suffix of a windowed key, bounds in ms.
func AppendWindow(dst []byte, w *plan.WindowInfo, start, end int64) []byte {
	if w == nil {
		return dst
	}
	if w.Kind == plan.Session {
		dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(start))
}

// SplitWindow cuts the suffix off a windowed key. The end of a time window is
// start + size.
func SplitWindow(key []byte, w *plan.WindowInfo) (base []byte, start, end int64, err error) {
	n := WindowSuffixBytes(w)
	if n == 0 {
		return key, 0, 0, nil
	}
	if len(key) < n {
		return nil, 0, 0, fmt.Errorf("windowed key of %d bytes has no room for its window", len(key))
	}
	base, suffix := key[:len(key)-n], key[len(key)-n:]
	if w.Kind == plan.Session {
		return base, int64(binary.BigEndian.Uint64(suffix[8:])), int64(binary.BigEndian.Uint64(suffix)), nil
	}
	start = int64(binary.BigEndian.Uint64(suffix))
	return base, start, start + w.SizeMs, nil
}
