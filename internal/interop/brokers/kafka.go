package brokers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startTimeout bounds how long Kafka may take to answer.
const startTimeout = 2 * time.Minute

// kafkaProperties is a single node that is broker and controller. Its
// groups start at once, and its cleaner looks for work as often as a test would
// like.
const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=500
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
ssl.keystore.type=PEM
`

// StartKafka installs Apache Kafka in cache and starts it with its data in dir.
// What it logs goes to log; settings are further lines of its properties.
func StartKafka(ctx context.Context, root, cache, dir string, log io.Writer, settings ...string) (*Process, error) {
	jars, err := installKafka(ctx, filepath.Join(root, "internal", "interop", "brokers", "pom.xml"), cache)
	if err != nil {
		return nil, err
	}
	ca, certificate, err := makeCertificates(dir)
	if err != nil {
		return nil, err
	}
	p := &Process{CA: ca, Addr: map[string]string{}}
	properties, err := p.properties(dir, certificate)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte(properties+strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	java := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g", "-cp", filepath.Join(jars, "*")}
	format := exec.CommandContext(ctx, "java", append(java, "kafka.tools.StorageTool", "format", "-t", "A"+base64.RawURLEncoding.EncodeToString(id)[1:], "-c", file)...)
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format: %w\n%s", err, out)
	}
	p.cmd = exec.Command("java", append(java, "kafka.Kafka", file)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.addUser(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start: %w", err), p.Stop())
	}
	return p, nil
}

// properties draws the addresses and returns the text of server.properties.
func (p *Process) properties(dir, certificate string) (string, error) {
	var b strings.Builder
	b.WriteString(kafkaProperties)
	// A quote and a backslash are escaped once for JAAS, a backslash again for the
	// properties file.
	quoted := strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`).Replace(Password)
	var listeners []string
	for _, protocol := range Protocols {
		addr, err := freeAddress()
		if err != nil {
			return "", err
		}
		p.Addr[protocol] = addr
		listeners = append(listeners, protocol+"://"+addr)
		if strings.HasPrefix(protocol, "SASL") {
			name := "listener.name." + strings.ToLower(protocol)
			fmt.Fprintf(&b, "%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=\"%s\";\n", name, User, quoted)
			for _, m := range []string{"scram-sha-256", "scram-sha-512"} {
				fmt.Fprintf(&b, "%s.%s.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n", name, m)
			}
		}
	}
	controller, err := freeAddress()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "listeners=%s,CONTROLLER://%s\ncontroller.quorum.voters=1@%s\n", strings.Join(listeners, ","), controller, controller)
	fmt.Fprintf(&b, "sasl.enabled.mechanisms=%s\nsuper.users=User:ANONYMOUS;User:%s\n", Mechanisms, User)
	fmt.Fprintf(&b, "ssl.keystore.location=%s\nlog.dirs=%s\n", certificate, filepath.Join(dir, "log"))
	return b.String(), nil
}

// addUser waits until the broker answers and gives the user SCRAM credentials,
// which only a running controller takes.
func (p *Process) addUser(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Addr["PLAINTEXT"]))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	return await(ctx, func() error {
		described, err := admin.DescribeUserSCRAMs(ctx, User)
		if err == nil && described[User].Err == nil && len(described[User].CredInfos) == 2 {
			return nil
		}
		for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // one user is taken once in a request
			altered, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: User, Mechanism: m, Iterations: 8192, Password: Password}})
			if err == nil {
				err = altered.Error()
			}
			if err != nil {
				return err
			}
		}
		return errors.New("the user's credentials are not there yet")
	})
}

// installKafka fetches the jars that the pom names and returns their folder.
func installKafka(ctx context.Context, pom, cache string) (string, error) {
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %s is not installed", ErrUnavailable, program)
		}
	}
	dir := filepath.Join(cache, "brokers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	want, err := os.ReadFile(pom)
	if err != nil {
		return "", err
	}
	jars, done := filepath.Join(dir, "lib"), filepath.Join(dir, "installed")
	if have, err := os.ReadFile(done); err == nil && string(have) == string(want) {
		return jars, nil
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+jars)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: mvn: %w\n%s", ErrUnavailable, err, out)
	}
	return jars, os.WriteFile(done, want, 0o644)
}
