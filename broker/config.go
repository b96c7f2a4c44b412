package broker

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// Config says where a broker keeps its data and how it behaves. The zero value
// of every field but Dir has the default that its comment names.
type Config struct {
	// Dir is the data directory; it is created when missing.
	Dir string
	// FS is the file system of Dir; default vfs.Default.
	FS vfs.FS
	// Clock is the source of wall time; default clock.System.
	Clock clock.Clock
	// Logger receives what an operator should know; default: nothing is logged.
	Logger *slog.Logger
	// AdvertisedHost and AdvertisedPort are what Metadata tells clients of a
	// listener that has none of its own. When the host is empty, clients are told
	// the address that they came in on.
	AdvertisedHost string
	AdvertisedPort int32
	// DisableAutoCreate turns auto.create.topics.enable (default true) off.
	DisableAutoCreate bool
	// DefaultPartitions is num.partitions; default 1.
	DefaultPartitions int32
	// Security says who may do what; the zero value lets everybody do everything
	// that listeners let in.
	Security Security
	// Keys encrypt what is written to Dir, and decrypt what was; nil leaves it
	// plain, and refuses a directory that is encrypted.
	Keys *seal.Keys
	// Limits bounds what the broker holds and accepts.
	Limits Limits
}

// Security is the broker's authorization and what logins are checked against.
type Security struct {
	// Authorize turns access control lists on: who is not allowed something may
	// not do it.
	Authorize bool
	// SuperUsers (super.users) may do everything; principals like User:admin.
	SuperUsers []string
	// AllowEveryoneIfNoACL (allow.everyone.if.no.acl.found): resources without
	// any rule are open to everybody.
	AllowEveryoneIfNoACL bool
	// OAuth says which tokens OAUTHBEARER takes; nil: none.
	OAuth *OAuth
}

