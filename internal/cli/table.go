package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// outputFlag adds --output to a command that lists something.
func outputFlag(c *cobra.Command, format *string) { outputFlags(c.Flags(), c, format) }

// outputFlags adds it to a set of flags of the command.
func outputFlags(f *pflag.FlagSet, c *cobra.Command, format *string) {
	f.StringVarP(format, "output", "o", "table", "table or json (one array)")
	completeFlag(c, "output", completeValues("table", "json"))
}

// checkOutput refuses an unknown format before anything is asked for.
func checkOutput(format string) error {
	if !slices.Contains([]string{"table", "json"}, format) {
		return fmt.Errorf("--output %s: expected table or json", format)
	}
	return nil
}

// writeList prints rows: as a table with the given columns, or as a JSON array of
// the rows themselves. cells returns a row's cells in column order.
func writeList[R any](w io.Writer, format string, columns []string, rows []R, cells func(R) []string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if rows == nil {
			rows = []R{}
		}
		return enc.Encode(rows)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(columns, "\t"))
	for _, r := range rows {
		list := cells(r)
		for i, cell := range list {
			if cell == "" {
				list[i] = "-" // an empty cell would end the column
			}
		}
		fmt.Fprintln(tw, strings.Join(list, "\t"))
	}
	return tw.Flush()
}

// count returns a number of things: 1 record, 2 records.
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.FormatInt(n, 10) + " " + thing + "s"
}
