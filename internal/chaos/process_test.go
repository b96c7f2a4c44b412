package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// process is a server that runs as a process of its own. Its addresses are free
// ones, chosen at the first start and kept, so that clients find it again.
type process struct {
	binary, dir string
	http, kafka string
	// cluster is the server over whose broker this one runs, nil for its own.
	cluster *process
	cmd     *exec.Cmd

	mu     sync.Mutex // guards stderr
	stderr bytes.Buffer
}

// newProcess builds the binary.
func newProcess(t *testing.T) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{binary: filepath.Join(dir, "millrace"), dir: filepath.Join(dir, "data"), http: "127.0.0.1:0", kafka: "127.0.0.1:0"}
	build := exec.Command("go", "build", "-o", p.binary, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill(t)
		}
	})
	return p
}

// over returns a server that runs over this one as over any Kafka cluster.
func (p *process) over(t *testing.T) *process {
	t.Helper()
	second := &process{binary: p.binary, http: "127.0.0.1:0", cluster: p}
	t.Cleanup(func() {
		if second.cmd != nil {
			second.kill(t)
		}
	})
	return second
}

func (p *process) flags() []string {
	if p.cluster != nil {
		return []string{"server", "--bootstrap", p.cluster.kafka, "--service-id", "second", "--http", p.http}
	}
	return []string{"server", "--data", p.dir, "--http", p.http, "--kafka", p.kafka}
}

// Write collects the server's log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// start runs the server and returns when it says that it is ready.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, p.flags()...)
	p.cmd.Stderr = p
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not start: %v\n%s", err, p.log())
	}
	for _, word := range strings.Fields(line) {
		if addr, ok := strings.CutPrefix(word, "http="); ok {
			p.http = addr
		} else if addr, ok := strings.CutPrefix(word, "kafka="); ok {
			p.kafka = addr
		}
	}
}

// kill ends the server as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v\n%s", err, p.log())
	}
	if err := p.cmd.Wait(); err == nil {
		t.Errorf("the server ended before it was killed\n%s", p.log())
	}
	p.cmd = nil
}

// stop ends the server in good order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stop: %v\n%s", err, p.log())
	}
	p.cmd = nil
}

// post sends a request and returns the body of the answer.
func (p *process) post(t *testing.T, path string, body map[string]any) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.http+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, p.log())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s\n%s", path, resp.Status, err, answer, p.log())
	}
	return answer
}

// statements runs statements on the server.
func (p *process) statements(t *testing.T, text string) {
	t.Helper()
	p.post(t, "/ksql", map[string]any{"ksql": text})
}

// pull runs a pull query that waits until everything written so far was
// processed, and returns its rows, each a JSON array.
func (p *process) pull(t *testing.T, query string) []json.RawMessage {
	t.Helper()
	answer := p.post(t, "/query-stream", map[string]any{"sql": query, "properties": map[string]any{"millrace.pull.wait": "inputs"}})
	var rows []json.RawMessage
	for line := range bytes.Lines(answer) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '[' {
			rows = append(rows, json.RawMessage(line))
		}
	}
	return rows
}

// readTopic reads all committed records of a topic.
func readTopic(t *testing.T, ctx context.Context, addr, topic string) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	// Transaction markers take offsets, too: they are asked for, and left out.
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read %s: %d records, partitions left %v: %v", topic, len(records), left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return records
}
