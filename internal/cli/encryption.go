package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/seal"
)

// encryptionKeyEnv holds the keys of the data directory when no file does.
const encryptionKeyEnv = "MILLRACE_ENCRYPTION_KEY"

// addEncryptionFlag adds the flag of commands that open a data directory.
func addEncryptionFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "encryption-key-file", "", "`file` of the keys that encrypt the data directory, or set "+encryptionKeyEnv+
		": 32 random bytes a line, in hexadecimal or base64; the first encrypts, all decrypt")
}

// readKeys reads the keys of a file, or of the environment when there is none;
// nil says that nothing is to be encrypted. In the environment a comma is as good
// as a new line.
func readKeys(file string) (*seal.Keys, error) {
	if file == "" {
		text := os.Getenv(encryptionKeyEnv)
		if text == "" {
			return nil, nil
		}
		keys, err := seal.ParseKeys(strings.ReplaceAll(text, ",", "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", encryptionKeyEnv, err)
		}
		return keys, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("--encryption-key-file: %w", err)
	}
	if info.Size() > seal.KeyFileMaxBytes {
		return nil, fmt.Errorf("--encryption-key-file %s is larger than %d bytes", file, seal.KeyFileMaxBytes)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--encryption-key-file: %w", err)
	}
	keys, err := seal.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("--encryption-key-file %s: %w", file, err)
	}
	return keys, nil
}

// keyHint says which flag helps when a data directory needs a key.
func keyHint(err error) error {
	switch {
	case errors.Is(err, broker.ErrSealed):
		return fmt.Errorf("%w: give --encryption-key-file or set %s", err, encryptionKeyEnv)
	case errors.Is(err, broker.ErrUnknownKey):
		return fmt.Errorf("%w: add the missing key to --encryption-key-file or %s", err, encryptionKeyEnv)
	}
	return err
}
