package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestProduceInterrupted: who is interrupted says how many records were written, also
// while it waits for a line.
func TestProduceInterrupted(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{{args: "topic create t"}})
	in, lines, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, []string{"produce", "t", "--raw", "--bootstrap", kafka}, Stdio{In: in, Out: said, Err: said})
	}()
	if _, err := lines.WriteString("one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	runSteps(t, kafka, []step{{args: "consume t --from-beginning --max 2", out: "null\tone\nnull\ttwo\n"}})
	cancel()
	select {
	case got := <-code:
		text, err := os.ReadFile(said.Name())
		// The answer to what was consumed may still be on its way.
		if err != nil || got != 1 || !strings.HasPrefix(string(text), "millrace: interrupted: ") || !strings.Contains(string(text), " written to t") {
			t.Errorf("exit code %d, %s", got, text)
		}
	case <-time.After(time.Minute):
		t.Error("waits for a line")
	}
	if err := lines.Close(); err != nil {
		t.Error(err)
	}
}

// TestInterruptedText: what was not acknowledged is told apart.
func TestInterruptedText(t *testing.T) {
	var p producer
	p.sent.Store(5)
	p.acked.Store(5)
	if got := p.interrupted("t").Error(); got != "interrupted: 5 records were written to t" {
		t.Error(got)
	}
	p.sent.Store(7)
	if got := p.interrupted("t").Error(); got != "interrupted: 5 records were written to t, and 2 more may have been" {
		t.Error(got)
	}
}

// TestUnauthorizedNamesTopic: without any rule every command names the topic.
func TestUnauthorizedNamesTopic(t *testing.T) {
	s := startSecured(t)
	s.as("admin", s.admin, 0, "", "topic", "create", "orders")
	s.as("admin", s.admin, 0, "", "user", "add", "alice", "--new-password-file", s.alice)
	for _, c := range []struct{ args, want string }{
		{"produce orders", "write to topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"produce orders --create", "write to topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"consume orders --to-end", "read topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"consume orders --group g --max 1", "read topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"topic describe orders", "describe topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"transaction producers orders", "describe the producers of topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
		{"topic delete-records orders --partition 0 --before -1", "delete records of topic orders: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)"},
	} {
		if _, stderr := s.as("alice", s.alice, 1, "{}\n", strings.Fields(c.args)...); !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %s", c.args, stderr)
		}
	}
}
