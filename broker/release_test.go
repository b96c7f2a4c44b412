package broker

import (
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// notServed are the keys of the release that are left out on purpose, with the
// reason.
var notServed = map[int16]string{
	38: "delegation tokens", 39: "delegation tokens", 40: "delegation tokens", 41: "delegation tokens",
	64: "one broker, which cannot be unregistered",
	71: "telemetry", 72: "telemetry",
	76: "share groups", 77: "share groups", 78: "share groups", 79: "share groups",
	83: "share groups", 84: "share groups", 85: "share groups", 86: "share groups", 87: "share groups", 90: "share groups", 91: "share groups", 92: "share groups",
	88: "streams groups", 89: "streams groups", 93: "streams groups",
	94: "controllers",
	80: "controllers", 81: "controllers", 82: "controllers",
}

// interBroker are keys that only brokers and controllers send one another.
var interBroker = []int16{4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73}

// Clients like sarama use the highest version of a release without asking, so
// every key must reach exactly the release's version.
func TestServesOneReleaseLevel(t *testing.T) {
	release := kversion.V4_4_0()
	for key := range int16(kmsg.MaxKey + 1) {
		want, ok := release.LookupMaxKeyVersion(key)
		served := apis[key]
		_, left := notServed[key]
		switch {
		case !ok:
			if served != nil {
				t.Errorf("key %d %s is served, the release does not have it", key, kmsg.NameForKey(key))
			}
		case served == nil && !left && !slices.Contains(interBroker, key):
			t.Errorf("key %d %s is not served and not listed as left out", key, kmsg.NameForKey(key))
		case served != nil && left:
			t.Errorf("key %d %s is served and listed as left out", key, kmsg.NameForKey(key))
		case served != nil && served.max != want:
			t.Errorf("key %d %s: highest version %d, the release has %d", key, kmsg.NameForKey(key), served.max, want)
		}
	}
	t.Logf("%d keys served", len(slices.Collect(maps.Keys(apis))))
}
