package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

func newLogRepair(std Stdio) *cobra.Command {
	var accept, dry bool
	var keyFile string
	c := &cobra.Command{
		Use: "repair DIR", Short: "Say which offsets cannot be read, and give them up",
		Long: `Reads all segments of a data directory whose server is stopped, and says per
partition which offsets cannot be read; the exit status is 1 when there are some.
The directory is opened as by a start of the server, which recovers it.

With --accept-loss the damaged partitions become readable again: what cannot be
read is given up, every other record keeps its offset, and consumers find a gap, as
in a compacted topic. Damaged segments are set aside in DIR/damaged, never deleted.
--dry-run says what would be done.

To restore the files from a copy loses less. Topics of the SQL engine are not
repaired, and a damaged log (wal/) is not: what a part of it held, records of which
topics, offsets, statements, is not known without it. One damaged file of the
checkpoint's two is written anew from the other by every start, this one too.`,
		Args:    exactArgs("DIR"),
		Example: "  millrace log repair ./millrace-data\n  millrace log repair ./millrace-data --accept-loss",
		RunE: func(c *cobra.Command, args []string) error {
			b, err := openStopped(args[0], keyFile)
			if err != nil {
				return err
			}
			r := &repairReport{out: std.Out, accept: accept, dry: dry}
			if err = tellMended(std.Out, b); err == nil {
				err = b.Repair(accept && !dry, r.add)
			}
			if errors.Is(err, log.ErrStale) {
				err = fmt.Errorf("%w: run the command again", err)
			}
			return errors.Join(err, b.Close(c.Context()), r.end())
		},
	}
	c.Flags().BoolVar(&accept, "accept-loss", false, "give up what cannot be read")
	c.Flags().BoolVar(&dry, "dry-run", false, "change nothing but what every start does; say what --accept-loss would do")
	addEncryptionFlag(c, &keyFile)
	return c
}

// openStopped opens the data directory of a server that is stopped.
func openStopped(dir, keyFile string) (*broker.Broker, error) {
	keys, err := readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	_, err = vfs.Default.Stat(filepath.Join(dir, wal.CheckpointName))
	if vfs.IsNotExist(err) {
		_, err = vfs.Default.Stat(filepath.Join(dir, wal.CheckpointCopyName))
	}
	if err != nil {
		if damage := broker.CheckNew(vfs.Default, dir); vfs.IsNotExist(err) && errors.Is(damage, broker.ErrNoCheckpoint) {
			return nil, fmt.Errorf("%w; `millrace log dump %s` shows what is left", damage, dir)
		}
		return nil, fmt.Errorf("%s is no data directory: %w", dir, err)
	}
	b, err := broker.Open(broker.Config{Dir: dir, Keys: keys})
	if errors.Is(err, wal.ErrCorrupt) {
		return nil, fmt.Errorf("%w; log repair mends segments only", err)
	}
	return b, keyHint(err)
}

// tellMended says what the start did about a damaged checkpoint.
func tellMended(w io.Writer, b *broker.Broker) error {
	if b.Mended() == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, b.Mended())
	return err
}

// repairReport prints what was found and done, and counts it.
type repairReport struct {
	out               io.Writer
	accept, dry       bool
	damaged, internal int
}

func (r *repairReport) add(d broker.PartitionDamage) error {
	r.damaged++
	for _, s := range d.Segments {
		for _, g := range s.Gaps {
			if _, err := fmt.Fprintf(r.out, "%s: offsets %d to %d cannot be read: %s: %v\n", d.TP, g.From, g.Next-1, s.Path, g.Reason); err != nil {
				return err
			}
		}
	}
	text := ""
	switch {
	case d.Repaired && len(d.Aside) == 0:
		text = "repaired: these offsets are given up"
	case d.Repaired:
		text = "repaired: these offsets are given up, the damaged files are kept:"
	case d.Internal:
		r.internal++
		text = "not repaired: it belongs to the SQL engine, and with a hole in it queries would answer otherwise without an error; " +
			"restore a copy, or drop the query whose state it is and create it again"
	case r.accept || r.dry:
		text = "would be repaired: these offsets would be given up"
	}
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintf(r.out, "%s: %s\n", d.TP, text)
	for _, path := range d.Aside {
		if err == nil {
			_, err = fmt.Fprintf(r.out, "  %s\n", path)
		}
	}
	return err
}

// end sums up; it is an error when something still cannot be read.
func (r *repairReport) end() error {
	left := r.damaged
	if r.accept && !r.dry {
		left = r.internal
	}
	switch {
	case r.damaged == 0:
		_, err := fmt.Fprintln(r.out, "nothing is damaged")
		return err
	case left == 0:
		return nil
	case left == r.internal:
		return fmt.Errorf("not readable everywhere: %s of the SQL engine", count(int64(left), "partition"))
	case r.dry:
		return fmt.Errorf("not readable everywhere: %s; nothing was changed", count(int64(left), "partition"))
	}
	return fmt.Errorf("not readable everywhere: %s; restore the files from a copy, or give up what cannot be read with --accept-loss", count(int64(left), "partition"))
}
