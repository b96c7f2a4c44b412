// Package startup measures a binary from outside: how long from exec to the ready
// line of `server` and to the first prompt of the REPL, and how much memory a
// server with idle queries holds. It reads /proc and so runs on Linux.
package startup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// Result holds medians of several runs.
type Result struct {
	Runs         int     `json:"runs"`
	ReadyMs      float64 `json:"exec_to_ready_ms"`
	PromptMs     float64 `json:"exec_to_prompt_ms"`
	IdleQueries  int     `json:"idle_queries"`
	ResidentMB   float64 `json:"resident_mb"`
	AnonymousMB  float64 `json:"anonymous_mb"`
	FileBackedMB float64 `json:"file_backed_mb"`
}

// settleTime is how long an idle server rests before its memory is read.
const settleTime = 2 * time.Second

// Run measures binary with empty data directories below dir.
func Run(ctx context.Context, clk clock.Clock, binary, dir string, runs, queries int) (Result, error) {
	r := Result{Runs: runs, IdleQueries: queries}
	var ready, prompt []float64
	for i := range runs {
		ms, err := untilReady(ctx, clk, binary, filepath.Join(dir, fmt.Sprint("server", i)), nil)
		if err != nil {
			return r, err
		}
		ready = append(ready, ms)
		if ms, err = untilPrompt(ctx, clk, binary, filepath.Join(dir, fmt.Sprint("repl", i))); err != nil {
			return r, err
		}
		prompt = append(prompt, ms)
	}
	r.ReadyMs, r.PromptMs = median(ready), median(prompt)
	_, err := untilReady(ctx, clk, binary, filepath.Join(dir, "idle"), func(pid int, addr string) error {
		if err := createQueries(ctx, addr, queries); err != nil {
			return err
		}
		timer := clk.NewTimer(settleTime)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		return r.readMemory(pid)
	})
	return r, err
}

// untilReady starts a server, waits for its ready line, runs while with it and
// stops it. It returns the ms from exec to the line.
func untilReady(ctx context.Context, clk clock.Clock, binary, data string, while func(pid int, addr string) error) (float64, error) {
	cmd := exec.CommandContext(ctx, binary, "server", "--data", data, "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	cmd.Stderr = os.Stderr
	start := clk.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	ms := float64(clk.Now().Sub(start)) / 1e6
	if err == nil && while != nil {
		addr, _, _ := strings.Cut(strings.TrimPrefix(line, "ready http="), " ")
		err = while(cmd.Process.Pid, addr)
	}
	if signalErr := cmd.Process.Signal(syscall.SIGTERM); signalErr != nil && err == nil {
		err = signalErr
	}
	if waitErr := cmd.Wait(); waitErr != nil && err == nil {
		err = waitErr
	}
	return ms, err
}

// untilPrompt starts the REPL on a pseudo-terminal made by script(1) and returns
// the ms from exec to its prompt.
func untilPrompt(ctx context.Context, clk clock.Clock, binary, data string) (float64, error) {
	cmd := exec.CommandContext(ctx, "script", "-qfec", binary+" repl --data "+data, "/dev/null")
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	start := clk.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("the prompt is measured on a pseudo-terminal of script(1): %w", err)
	}
	var seen []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(seen, []byte("millrace> ")) {
		n, err := out.Read(buf)
		if err != nil {
			return 0, fmt.Errorf("no prompt in %q: %w", seen, err)
		}
		seen = append(seen, buf[:n]...)
	}
	ms := float64(clk.Now().Sub(start)) / 1e6
	if _, err := io.WriteString(in, "\\q\r"); err != nil {
		return ms, err
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // ends with the process
	return ms, cmd.Wait()
}

// createQueries makes a stream and idle queries over it through HTTP.
func createQueries(ctx context.Context, addr string, n int) error {
	var script strings.Builder
	script.WriteString("CREATE STREAM idle (k STRING KEY, v INT) WITH (KAFKA_TOPIC='idle', VALUE_FORMAT='JSON', PARTITIONS=1);")
	for i := range n {
		fmt.Fprintf(&script, "CREATE STREAM idle_%d AS SELECT * FROM idle WHERE v > %d;", i, i)
	}
	body, err := json.Marshal(map[string]string{"ksql": script.String()})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/ksql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("create queries: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return errors.Join(fmt.Errorf("create queries: %s: %s", resp.Status, text), err)
	}
	return nil
}

// readMemory reads the resident memory of a process, in MB of 2^20 bytes.
func (r *Result) readMemory(pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		kb, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			r.ResidentMB = kb / 1024
		case "RssAnon":
			r.AnonymousMB = kb / 1024
		case "RssFile":
			r.FileBackedMB = kb / 1024
		}
	}
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
