package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/vfs"
)

// fetchOnce sends one fetch that does not wait.
func fetchOnce(t *testing.T, ctx context.Context, cl *kgo.Client, session, epoch int32, topics []kmsg.FetchRequestTopic, forget []kmsg.FetchRequestForgottenTopic) *kmsg.FetchResponse {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionID, req.SessionEpoch, req.Topics, req.ForgottenTopics = 1<<20, session, epoch, topics, forget
	resp, err := cl.Broker(nodeID).Request(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.FetchResponse)
}

func fetchTopic(id TopicID, offsets map[int32]int64) []kmsg.FetchRequestTopic {
	rt := kmsg.NewFetchRequestTopic()
	rt.TopicID = id
	for partition, offset := range offsets {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = partition, offset, 1<<20
		rt.Partitions = append(rt.Partitions, rp)
	}
	return []kmsg.FetchRequestTopic{rt}
}

// What a client pieces together from the answers of a session is what a full
// fetch says, whatever it adds, forgets and consumes in between.
func TestFetchSessionTellsAllThatChanges(t *testing.T) {
	const partitions = 6
	b, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "t", Partitions: partitions}}}); err != nil {
		t.Fatal(err)
	}
	info, _ := b.Topic("t")
	rnd := rand.New(rand.NewPCG(1, 227))
	offsets := map[int32]int64{0: 0, 1: 0}
	told := map[int32]int64{} // high watermarks as the session told them
	note := func(r *kmsg.FetchResponse, incremental bool) {
		if r.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(r.ErrorCode))
		}
		for _, st := range r.Topics {
			for _, sp := range st.Partitions {
				if incremental && len(sp.RecordBatches) == 0 && told[sp.Partition] == sp.HighWatermark {
					t.Errorf("partition %d came without news", sp.Partition)
				}
				if _, asked := offsets[sp.Partition]; !asked {
					t.Errorf("partition %d was forgotten and came", sp.Partition)
				}
				told[sp.Partition] = sp.HighWatermark
			}
		}
	}
	first := fetchOnce(t, ctx, cl, 0, 0, fetchTopic(info.ID, offsets), nil)
	note(first, false)
	if first.SessionID == 0 {
		t.Fatal("no session was granted")
	}
	for epoch := int32(1); epoch < 120; epoch++ {
		changes := map[int32]int64{}
		var forget []kmsg.FetchRequestForgottenTopic
		switch p := int32(rnd.IntN(partitions)); rnd.IntN(4) {
		case 0:
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		case 1: // add a partition, or go on in it
			offsets[p] = told[p]
			changes[p] = told[p]
			if _, known := told[p]; !known {
				told[p] = -1
			}
		case 2:
			if len(offsets) > 1 {
				delete(offsets, p)
				delete(told, p)
				f := kmsg.NewFetchRequestForgottenTopic()
				f.TopicID, f.Partitions = info.ID, []int32{p}
				forget = append(forget, f)
			}
		}
		var topics []kmsg.FetchRequestTopic
		if len(changes) > 0 {
			topics = fetchTopic(info.ID, changes)
		}
		note(fetchOnce(t, ctx, cl, first.SessionID, epoch, topics, forget), true)
		full := fetchOnce(t, ctx, cl, 0, -1, fetchTopic(info.ID, offsets), nil)
		for _, sp := range full.Topics[0].Partitions {
			if told[sp.Partition] != sp.HighWatermark {
				t.Fatalf("epoch %d: the session says %d is at %d, it is at %d", epoch, sp.Partition, told[sp.Partition], sp.HighWatermark)
			}
		}
	}
}

func TestFetchSessionRefusals(t *testing.T) {
	b, addr := serveTest(t, Limits{FetchSessions: 1})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "t", "a")
	info, _ := b.Topic("t")
	all := fetchTopic(info.ID, map[int32]int64{0: 1})
	one := fetchOnce(t, ctx, cl, 0, 0, all, nil)
	wantCode(t, "unknown id", fetchOnce(t, ctx, cl, one.SessionID+1, 1, nil, nil).ErrorCode, kerr.FetchSessionIDNotFound)
	wantCode(t, "epoch too high", fetchOnce(t, ctx, cl, one.SessionID, 2, nil, nil).ErrorCode, kerr.InvalidFetchSessionEpoch)
	if two := fetchOnce(t, ctx, cl, 0, 0, all, nil); two.SessionID != 0 || len(two.Topics) != 1 {
		t.Errorf("with all slots taken: session %d, %d topics", two.SessionID, len(two.Topics))
	}
	if next := fetchOnce(t, ctx, cl, one.SessionID, 1, nil, nil); next.ErrorCode != 0 || len(next.Topics) != 0 || next.SessionID != one.SessionID {
		t.Errorf("nothing new: %+v", next)
	}
	wantCode(t, "epoch again", fetchOnce(t, ctx, cl, one.SessionID, 1, nil, nil).ErrorCode, kerr.InvalidFetchSessionEpoch)
	fetchOnce(t, ctx, cl, one.SessionID, -1, all, nil)
	wantCode(t, "after its end", fetchOnce(t, ctx, cl, one.SessionID, 2, nil, nil).ErrorCode, kerr.FetchSessionIDNotFound)
}

// An incremental fetch waits like any other, and is woken by a partition that an
// earlier request named.
func TestFetchSessionWaits(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{})
	addr := serveOn(t, b)
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "t", "a")
	info, _ := b.Topic("t")
	one := fetchOnce(t, ctx, cl, 0, 0, fetchTopic(info.ID, map[int32]int64{0: 1}), nil)
	answered := make(chan error, 1)
	go func() { // ends with the answer
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.SessionID, req.SessionEpoch, req.MinBytes, req.MaxWaitMillis = 1<<20, one.SessionID, 1, 1, 60_000
		resp, err := cl.Broker(nodeID).Request(ctx, req)
		if err == nil && (len(resp.(*kmsg.FetchResponse).Topics) != 1 || len(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches) == 0) {
			err = fmt.Errorf("answer: %+v", resp)
		}
		answered <- err
	}()
	produce(t, ctx, client(t, addr), "t", "b")
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
