package cli

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// step is one command line, what it reads, and what it must say.
type step struct {
	args, stdin string
	// out is the whole standard output; has are parts of it.
	out string
	has []string
	// says is a part of what a command that succeeds says on standard error.
	says string
	// fails is a part of the error of a command that must fail.
	fails string
}

func runSteps(t *testing.T, kafka string, steps []step) {
	t.Helper()
	for _, s := range steps {
		code, out, stderr := run(t, s.stdin, append(strings.Fields(s.args), "--bootstrap", kafka)...)
		if s.fails != "" {
			if code != 1 || out != "" || !strings.Contains(stderr, s.fails) {
				t.Errorf("millrace %s: exit code %d\n%s%sexpected the error %q", s.args, code, out, stderr, s.fails)
			}
			continue
		}
		if code != 0 || s.out != "" && out != s.out {
			t.Errorf("millrace %s: exit code %d\n%s%sexpected\n%s", s.args, code, out, stderr, s.out)
		}
		if !strings.Contains(stderr, s.says) {
			t.Errorf("millrace %s says %q, expected %q", s.args, stderr, s.says)
		}
		for _, part := range s.has {
			if !strings.Contains(out, part) {
				t.Errorf("millrace %s:\n%slacks %q", s.args, out, part)
			}
		}
	}
}

// Records go in as text with keys and headers and come out from any place.
func TestProduceAndConsumeFromAnyPlace(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{
		{args: "topic create notes --partitions 2"},
		{args: "produce notes --raw --key-separator : --header source=test --partition 1 --null NONE", stdin: "a:one\nb:two\nc:NONE\n:four\n"},
		{args: "produce notes --raw --partition 0 --compression zstd", stdin: "plain: text\n\n", says: "2 records written to notes"},
		{args: "consume notes --partition 1 --from-beginning --to-end", out: "a\tone\nb\ttwo\nc\tnull\n\tfour\n"},
		{args: "consume notes --partition 1 --offset -2 --to-end", out: "c\tnull\n\tfour\n"},
		{args: "consume notes --partition 1 --offset 1 --max 1", out: "b\ttwo\n"},
		{args: "consume notes --partition 0 --from 0 --to-end", out: "null\tplain: text\nnull\t\n"},
		{args: "consume notes --partition 1 --from -1ns --to-end", out: ""},
		{args: "consume notes --partition 1 --from-beginning --max 1 --output json", has: []string{`"offset":0`, `"key":"a"`, `"headers":[{"key":"source","value":"test"}]`}},
		{args: "consume notes --partition 7 --to-end", fails: "topic notes has no partition 7"},
		{args: "consume notes --from-beginning --offset 3", fails: "exclude one another"},
		{args: "consume notes --from yesterday", fails: "expected a time"},
		{args: "consume notes --group g --to-end", fails: "reading without one"},
		{args: "consume notes --offset 5000 --to-end", fails: "--offset 5000: no partition of notes that is read goes so far, the longest ends at offset 4"},
		{args: "consume notes --offset 3 --to-end", out: "\tfour\n"},
		{args: "consume notes --offset -9223372036854775808 --partition 1 --to-end", has: []string{"a\tone"}},
		{args: "consume notes --offset x", fails: "expected an offset"},
		{args: "consume notes --max -1", fails: "--max -1: expected a number of records from 1 on"},
		{args: "consume notes --max 0", fails: "--max 0"},
		{args: "consume notes --timeout -1s", fails: "--timeout -1s"},
		{args: "consume notes --retry-timeout 0", fails: "--retry-timeout"},
		{args: "produce notes --key-field k", stdin: "{\"k\":1}\n{\"nokey\":1}\n", fails: "line 2: no key field k"},
		{args: "produce notes --key-field k", stdin: "{\"k\":null}\n", says: "1 record written to notes\n"},
		{args: "produce notes --partition 7", stdin: "{}\n", fails: "topic notes has no partition 7"},
		{args: "consume notes --service-id x", fails: "is for --decode"},
		{args: "acl list", fails: "list rules: the broker checks no rules (SECURITY_DISABLED)"},
		{args: "produce notes --partition -1", stdin: "{}\n", fails: "--partition -1"},
		{args: "produce notes --raw --header =x", stdin: "a\n", fails: "expected name=value"},
		{args: "produce notes --key-separator :", stdin: "{}\n", fails: "are for --raw"},
		{args: "produce notes --compression brotli", stdin: "{}\n", fails: "expected gzip, lz4, none, snappy, zstd"},
		{args: "produce notes --raw --key-separator :", stdin: "no separator\n", fails: `line 1: no key separator ":"`},
	})
}

