package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// TestLookFor: a look waits no longer than what is left of --retry-timeout and
// --timeout, and never so short that a good broker cannot answer.
func TestLookFor(t *testing.T) {
	now := clock.System.Now()
	for name, c := range map[string]struct {
		retry, timeout time.Duration
		since          time.Duration // ago, of a trouble that is still there, 0 for none
		last           time.Duration
		want           time.Duration
	}{
		"nothing wrong":            {retry: time.Minute, want: lookTimeout},
		"short --retry-timeout":    {retry: 3 * time.Second, want: 3 * time.Second},
		"part of it is over":       {retry: 3 * time.Second, since: 2 * time.Second, want: time.Second},
		"it is over":               {retry: 3 * time.Second, since: 4 * time.Second, want: lookInterval},
		"the trouble faded":        {retry: 3 * time.Second, since: time.Hour, last: time.Hour, want: 3 * time.Second},
		"--timeout":                {retry: time.Minute, timeout: 2 * time.Second, want: 2 * time.Second},
		"--timeout, nearly over":   {retry: time.Minute, timeout: time.Millisecond, want: lookInterval},
		"--timeout is the shorter": {retry: 3 * time.Second, timeout: time.Second, since: time.Second, want: time.Second},
	} {
		rd := &reading{options: consumeOptions{retryTimeout: c.retry, timeout: c.timeout}, arrived: now, troubles: map[int32]trouble{}}
		if c.since > 0 {
			rd.troubles[0] = trouble{errors.New("x"), now.Add(-c.since), now.Add(-c.last)}
		}
		if got := rd.lookFor(now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestSilentBroker: what a look waited for counts from when it asked, so that one
// look without an answer is enough for --retry-timeout to be over.
func TestSilentBroker(t *testing.T) {
	rd := &reading{topic: "t", options: consumeOptions{retryTimeout: 3 * time.Second}, troubles: map[int32]trouble{}}
	now := clock.System.Now()
	if err := rd.failLook(t.Context(), theBroker, now.Add(-2*time.Second), context.DeadlineExceeded); err != nil {
		t.Errorf("after 2 s of 3: %v", err)
	}
	if err := rd.failLook(t.Context(), theBroker, now, context.DeadlineExceeded); err != nil {
		t.Errorf("a second error does not make it older: %v", err)
	}
	rd.troubles = map[int32]trouble{}
	if err := rd.failLook(t.Context(), theBroker, now.Add(-3*time.Second), context.DeadlineExceeded); err == nil || !strings.Contains(err.Error(), "nothing else for 3s") || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("after 3 s of 3: %v", err)
	}
}
