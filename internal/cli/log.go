package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/vfs"
)

func newLog(std Stdio) *cobra.Command {
	c := &cobra.Command{
		Use: "log", Short: "Look into a data directory's files, repair them, encrypt them anew",
		Example: "  millrace log dump ./millrace-data\n  millrace log dump --records ./millrace-data/wal/0000000000000001.wal",
		RunE:    func(c *cobra.Command, args []string) error { return needSubcommand(c, args) },
	}
	c.AddCommand(newLogDump(std), newLogRepair(std), newLogReencrypt(std))
	return c
}

func newLogDump(std Stdio) *cobra.Command {
	var records, asJSON bool
	var keyFile string
	c := &cobra.Command{
		Use: "dump DIR|FILE", Short: "Print the checkpoint, log frames and segments, and where they are damaged",
		Long: `Prints what a data directory, or one log file (.wal), segment (.log) or
checkpoint holds. Nothing is changed or locked: the directory of a running
broker and one that does not open can be read. Damage is printed where it is,
and the exit status is 1 when there is some. What is encrypted with a key that is
not given is shown without its content, which is no damage.

Topic ids are printed as Kafka prints them, in base64; the names of directories
below topics/ have them in hexadecimal.`,
		Args: exactArgs("DIR|FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := readKeys(keyFile)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(std.Out)
			print := printItem
			if asJSON {
				enc := json.NewEncoder(w)
				print = func(_ io.Writer, item broker.DumpItem) error { return enc.Encode(item) }
			}
			damaged := 0
			err = broker.Dump(vfs.Default, args[0], broker.DumpOptions{Records: records, Keys: keys}, func(item broker.DumpItem) error {
				if item.Damage != "" {
					damaged++
				}
				return print(w, item)
			})
			if err = errors.Join(err, w.Flush()); err == nil && damaged > 0 {
				err = fmt.Errorf("%s is damaged in %s", args[0], count(int64(damaged), "place"))
			}
			return err
		},
	}
	c.Flags().BoolVar(&records, "records", false, "print offsets, timestamps, keys and values of records")
	addEncryptionFlag(c, &keyFile)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line; keys and values in base64")
	return c
}

// printItem prints one item as a line, indented by what it is part of.
func printItem(w io.Writer, item broker.DumpItem) error {
	indent := map[string]string{"frame": "  ", "end": "  ", "partition": "  ", "batch": "    ", "event": "    ", "record": "      "}[item.Kind]
	line := indent + item.Kind
	if item.Position != nil {
		line += fmt.Sprintf(" @%d", *item.Position)
	} else if item.File != "" && item.Record == nil {
		line += " " + item.File
	}
	if item.Text != "" {
		line += ": " + item.Text
	}
	if b := item.Batch; b != nil {
		line += batchText(b)
	}
	if r := item.Record; r != nil {
		line += fmt.Sprintf(" offset %d timestamp %d key %s value %s", r.Offset, r.Timestamp, quoted(r.Key), quoted(r.Value))
	}
	if item.Locked != "" {
		line += " (" + item.Locked + ")"
	}
	if item.Damage != "" {
		line += fmt.Sprintf(" DAMAGED %s: %s", item.File, item.Damage)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func batchText(b *broker.DumpBatch) string {
	s := ""
	if b.Partition != "" {
		s = " " + b.Partition
	}
	s += fmt.Sprintf(" offsets %d-%d, %d records, %d bytes, codec %s, timestamps %d-%d, leader epoch %d",
		b.BaseOffset, b.LastOffset, b.Count, b.Bytes, b.Codec, b.BaseTimestamp, b.MaxTimestamp, b.LeaderEpoch)
	if b.ProducerID >= 0 {
		s += fmt.Sprintf(", producer %d epoch %d sequence %d", b.ProducerID, b.ProducerEpoch, b.BaseSequence)
	}
	if b.Transactional {
		s += ", transactional"
	}
	if b.Marker != "" {
		s += ", " + b.Marker
	}
	if b.DeleteHorizon {
		s += ", base timestamp is the delete horizon"
	}
	if b.KeyID != "" {
		s += ", key " + b.KeyID
	}
	if b.AppendTime {
		s += ", log append time"
	}
	return s
}

// quoted quotes a key or value; null is not the empty string.
func quoted(b []byte) string {
	if b == nil {
		return "null"
	}
	return strconv.Quote(string(b))
}
