package broker

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// missingLoggedMax partitions, and so many files of each, are named at a start
// that finds files missing; more are counted.
const missingLoggedMax = 20

// missing is a partition of which files are not there.
type missing struct {
	tp    kafka.TopicPartition
	lacks []log.Lack
}

// checkFiles looks for segments whose file is missing or too short, and says so.
// The start goes on: every reader of such an offset gets an error, so nothing is
// lost silently, and the other partitions are as good as before. A log or a
// checkpoint that is damaged is another matter: it says what there is.
func (b *Broker) checkFiles() error {
	all, err := b.missingFiles()
	for i, m := range all {
		if i == missingLoggedMax {
			b.cfg.Logger.Error("files of more partitions are missing: millrace log dump names them all", "partitions", len(all)-i)
			break
		}
		b.tellMissing(m)
	}
	return err
}

// tellMissing says that files of a partition are missing.
func (b *Broker) tellMissing(m missing) {
	b.cfg.Logger.Error("files of a partition are missing: what they held cannot be read (KAFKA_STORAGE_ERROR), its other offsets and all other "+
		"partitions can, and appends go on; put the files back from a copy while the server is stopped, or see Damage in docs/data-directory.md",
		"partition", m.tp, "files", m.text())
}

// noteLack is told by archiving that the newest segment of a partition, which it was
// to go on with, is not what it left.
func (b *Broker) noteLack(p *log.Partition, l log.Lack) {
	if t := b.topics.staged(p.Topic); t != nil {
		b.tellMissing(missing{kafka.TopicPartition{Topic: t.name, Partition: p.Partition}, []log.Lack{l}})
	}
}

// missingFiles returns the partitions of which files are not there.
func (b *Broker) missingFiles() (all []missing, err error) {
	b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			lacks, perr := p.CheckFiles()
			if perr != nil && err == nil {
				err = fmt.Errorf("%s: %w", p.tp, perr)
			}
			if len(lacks) > 0 {
				all = append(all, missing{p.tp, lacks})
			}
		}
	})
	return all, err
}

// text lists what is missing.
func (m missing) text() string {
	var b strings.Builder
	for i, l := range m.lacks {
		if i == missingLoggedMax {
			fmt.Fprintf(&b, ", and %d more", len(m.lacks)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.String())
	}
	return b.String()
}
