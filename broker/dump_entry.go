package broker

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
)

// home is the partition that batches belong to, which encrypted ones are bound to.
type home struct {
	topic     TopicID
	partition int32
	known     bool
}

// homeOf reads the partition from the path of a segment:
// .../<topic id>/<partition>/<segment>.
func (d *dumper) homeOf(path string) (h home) {
	dir := d.fs.PathDir(path)
	n, err := strconv.ParseInt(d.fs.PathBase(dir), 10, 32)
	if err != nil {
		return h
	}
	id := d.fs.PathBase(d.fs.PathDir(dir))
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(h.topic) {
		return home{}
	}
	h.topic = TopicID(raw)
	h.partition, h.known = int32(n), true
	return h
}

// unlock decrypts a batch. locked says why not, when its key was not given.
func (d *dumper) unlock(b kafka.Batch, of home) (opened kafka.Batch, locked string, damage error) {
	id, sealed, err := log.KeyOf(b)
	switch {
	case err != nil || !sealed:
		return b, "", err
	case d.sealer == nil:
		return b, (&seal.UnknownKeyError{ID: id}).Error(), nil
	case !of.known:
		return b, "encrypted for a partition that the file's path does not tell: topics/TOPIC-ID/PARTITION/FILE", nil
	}
	out, err := log.OpenBatch(nil, of.topic, of.partition, b, d.sealer)
	if errors.Is(err, ErrUnknownKey) {
		return b, err.Error(), nil
	}
	if err != nil {
		return b, "", err
	}
	return out, "", nil
}

func (d *dumper) batch(path, tp string, at int64, b kafka.Batch, of home, damage error) error {
	item := DumpItem{Kind: "batch", File: path, Position: &at}
	if damage != nil {
		item.Kind, item.Damage = "damage", damage.Error()
	}
	if b == nil {
		return d.emit(item)
	}
	size, keyID := len(b), ""
	if id, sealed, err := log.KeyOf(b); sealed && err == nil {
		keyID = id.String()
	}
	if damage == nil {
		if b, item.Locked, damage = d.unlock(b, of); damage != nil {
			item.Kind, item.Damage = "damage", damage.Error()
		}
	}
	_, horizon := b.DeleteHorizon()
	item.Batch = &DumpBatch{
		Partition: tp, BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Count: b.Count(), Bytes: size, KeyID: keyID,
		LeaderEpoch: b.LeaderEpoch(), Codec: codecName(b.Codec()), BaseTimestamp: b.BaseTimestamp(), MaxTimestamp: b.MaxTimestamp(),
		DeleteHorizon: horizon, AppendTime: b.Attributes()&kafka.AttrLogAppendTime != 0,
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(), Transactional: b.Transactional(),
	}
	if b.Control() {
		commit, known := log.MarkerCommits(b)
		item.Batch.Marker = map[bool]string{true: "COMMIT", false: "ABORT"}[commit]
		if !known {
			item.Batch.Marker = "UNKNOWN"
		}
	}
	if err := d.emit(item); err != nil || !d.o.Records || damage != nil || item.Locked != "" {
		return err
	}
	return d.records(path, at, b)
}

func (d *dumper) records(path string, at int64, b kafka.Batch) error {
	payload, err := log.Payload(b, math.MaxInt32)
	if err != nil {
		return d.emit(DumpItem{Kind: "damage", File: path, Position: &at, Damage: err.Error()})
	}
	walk := b.Records(payload)
	for walk.Next() {
		r := walk.Record()
		if err := d.emit(DumpItem{Kind: "record", File: path, Record: &DumpRecord{r.Offset, r.Timestamp, r.Key, r.Value}}); err != nil {
			return err
		}
	}
	if err := walk.Err(); err != nil {
		return d.emit(DumpItem{Kind: "damage", File: path, Position: &at, Damage: err.Error()})
	}
	return nil
}

func codecName(codec int) string {
	switch {
	case codec == log.CodecNone:
		return "none"
	case codec == log.CodecSealed:
		return "encrypted"
	case codec < len(codecNames):
		return codecNames[codec]
	}
	return fmt.Sprintf("codec %d", codec)
}

// topicIDText is a topic id as Kafka prints it: base64 with - and _, without
// padding. File names have it in hexadecimal, since base64 has letters that differ
// in case only.
func topicIDText(id TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// eventName returns the name of a kind of event.
func eventName(kind byte) string {
	ev, err := newEvent(kind)
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", ev), "*broker.")
}

// describeEvent tells what a metadata event is about.
func describeEvent(e wal.Entry) string {
	ev, err := newEvent(e.Kind)
	if err != nil {
		return err.Error()
	}
	dec := wal.Decoder{Buf: e.Body}
	if ev.decode(&dec); dec.Err != nil {
		return fmt.Sprintf("%T: %v", ev, dec.Err)
	}
	name := eventName(e.Kind)
	switch ev := ev.(type) {
	case *topicCreated:
		return fmt.Sprintf("%s: %s, id %s, %d partitions, internal %v, configs %v", name, ev.name, topicIDText(ev.id), ev.partitions, ev.internal, ev.configs)
	case *topicDeleted:
		return fmt.Sprintf("%s: id %s", name, topicIDText(ev.id))
	case *partitionsAdded:
		return fmt.Sprintf("%s: id %s, %d more", name, topicIDText(ev.id), ev.count)
	case *configsSet:
		return fmt.Sprintf("%s: id %s, configs %v", name, topicIDText(ev.id), ev.configs)
	case *logStartSet:
		return fmt.Sprintf("%s: id %s, partition %d, offset %d", name, topicIDText(ev.id), ev.partition, ev.offset)
	case *offsetsCommitted:
		return fmt.Sprintf("%s: group %s, %d offsets", name, ev.group, len(ev.offsets))
	case *offsetsDeleted:
		return fmt.Sprintf("%s: group %s, %d offsets", name, ev.group, len(ev.offsets))
	case *groupState:
		return fmt.Sprintf("%s: group %s, %d bytes", name, ev.group, len(ev.state))
	case *groupDeleted:
		return fmt.Sprintf("%s: group %s", name, ev.group)
	case *txnChanged:
		return fmt.Sprintf("%s: id %s, producer %d epoch %d, %s, %d partitions, %d groups", name, ev.ID, ev.ProducerID, ev.Epoch, ev.State, len(ev.Partitions), len(ev.Groups))
	case *producerIDUsed:
		return fmt.Sprintf("%s: producer %d", name, ev.pid)
	case *txnOffsets:
		return fmt.Sprintf("%s: producer %d, group %s, %d offsets", name, ev.pid, ev.group, len(ev.offsets))
	case *txnOffsetsEnded:
		return fmt.Sprintf("%s: producer %d, commit %v", name, ev.pid, ev.commit)
	}
	return fmt.Sprintf("%s: %d bytes", name, len(e.Body))
}
