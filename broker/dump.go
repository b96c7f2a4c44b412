package broker

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// DumpItem is one thing that Dump found: a file, or a part of one. Kind is
// checkpoint, topic, partition, segment, log, frame, event, batch, record, end,
// aside or damage; fields that the kind does not have are left out of its JSON form.
type DumpItem struct {
	Kind     string `json:"kind"`
	File     string `json:"file,omitempty"`
	Position *int64 `json:"position,omitempty"`
	// Text is what is particular to the kind, readable.
	Text string `json:"text,omitempty"`
	// Batch and Record describe stored records; Damage says what is wrong.
	Batch  *DumpBatch  `json:"batch,omitempty"`
	Record *DumpRecord `json:"record,omitempty"`
	Damage string      `json:"damage,omitempty"`
	// Locked says why something encrypted is not shown: its key was not given.
	Locked string `json:"locked,omitempty"`
}

// DumpBatch is the header of a record batch.
type DumpBatch struct {
	Partition     string           `json:"partition,omitempty"`
	BaseOffset    kafka.Offset     `json:"base_offset"`
	LastOffset    kafka.Offset     `json:"last_offset"`
	Count         int32            `json:"count"`
	Bytes         int              `json:"bytes"`
	LeaderEpoch   int32            `json:"leader_epoch"`
	Codec         string           `json:"codec"`
	BaseTimestamp kafka.Timestamp  `json:"base_timestamp"`
	MaxTimestamp  kafka.Timestamp  `json:"max_timestamp"`
	DeleteHorizon bool             `json:"delete_horizon,omitempty"`
	AppendTime    bool             `json:"log_append_time,omitempty"`
	ProducerID    kafka.ProducerID `json:"producer_id"`
	ProducerEpoch kafka.Epoch      `json:"producer_epoch"`
	BaseSequence  int32            `json:"base_sequence"`
	Transactional bool             `json:"transactional,omitempty"`
	// KeyID is the key that the batch is encrypted with.
	KeyID string `json:"key_id,omitempty"`
	// Marker is COMMIT or ABORT for a control batch.
	Marker string `json:"marker,omitempty"`
}

// DumpRecord is one record. Null keys and values are nil.
type DumpRecord struct {
	Offset    kafka.Offset    `json:"offset"`
	Timestamp kafka.Timestamp `json:"timestamp"`
	Key       []byte          `json:"key"`
	Value     []byte          `json:"value"`
}

// DumpOptions say what Dump shows beside files, frames and batches.
type DumpOptions struct {
	// Records shows keys and values.
	Records bool
	// Keys decrypt what is encrypted; without them only the places, sizes and
	// headers of it are shown.
	Keys *seal.Keys
}

// Dump reads a data directory, or one file of it, without changing or locking
// it, and emits what it finds. Damage is emitted where it is and ends the reading
// of no other file. The directory of a broker that runs can be read; what is
// being written then may look torn.
func Dump(fs vfs.FS, path string, o DumpOptions, emit func(DumpItem) error) error {
	d := &dumper{fs: fs, o: o, emit: emit, names: map[TopicID]string{}, sizes: map[string]int64{}}
	if o.Keys != nil {
		var err error
		if d.sealer, err = seal.NewSealer(o.Keys); err != nil {
			return err
		}
	}
	info, err := fs.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return d.file(path)
	}
	if err := d.checkpoints(path); err != nil {
		return err
	}
	if err := d.dir(path); err != nil || !d.whole {
		return err
	}
	if err := d.logEnd(fs.PathJoin(path, "wal")); err != nil {
		return err
	}
	return d.refusal(path)
}

// dumper is one call of Dump.
type dumper struct {
	fs     vfs.FS
	o      DumpOptions
	emit   func(DumpItem) error
	names  map[TopicID]string
	sizes  map[string]int64 // bytes that count, by path of a segment of the checkpoint
	whole  bool             // a checkpoint was read: other segments are stray
	sealer *seal.Sealer     // nil without keys
	// first is the oldest log file, next the frame behind the last that was found
	// from there on, durable the one below which all were durable once.
	first         uint64
	next, durable uint64
	// refused is why a start is refused, nil when it is not or nobody can tell;
	// logDamaged says that damage of the log was shown.
	refused    error
	logDamaged bool
}

