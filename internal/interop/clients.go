package main

import "path/filepath"

// Reasons that several clients share.
const (
	noKIP848  = "has no group.protocol=consumer"
	noAdmin   = "has no such administration"
	eagerOnly = "has eager assignors only"
	noStatic  = "has no group.instance.id"
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
		cannot: because(noAdmin, "admin-quotas", "admin-txns"),
	},
	{
		name: "kafkajs", doc: "kafkajs 2.2.4", codecs: allCodecs, needs: []string{"node", "npm"},
		install: installNode, command: func(s *suite) []string {
			return []string{"node", filepath.Join(s.cache, "kafkajs", "interop.js")}
		},
		env: []string{"KAFKAJS_NO_PARTITIONER_WARNING=1", "NODE_NO_WARNINGS=1"},
		cannot: all(because(noKIP848, "group-consumer"), because(eagerOnly, "group-cooperative"), because(noStatic, "group-static"),
			because(noAdmin, "admin-quotas", "admin-txns", "admin-scram")),
	},
	{
		name: "kcat", doc: "kcat (librdkafka 2.0.2 in Debian 12)", codecs: []string{"none", "gzip", "snappy", "lz4", "zstd"}, needs: []string{"kcat", "bash"},
		command: func(s *suite) []string { return []string{"bash", s.file("kcat", "interop.sh")} },
		cannot: all(because(noAdmin, "admin-topics", "admin-groups", "admin-cluster", "admin-txns", "admin-acls", "admin-scram", "admin-quotas", "many"),
			because("librdkafka 2.0.2 "+noKIP848, "group-consumer"), because("sends no offsets with a transaction", "txn-offsets")),
		kafkaRefuses: because("librdkafka before 2.6.1 sends its own nonce twice, which Kafka 4 refuses (RFC 5802)", "sasl-scram-256", "sasl-scram-512", "sasl-tls"),
	},
	{
		name: "kafka-cli", doc: "Apache Kafka's command-line tools 4.3.0, the newest in Maven Central", codecs: allCodecs, needs: []string{"java", "mvn", "bash"},
		install: installOnce("cli", "pom.xml", maven),
		command: func(s *suite) []string {
			return []string{"bash", s.file("cli", "interop.sh"), filepath.Join(s.cache, "cli", "lib")}
		},
		cannot: because("has no transactions but the benchmark's, which end in a commit", "txn", "txn-offsets", "txn-fence"),
	},
	{
		name: "sarama", doc: "IBM/sarama 1.61.1 at its newest Config.Version", codecs: allCodecs, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), cannot: saramaCannot,
	},
	{
		name: "sarama-0.11", doc: "the same at V0_11_0_0, which asks for old versions without looking at what there is",
		codecs: []string{"none", "gzip", "snappy", "lz4"}, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), env: []string{"SARAMA_VERSION=0.11.0.0"},
		cannot: all(saramaOld, because("asks for CreateTopics 0, which Kafka 4 does not serve either (KIP-896)", "admin-topics", "many"),
			because("asks for CreateAcls 0, which Kafka 4 does not serve either (KIP-896)", "admin-acls"),
			because("logs in without Kafka's headers, where a refusal is the end of the connection", "login-refused")),
	},
	{
		name: "sarama-2.1", doc: "the same at V2_1_0_0", codecs: allCodecs, needs: []string{"go"},
		install: installGo("sarama"), command: commandGo("sarama"), env: []string{"SARAMA_VERSION=2.1.0"},
		cannot: saramaOld,
	},
	{
		name: "segmentio", doc: "segmentio/kafka-go 0.4.51", codecs: allCodecs, needs: []string{"go"},
		install: installGo("segmentio"), command: commandGo("segmentio"),
		cannot: all(because(noKIP848, "group-consumer"), because(eagerOnly, "group-cooperative"), because(noStatic, "group-static"),
			because("has no idempotent producer", "idempotent"), because("has the requests of transactions but no producer that uses them", "txn", "txn-offsets", "txn-fence"),
			because(noAdmin, "admin-txns")),
	},
	{
		name: "confluent-go", doc: "confluent-kafka-go 2.11.1 (bundles librdkafka)", codecs: allCodecs, needs: []string{"go", "gcc"},
		install: installGo("confluentgo"), command: commandGo("confluentgo"), env: []string{"CGO_ENABLED=1"},
		cannot: because("librdkafka "+noAdmin, "admin-txns", "admin-quotas"),
	},
}

// saramaCannot is what sarama has no means for at any Config.Version, saramaOld
// at those of the old clients.
var (
	saramaCannot = because(noKIP848, "group-consumer")
	saramaOld    = all(saramaCannot, because("has cooperative assignors from V2_4_0_0 on", "group-cooperative"),
		because("has group.instance.id from V2_3_0_0 on", "group-static"), because("has the requests of transactions from V2_8_0_0 on", "admin-txns"),
		because("has SCRAM users from V2_7_0_0 on", "admin-scram"), because("has quotas from V2_6_0_0 on", "admin-quotas"))
)
