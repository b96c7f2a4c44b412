// Command sarama drives IBM/sarama for the interop suite; the suite's doc.go has
// the command line and the exit codes. SARAMA_VERSION is its Config.Version, the
// newest without it: sarama sends what belongs to that version of Kafka.
package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"hash"
	"os"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
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
	assignor  = flag.String("assignor", "eager", "eager or cooperative")
	expected  = flag.Int("expect", 0, "how many records there are")
	limit     = flag.Int64("until", 0, "offset to read to")
)

// version is the Config.Version.
var version = sarama.MaxVersion

var scenarios = map[string]func() error{
	"codecs": everyCodec, "partitioner": partitioner, "values": values, "seek-time": seekTime, "large": large, "compacted": compacted,
	"idempotent": idempotent, "group": group, "group-static": groupStatic, "txn": txn, "txn-offsets": txnOffsets, "txn-fence": txnFence,
	"admin-topics": adminTopics, "admin-groups": adminGroups, "admin-cluster": adminCluster, "admin-txns": adminTxns,
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
	if v := os.Getenv("SARAMA_VERSION"); v != "" {
		var err error
		if version, err = sarama.ParseKafkaVersion(v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if err := scenarios[os.Args[1]](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// config is what the command line says.
func config() (*sarama.Config, error) {
	c := sarama.NewConfig()
	c.Version = version
	if !c.Version.IsAtLeast(sarama.V1_0_0_0) { // as clients of that time: no look at versions, and a login without Kafka's headers
		c.ApiVersionsRequest, c.Net.SASL.Version = false, sarama.SASLHandshakeV0
	}
	c.Producer.Return.Successes, c.Producer.Partitioner = true, sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial, c.Consumer.Return.Errors = sarama.OffsetOldest, true
	c.Consumer.Fetch.Max, c.Consumer.Fetch.Default = 32<<20, 16<<20
	if strings.HasSuffix(*protocol, "SSL") {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", *ca)
		}
		c.Net.TLS.Enable, c.Net.TLS.Config = true, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if *mechanism != "" {
		c.Net.SASL.Enable, c.Net.SASL.Mechanism = true, sarama.SASLMechanism(*mechanism)
		c.Net.SASL.User, c.Net.SASL.Password = *user, *password
		switch *mechanism {
		case sarama.SASLTypeSCRAMSHA256:
			c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &login{hash: func() hash.Hash { return sha256.New() }} }
		case sarama.SASLTypeSCRAMSHA512:
			c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &login{hash: func() hash.Hash { return sha512.New() }} }
		}
	}
	return c, nil
}

// login is one SCRAM exchange.
type login struct {
	*scram.ClientConversation
	hash scram.HashGeneratorFcn
}

func (l *login) Begin(user, password, authzID string) error {
	client, err := l.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	l.ClientConversation = client.NewConversation()
	return nil
}

func message(prefix string, i int, partition int32) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: *topic, Partition: partition, Key: sarama.StringEncoder("k" + strconv.Itoa(i)),
		Value: sarama.StringEncoder(prefix + strconv.Itoa(i))}
}

// produce sends messages with a configuration that edit has changed.
func produce(messages []*sarama.ProducerMessage, edit func(*sarama.Config)) error {
	c, err := config()
	if err != nil {
		return err
	}
	if edit != nil {
		edit(c)
	}
	p, err := sarama.NewSyncProducer([]string{*bootstrap}, c)
	if err != nil {
		return err
	}
	return errors.Join(p.SendMessages(messages), p.Close())
}

// read returns n messages of a partition, from an offset on.
func read(n int, from string, partition int32, offset int64, edit func(*sarama.Config)) ([]*sarama.ConsumerMessage, error) {
	c, err := config()
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(c)
	}
	consumer, err := sarama.NewConsumer([]string{*bootstrap}, c)
	if err != nil {
		return nil, err
	}
	pc, err := consumer.ConsumePartition(from, partition, offset)
	if err != nil {
		return nil, err
	}
	var got []*sarama.ConsumerMessage
	for len(got) < n {
		select {
		case m := <-pc.Messages():
			got = append(got, m)
		case err := <-pc.Errors():
			return nil, err
		}
	}
	return got, errors.Join(pc.Close(), consumer.Close())
}

func admin() (sarama.ClusterAdmin, error) {
	c, err := config()
	if err != nil {
		return nil, err
	}
	return sarama.NewClusterAdmin([]string{*bootstrap}, c)
}

func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, expected %v", what, got, want)
	}
	return nil
}
