package function

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/bits"
	"sort"

	"github.com/millrace/millrace/sql/types"
)

// HyperLogLog (Flajolet et al., 2007) with 2^14 registers. The state is BYTES:
//
//	sparse  3 bytes per register that is not 0: index (2, big-endian), rank; sorted by index
//	dense   one byte per register, 16384 in all
//
// It turns dense when the sparse form would be as long. The hash of a value is
// FNV-1a of its lossless text with MurmurHash3's finaliser: part of the state's
// format, so it never changes.
const (
	hllBits      = 14
	hllRegisters = 1 << hllBits
	hllEntry     = 3
)

func newCountDistinct([]types.Type, []*types.Value) (Aggregator, error) {
	return &fold{
		state: types.Bytes, result: types.Bigint, init: types.NewBytes(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			h, err := hashValue(args[0])
			if err != nil {
				return types.NullValue, err
			}
			return hllSet(state, int(h>>(64-hllBits)), byte(bits.LeadingZeros64(h<<hllBits|1<<(hllBits-1))+1)), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			hllEach(b.Str(), func(index int, rank byte) { a = hllSet(a, index, rank) })
			return a, nil
		},
		finish: func(state types.Value) (types.Value, error) { return types.NewBigint(hllEstimate(state.Str())), nil },
	}, nil
}

func hashValue(v types.Value) (uint64, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("hash of a value: %w", err)
	}
	f := fnv.New64a()
	if _, err := f.Write(text); err != nil {
		return 0, err
	}
	h := f.Sum64()
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33, nil
}

// hllSet raises a register to rank.
func hllSet(state types.Value, index int, rank byte) types.Value {
	s := state.Str()
	if len(s) == hllRegisters {
		if s[index] >= rank {
			return state
		}
		b := []byte(s)
		b[index] = rank
		return types.NewBytes(b)
	}
	n := len(s) / hllEntry
	i := sort.Search(n, func(i int) bool { return hllIndex(s[i*hllEntry:]) >= index })
	at := i * hllEntry
	if i < n && hllIndex(s[at:]) == index {
		if s[at+2] >= rank {
			return state
		}
		b := []byte(s)
		b[at+2] = rank
		return types.NewBytes(b)
	}
	entry := string([]byte{byte(index >> 8), byte(index), rank})
	s = s[:at] + entry + s[at:]
	if len(s) < hllRegisters {
		return types.NewBytes([]byte(s))
	}
	dense := make([]byte, hllRegisters)
	hllEach(s, func(index int, rank byte) { dense[index] = rank })
	return types.NewBytes(dense)
}

func hllIndex(entry string) int { return int(entry[0])<<8 | int(entry[1]) }

// hllEach calls f for every register that is not 0.
func hllEach(s string, f func(index int, rank byte)) {
	if len(s) == hllRegisters {
		for i := range len(s) {
			if s[i] != 0 {
				f(i, s[i])
			}
		}
		return
	}
	for ; len(s) >= hllEntry; s = s[hllEntry:] {
		f(hllIndex(s), s[2])
	}
}

func hllEstimate(s string) int64 {
	const m = float64(hllRegisters)
	zeros := m
	sum := 0.0
	hllEach(s, func(_ int, rank byte) {
		zeros--
		sum += math.Ldexp(1, -int(rank))
	})
	estimate := 0.7213 / (1 + 1.079/m) * m * m / (sum + zeros)
	if estimate <= 2.5*m && zeros > 0 {
		estimate = m * math.Log(m/zeros) // linear counting
	}
	return int64(math.Round(estimate))
}