// logEnd reports frames that were durable and are behind the end of the log.
func (d *dumper) logEnd(path string) error {
	if d.next >= d.durable {
		return nil
	}
	d.logDamaged = true
	return d.emit(DumpItem{Kind: "damage", File: path, Damage: fmt.Sprintf(
		"the log ends before frame %d, but frames below %d were durable", d.next, d.durable)})
}

// dir dumps the log files and segments below a directory.
func (d *dumper) dir(path string) error {
	names, err := d.fs.List(path)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		child := d.fs.PathJoin(path, name)
		info, err := d.fs.Stat(child)
		if err != nil {
			return err
		}
		_, isLog := wal.FileNumber(name)
		_, _, isSegment := log.ParseSegmentName(name)
		switch {
		case info.IsDir() && name == damagedDir:
			// What is damaged there is known, and nothing reads it. Each file of it
			// can be dumped by its name.
			err = d.emit(DumpItem{Kind: "aside", File: child, Text: "damaged segments that log repair has set aside, not read here"})
		case info.IsDir():
			err = d.dir(child)
		case isLog || isSegment:
			err = d.file(child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) file(path string) error {
	name := d.fs.PathBase(path)
	if number, ok := wal.FileNumber(name); ok {
		return d.log(path, number)
	}
	if _, _, ok := log.ParseSegmentName(name); ok {
		return d.segment(path)
	}
	if strings.HasPrefix(name, wal.CheckpointName) {
		cp, err := wal.LoadCheckpointFile(d.fs, path, d.sealer)
		return d.checkpoint(path, cp, err)
	}
	return fmt.Errorf("%w: %s is no checkpoint, log file (.wal) or segment (.log)", ErrInvalid, path)
}

// checkpoint dumps the root and remembers topic names and segment sizes.
func (d *dumper) checkpoint(path string, cp wal.Checkpoint, err error) error {
	root := cp.Root
	b := &Broker{cfg: Config{Dir: d.fs.PathDir(path), FS: d.fs}.withDefaults()}
	if err == nil {
		b.init()
		var sequence uint64
		if sequence, err = b.decodeState(cp.State); err == nil {
			d.whole = true
			d.first, d.next, d.durable = root.FirstFile, root.FirstSequence, root.Synced
			text := fmt.Sprintf(
				"cluster %s, epoch %d, first log file %d with frame %d, synced below frame %d, clean %v, state up to frame %d",
				b.clusterID, root.Epoch, root.FirstFile, root.FirstSequence, root.Synced, root.Clean, sequence)
			if len(cp.Keys) > 0 {
				text += fmt.Sprintf(", encrypted, needs keys %v", cp.Keys)
			}
			err = d.emit(DumpItem{Kind: "checkpoint", File: path, Text: text})
			if err != nil {
				return err
			}
			return d.topics(b)
		}
	}
	if isLocked(err) {
		return d.emit(DumpItem{Kind: "checkpoint", File: path, Text: fmt.Sprintf("encrypted, needs keys %v", cp.Keys), Locked: err.Error()})
	}
	return d.emit(DumpItem{Kind: "damage", File: path, Damage: err.Error()})
}

func (d *dumper) topics(b *Broker) error {
	var err error
	b.topics.each(func(t *topic) {
		if err != nil {
			return
		}
		d.names[t.id] = t.name
		err = d.emit(DumpItem{Kind: "topic", Text: fmt.Sprintf("%s, id %s, %d partitions, internal %v, configs %v", t.name, topicIDText(t.id), len(t.parts), t.internal, t.configs)})
		for _, p := range t.parts {
			if err == nil {
				err = d.partition(b, p)
			}
		}
	})
	return err
}

func (d *dumper) partition(b *Broker, p *partition) error {
	info := p.Info()
	err := d.emit(DumpItem{Kind: "partition", Text: fmt.Sprintf(
		"%s, log start %d, archived to %d, high watermark %d, last stable %d, compacted to %d, epochs %v, open transactions %v, aborted %v",
		p.tp, info.LogStart, info.Archived, info.HighWatermark, info.LastStable, info.CleanedTo, info.Epochs, info.Open, info.Aborted)})
	for _, s := range info.Segments {
		path := d.fs.PathJoin(b.cfg.Dir, "topics", hex.EncodeToString(p.Topic[:]), strconv.Itoa(int(p.Partition.Partition)), s.Stem+".log")
		d.sizes[path] = s.Size
		if err == nil {
			err = d.emit(DumpItem{Kind: "segment", File: path, Text: fmt.Sprintf(
				"offsets [%d, %d), %d bytes, largest timestamp %d, generation %d, sealed %v", s.Base, s.Next, s.Size, s.MaxTimestamp, s.Generation, s.Sealed)})
		}
		if info, serr := d.fs.Stat(path); err == nil && (serr != nil || info.Size() < s.Size) {
			err = d.emit(DumpItem{Kind: "damage", File: path, Damage: fmt.Sprintf("the checkpoint counts %d bytes, the file is missing or shorter", s.Size)})
		}
	}
	return err
}

// log dumps a log file.
func (d *dumper) log(path string, number uint64) error {
	if err := d.emit(DumpItem{Kind: "log", File: path, Text: fmt.Sprintf("file %d", number)}); err != nil {
		return err
	}
	frame := func(f wal.FrameInfo) error {
		if number >= d.first {
			d.next, d.durable = max(d.next, f.Sequence+1), max(d.durable, f.SyncedSequence)
		}
		err := d.emit(DumpItem{Kind: "frame", File: path, Position: &f.Position, Text: fmt.Sprintf(
			"frame %d, epoch %d, %d bytes, %d entries, synced below %d", f.Sequence, f.Epoch, f.Length, len(f.Entries), f.SyncedSequence)})
		for _, e := range f.Entries {
			if err == nil {
				err = d.entry(path, e, f.Position)
			}
		}
		return err
	}
	damage := func(from, to int64, what string) error {
		d.logDamaged = d.logDamaged || number >= d.first
		return d.emit(DumpItem{Kind: "damage", File: path, Position: &from, Damage: fmt.Sprintf("%d bytes: %s", to-from, what)})
	}
	end, err := wal.InspectFile(d.fs, path, number, d.sealer, frame, damage)
	if err != nil {
		return err
	}
	return d.emit(DumpItem{Kind: "end", File: path, Position: &end, Text: "no frame behind"})
}

func (d *dumper) entry(path string, e wal.Entry, at int64) error {
	switch {
	case e.Locked != nil && errors.Is(e.Locked, ErrUnknownKey):
		return d.emit(DumpItem{Kind: "event", File: path, Position: &at, Text: eventName(e.Kind), Locked: e.Locked.Error()})
	case e.Locked != nil:
		d.logDamaged = true
		return d.emit(DumpItem{Kind: "damage", File: path, Position: &at, Damage: e.Locked.Error()})
	case e.Kind != wal.KindBatches:
		return d.emit(DumpItem{Kind: "event", File: path, Position: &at, Text: describeEvent(e)})
	}
	name := d.names[e.Topic]
	if name == "" {
		name = topicIDText(e.Topic)
	}
	tp := kafka.TopicPartition{Topic: name, Partition: e.Partition}.String()
	at = e.At.Offset
	for rest := e.Batches; len(rest) > 0; {
		b, after, err := kafka.NextBatch(rest)
		if err != nil {
			return d.emit(DumpItem{Kind: "damage", File: path, Position: &at, Damage: err.Error()})
		}
		var damage error
		if !b.CRCValid() {
			damage = fmt.Errorf("%w: checksum mismatch", log.ErrCorrupt)
		}
		if err := d.batch(path, tp, at, b, home{e.Topic, e.Partition, true}, damage); err != nil {
			return err
		}
		at += int64(len(b))
		rest = after
	}
	return nil
}

// segment dumps a segment, as far as it counts.
func (d *dumper) segment(path string) error {
	info, err := d.fs.Stat(path)
	if err != nil {
		return err
	}
	size, ok := d.sizes[path]
	text := ""
	switch {
	case !ok && d.whole:
		text = "not in the checkpoint: left by a crash, or not removed yet"
	case ok && info.Size() > size:
		text = fmt.Sprintf("%d bytes behind what counts", info.Size()-size)
	}
	if !ok || info.Size() < size {
		size = info.Size()
	}
	if err := d.emit(DumpItem{Kind: "segment", File: path, Text: text}); err != nil {
		return err
	}
	of := d.homeOf(path)
	return log.InspectSegment(d.fs, path, size, func(at int64, b kafka.Batch, err error) error {
		return d.batch(path, "", at, b, of, err)
	})
}
