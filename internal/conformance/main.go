// Command conformance runs a corpus of declarative SQL cases (statements, input
// records, expected output records, answers or rejection) through the planner and
// the executor's own task builder, or over HTTP through the real server, and
// reports what passes.
//
//	go run ./internal/conformance --corpus DIR [--results FILE] [--json]
//	    [--ratchet FILE [--update]] [--run SUBSTRING]
//
// The corpus is read in place and never copied. The ratchet is a committed list
// of hashes of case ids that pass; a listed case that fails is an error.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

func main() {
	corpus := flag.String("corpus", "", "folder of the cases")
	results := flag.String("results", "", "file to write one JSON line per case to")
	asJSON := flag.Bool("json", false, "print nothing but the last line")
	ratchet := flag.String("ratchet", "", "file of hashes of the cases that must pass")
	update := flag.Bool("update", false, "write the ratchet file instead of checking it")
	run := flag.String("run", "", "only cases whose id contains this")
	flag.Parse()
	if *corpus == "" {
		fmt.Fprintln(os.Stderr, "conformance: --corpus is required")
		os.Exit(2)
	}
	if err := report(*corpus, *results, *asJSON, *ratchet, *update, *run); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// tally is the score of one kind of case.
type tally struct {
	Positive struct {
		Passed int `json:"passed"`
		Total  int `json:"total"`
	} `json:"positive"`
	Negative struct {
		Rejected int `json:"rejected"`
		Total    int `json:"total"`
	} `json:"negative"`
}

// verdict is the outcome of one case as --results writes it.
type verdict struct {
	ID      string   `json:"id"`
	Verdict string   `json:"verdict"` // passed, failed, excluded
	Error   string   `json:"error,omitempty"`
	Outputs []string `json:"outputs,omitempty"`
	Schemas []string `json:"schemas,omitempty"`
	// MessageMatch says whether the error text contains what the case expects.
	MessageMatch *bool `json:"messageMatch,omitempty"`
}

func report(corpus, resultsFile string, asJSON bool, ratchetFile string, update bool, only string) error {
	cases, err := loadCorpus(corpus)
	if err != nil {
		return err
	}
	scores := map[string]*tally{"qtt": {}, "rest": {}}
	failed := []string{}
	passedIDs := map[string]bool{}
	matched, expected := 0, 0
	var out strings.Builder
	if only != "" {
		cases = slices.DeleteFunc(cases, func(c *testCase) bool { return !strings.Contains(c.ID, only) })
	}
	for i, v := range judgeAll(cases) {
		c := cases[i]
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
		if v.Verdict == "excluded" {
			continue
		}
		t := scores[c.Kind]
		ok := v.Verdict == "passed"
		if c.ExpectedException != nil {
			t.Negative.Total++
			if ok {
				t.Negative.Rejected++
			}
			if v.MessageMatch != nil {
				expected++
				if *v.MessageMatch {
					matched++
				}
			}
		} else {
			t.Positive.Total++
			if ok {
				t.Positive.Passed++
			}
		}
		if ok {
			passedIDs[hashID(c.ID)] = true
		} else {
			failed = append(failed, c.ID)
			if !asJSON {
				fmt.Printf("FAIL %s\n     %s\n", c.ID, strings.ReplaceAll(v.Error, "\n", "\n     "))
			}
		}
	}
	if resultsFile != "" {
		if err := os.WriteFile(resultsFile, []byte(out.String()), 0o644); err != nil {
			return err
		}
	}
	if !asJSON {
		fmt.Printf("messages that contain the expected text: %d of %d\n", matched, expected)
	}
	ratchetErr := checkRatchet(ratchetFile, update, passedIDs, cases, only)
	last, err := json.Marshal(map[string]any{"qtt": scores["qtt"], "rest": scores["rest"], "failed": failed})
	if err != nil {
		return err
	}
	fmt.Println(string(last))
	return ratchetErr
}

// judgeAll runs the cases on all processors; the verdicts are in their order.
func judgeAll(cases []*testCase) []verdict {
	verdicts := make([]verdict, len(cases))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(cases)); i = next.Add(1) - 1 {
				verdicts[i] = judge(cases[i])
			}
		})
	}
	workers.Wait()
	return verdicts
}

// hashID names a case without its title.
func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// checkRatchet compares the passing cases with the committed list, or writes it.
func checkRatchet(file string, update bool, passed map[string]bool, cases []*testCase, only string) error {
	if file == "" {
		return nil
	}
	if update {
		if only != "" {
			return fmt.Errorf("--update needs a run of the whole corpus")
		}
		var list []string
		for h := range passed {
			list = append(list, h)
		}
		slices.Sort(list)
		return os.WriteFile(file, []byte(strings.Join(list, "\n")+"\n"), 0o644)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var lost []string
	for _, c := range cases {
		if h := hashID(c.ID); strings.Contains(string(text), h+"\n") && !passed[h] && (only == "" || strings.Contains(c.ID, only)) {
			lost = append(lost, c.ID)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d cases passed before and do not any more:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	return nil
}
