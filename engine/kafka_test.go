package engine

import (
	"context"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// kafkaLives run the same scripts over the Kafka protocol: to our own listener,
// and to a fake of Kafka that is none of our code.
var kafkaLives = []life{
	{"own listener", startOverListener, nil},
	{"own listener restarted", startOverListener, func(t *testing.T, w *world) { w.restart(t) }},
	{"kfake", startOverFake, nil},
	{"kfake restarted", startOverFake, func(t *testing.T, w *world) { w.restart(t) }},
}

func TestQueryScriptsOverKafka(t *testing.T) { runLives(t, "../testdata/query", kafkaLives) }

func startOverListener(t *testing.T) *world {
	t.Helper()
	b, err := broker.Open(broker.Config{Dir: "broker", FS: vfs.NewMem(), Clock: clock.System, DisableAutoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }() // ends with Close
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return startWorld(t, Config{Bootstrap: []string{l.Addr().String()}})
}

func startOverFake(t *testing.T) *world {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return startWorld(t, Config{Bootstrap: c.ListenAddrs()})
}
