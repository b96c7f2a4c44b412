package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/repl"
	"github.com/millrace/millrace/testdata/quickstart"
)

// quake is what the expected numbers are computed from.
type quake struct {
	Time   int64   `json:"time"`
	Region string  `json:"region"`
	Mag    float64 `json:"mag"`
}

type stats struct {
	n        int64
	max, sum float64
}

func (s *stats) add(mag float64) {
	if s.n == 0 || mag > s.max {
		s.max = mag
	}
	s.n++
	s.sum += mag
}

// model computes the quickstart's results from its files alone.
func model(t *testing.T) (regionDays, continents map[string]*stats) {
	t.Helper()
	continentOf := map[string]string{}
	for line := range bytes.Lines(quickstart.Regions) {
		var r struct{ Region, Continent string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		continentOf[r.Region] = r.Continent
	}
	regionDays, continents = map[string]*stats{}, map[string]*stats{}
	count := func(m map[string]*stats, key string, mag float64) {
		if m[key] == nil {
			m[key] = &stats{}
		}
		m[key].add(mag)
	}
	for line := range bytes.Lines(quickstart.Earthquakes) {
		var q quake
		if err := json.Unmarshal(line, &q); err != nil {
			t.Fatal(err)
		}
		day := time.UnixMilli(q.Time).UTC().Format("2006-01-02")
		count(regionDays, q.Region+" "+day, q.Mag)
		if c, ok := continentOf[q.Region]; ok && q.Mag >= 4.5 {
			count(continents, c, q.Mag)
		}
	}
	return regionDays, continents
}

func TestQuickstartNumbers(t *testing.T) {
	ctx := t.Context()
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	out := &repl.Output{Out: io.Discard, Err: io.Discard, Format: repl.TableFormat}
	for range 2 { // a second run finds the data and changes nothing
		if err := loadQuickstart(ctx, e, out); err != nil {
			t.Fatal(err)
		}
	}
	regionDays, continents := model(t)

	rows := query(t, e, `SELECT continent, strong, strongest FROM continents;`)
	if len(rows) != len(continents) {
		t.Errorf("%d continents, expected %d", len(rows), len(continents))
	}
	for _, r := range rows {
		want := continents[r["CONTINENT"].(string)]
		if want == nil || r["STRONG"] != float64(want.n) || r["STRONGEST"] != want.max {
			t.Errorf("continent %v, expected %+v", r, want)
		}
	}

	rows = query(t, e, `SELECT region, FORMAT_TIMESTAMP(FROM_UNIXTIME(WINDOWSTART), 'yyyy-MM-dd') AS day, quakes, strongest, average FROM region_days;`)
	if len(rows) != len(regionDays) {
		t.Errorf("%d region days, expected %d", len(rows), len(regionDays))
	}
	for _, r := range rows {
		want := regionDays[fmt.Sprint(r["REGION"], " ", r["DAY"])]
		if want == nil || r["QUAKES"] != float64(want.n) || r["STRONGEST"] != want.max ||
			math.Abs(r["AVERAGE"].(float64)-want.sum/float64(want.n)) > 1e-9 {
			t.Errorf("region day %v, expected %+v", r, want)
		}
	}
}

// query returns the rows of a pull query as JSON objects.
func query(t *testing.T, e *engine.Engine, sql string) []map[string]any {
	t.Helper()
	session := e.NewSession()
	if err := session.SetProperty("millrace.pull.wait", "inputs"); err != nil {
		t.Fatal(err)
	}
	var buf strings.Builder
	out := &repl.Output{Out: &buf, Err: io.Discard, Format: repl.JSONFormat}
	if err := executeScript(t.Context(), session, out, sql, 0, 0); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for line := range strings.Lines(buf.String()) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}
