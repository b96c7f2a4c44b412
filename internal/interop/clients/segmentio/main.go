// Command segmentio drives segmentio/kafka-go for the interop suite; the suite's
// doc.go has the command line and the exit codes.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

const exitCannot = 3

var (
	bootstrap = flag.String("bootstrap", "", "broker")
	topic     = flag.String("topic", "", "topic or prefix of topics")
	protocol  = flag.String("protocol", "PLAINTEXT", "security protocol")
	mechanism = flag.String("mechanism", "", "SASL mechanism")
	user      = flag.String("user", "", "user")
	password  = flag.String("password", "", "password")
	ca        = flag.String("ca", "", "PEM file of the authority")
	codecs    = flag.String("codecs", "", "codecs to produce with")
	keys      = flag.String("keys", "", "file of keys")
	_         = flag.String("assignor", "", "always eager")
	expected  = flag.Int("expect", 0, "how many records there are")
	limit     = flag.Int64("until", 0, "offset to read to")
)

var scenarios = map[string]func(context.Context) error{
	"codecs": everyCodec, "partitioner": partitioner, "values": values, "seek-time": seekTime, "large": large, "compacted": compacted,
	"group": group, "admin-topics": adminTopics, "admin-groups": adminGroups, "admin-cluster": adminCluster,
	"admin-acls": adminACLs, "admin-scram": adminSCRAM, "admin-quotas": adminQuotas, "many": many, "simple": simple, "refused": refused,
}

func main() {
	if len(os.Args) < 2 || scenarios[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "has no such scenario")
		os.Exit(exitCannot)
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	if err := scenarios[os.Args[1]](context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// security is what the command line says of certificates and logins.
func security() (*tls.Config, sasl.Mechanism, error) {
	var t *tls.Config
	if strings.HasSuffix(*protocol, "SSL") {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return nil, nil, err
		}
		t = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("%s has no certificate", *ca)
		}
	}
	switch *mechanism {
	case "":
		return t, nil, nil
	case "PLAIN":
		return t, plain.Mechanism{Username: *user, Password: *password}, nil
	case "SCRAM-SHA-256":
		m, err := scram.Mechanism(scram.SHA256, *user, *password)
		return t, m, err
	default:
		m, err := scram.Mechanism(scram.SHA512, *user, *password)
		return t, m, err
	}
}

func client() (*kafka.Client, error) {
	t, m, err := security()
	if err != nil {
		return nil, err
	}
	return &kafka.Client{Addr: kafka.TCP(*bootstrap), Timeout: time.Minute, Transport: &kafka.Transport{TLS: t, SASL: m}}, nil
}

// inPartition sends a message where it says.
type inPartition struct{}

func (inPartition) Balance(m kafka.Message, _ ...int) int { return m.WriterData.(int) }

func message(prefix string, i, partition int) kafka.Message {
	return kafka.Message{Key: []byte("k" + strconv.Itoa(i)), Value: []byte(prefix + strconv.Itoa(i)), WriterData: partition}
}

// produce sends messages with a writer that edit has changed.
func produce(ctx context.Context, to string, messages []kafka.Message, edit func(*kafka.Writer)) error {
	c, err := client()
	if err != nil {
		return err
	}
	w := &kafka.Writer{Addr: c.Addr, Transport: c.Transport, Topic: to, Balancer: inPartition{}, RequiredAcks: kafka.RequireAll, BatchTimeout: 50 * time.Millisecond}
	if edit != nil {
		edit(w)
	}
	return errors.Join(w.WriteMessages(ctx, messages...), w.Close())
}

// reader reads one partition, or as a member of a group.
func reader(from string, partition int, groupID string) (*kafka.Reader, error) {
	t, m, err := security()
	if err != nil {
		return nil, err
	}
	return kafka.NewReader(kafka.ReaderConfig{Brokers: []string{*bootstrap}, Topic: from, Partition: partition, GroupID: groupID, MaxBytes: 32 << 20,
		StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond, HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second,
		Dialer: &kafka.Dialer{TLS: t, SASLMechanism: m, Timeout: time.Minute, DualStack: true}}), nil
}

func read(ctx context.Context, n int, from string, partition int) ([]kafka.Message, error) {
	r, err := reader(from, partition, "")
	if err != nil {
		return nil, err
	}
	var got []kafka.Message
	for len(got) < n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		got = append(got, m)
	}
	return got, r.Close()
}

func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, expected %v", what, got, want)
	}
	return nil
}