// A topic is changed, its records are deleted, and every refusal says why.
func TestTopicAdministration(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{
		{args: "topic create orders --dry-run", says: "topic orders would be created with 1 partition\n"},
		{args: "topic create orders", says: "topic orders created with 1 partition\n"},
		{args: "topic create orders --dry-run", fails: "exists already"},
		{args: "topic create orders --if-not-exists", says: "topic orders exists already"},
		{args: "topic create x --partitions 0", fails: "--partitions 0: expected 1 or more"},
		{args: "topic create x --config a=1 --config a=2", fails: "a is given twice"},
		{args: "topic create x --config =2", fails: "expected key=value"},
		{args: "topic create x --set a=1 --config a=2", fails: "a is given twice"},
		{args: "topic create set --set retention.ms=7000", says: "topic set created"},
		{args: "config describe topic set", has: []string{"retention.ms", "7000"}},
		{args: "topic alter set --config retention.ms=8000 --set segment.bytes=4096", says: "topic set: configuration changed\n"},
		{args: "config describe topic set", has: []string{"8000", "4096"}},
		{args: "config alter topic set --config retention.ms=9000", says: "topic set: configuration changed\n"},
		{args: "config describe topic set", has: []string{"9000"}},
		{args: "topic delete set", says: "topic set deleted\n"},
		{args: "topic create a/b", fails: "create topic a/b: "},
		{args: "config alter topic orders --delete retention.m", fails: "--delete retention.m is not known: did you mean retention.ms?"},
		{args: "config describe broker 7", fails: "no broker has this number"},
		{args: "config describe", fails: "takes topic NAME or broker [NUMBER]"},
		{args: "topic alter orders --partitions 3 --set retention.ms=60000 --dry-run", says: "topic orders: partitions would be raised to 3, configuration would be changed\n"},
		{args: "topic alter orders --partitions -3", fails: "--partitions -3: expected 1 or more"},
		{args: "topic alter orders --partitions 1 --set retention.ms=70000", fails: "alter topic orders: it has 1 partition, and the number can only grow: 1 is not more (INVALID_PARTITIONS)"},
		{args: "config describe topic orders --output json", out: "[]\n"},
		{args: "topic alter orders --set a=1 --delete a", fails: "given twice"},
		{args: "topic list -o table", has: []string{"orders", "1", "false"}},
		{args: "topic alter orders --partitions 3 --set retention.ms=60000 --set segment.bytes=4096", says: "topic orders: partitions raised to 3, configuration changed\n"},
		{args: "topic list", has: []string{"orders\n"}},
		{args: "topic alter orders --partitions 2", fails: "it has 3 partitions, and the number can only grow: 2 is not more"},
		{args: "topic alter orders", fails: "nothing to change"},
		{args: "topic alter orders --set retention.ms=soon", fails: "expected an integer"},
		{args: "config alter topic orders --delete segment.bytes --dry-run", says: "topic orders: configuration would be changed\n"},
		{args: "config alter topic orders --delete segment.bytes", says: "topic orders: configuration changed\n"},
		{args: "config describe topic orders", has: []string{"retention.ms", "60000"}},
		{args: "config describe topic orders --output json --all", has: []string{`"name": "cleanup.policy"`}},
		{args: "config describe topic nowhere", fails: "topic nowhere does not exist"},
		{args: "config describe broker", has: []string{"num.partitions"}},
		{args: "config alter broker 1 --set a=b", fails: "only topics can be changed"},
		{args: "produce orders --raw --partition 0", stdin: "1\n2\n3\n"},
		{args: "topic delete-records orders --partition 0", fails: "--partition and --before are needed"},
		{args: "topic delete-records orders --partition 0 --before 9", fails: "delete records of topic orders: offset 9 is not in partition 0 (OFFSET_OUT_OF_RANGE)"},
		{args: "topic delete-records orders --partition 9 --before 0", fails: "topic orders has no partition 9: it has 3 partitions, counted from 0"},
		{args: "topic delete-records orders --partition 0 --before -5", fails: "--before -5: expected an offset"},
		{args: "topic delete-records orders --partition 0 --before 2", out: "orders-0 begins at offset 2\n"},
		{args: "topic delete-records nowhere --partition 0 --before 2", fails: "does not exist"},
		{args: "topic describe orders --output json", has: []string{`"logStart": 2`, `"end": 3`, `"retention.ms": "60000"`}},
	})
}

