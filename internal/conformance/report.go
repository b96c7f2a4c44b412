package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// tally is the score of one kind of case.
type tally struct {
	Positive struct {
		Passed int `json:"passed"`
		Total  int `json:"total"`
		// Undefined and Unchecked are positive cases of --live that are neither
		// passed nor failed, by the rules of liveorder.go.
		Undefined int `json:"orderNotDefined,omitempty"`
		Unchecked int `json:"nothingToCompare,omitempty"`
	} `json:"positive"`
	Negative struct {
		Rejected int `json:"rejected"`
		Total    int `json:"total"`
		// Messages counts the rejections whose text contains what the case expects.
		Messages int `json:"messages"`
	} `json:"negative"`
}

// What becomes of a case.
const (
	passed    = "passed"
	failed    = "failed"
	excluded  = "excluded"
	undefined = "order not defined" // with --live
	unchecked = "nothing to compare"
)

// verdict is the outcome of one case as --results writes it.
type verdict struct {
	ID      string   `json:"id"`
	Verdict string   `json:"verdict"`
	Error   string   `json:"error,omitempty"`
	Outputs []string `json:"outputs,omitempty"`
	Schemas []string `json:"schemas,omitempty"`
	// MessageMatch says whether the error text contains what the case expects.
	MessageMatch *bool `json:"messageMatch,omitempty"`
}

func (t *tally) add(c *testCase, v verdict) {
	if c.ExpectedException != nil {
		t.Negative.Total++
		if v.Verdict == passed {
			t.Negative.Rejected++
		}
		if v.MessageMatch != nil && *v.MessageMatch {
			t.Negative.Messages++
		}
		return
	}
	t.Positive.Total++
	switch v.Verdict {
	case passed:
		t.Positive.Passed++
	case undefined:
		t.Positive.Undefined++
	case unchecked:
		t.Positive.Unchecked++
	}
}

// report runs the cases, prints what fails and the score, and checks the lists.
func report(o options, cases []*testCase) error {
	scores := map[string]*tally{"qtt": {}, "rest": {}}
	failing := []string{}
	var out strings.Builder
	verdicts := judgeAll(o, cases)
	for i, v := range verdicts {
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
		if v.Verdict == excluded {
			continue
		}
		scores[cases[i].Kind].add(cases[i], v)
		if v.Verdict != failed {
			continue
		}
		failing = append(failing, v.ID)
		if !o.json {
			fmt.Printf("FAIL %s\n     %s\n", v.ID, strings.ReplaceAll(v.Error, "\n", "\n     "))
		}
	}
	if o.results != "" {
		if err := os.WriteFile(o.results, []byte(out.String()), 0o644); err != nil {
			return err
		}
	}
	for _, kind := range []string{"qtt", "rest"} {
		if n := scores[kind].Negative; n.Total > 0 {
			fmt.Printf("%s: %d of %d rejections contain the expected message (%.1f %%)\n", kind, n.Messages, n.Rejected, 100*float64(n.Messages)/float64(max(n.Rejected, 1)))
		}
	}
	err := errors.Join(checkRatchet(o, verdicts), checkFailing(o, verdicts))
	last, jsonErr := json.Marshal(map[string]any{"qtt": scores["qtt"], "rest": scores["rest"], "failed": failing})
	if jsonErr != nil {
		return jsonErr
	}
	fmt.Println(string(last))
	return err
}

// judgeAll runs the cases on all processors; the verdicts are in their order.
func judgeAll(o options, cases []*testCase) []verdict {
	run := judge
	if o.live {
		run = func(c *testCase) verdict { return judgeLive(c, o.seed) }
	}
	verdicts := make([]verdict, len(cases))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(cases)); i = next.Add(1) - 1 {
				verdicts[i] = run(cases[i])
			}
		})
	}
	workers.Wait()
	return verdicts
}
