package engine

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

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
	{"kfake with faults", startOverFaults, nil},
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
	return startWorld(t, Config{Bootstrap: startFake(t).ListenAddrs()})
}

func startFake(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startOverFaults runs over a cluster on which every third transaction of a task
// has an outcome that nobody knows (counted by task: tasks that commit in turns
// would otherwise leave all of the faults to one of them), and every fifth write goes to a broker that
// says it is not the leader.
func startOverFaults(t *testing.T) *world {
	t.Helper()
	c := startFake(t)
	ends, writes := map[string]int{}, 0 // the cluster handles one request at a time
	c.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		id := req.(*kmsg.EndTxnRequest).TransactionalID
		if strings.HasSuffix(id, "-commands") {
			return nil, nil, false
		}
		if ends[id]++; ends[id]%3 != 2 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if writes++; writes%5 != 1 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = topic.Topic
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.NotLeaderForPartition.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return startWorld(t, Config{Bootstrap: c.ListenAddrs()})
}