// A group is described with its lag, moved, and deleted.
func TestGroupAdministration(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{
		{args: "topic create orders"},
		{args: "produce orders --raw", stdin: "1\n2\n3\n4\n"},
		{args: "group describe billing", fails: "group billing does not exist"},
		{args: "consume orders --group billing --from-beginning --max 3", out: "null\t1\nnull\t2\nnull\t3\n"},
		{args: "group list", has: []string{"billing", "classic", "Empty"}},
		{args: "group describe billing", has: []string{"group billing: Empty", "orders  0          3          4    1"}},
		{args: "group reset-offsets billing", fails: "--to is missing"},
		{args: "group reset-offsets billing --to soon", fails: "expected earliest, latest"},
		{args: "group reset-offsets billing --topic nowhere --to earliest", fails: "topic nowhere does not exist"},
		{args: "group reset-offsets billing --topic orders:4 --to earliest", fails: `no partition "4"`},
		{args: "group reset-offsets billing --to -2 --dry-run", has: []string{"orders  0          3     1"}},
		{args: "group describe billing", has: []string{"orders  0          3          4    1"}},
		{args: "group reset-offsets billing --to -2", has: []string{"orders  0          3     1"}},
		{args: "consume orders --group billing --max 1", out: "null\t2\n"},
		{args: "group reset-offsets billing --to 100", has: []string{"orders  0          2     4"}, says: "orders-0: offset 100 is behind the end: moved to 4, the end\n"},
		{args: "group reset-offsets billing --to -999", has: []string{"orders  0          4     0"}, says: "orders-0: offset -995 is before the log start: moved to 0, the first that is there\n"},
		{args: "group reset-offsets nope --topic orders --to 999", fails: "group nope does not exist: `millrace group list` shows those that do, --create makes it"},
		{args: "group reset-offsets nope --topic orders --to 999 --dry-run", fails: "group nope does not exist"},
		{args: "group reset-offsets nope --to 999 --create", fails: "group nope is new, and has no offsets: name the topics with --topic"},
		{args: "group reset-offsets nope --topic orders --to 999 --create --dry-run", says: "orders-0: offset 999 is behind the end: would be moved to 4, the end\ngroup nope is new: would be created\nnothing was changed"},
		{args: "group describe nope", fails: "group nope does not exist"},
		{args: "group reset-offsets other --topic orders --to earliest --create", says: "group other is new: created\n", has: []string{"orders  0          -     0"}},
		{args: "group reset-offsets other --to 1970-01-01T00:00:00Z", has: []string{"orders  0          0     0"}},
		{args: "group delete-offsets other", fails: "--topic is missing"},
		{args: "group delete-offsets billing --topic orders", says: "offsets of topic orders deleted"},
		{args: "group delete other", says: "group other deleted"},
		{args: "group delete other", fails: "group other does not exist"},
	})
	_, out, _ := run(t, "", "group", "list", "--output", "json", "--bootstrap", kafka)
	var groups []groupRow
	if err := json.Unmarshal([]byte(out), &groups); err != nil || len(groups) != 1 || groups[0].Group != "billing" {
		t.Errorf("group list --output json: %s (%v)", out, err)
	}
}

