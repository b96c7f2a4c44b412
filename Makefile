.PHONY: build test ci conformance interop differential bench bench-plan

build:
	CGO_ENABLED=0 go build -o millrace .

test:
	go test ./...

ci:
	bash .ci/run

# CORPUS is the folder of the conformance cases.
conformance:
	go run ./internal/conformance --corpus $(CORPUS) --ratchet testdata/conformance.ratchet --failing testdata/conformance.failing
	go run ./internal/conformance --corpus $(CORPUS) --live --ratchet testdata/conformance-live.ratchet --failing testdata/conformance-live.failing

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
