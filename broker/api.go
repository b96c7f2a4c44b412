package broker

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// api is one Kafka API key: the versions that are advertised and the handler.
// The handler answers through request.reply, at once or later; an error closes
// the connection.
type api struct {
	min, max int16
	handle   func(*Broker, *request, kmsg.Request) error
}

// apis is every key that is served. Each api_NN_name.go registers its own; the
// table is also the ApiVersions answer. Versions follow Kafka 4.x: floors are
// never raised, since old clients take a raised floor for a missing feature.
var apis = map[int16]*api{}

const (
	keyProduce     = 0
	keyApiVersions = 18
)

// register adds a key to the table.
func register[R kmsg.Request](key, minVersion, maxVersion int16, handle func(*Broker, *request, R) error) {
	if apis[key] != nil {
		panic("broker: API key registered twice")
	}
	apis[key] = &api{minVersion, maxVersion, func(b *Broker, rq *request, req kmsg.Request) error {
		return handle(b, rq, req.(R))
	}}
}

// errorCodes maps errors to Kafka's, the more special first.
var errorCodes = []struct {
	err  error
	code *kerr.Error
}{
	{errPartitions, kerr.InvalidPartitions},
	{errConfig, kerr.InvalidConfig},
	{ErrUnknownTopic, kerr.UnknownTopicOrPartition},
	{log.ErrDeleted, kerr.UnknownTopicOrPartition},
	{ErrTopicExists, kerr.TopicAlreadyExists},
	{ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	{log.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	{log.ErrCorrupt, kerr.KafkaStorageError},
	{log.ErrTooLarge, kerr.MessageTooLarge},
	{ErrStorage, kerr.KafkaStorageError},
	{ErrClosed, kerr.NotLeaderForPartition},
	{wal.ErrClosed, kerr.NotLeaderForPartition},
	{ErrInvalid, kerr.InvalidRequest},
	{txn.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
	{txn.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
	{txn.ErrInvalidProducerIDMapping, kerr.InvalidProducerIDMapping},
	{txn.ErrProducerFenced, kerr.ProducerFenced},
	{txn.ErrInvalidTxnState, kerr.InvalidTxnState},
	{txn.ErrTooManyIDs, kerr.PolicyViolation},
	{kafka.ErrCorruptBatch, kerr.CorruptMessage},
}

// errorCode returns Kafka's code for an error, 0 for nil.
func errorCode(err error) int16 {
	if err == nil {
		return 0
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke.Code
	}
	for _, m := range errorCodes {
		if errors.Is(err, m.err) {
			return m.code.Code
		}
	}
	return kerr.KafkaStorageError.Code
}

// coordinatorCode is errorCode for group and transaction APIs, whose clients
// take trouble with the log as a reason to look for the coordinator again.
func coordinatorCode(err error) int16 {
	switch code := errorCode(err); code {
	case kerr.KafkaStorageError.Code, kerr.NotLeaderForPartition.Code:
		return kerr.CoordinatorNotAvailable.Code
	default:
		return code
	}
}

// message returns an error's text for a response, nil for none. The code goes
// beside it, so what the code means in general is left out where there is more.
func message(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	if code := (*kerr.Error)(nil); errors.As(err, &code) {
		s = strings.TrimPrefix(s, code.Error()+": ")
	}
	return &s
}

// deref returns the string or "" for null.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// optional returns nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
