package brokers

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// The user whom both brokers know, with every mechanism of Mechanisms. The
// password is made of characters that PLAIN, SCRAM and JAAS files take in
// different ways.
const (
	User     = "admin"
	Password = `p=a,s"s word`
)

// Mechanisms are those of the SASL listeners.
const Mechanisms = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"

// ErrUnavailable is wrapped where a tool or a package registry is missing.
var ErrUnavailable = errors.New("not here")

// Protocols are the security protocols of the listeners, in order.
var Protocols = []string{"PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL"}

// Process is a broker that was started here.
type Process struct {
	// Addr is the address of each protocol's listener, CA the file of who signed
	// the certificates.
	Addr map[string]string
	CA   string
	cmd  *exec.Cmd
}

// Stop ends the process with SIGTERM and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 128+int(syscall.SIGTERM) { // Kafka's way of saying that it was told to
		return nil
	}
	return err
}

// pollPause is the pause before a broker that starts is asked again.
const pollPause = 100 * time.Millisecond

// await calls ready until it succeeds or ctx ends.
func await(ctx context.Context, ready func() error) error {
	for {
		err := ready()
		if err == nil {
			return nil
		}
		t := clock.System.NewTimer(pollPause)
		select {
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		case <-t.C:
		}
	}
}

// freeAddress returns a loopback address whose port was free a moment ago; Kafka
// cannot say which one it took.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
