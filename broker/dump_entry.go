package broker

import (
	"fmt"
	"math"
	"strings"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

func (d *dumper) batch(path, tp string, at int64, b kafka.Batch, damage error) error {
	item := DumpItem{Kind: "batch", File: path, Position: &at}
	if damage != nil {
		item.Kind, item.Damage = "damage", damage.Error()
	}
	if b == nil {
		return d.emit(item)
	}
	_, horizon := b.DeleteHorizon()
	item.Batch = &DumpBatch{
		Partition: tp, BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Count: b.Count(), Bytes: len(b),
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
	if err := d.emit(item); err != nil || !d.o.Records || damage != nil {
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
	case codec < len(codecNames):
		return codecNames[codec]
	}
	return fmt.Sprintf("codec %d", codec)
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
	name := strings.TrimPrefix(fmt.Sprintf("%T", ev), "*broker.")
	switch ev := ev.(type) {
	case *topicCreated:
		return fmt.Sprintf("%s: %s, id %x, %d partitions, internal %v, configs %v", name, ev.name, ev.id[:], ev.partitions, ev.internal, ev.configs)
	case *topicDeleted:
		return fmt.Sprintf("%s: id %x", name, ev.id[:])
	case *partitionsAdded:
		return fmt.Sprintf("%s: id %x, %d more", name, ev.id[:], ev.count)
	case *configsSet:
		return fmt.Sprintf("%s: id %x, configs %v", name, ev.id[:], ev.configs)
	case *logStartSet:
		return fmt.Sprintf("%s: id %x, partition %d, offset %d", name, ev.id[:], ev.partition, ev.offset)
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
