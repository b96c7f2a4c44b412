package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/docs"
)

// newDocs is hidden: it is for who changes the tables in code.
func newDocs() *cobra.Command {
	return &cobra.Command{
		Use: "docs DIR", Short: "Write the reference pages", Hidden: true, Args: exactArgs("DIR"),
		Example: "  go run . docs docs",
		RunE: func(_ *cobra.Command, args []string) error {
			for _, p := range docs.Pages() {
				if err := os.WriteFile(filepath.Join(args[0], p.Name), []byte(p.Text), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
