package main

import "path/filepath"

// Reasons that several clients share.
const (
	noKIP848   = "has no group.protocol=consumer"
	noAdmin    = "has no such administration"
	eagerOnly  = "has eager assignors only"
	noTransact = "has no transactions"
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
}