func TestTransactionAdministration(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{
		{args: "transaction list", has: []string{"transactional id"}},
		{args: "transaction list --output json", out: "[]\n"},
		{args: "transaction list --state foo", fails: "--state foo: expected Empty, Ongoing"},
		{args: "transaction terminate nobody", fails: "transactional id nobody does not exist"},
		{args: "transaction list --output json", out: "[]\n"},
		{args: "transaction describe nobody", fails: "transactional id nobody does not exist"},
		{args: "topic create orders"},
		{args: "produce orders --raw", stdin: "1\n"},
		{args: "transaction producers orders", has: []string{"producer id"}},
		{args: "transaction producers nowhere", fails: "topic nowhere does not exist"},
		{args: "transaction abort orders", fails: "--partition and --producer-id are needed"},
		{args: "transaction abort orders --partition 0 --producer-id 0", fails: "has no open transaction"},
	})
}

// A transaction that its coordinator knows is not aborted behind its back.
func TestTransactionsEnded(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{{args: "topic create orders"}})
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic("orders"), kgo.TransactionalID("billing"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	begin := func() string {
		t.Helper()
		if err := errors.Join(cl.BeginTransaction(), cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr()); err != nil {
			t.Fatal(err)
		}
		id, _, err := cl.ProducerID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return "transaction abort orders --partition 0 --producer-id " + strconv.FormatInt(id, 10)
	}
	abort := begin()
	runSteps(t, kafka, []step{
		{args: strings.Replace(abort, "--partition 0", "--partition 7", 1), fails: "topic orders has no partition 7: it has 1 partition, counted from 0"},
		{args: strings.Replace(abort, "abort orders", "abort orderz", 1), fails: "topic orderz does not exist"},
	})
	runSteps(t, kafka, []step{{args: abort, fails: "its coordinator knows it as Ongoing of transactional id billing"}})
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Errorf("commit after a refused abort: %v", err)
	}
	runSteps(t, kafka, []step{{args: "consume orders --from-beginning --to-end", out: "null\tv\n"}})
	abort = begin()
	runSteps(t, kafka, []step{{args: abort + " --force", says: "from offset 2 on, is aborted"}})
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	begin()
	runSteps(t, kafka, []step{{args: "transaction terminate billing", says: "which was Ongoing, is ended"}})
	runSteps(t, kafka, []step{{args: "transaction terminate billing", says: "transactional id billing: no transaction was open, its state was "}})
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a terminated transaction was committed")
	}
	runSteps(t, kafka, []step{{args: "consume orders --from-beginning --to-end", out: "null\tv\n"}})
}

// A coordinator that is still aborting is asked again.
func TestTerminateWaitsForCoordinator(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("t"), kgo.TransactionalID("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := errors.Join(cl.BeginTransaction(), cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr()); err != nil {
		t.Fatal(err)
	}
	busy := 2
	c.ControlKey(22, func(req kmsg.Request) (kmsg.Response, error, bool) {
		if busy--; busy < 0 {
			return nil, nil, false
		}
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.ConcurrentTransactions.Code
		return resp, nil, true
	})
	code, _, stderr := run(t, "", "transaction", "terminate", "x", "--bootstrap", c.ListenAddrs()[0])
	if code != 0 || busy >= 0 || !strings.Contains(stderr, "its producer shut out") {
		t.Errorf("exit code %d, %d answers left, %s", code, busy, stderr)
	}
}