// Limits are the broker's named limits. A zero field means its default.
type Limits struct {
	// WALMaxBytes (wal.max.bytes) bounds the write-ahead log; appends wait while
	// it is reached. Default 512 MiB.
	WALMaxBytes int64
	// WALFileBytes (wal.file.bytes) is the size at which a log file is sealed, at
	// most a quarter of WALMaxBytes. Default an eighth of it, 64 MiB.
	WALFileBytes int64
	// WALMaxEntries (wal.max.entries) bounds the positions of log entries kept
	// in memory; log files retire earlier when it is passed. Default 1,000,000.
	WALMaxEntries int
	// WALSpareBytes (wal.spare.bytes) are kept on the disk, so that topics and
	// records can be deleted when it is full; at most wal.file.bytes. Default 1 MiB.
	WALSpareBytes int64
	// QueueMaxBytes (wal.queue.max.bytes) bounds what waits for the committer; a
	// quarter of WALMaxBytes does, too. Default 64 MiB.
	QueueMaxBytes int64
	// TailMaxBytes (log.tail.max.bytes) is how much recent data stays in memory
	// for readers. Default 64 MiB.
	TailMaxBytes int64
	// FrameMaxBytes (wal.frame.max.bytes) bounds one commit. Default 128 MiB.
	FrameMaxBytes int
	// OpenFiles (log.open.files) bounds the segment files held open. Default 256.
	OpenFiles int
	// SegmentBytes (segment.bytes) is the default segment size. Default 1 GiB.
	SegmentBytes int64
	// RequestMaxBytes (socket.request.max.bytes) bounds Produce requests.
	// Default 100 MiB.
	RequestMaxBytes int
	// SmallRequestMaxBytes bounds requests of every other key. Default 1 MiB.
	SmallRequestMaxBytes int
	// InFlightMaxBytes (queued.max.request.bytes) bounds the request bytes held
	// over all connections. A quarter of it is for requests of up to
	// SmallRequestMaxBytes. Default 256 MiB.
	InFlightMaxBytes int64
	// UnsentMaxBytes bounds the records in Fetch responses that peers have not
	// taken yet, over all connections. Default 64 MiB.
	UnsentMaxBytes int64
	// PipelinedRequests bounds the unanswered requests of one connection.
	// Default 32.
	PipelinedRequests int
	// MaxConnections (max.connections) bounds open connections. Default 15,000.
	MaxConnections int
	// MaxConnectionsPerIP (max.connections.per.ip) bounds those of one address.
	// Default: as many as MaxConnections.
	MaxConnectionsPerIP int
	// LoginMaxBytes (sasl.server.max.receive.size) bounds a request of a peer
	// that has not logged in. Default 64 KiB (Kafka: 512 KiB).
	LoginMaxBytes int
	// HandshakeTimeout bounds TLS and login together. Default 10 s.
	HandshakeTimeout time.Duration
	// RequestTimeout bounds how long the next 64 KiB of a request that has begun
	// may take to arrive. Default 30 s.
	RequestTimeout time.Duration
	// StalledTimeout is the time in which 64 KiB of a request that has begun must
	// come while others wait for the memory it holds. Default 2 s.
	StalledTimeout time.Duration
	// FailedLoginDelay (connection.failed.authentication.delay.ms) is how long a
	// failed login waits for its answer. Default 100 ms.
	FailedLoginDelay time.Duration
	// SessionLifetime (connections.max.reauth.ms) is how long a login is good
	// (KIP-368). Default 0: for ever, or as long as a token is.
	SessionLifetime time.Duration
	// MaxUsers bounds the users with a password. Default 10,000.
	MaxUsers int
	// MaxACLs bounds the rules. Default 100,000.
	MaxACLs int
	// MaxQuotas bounds the entities that have limits. Default 10,000.
	MaxQuotas int
	// IdleTimeout (connections.max.idle.ms) closes silent connections. Default
	// 10 minutes.
	IdleTimeout time.Duration
	// FetchMaxBytes (fetch.max.bytes) bounds one Fetch response. Default 55 MiB.
	FetchMaxBytes int
	// FetchSessions (max.incremental.fetch.session.cache.slots) bounds the
	// incremental fetch sessions. Default 1,000.
	FetchSessions int
	// MaxPartitions (max.partitions) bounds the partitions of all topics.
	// Default 100,000.
	MaxPartitions int
	// DecompressedMaxBytes bounds one decompressed batch, which may also not pass
	// 16 times max.message.bytes. Default 128 MiB.
	DecompressedMaxBytes int
	// GroupMaxSize (group.max.size) bounds the members of a group. Default 1,000.
	GroupMaxSize int
	// MaxGroups bounds consumer groups. Default 100,000.
	MaxGroups int
	// GroupInitialRebalanceDelay (group.initial.rebalance.delay.ms) is how long
	// an empty group waits for more members. Default 50 ms (Kafka: 3 s).
	GroupInitialRebalanceDelay time.Duration
	// OffsetsRetention (offsets.retention.minutes): committed offsets of groups
	// without members are forgotten after it. Default 0: never, as records are
	// (Kafka: 7 days).
	OffsetsRetention time.Duration
	// OffsetsRetentionCheckInterval (offsets.retention.check.interval.ms) is the
	// pause between passes that forget groups without members and offsets. Default
	// 10 minutes.
	OffsetsRetentionCheckInterval time.Duration
	// GroupConsumerSessionTimeout (group.consumer.session.timeout.ms) and
	// GroupConsumerHeartbeatInterval (group.consumer.heartbeat.interval.ms) are
	// those of groups of KIP-848. Defaults 45 s and 5 s.
	GroupConsumerSessionTimeout, GroupConsumerHeartbeatInterval time.Duration
	// OffsetMetadataMaxBytes (offset.metadata.max.bytes). Default 4096.
	OffsetMetadataMaxBytes int
	// TransactionMaxTimeout (transaction.max.timeout.ms). Default 15 minutes.
	TransactionMaxTimeout time.Duration
	// MaxTransactionalIDs bounds the transactional ids remembered. Default 100,000.
	MaxTransactionalIDs int
	// ProducerExpiration (producer.id.expiration.ms): a producer's window on a
	// partition is forgotten after it. Default 24 hours.
	ProducerExpiration time.Duration
	// CleanerKeyMapBytes (log.cleaner.dedupe.buffer.size) bounds the memory that
	// compaction takes for keys, 24 bytes each; what does not fit is compacted in
	// another round. Default 32 MiB (a million keys).
	CleanerKeyMapBytes int
	// CleanerMinBytes (log.cleaner.min.bytes): a partition, or a segment when
	// segment.bytes is less, is not compacted for less, unless a record is older
	// than segment.ms or max.compaction.lag.ms. Default 1 MiB.
	CleanerMinBytes int64
	// HousekeepingInterval is the pause between retention, compaction and expiry
	// passes. Default 30 s.
	HousekeepingInterval time.Duration
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

func orDefault[T int | int32 | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}

// check refuses limits that cannot be held together.
func (l Limits) check() error {
	if l.WALFileBytes > l.WALMaxBytes/4 {
		return fmt.Errorf("%w: wal.file.bytes = %d is more than a quarter of wal.max.bytes = %d", ErrInvalid, l.WALFileBytes, l.WALMaxBytes)
	}
	return nil
}

// WithDefaults returns the limits with every zero field replaced.
func (l Limits) WithDefaults() Limits {
	orDefault(&l.WALMaxBytes, 512*mib)
	orDefault(&l.WALFileBytes, l.WALMaxBytes/8)
	orDefault(&l.WALMaxEntries, 1_000_000)
	orDefault(&l.WALSpareBytes, 1*mib)
	orDefault(&l.QueueMaxBytes, 64*mib)
	orDefault(&l.TailMaxBytes, 64*mib)
	orDefault(&l.FrameMaxBytes, 128*mib)
	orDefault(&l.OpenFiles, 256)
	orDefault(&l.SegmentBytes, 1024*mib)
	orDefault(&l.RequestMaxBytes, 100*mib)
	orDefault(&l.SmallRequestMaxBytes, 1*mib)
	orDefault(&l.InFlightMaxBytes, 256*mib)
	orDefault(&l.UnsentMaxBytes, 64*mib)
	orDefault(&l.PipelinedRequests, 32)
	orDefault(&l.MaxConnections, 15_000)
	orDefault(&l.MaxConnectionsPerIP, l.MaxConnections)
	orDefault(&l.LoginMaxBytes, 64*kib)
	orDefault(&l.HandshakeTimeout, 10*time.Second)
	orDefault(&l.RequestTimeout, 30*time.Second)
	orDefault(&l.StalledTimeout, 2*time.Second)
	orDefault(&l.FailedLoginDelay, 100*time.Millisecond)
	orDefault(&l.MaxUsers, 10_000)
	orDefault(&l.MaxACLs, 100_000)
	orDefault(&l.MaxQuotas, 10_000)
	orDefault(&l.IdleTimeout, 10*time.Minute)
	orDefault(&l.FetchMaxBytes, 55*mib)
	orDefault(&l.FetchSessions, 1000)
	orDefault(&l.MaxPartitions, 100_000)
	orDefault(&l.DecompressedMaxBytes, 128*mib)
	orDefault(&l.GroupMaxSize, 1000)
	orDefault(&l.MaxGroups, 100_000)
	orDefault(&l.GroupInitialRebalanceDelay, 50*time.Millisecond)
	orDefault(&l.GroupConsumerSessionTimeout, 45*time.Second)
	orDefault(&l.GroupConsumerHeartbeatInterval, 5*time.Second)
	orDefault(&l.OffsetMetadataMaxBytes, 4*kib)
	orDefault(&l.TransactionMaxTimeout, 15*time.Minute)
	orDefault(&l.MaxTransactionalIDs, 100_000)
	orDefault(&l.ProducerExpiration, 24*time.Hour)
	orDefault(&l.CleanerKeyMapBytes, 32*mib)
	orDefault(&l.CleanerMinBytes, 1*mib)
	orDefault(&l.HousekeepingInterval, 30*time.Second)
	orDefault(&l.OffsetsRetentionCheckInterval, 10*time.Minute)
	return l
}

// withDefaults returns the configuration with every zero field replaced.
func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	orDefault(&c.DefaultPartitions, 1)
	c.Limits = c.Limits.WithDefaults()
	return c
}
