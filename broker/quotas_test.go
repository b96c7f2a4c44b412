package broker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// limit gives an entity a limit, as AlterClientQuotas does.
func limit(b *Broker, e quota.Entity, k quota.Key, value float64) {
	(&quotaSet{e, quota.Limits{k: value}}).publish(b)
}

// produceRequest holds one batch with n bytes of value.
func produceRequest(topic string, n int) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = 1
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batchOf(1000, strings.Repeat("v", n))
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// TestProducerQuota: the answer comes at once and says how long to wait; for so
// long the connection is not read, and others are.
func TestProducerQuota(t *testing.T) {
	inBubble(t, Limits{}, Listener{}, func(t *testing.T, b *Broker, l *pipeListener) {
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "t"}}}); err != nil {
			t.Fatal(err)
		}
		limit(b, quota.Entity{Client: quota.Named("raw")}, quota.ProducerByteRate, 1000)
		c := rawOver(t, l.dial())
		other := rawOver(t, l.dial())
		other.f = kmsg.NewRequestFormatter(kmsg.FormatterClientID("other"))
		for _, c := range []*rawClient{c, other} {
			if err := c.nc.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		first := c.ask(produceRequest("t", 5000), 9).(*kmsg.ProduceResponse)
		if d := time.Since(began); d != 0 || first.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("answered after %v with %+v", d, first.Topics[0].Partitions[0])
		}
		wait := time.Duration(first.ThrottleMillis) * time.Millisecond
		if wait < 4*time.Second || wait > 5*time.Second {
			t.Errorf("told to wait %v", wait)
		}
		if got := other.ask(produceRequest("t", 5000), 9).(*kmsg.ProduceResponse); got.ThrottleMillis != 0 {
			t.Errorf("another client waits %d ms", got.ThrottleMillis)
		}
		c.ask(kmsg.NewPtrApiVersionsRequest(), 0)
		if d := time.Since(began); d < wait || d > wait+time.Second {
			t.Errorf("the next request is read after %v, told %v", d, wait)
		}
	})
}

func TestConsumerQuota(t *testing.T) {
	inBubble(t, Limits{}, Listener{}, func(t *testing.T, b *Broker, l *pipeListener) {
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "t"}}}); err != nil {
			t.Fatal(err)
		}
		limit(b, quota.Entity{User: quota.DefaultPart}, quota.ConsumerByteRate, 100)
		c := rawOver(t, l.dial())
		if err := c.nc.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		c.ask(produceRequest("t", 1000), 9)
		req := kmsg.NewPtrFetchRequest()
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = "t"
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.PartitionMaxBytes = 1 << 20
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics, req.MaxBytes = append(req.Topics, rt), 1<<20
		got := c.ask(req, 11).(*kmsg.FetchResponse)
		if len(got.Topics[0].Partitions[0].RecordBatches) < 1000 || got.ThrottleMillis < 9000 {
			t.Errorf("%d bytes, told to wait %d ms", len(got.Topics[0].Partitions[0].RecordBatches), got.ThrottleMillis)
		}
	})
}

func TestConnectionRate(t *testing.T) {
	clk := &movableClock{Clock: clock.Fixed(time.Unix(1_700_000_000, 0))}
	b := openSecure(t, vfs.NewMem(), func(c *Config) { c.Clock = clk })
	limit(b, quota.Entity{IP: quota.DefaultPart}, quota.ConnectionCreationRate, 2)
	refused := 0
	for range 5 {
		if b.server.enter("10.0.0.1") != "" {
			refused++
		} else {
			b.server.running.Done()
		}
	}
	if refused != 2 { // two at once, one on credit
		t.Errorf("%d of 5 are refused", refused)
	}
	if b.server.enter("10.0.0.2") != "" {
		t.Error("another address is refused")
	}
	b.server.running.Done()
	clk.advance(2 * time.Second)
	if why := b.server.enter("10.0.0.1"); why != "" {
		t.Error("later:", why)
	}
	b.server.running.Done()
}

