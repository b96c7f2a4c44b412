// Command franz drives franz-go for the interop suite; the suite's doc.go has the
// command line and the exit codes of every such program.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// exitCannot says that the client cannot do what is asked.
const exitCannot = 3

// program is what the command line says.
type program struct {
	bootstrap, topic, protocol, mechanism, user, password, ca string
	codecs                                                    []string
	keys, assignor                                            string
	expect                                                    int
	until                                                     int64
}

// scenarios are what the client can be asked for.
var scenarios = map[string]func(*program, context.Context) error{
	"codecs": (*program).codecScenario, "partitioner": (*program).partitioner, "values": (*program).values,
	"seek-time": (*program).seekTime, "large": (*program).large, "compacted": (*program).compacted,
	"idempotent": (*program).idempotent, "group": (*program).group, "group-static": (*program).groupStatic,
	"txn": (*program).txn, "txn-offsets": (*program).txnOffsets, "txn-fence": (*program).txnFence,
	"admin-topics": (*program).adminTopics, "admin-groups": (*program).adminGroups, "admin-cluster": (*program).adminCluster,
	"admin-txns": (*program).adminTxns, "admin-acls": (*program).adminACLs, "admin-scram": (*program).adminSCRAM,
	"admin-quotas": (*program).adminQuotas, "many": (*program).many, "simple": (*program).simple, "refused": (*program).refused,
}

func main() {
	var p program
	f := pflag.CommandLine
	f.StringVar(&p.bootstrap, "bootstrap", "", "broker")
	f.StringVar(&p.topic, "topic", "", "topic or prefix of topics")
	f.StringVar(&p.protocol, "protocol", "PLAINTEXT", "security protocol")
	f.StringVar(&p.mechanism, "mechanism", "", "SASL mechanism")
	f.StringVar(&p.user, "user", "", "user")
	f.StringVar(&p.password, "password", "", "password")
	f.StringVar(&p.ca, "ca", "", "PEM file of the authority")
	f.StringSliceVar(&p.codecs, "codecs", nil, "codecs to produce with")
	f.StringVar(&p.keys, "keys", "", "file of keys")
	f.StringVar(&p.assignor, "assignor", "", "eager, cooperative or consumer")
	f.IntVar(&p.expect, "expect", 0, "how many records there are")
	f.Int64Var(&p.until, "until", 0, "offset to read to")
	pflag.Parse()
	scenario, ok := scenarios[pflag.Arg(0)]
	if !ok {
		fmt.Fprintln(os.Stderr, "there is no scenario", pflag.Arg(0))
		os.Exit(exitCannot)
	}
	if err := scenario(&p, context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// client connects with the options that the command line implies.
func (p *program) client(options ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{kgo.SeedBrokers(p.bootstrap)}
	if strings.HasSuffix(p.protocol, "SSL") {
		pem, err := os.ReadFile(p.ca)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", p.ca)
		}
		base = append(base, kgo.DialTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	}
	switch p.mechanism {
	case "":
	case "PLAIN":
		base = append(base, kgo.SASL(plain.Auth{User: p.user, Pass: p.password}.AsMechanism()))
	case "SCRAM-SHA-256":
		base = append(base, kgo.SASL(scram.Auth{User: p.user, Pass: p.password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		base = append(base, kgo.SASL(scram.Auth{User: p.user, Pass: p.password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("mechanism %s", p.mechanism)
	}
	return kgo.NewClient(append(base, options...)...)
}

// admin returns a client for administration, which the caller closes.
func (p *program) admin() (*kadm.Client, error) {
	c, err := p.client()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(c), nil
}

// record makes a record whose value is prefix and number.
func (p *program) record(partition int32, prefix string, i int) *kgo.Record {
	return &kgo.Record{Topic: p.topic, Partition: partition, Key: []byte("k" + strconv.Itoa(i)), Value: []byte(prefix + strconv.Itoa(i))}
}

// produce sends records to the partitions that they name.
func (p *program) produce(ctx context.Context, records []*kgo.Record, options ...kgo.Opt) error {
	c, err := p.client(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ProduceSync(ctx, records...).FirstErr()
}

// read returns the first n records of topics, from the beginning.
func (p *program) read(ctx context.Context, n int, topics []string, options ...kgo.Opt) ([]*kgo.Record, error) {
	c, err := p.client(append([]kgo.Opt{kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, options...)...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var records []*kgo.Record
	for len(records) < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

// expect fails unless got is want.
func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, expected %v", what, got, want)
	}
	return nil
}

// all returns the first error.
func all(errs ...error) error { return errors.Join(errs...) }
