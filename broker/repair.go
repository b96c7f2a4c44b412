package broker

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// PartitionDamage is what cannot be read of one partition's segments.
type PartitionDamage struct {
	TP kafka.TopicPartition
	// Internal topics belong to the SQL engine. They are not repaired: a hole in
	// the history of statements or in the changelog of a table would change what
	// queries answer, without an error.
	Internal bool
	Segments []log.Damage
	// Repaired: the offsets of the gaps were given up, and the partition can be
	// read. Aside is where the damaged files are now; a missing one is nowhere.
	Repaired bool
	Aside    []string
}

// damagedDir is the directory of damaged segments, in the data directory and by
// topic id and partition as topics/ is.
const damagedDir = "damaged"

// Repair reads all segments of all partitions and tells emit of every partition
// in which something cannot be read. With acceptLoss it makes these readable
// again, topic by topic (log.Partition.Repair): what cannot be read is given up,
// every other record keeps its offset, and the damaged files are set aside. It is
// meant for a directory that nobody else uses; errors wrap log.ErrStale when
// somebody did.
func (b *Broker) Repair(acceptLoss bool, emit func(PartitionDamage) error) error {
	var parts []*partition
	b.topics.each(func(t *topic) { parts = append(parts, t.partitions()...) })
	for _, p := range parts {
		segments, err := p.FindDamage()
		if err != nil {
			return fmt.Errorf("%s: %w", p.tp, err)
		}
		if len(segments) == 0 {
			continue
		}
		d := PartitionDamage{TP: p.tp, Internal: p.topic.internal, Segments: segments}
		if acceptLoss && !d.Internal {
			if err := b.repair(p, &d); err != nil {
				return fmt.Errorf("%s: %w", p.tp, err)
			}
		}
		if err := emit(d); err != nil {
			return err
		}
	}
	return nil
}

// repair repairs one partition and makes that durable.
func (b *Broker) repair(p *partition, d *PartitionDamage) (err error) {
	d.Segments, err = p.Repair(log.RepairOptions{
		SetAside: func(stem string) error {
			aside, err := b.setAside(p, stem)
			d.Aside = append(d.Aside, aside...)
			return err
		},
		Swap:     b.keeper.do,
		Replaced: func(stems []string) { b.keeper.replaced = append(b.keeper.replaced, stems...) },
	})
	if err != nil {
		return err
	}
	d.Repaired = true
	return b.keeper.do(func() error { return b.keeper.checkpoint(0) })
}

// setAside gives the files of a segment durable names that nothing removes, and
// returns that of the segment. A start removes what the checkpoint does not name
// from topics/ only.
func (b *Broker) setAside(p *partition, stem string) (aside []string, err error) {
	fs := b.cfg.FS
	dirs := []string{b.cfg.Dir}
	for _, name := range []string{damagedDir, hex.EncodeToString(p.Topic[:]), strconv.Itoa(int(p.Partition.Partition))} {
		dirs = append(dirs, fs.PathJoin(dirs[len(dirs)-1], name))
	}
	if _, err := fs.Stat(stem + ".log"); vfs.IsNotExist(err) {
		return nil, nil // there is nothing to keep: an index alone says nothing
	}
	dir := dirs[len(dirs)-1]
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, suffix := range []string{".log", ".index"} {
		if _, err := fs.Stat(stem + suffix); vfs.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		to, err := b.freeName(fs.PathJoin(dir, fs.PathBase(stem)+suffix))
		if err != nil {
			return nil, err
		}
		if err := fs.Link(stem+suffix, to); err != nil {
			return nil, fmt.Errorf("set a damaged segment aside, as a hard link: %w", err)
		}
		if suffix == ".log" {
			aside = append(aside, to)
		}
	}
	for _, d := range dirs {
		if err := vfs.SyncDir(fs, d); err != nil {
			return nil, fmt.Errorf("sync %s: %w", d, err)
		}
	}
	return aside, nil
}

// freeName returns a path that is not taken: path, or path.2 and so on.
func (b *Broker) freeName(path string) (string, error) {
	for i, name := 2, path; ; i++ {
		if _, err := b.cfg.FS.Stat(name); vfs.IsNotExist(err) {
			return name, nil
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s.%d", path, i)
	}
}
