package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/millrace/millrace/internal/interop/brokers"
)

// target is the broker under test: addresses by security protocol. It is a
// process that was started here, or, without one, somebody else's.
type target struct {
	addr    map[string]string
	ca      string
	process *brokers.Process
	log     io.Closer
	isKafka bool
}

// shortDelete has Kafka close the files of deleted topics soon: those of 5,000
// topic-partitions of several clients are more than many machines let it open.
const shortDelete = "log.segment.delete.delay.ms=1000"

// newTarget returns the broker that the options name, or starts one.
func newTarget(ctx context.Context, o options, root, cache, temp string) (*target, error) {
	if o.server != "" {
		return &target{addr: map[string]string{"PLAINTEXT": o.server}}, nil
	}
	log := io.WriteCloser(nopCloser{io.Discard})
	if o.serverLog != "" {
		f, err := os.Create(o.serverLog)
		if err != nil {
			return nil, err
		}
		log = f
	}
	var p *brokers.Process
	var err error
	if o.kafka {
		p, err = brokers.StartKafka(ctx, root, cache, temp, log, shortDelete)
	} else {
		p, err = brokers.StartMillrace(ctx, root, temp, log)
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &target{addr: p.Addr, ca: p.CA, process: p, log: log, isKafka: o.kafka}, nil
}

// stop ends the process, if it is one of ours.
func (t *target) stop() error {
	if t.process == nil {
		return nil
	}
	return errors.Join(t.process.Stop(), t.log.Close())
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