func TestMutationQuota(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	limit(b, quota.Entity{Client: quota.Named("raw")}, quota.ControllerMutationRate, 1)
	addr := listenOn(t, b, Listener{})
	create := func(name string, version int16) *kmsg.CreateTopicsResponse {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 5, 1
		req.Topics = append(req.Topics, rt)
		return dialRaw(t, addr).ask(req, version).(*kmsg.CreateTopicsResponse)
	}
	if r := create("a", 7); r.Topics[0].ErrorCode != 0 || r.ThrottleMillis < 3000 {
		t.Errorf("first: %+v", r)
	}
	if r := create("b", 7); r.Topics[0].ErrorCode != kerr.ThrottlingQuotaExceeded.Code || r.ThrottleMillis == 0 {
		t.Errorf("strict: %+v", r)
	}
	if r := create("b", 5); r.Topics[0].ErrorCode != 0 || r.ThrottleMillis == 0 {
		t.Errorf("a client that knows no better: %+v", r)
	}
}

// TestRequestQuota: time in handlers counts, whoever sends the requests.
func TestRequestQuota(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	limit(b, quota.Entity{User: quota.Named("ANONYMOUS")}, quota.RequestPercentage, 0.0001)
	c := dialRaw(t, listenOn(t, b, Listener{}))
	for range 20 {
		meta := c.ask(kmsg.NewPtrMetadataRequest(), 9).(*kmsg.MetadataResponse)
		if meta.ThrottleMillis > 0 {
			return
		}
	}
	t.Error("20 requests on a millionth of a processor, never told to wait")
}

func TestAlterQuotas(t *testing.T) {
	fs := vfs.NewMem()
	b := openSecure(t, fs, nil)
	admin := kadm.NewClient(client(t, listenOn(t, b, Listener{})))
	ctx := testCtx(t)
	name := func(s string) *string { return &s }
	entity := func(parts ...kadm.ClientQuotaEntityComponent) kadm.ClientQuotaEntity { return parts }
	alter := func(e kadm.ClientQuotaEntity, key string, value float64, remove bool) error {
		t.Helper()
		results, err := admin.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: e, Ops: []kadm.AlterClientQuotaOp{{Key: key, Value: value, Remove: remove}}}})
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Err
	}
	alice := entity(kadm.ClientQuotaEntityComponent{Type: "user", Name: name("alice")}, kadm.ClientQuotaEntityComponent{Type: "client-id"})
	anyIP := entity(kadm.ClientQuotaEntityComponent{Type: "ip"})
	if err := errors.Join(alter(alice, "producer_byte_rate", 1024, false), alter(alice, "request_percentage", 12.5, false), alter(anyIP, "connection_creation_rate", 50, false)); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"unknown key":   alter(alice, "bytes", 1, false),
		"negative":      alter(alice, "producer_byte_rate", -1, false),
		"unknown type":  alter(entity(kadm.ClientQuotaEntityComponent{Type: "host"}), "producer_byte_rate", 1, false),
		"empty entity":  alter(entity(), "producer_byte_rate", 1, false),
		"key of others": alter(anyIP, "producer_byte_rate", 1, false),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	describe := func(strict bool, components ...kadm.DescribeClientQuotaComponent) kadm.DescribedClientQuotas {
		t.Helper()
		d, err := admin.DescribeClientQuotas(ctx, strict, components)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	user := kadm.DescribeClientQuotaComponent{Type: "user", MatchName: name("alice"), MatchType: kmsg.QuotasMatchTypeExact}
	if d := describe(false, user); len(d) != 1 || len(d[0].Values) != 2 {
		t.Errorf("alice: %+v", d)
	}
	if d := describe(true, user); len(d) != 0 {
		t.Errorf("alice alone: %+v", d)
	}
	if d := describe(false, kadm.DescribeClientQuotaComponent{Type: "ip", MatchType: kmsg.QuotasMatchTypeDefault}); len(d) != 1 {
		t.Errorf("the default address: %+v", d)
	}
	if d := describe(false); len(d) != 2 {
		t.Errorf("all: %+v", d)
	}
	if err := alter(alice, "producer_byte_rate", 0, true); err != nil {
		t.Error(err)
	}
	mustClose(t, b)
	again, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close(context.Background()) })
	table := again.quotas.limits()
	if v := table.Of(quota.Entity{User: quota.Named("alice"), Client: quota.DefaultPart}); table.Len() != 2 || len(v) != 1 || v[quota.RequestPercentage] != 12.5 {
		t.Errorf("after a restart: %d entities, alice has %v", table.Len(), v)
	}
}