// Names are completed from the running server.
func TestCompletion(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{
		{args: "topic create orders"},
	})
	code, out, _ := run(t, "", "__complete", "topic", "describe", "--bootstrap", kafka, "")
	if code != 0 || !strings.HasPrefix(out, "orders\n") {
		t.Errorf("completion of topics: %d %q", code, out)
	}
	for _, c := range []struct{ words, want string }{
		{"consume orders --isolation ", "committed\nuncommitted\n"},
		{"acl add --operation read,wr", "read,write\n"},
		{"topic create x --config ", "cleanup.policy=\n"},
		{"topic create x --config cleanup.policy=", "cleanup.policy=delete\ncleanup.policy=compact\n:4"},
		{"topic alter orders --set cleanup.policy=compact,", "cleanup.policy=compact,delete\n:4"},
		{"topic alter orders --set message.timestamp.type=", "message.timestamp.type=CreateTime\nmessage.timestamp.type=LogAppendTime\n:4"},
		{"config alter topic orders --set compression.type=z", "compression.type=zstd\n"},
		{"config alter topic orders --set preallocate=", "preallocate=true\npreallocate=false\n:4"},
		{"server --sasl-mechanisms ", "PLAIN\nSCRAM-SHA-256\nSCRAM-SHA-512\nOAUTHBEARER\n"},
		{"server --sasl-mechanisms PLAIN,", "PLAIN,SCRAM-SHA-256\n"},
		{"topic alter orders --set ", "cleanup.policy=\n"},
		{"topic create x --set ", "cleanup.policy=\n"},
		{"topic alter orders --config ", "cleanup.policy=\n"},
		{"config alter topic orders --config ", "cleanup.policy=\n"},
		{"config alter topic ", "orders\n"},
		{"group reset-offsets g --topic ", "orders\n"},
		{"quota set --for ", "user\nuser=\n"},
		{"quota set ", "producer_byte_rate=\n"},
		{"transaction list --state ", "Empty\nOngoing\n"},
		{"server --tls-client-auth ", "none\nrequested\nrequired\n"},
	} {
		words := strings.Fields(c.words)
		if strings.HasSuffix(c.words, " ") {
			words = append(words, "")
		}
		args := append([]string{"__complete", words[0]}, words[1:]...)
		if words[0] != "server" { // the last word, and its flag, stay last
			args = slices.Insert(args, len(args)-2, "--bootstrap", kafka)
		}
		_, out, _ := run(t, "", args...)
		if !strings.Contains(out, c.want) {
			t.Errorf("completion of %q: %q", c.words, out)
		}
	}
	if code, out, _ := run(t, "", "completion", "bash"); code != 0 || !strings.Contains(out, "__start_millrace") {
		t.Errorf("completion script: exit code %d, %d bytes", code, len(out))
	}
}

// Values and keys with registered schemas are shown as JSON by a plain Kafka
// client, which reads the embedded registry's topic.
func TestConsumeDecodes(t *testing.T) {
	http, kafka, _ := startServer(t, t.TempDir())
	code, out, stderr := run(t, "", "sql", "--server", http, "-e",
		"CREATE STREAM s (k STRING KEY, n BIGINT, d DECIMAL(5,2)) WITH (kafka_topic='s', partitions=1, value_format='AVRO', key_format='PROTOBUF'); INSERT INTO s VALUES ('a', 7, 1.50);")
	if code != 0 {
		t.Fatal(out, stderr)
	}
	runSteps(t, kafka, []step{
		{args: "consume s --from-beginning --to-end --decode", has: []string{`{"N": 7, "D": 1.50}`}},
		{args: "consume s --from-beginning --to-end --decode --output json", has: []string{`"value":{"N":7,"D":1.50}`}},
		{args: "consume s --from-beginning --to-end --decode --service-id nobody", fails: "give --service-id"},
		{args: "consume s --schema-registry-url http://127.0.0.1:1", fails: "is for --decode"},
	})
}
