package broker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// configKind is the type of a topic configuration, as DescribeConfigs reports it.
type configKind int8

const (
	configString configKind = iota
	configInt
	configLong
	configDouble
	configList
	configBool
)

// topicConfig describes one known topic configuration. Some have no effect on a
// single node that never flushes late; tools set them all the same, so they may
// have any legal value, and their doc says so.
type topicConfig struct {
	name     string
	fallback string
	kind     configKind
	min, max int64
	oneOf    []string
	doc      string
}

// topicConfigs is every configuration that a topic knows, in name order.
var topicConfigs = []topicConfig{
	{"cleanup.policy", "delete", configList, 0, 0, []string{"delete", "compact"}, "compact keeps the newest record of every key; delete applies retention"},
	{"compression.type", "producer", configString, 0, 0, []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}, "what clients produce is stored as sent (producer) or compressed anew; queries write uncompressed batches"},
	{"delete.retention.ms", "86400000", configLong, 0, math.MaxInt64, nil, "how long compaction keeps tombstones and transaction markers"},
	{"file.delete.delay.ms", "60000", configLong, 0, math.MaxInt64, nil, "no effect: files are removed in the background"},
	{"flush.messages", "9223372036854775807", configLong, 1, math.MaxInt64, nil, "no effect: every acknowledged record is synced"},
	{"flush.ms", "9223372036854775807", configLong, 0, math.MaxInt64, nil, "no effect: every acknowledged record is synced"},
	{"index.interval.bytes", "4096", configInt, 0, math.MaxInt32, nil, "no effect: fixed at 16 KiB"},
	{"max.compaction.lag.ms", "9223372036854775807", configLong, 1, math.MaxInt64, nil, "age of a record at which it is compacted whatever the dirty ratio"},
	{"max.message.bytes", "1048588", configInt, 0, 64 << 20, nil, "largest record batch"},
	{"message.timestamp.after.max.ms", "9223372036854775807", configLong, 0, math.MaxInt64, nil, "how far a timestamp may be ahead of the clock"},
	{"message.timestamp.before.max.ms", "9223372036854775807", configLong, 0, math.MaxInt64, nil, "how far a timestamp may be behind the clock"},
	{"message.timestamp.type", "CreateTime", configString, 0, 0, []string{"CreateTime", "LogAppendTime"}, "whose timestamp counts"},
	{"min.cleanable.dirty.ratio", "0.5", configDouble, 0, 1, nil, "share of bytes not compacted yet at which compaction starts"},
	{"min.compaction.lag.ms", "0", configLong, 0, math.MaxInt64, nil, "age below which a record is not compacted"},
	{"min.insync.replicas", "1", configInt, 1, math.MaxInt32, nil, "no effect: one replica"},
	{"preallocate", "false", configBool, 0, 0, nil, "no effect"},
	{"retention.bytes", "-1", configLong, -1, math.MaxInt64, nil, "per partition; -1 keeps everything"},
	{"retention.ms", "-1", configLong, -1, math.MaxInt64, nil, "-1 keeps everything"},
	{"segment.bytes", "1073741824", configInt, 1 << 10, math.MaxInt32, nil, "size of a segment file"},
	{"segment.index.bytes", "10485760", configInt, 4, math.MaxInt32, nil, "no effect: indexes grow as needed"},
	{"segment.jitter.ms", "0", configLong, 0, math.MaxInt64, nil, "no effect: segments roll by record timestamps"},
	{"segment.ms", "604800000", configLong, 1, math.MaxInt64, nil, "how far the record timestamps of one segment may be apart"},
	{"unclean.leader.election.enable", "false", configBool, 0, 0, nil, "no effect: one replica"},
}

// TopicConfigNames returns the configurations that a topic knows, in order.
func TopicConfigNames() []string {
	names := make([]string, 0, len(topicConfigs))
	for _, c := range topicConfigs {
		names = append(names, c.name)
	}
	return names
}

// TopicConfigValues returns the values that a configuration can have, nil where they
// are not a fixed set; list says that several may be given.
func TopicConfigValues(name string) (values []string, list bool) {
	c, ok := findConfig(name)
	switch {
	case !ok:
		return nil, false
	case c.kind == configBool:
		return []string{"true", "false"}, false
	}
	return slices.Clone(c.oneOf), c.kind == configList
}

// findConfig returns a known configuration.
func findConfig(name string) (*topicConfig, bool) {
	i, ok := slices.BinarySearchFunc(topicConfigs, name, func(c topicConfig, n string) int { return strings.Compare(c.name, n) })
	if !ok {
		return nil, false
	}
	return &topicConfigs[i], true
}

// errConfig is wrapped by every error about a topic configuration.
var errConfig = fmt.Errorf("%w: configuration", ErrInvalid)

