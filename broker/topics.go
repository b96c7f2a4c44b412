package broker

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// topics is the set of topics. A topic is in it from the moment its creation is
// queued, so that names are unique, and live from the moment it is durable.
type topics struct {
	mu     sync.RWMutex // a leaf lock, guards the maps and the topics' fields
	byName map[string]*topic
	byID   map[TopicID]*topic
	count  int // partitions of all topics
	// version grows whenever a topic or a partition comes or goes.
	version atomic.Uint64
}

// topic is one topic. Its fields below internal are guarded by topics.mu.
type topic struct {
	set      *topics
	id       TopicID
	name     string
	internal bool
	live     bool
	configs  map[string]string // replaced, never changed
	settings settings          // what configs mean
	parts    []*partition      // grows only; replaced, never changed
}

// partition is a topic-partition with its staged state, guarded by Broker.mu.
type partition struct {
	*log.Partition
	topic     *topic
	tp        kafka.TopicPartition
	next      kafka.Offset // base offset of the next append
	producers txn.Producers
	deleted   bool
	// noted is when a failure to read the partition was logged last, in Unix
	// nanoseconds.
	noted atomic.Int64
}

// noteInterval is how often a partition that cannot be read is logged, however
// often clients ask.
const noteInterval = time.Minute

// isDamage reports whether err says that bytes on disk are not what was written.
func isDamage(err error) bool {
	return errors.Is(err, wal.ErrCorrupt) || errors.Is(err, log.ErrCorrupt) || errors.Is(err, kafka.ErrCorruptBatch)
}

// noteUnreadable logs that a partition cannot be read at an offset.
func (b *Broker) noteUnreadable(p *partition, at kafka.Offset, err error) {
	now, last := b.cfg.Clock.Now().UnixNano(), p.noted.Load()
	if last != 0 && now-last < int64(noteInterval) || !p.noted.CompareAndSwap(last, now) {
		return
	}
	if isDamage(err) {
		b.cfg.Logger.Error("a partition is damaged and cannot be read here: restore the data directory from a copy, "+
			"give up what cannot be read with: millrace log repair (server stopped), or what is before an offset with: millrace topic delete-records", "partition", p.tp, "offset", at, "err", err)
		return
	}
	b.cfg.Logger.Warn("a partition cannot be read", "partition", p.tp, "offset", at, "err", err)
}

func (s *topics) init() {
	s.byName, s.byID = map[string]*topic{}, map[TopicID]*topic{}
}

// get returns a live topic by name.
func (s *topics) get(name string) *topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.byName[name]; t != nil && t.live {
		return t
	}
	return nil
}

// getID returns a live topic by id.
func (s *topics) getID(id TopicID) *topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.byID[id]; t != nil && t.live {
		return t
	}
	return nil
}

// staged returns a topic by id, live or not.
func (s *topics) staged(id TopicID) *topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

// partition returns a live topic's partition, nil when there is none.
func (s *topics) partition(tp kafka.TopicPartition) *partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.byName[tp.Topic]
	if t == nil || !t.live || tp.Partition < 0 || int(tp.Partition) >= len(t.parts) {
		return nil
	}
	return t.parts[tp.Partition]
}

// each calls f for every topic in name order, live or not.
func (s *topics) each(f func(*topic)) {
	s.mu.RLock()
	all := slices.SortedFunc(maps.Values(s.byName), func(a, b *topic) int { return cmp.Compare(a.name, b.name) })
	s.mu.RUnlock()
	for _, t := range all {
		f(t)
	}
}

func (t *topic) partitions() []*partition {
	t.set.mu.RLock()
	defer t.set.mu.RUnlock()
	return t.parts
}

func (t *topic) config() (map[string]string, settings) {
	t.set.mu.RLock()
	defer t.set.mu.RUnlock()
	return t.configs, t.settings
}

func (t *topic) isLive() bool {
	t.set.mu.RLock()
	defer t.set.mu.RUnlock()
	return t.live
}

func (t *topic) info() TopicInfo {
	t.set.mu.RLock()
	defer t.set.mu.RUnlock()
	return TopicInfo{ID: t.id, Name: t.name, Partitions: int32(len(t.parts)), Internal: t.internal, Configs: t.configs}
}

// Topics returns every topic in name order.
func (b *Broker) Topics() []TopicInfo {
	var infos []TopicInfo
	b.topics.each(func(t *topic) {
		if t.isLive() {
			infos = append(infos, t.info())
		}
	})
	return infos
}

// Topic returns one topic.
func (b *Broker) Topic(name string) (TopicInfo, bool) {
	t := b.topics.get(name)
	if t == nil {
		return TopicInfo{}, false
	}
	return t.info(), true
}

// newTopicID returns a random version 4 UUID, which Kafka's tools print in
// base64.
func newTopicID() (TopicID, error) {
	var id TopicID
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("make topic id: %w", err)
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// topicNameMaxBytes is Kafka's limit.
const topicNameMaxBytes = 249

// checkTopicName applies Kafka's rules.
func checkTopicName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > topicNameMaxBytes {
		return fmt.Errorf("%w: topic name %q: 1 to %d characters, not . or ..", ErrInvalid, name, topicNameMaxBytes)
	}
	for _, c := range []byte(name) {
		if c != '.' && c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w: topic name %q: only letters, digits, '.', '_' and '-'", ErrInvalid, name)
		}
	}
	return nil
}

// collides reports whether another topic has the same name but for . and _,
// which metrics do not tell apart. The caller holds topics.mu.
func (s *topics) collides(name string) (string, bool) {
	if !strings.ContainsAny(name, "._") {
		return "", false
	}
	flat := strings.ReplaceAll(name, ".", "_")
	for other := range s.byName {
		if len(other) == len(name) && other != name && strings.ReplaceAll(other, ".", "_") == flat {
			return other, true
		}
	}
	return "", false
}

// checkNew verifies that a topic can be created now: its name, partition count
// and configuration, and that no topic has its name.
func (b *Broker) checkNew(spec TopicSpec) (settings, error) {
	if err := checkTopicName(spec.Name); err != nil {
		return settings{}, err
	}
	set, err := parseSettings(spec.Configs)
	if err != nil {
		return settings{}, err
	}
	b.topics.mu.RLock()
	defer b.topics.mu.RUnlock()
	if b.topics.byName[spec.Name] != nil {
		return settings{}, fmt.Errorf("%w: %s", ErrTopicExists, spec.Name)
	}
	if other, ok := b.topics.collides(spec.Name); ok {
		return settings{}, fmt.Errorf("%w: topic name %s collides with %s", ErrInvalid, spec.Name, other)
	}
	return set, b.checkPartitionCount(spec.Partitions)
}

// checkPartitionCount checks that n more partitions fit. The caller holds
// topics.mu.
func (b *Broker) checkPartitionCount(n int32) error {
	if n < 1 {
		return fmt.Errorf("%w: %d partitions", errPartitions, n)
	}
	if b.topics.count+int(n) > b.cfg.Limits.MaxPartitions {
		return fmt.Errorf("%w: %d more partitions pass max.partitions = %d", errPartitions, n, b.cfg.Limits.MaxPartitions)
	}
	return nil
}

var errPartitions = fmt.Errorf("%w: partition count", ErrInvalid)
