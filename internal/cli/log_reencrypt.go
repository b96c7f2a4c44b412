package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/log"
)

func newLogReencrypt(std Stdio) *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use: "reencrypt DIR", Short: "Encrypt what old keys, or none, have left with the first key",
		Long: `Writes everything in a data directory whose server is stopped that is not
encrypted with the first key anew: segments, one after the other, and the log. A
plain directory becomes an encrypted one. It needs room for two segments, and can be
interrupted and run again. When there is nothing of that kind, nothing is done.

Then take the old keys out of the key file: the next start looks, and refuses with
the key's id when something still needs one. millrace log dump with the new key
alone shows what that is.`,
		Args:    exactArgs("DIR"),
		Example: "  millrace log reencrypt ./millrace-data --encryption-key-file keys",
		RunE: func(c *cobra.Command, args []string) error {
			b, err := openStopped(args[0], keyFile)
			if err != nil {
				return err
			}
			id, ok := b.EncryptionKey()
			if !ok {
				return errors.Join(fmt.Errorf("no encryption key: give --encryption-key-file or set %s", encryptionKeyEnv), b.Close(c.Context()))
			}
			if err := tellMended(std.Out, b); err != nil {
				return errors.Join(err, b.Close(c.Context()))
			}
			segments := 0
			newLog, err := b.Reencrypt(func(r broker.Reencrypted) error {
				segments += r.Segments
				_, err := fmt.Fprintf(std.Out, "%s: %s, %d bytes\n", r.TP, count(int64(r.Segments), "segment"), r.Bytes)
				return err
			})
			if errors.Is(err, log.ErrCorrupt) {
				err = fmt.Errorf("%w: see millrace log repair", err)
			}
			if err = errors.Join(err, b.Close(c.Context())); err != nil {
				return err
			}
			said := fmt.Sprintf("%s written anew", count(int64(segments), "segment"))
			switch {
			case newLog:
				said += ", and a new log begun"
			case segments == 0:
				said = "nothing was to do: no segment needs another key, and the log is empty"
			}
			_, err = fmt.Fprintf(std.Out, "%s; topics need key %s only\n", said, id)
			return err
		},
	}
	addEncryptionFlag(c, &keyFile)
	return c
}
