.PHONY: build test ci conformance bench

build:
	CGO_ENABLED=0 go build -o millrace .

test:
	go test ./...

ci:
	bash .ci/run

# CORPUS is the folder of the conformance cases.
conformance:
	go run ./internal/conformance --corpus $(CORPUS)

bench: build
	./millrace bench nexmark --queries q0,q1,q2,q12 --events 2000000 --partitions 2
