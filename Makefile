.PHONY: build test ci mutants security fuzz conformance interop differential bench bench-plan bench-broker

build:
	CGO_ENABLED=0 go build -o millrace .

test:
	go test ./...

ci:
	bash .ci/run

# mutants plants known bugs in storage, transactions and producer state, and asks
# that a test fails for each. It takes about a quarter of an hour.
mutants:
	MILLRACE_MUTANTS=1 go test ./internal/mutants -timeout 2h -v

# CORPUS is the folder of the conformance cases.
conformance:
	go run ./internal/conformance --corpus $(CORPUS) --ratchet testdata/conformance.ratchet --failing testdata/conformance.failing
	go run ./internal/conformance --corpus $(CORPUS) --live --ratchet testdata/conformance-live.ratchet --failing testdata/conformance-live.failing

# security measures what hostile and dead peers cost, asks whether the time of a
# refused login tells who exists, and tries every request in every version without
# its rights. It takes about a quarter of an hour.
security:
	MILLRACE_TIER=N go test ./broker -run 'Measured|LoginTiming|Matrix|MixedPartitions|UnknownUsers|HugeLengths|FrameSizes|RandomFrames' -v -timeout 1h

# fuzz runs every fuzz target for FUZZTIME, one after the other.
FUZZTIME ?= 20m
fuzz:
	grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
	    echo "== $$(dirname $$file) $$target"; \
	    go test "$$(dirname $$file)" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) </dev/null || exit 1; \
	  done; done

# interop runs Kafka clients of other makers, which it installs, against the server.
interop:
	go run ./internal/interop --table README.md

# differential compares replies with those of an Apache Kafka that it installs.
differential:
	go run ./internal/interop/differential

# bench-plan measures parsing and planning of the statements in CORPUS.
bench-plan:
	go run ./internal/conformance --corpus $(CORPUS) --bench-plan

bench: build
	./millrace bench nexmark --queries q0,q1,q2,q12 --events 2000000 --partitions 2

# bench-broker compares the broker with Apache Kafka, whose jars Maven fetches;
# without Maven and Java only millrace runs.
KAFKA_LIBS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/millrace-bench/kafka
bench-broker:
	if command -v mvn >/dev/null && command -v java >/dev/null; then \
	  mvn -q -f bench/broker/kafka-pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(KAFKA_LIBS) && \
	  go run ./bench/broker --kafka-libs $(KAFKA_LIBS) && go run ./bench/broker --kafka-libs $(KAFKA_LIBS) --client java; \
	else echo "SKIP Apache Kafka: no Maven or Java"; go run ./bench/broker; fi
	go run ./bench/broker --limits