// check verifies a value, which may have blanks around it.
func (c *topicConfig) check(text string) error {
	value := strings.TrimSpace(text)
	bad := func(want string) error {
		return fmt.Errorf("%w: %s = %q: expected %s", errConfig, c.name, value, want)
	}
	switch c.kind {
	case configInt, configLong:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < c.min || n > c.max {
			return bad(fmt.Sprintf("an integer from %d to %d", c.min, c.max))
		}
	case configDouble:
		if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= float64(c.min) && f <= float64(c.max)) {
			return bad(fmt.Sprintf("a number from %d to %d", c.min, c.max))
		}
	case configBool:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return bad("true or false")
		}
	case configList:
		if value == "" { // no policy: what is there stays
			return nil
		}
		for _, v := range strings.Split(value, ",") {
			if !slices.Contains(c.oneOf, strings.TrimSpace(v)) {
				return bad("a list of " + strings.Join(c.oneOf, ", "))
			}
		}
	case configString:
		if !slices.Contains(c.oneOf, value) {
			return bad(strings.Join(c.oneOf, " or "))
		}
	}
	return nil
}

// canonical is a value as the broker understands it, which it tells.
func (c *topicConfig) canonical(value string) string {
	value = strings.TrimSpace(value)
	switch c.kind {
	case configBool:
		return strings.ToLower(value)
	case configDouble: // as Java writes it
		if f, err := strconv.ParseFloat(value, 64); err == nil && f == math.Trunc(f) {
			return strconv.FormatFloat(f, 'f', 1, 64)
		}
	case configList:
		var parts []string
		for _, v := range strings.Split(value, ",") {
			if v = strings.TrimSpace(v); !slices.Contains(parts, v) {
				parts = append(parts, v)
			}
		}
		return strings.Join(parts, ",")
	}
	return value
}

// codecNames are the values of compression.type, by codec.
var codecNames = []string{log.CodecNone: "uncompressed", log.CodecGzip: "gzip", log.CodecSnappy: "snappy", log.CodecLZ4: "lz4", log.CodecZstd: "zstd"}

// settings is what a topic's configuration means to the broker.
type settings struct {
	maxMessageBytes int
	segmentBytes    int64
	segmentMs       int64
	retentionMs     int64
	retentionBytes  int64
	compact, del    bool
	logAppendTime   bool
	codec           int // of compression.type, -1 for the producer's
	beforeMaxMs     int64
	afterMaxMs      int64

	deleteRetentionMs, minLagMs, maxLagMs int64
	dirtyRatio                            float64
}

// parseSettings checks a topic's configuration and returns its meaning.
func parseSettings(configs map[string]string) (settings, error) {
	for name, value := range configs {
		c, ok := findConfig(name)
		if !ok {
			return settings{}, fmt.Errorf("%w: %s is not known", errConfig, name)
		}
		if err := c.check(value); err != nil {
			return settings{}, err
		}
	}
	text := func(name string) string {
		if v, ok := configs[name]; ok {
			return strings.TrimSpace(v)
		}
		c, _ := findConfig(name)
		return c.fallback
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(text(name), 10, 64)
		if err != nil {
			panic("broker: default of " + name) // values were checked above
		}
		return n
	}
	s := settings{
		maxMessageBytes: int(number("max.message.bytes")),
		segmentBytes:    number("segment.bytes"),
		segmentMs:       number("segment.ms"),
		retentionMs:     number("retention.ms"),
		retentionBytes:  number("retention.bytes"),
		logAppendTime:   text("message.timestamp.type") == "LogAppendTime",
		codec:           slices.Index(codecNames, text("compression.type")),
		beforeMaxMs:     number("message.timestamp.before.max.ms"),
		afterMaxMs:      number("message.timestamp.after.max.ms"),

		deleteRetentionMs: number("delete.retention.ms"),
		minLagMs:          number("min.compaction.lag.ms"),
		maxLagMs:          number("max.compaction.lag.ms"),
	}
	ratio, err := strconv.ParseFloat(text("min.cleanable.dirty.ratio"), 64)
	if err != nil {
		panic("broker: default of min.cleanable.dirty.ratio")
	}
	s.dirtyRatio = ratio
	if s.minLagMs > s.maxLagMs {
		return settings{}, fmt.Errorf("%w: min.compaction.lag.ms is above max.compaction.lag.ms", errConfig)
	}
	for _, v := range strings.Split(text("cleanup.policy"), ",") {
		s.compact = s.compact || strings.TrimSpace(v) == "compact"
		s.del = s.del || strings.TrimSpace(v) == "delete"
	}
	return s, nil
}

// keepFrom returns the timestamp below which records may go, NoTimestamp when
// they never do by time.
func (s settings) keepFrom(now kafka.Timestamp) kafka.Timestamp {
	if !s.del || s.retentionMs < 0 || int64(now) < s.retentionMs {
		return kafka.NoTimestamp
	}
	return now - kafka.Timestamp(s.retentionMs)
}

// keepBytes returns the size above which records may go, -1 for never.
func (s settings) keepBytes() int64 {
	if !s.del {
		return -1
	}
	return s.retentionBytes
}
