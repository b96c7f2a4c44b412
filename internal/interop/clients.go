package main

import "path/filepath"

// Reasons that several clients share.
const (
	noKIP848  = "has no group.protocol=consumer"
	noAdmin   = "has no such administration"
	eagerOnly = "has eager assignors only"
)

// clients is every client, in the order in which they run.
var clients = []*client{
	{
		name: "franz", doc: "franz-go, as go.mod has it", codecs: allCodecs, needs: []string{"go"},
		install: installGo("franz"), command: commandGo("franz"),
	},
	{
		name: "java", doc: "Apache Kafka's Java client 4.4.0", codecs: allCodecs, needs: []string{"java", "javac", "mvn"},
		install: installJava("java"), command: java("java", "Interop"),
	},
	{
		name: "python", doc: "confluent-kafka-python 2.16.1 (librdkafka)", codecs: allCodecs, needs: []string{"python3"},
		install: installOnce("python", "requirements.txt", []string{"python3", "-m", "venv", "."},
			[]string{"bin/pip", "install", "--quiet", "-r", "requirements.txt"}),
		command: func(s *suite) []string {
			return []string{filepath.Join(s.cache, "python", "bin", "python"), s.file("python", "interop.py")}
		},
		na: map[string]string{"admin-quotas": noAdmin, "admin-txns": noAdmin},
	},
	{
		name: "kafkajs", doc: "kafkajs 2.2.4", codecs: allCodecs, needs: []string{"node", "npm"},
		install: installNode, command: func(s *suite) []string {
			return []string{"node", filepath.Join(s.cache, "kafkajs", "interop.js")}
		},
		env: []string{"KAFKAJS_NO_PARTITIONER_WARNING=1", "NODE_NO_WARNINGS=1"},
		na: map[string]string{
			"group-consumer": noKIP848, "group-cooperative": eagerOnly, "group-static": "has no group.instance.id",
			"admin-quotas": noAdmin, "admin-txns": noAdmin, "admin-scram": noAdmin,
		},
	},
	{
		name: "kcat", doc: "kcat (librdkafka 2.0.2 in Debian 12)", codecs: []string{"none", "gzip", "snappy", "lz4", "zstd"}, needs: []string{"kcat", "bash"},
		command: func(s *suite) []string { return []string{"bash", s.file("kcat", "interop.sh")} },
		only: []string{"codecs", "partitioner", "values", "group-eager", "group-cooperative", "group-static", "seek-time", "idempotent", "compacted",
			"large", "sasl-plain", "sasl-scram-256", "sasl-scram-512", "tls", "sasl-tls", "login-refused"},
		onlyWhy: "produces and consumes only",
	},
	{
		name: "kafka-cli", doc: "Apache Kafka's command-line tools 4.3.0, the newest in Maven Central", needs: []string{"java", "mvn", "bash"},
		install: installOnce("cli", "pom.xml", maven),
		command: func(s *suite) []string {
			return []string{"bash", s.file("cli", "interop.sh"), filepath.Join(s.cache, "cli", "lib")}
		},
		only: []string{"partitioner", "values", "compacted", "idempotent", "admin-topics", "admin-groups", "admin-cluster", "admin-txns",
			"admin-acls", "admin-scram", "admin-quotas", "sasl-plain", "sasl-scram-256", "sasl-scram-512", "tls", "sasl-tls", "login-refused"},
		onlyWhy: "tools for administration",
	},
	{
		name: "sarama", doc: "IBM/sarama 1.61.1 at its newest Config.Version", codecs: allCodecs, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), na: saramaCannot,
	},
	{
		name: "sarama-0.11", doc: "the same at V0_11_0_0, which asks for old versions without looking at what there is",
		codecs: []string{"none", "gzip", "snappy", "lz4"}, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), env: []string{"SARAMA_VERSION=0.11.0.0"},
		na:   map[string]string{"admin-topics": "asks for CreateTopics 0, which Kafka 4 does not serve either (KIP-896)"},
		only: saramaOld, onlyWhy: "is run at the newest version",
	},
	{
		name: "sarama-2.1", doc: "the same at V2_1_0_0", codecs: allCodecs, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), env: []string{"SARAMA_VERSION=2.1.0"},
		only: saramaOld, onlyWhy: "is run at the newest version",
	},
	{
		name: "segmentio", doc: "segmentio/kafka-go 0.4.51", codecs: allCodecs, needs: []string{"go"},
		install: installGo("segmentio"), command: commandGo("segmentio"),
		only: []string{"codecs", "partitioner", "values", "seek-time", "large", "compacted", "group-eager", "admin-topics", "admin-cluster", "many",
			"sasl-plain", "sasl-scram-256", "sasl-scram-512", "tls", "sasl-tls", "login-refused"},
		onlyWhy: "has eager groups only, and no transactions or idempotence",
	},
	{
		name: "confluent-go", doc: "confluent-kafka-go 2.11.1 (bundles librdkafka)", codecs: allCodecs, needs: []string{"go", "gcc"},
		install: installGo("confluentgo"), command: commandGo("confluentgo"), env: []string{"CGO_ENABLED=1"},
		only: []string{"codecs", "partitioner", "values", "large", "compacted", "idempotent", "group-eager", "group-cooperative", "group-consumer", "txn",
			"txn-offsets", "txn-fence", "sasl-plain", "sasl-scram-256", "sasl-scram-512", "tls", "sasl-tls", "login-refused"},
		onlyWhy: "has librdkafka's administration, which Python's client shows",
	},
}

var (
	saramaCannot = map[string]string{
		"group-cooperative": eagerOnly, "group-consumer": noKIP848, "admin-quotas": "not driven yet", "admin-txns": noAdmin,
	}
	saramaOld = []string{"codecs", "partitioner", "values", "seek-time", "large", "compacted", "group-eager", "admin-topics", "sasl-plain", "tls"}
)
