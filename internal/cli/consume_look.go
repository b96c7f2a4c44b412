package cli

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

// lookTimeout is how long a look waits for the broker at most.
const lookTimeout = 10 * time.Second

// lookBytes is how much of a partition a look asks for; one batch always comes.
const lookBytes = 1 << 20

// look asks the broker itself when no record has come for a while. It finds a
// broker that is gone, which the client hides as it tries again, and ends that
// are behind offsets without records: compaction and aborted transactions leave
// such, and the client passes them without a word.
func (rd *reading) look(ctx context.Context) error {
	began := clock.System.Now()
	ctx, cancel := context.WithTimeout(ctx, rd.lookFor(began))
	defer cancel()
	topics, err := rd.admin.ListTopics(ctx, rd.topic)
	if err != nil {
		return rd.failLook(ctx, theBroker, began, err)
	}
	delete(rd.troubles, theBroker)
	t, ok := topics[rd.topic]
	if !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
		return rd.unfinished("", missingTopic(rd.topic))
	}
	if t.Err != nil {
		return rd.failLook(ctx, wholeTopic, began, t.Err)
	}
	for _, p := range rd.ends.open() {
		next, records, err := rd.peek(ctx, t, p)
		for err == nil && !records && next > rd.place[p] && next < rd.ends[p] {
			rd.place[p] = next
			next, records, err = rd.peek(ctx, t, p)
		}
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange):
			next, err = rd.start(ctx, p)
		case err == nil && records:
			continue // the client brings them
		}
		if err != nil {
			if err := rd.failLook(ctx, p, began, err); err != nil {
				return err
			}
			continue
		}
		delete(rd.troubles, p)
		rd.place[p] = max(rd.place[p], next)
		rd.ends.pass(p, rd.place[p]-1)
	}
	return nil
}

// lookFor returns how long a look that begins now may wait: not past the time at
// which --timeout or --retry-timeout ends the reading, but for a last look.
func (rd *reading) lookFor(now time.Time) time.Duration {
	wait := min(lookTimeout, rd.options.retryTimeout)
	for _, t := range rd.troubles {
		if now.Sub(t.last) <= troubleFades {
			wait = min(wait, rd.options.retryTimeout-now.Sub(t.since))
		}
	}
	if rd.options.timeout > 0 {
		wait = min(wait, rd.options.timeout-now.Sub(rd.arrived))
	}
	return max(wait, lookInterval)
}

// failLook notes an error of a look that was not interrupted. Since the look began
// nothing else was answered.
func (rd *reading) failLook(ctx context.Context, partition int32, began time.Time, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return rd.failSince(partition, began, err)
}

// start returns a partition's log start offset: retention may have taken what was
// to be read.
func (rd *reading) start(ctx context.Context, partition int32) (int64, error) {
	offsets, err := rd.admin.ListStartOffsets(ctx, rd.topic)
	if err != nil {
		return 0, err
	}
	o, ok := offsets.Lookup(rd.topic, partition)
	if !ok {
		return 0, kerr.UnknownTopicOrPartition
	}
	return o.Offset, o.Err
}

// peek fetches a partition from where reading is. It returns whether records come
// that the client will bring, and else the offset behind what there is.
func (rd *reading) peek(ctx context.Context, t kadm.TopicDetail, partition int32) (next int64, records bool, err error) {
	d, ok := t.Partitions[partition]
	if !ok {
		return 0, false, kerr.UnknownTopicOrPartition
	}
	if d.Err != nil {
		return 0, false, d.Err
	}
	rp, err := rd.fetch(ctx, t, d, rd.place[partition])
	if err != nil {
		return rd.place[partition], false, err
	}
	// The client counts only offsets that it was given records of or that a batch
	// names; an empty answer is the end, or a broker that makes this client wait.
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: rd.place[partition], IsolationLevel: rd.isolation, Topic: rd.topic, Partition: partition,
	}, rp, kgo.DefaultDecompressor(), nil)
	return next, len(fp.Records) > 0, fp.Err
}

// fetch asks a partition's leader for what is there from an offset on.
func (rd *reading) fetch(ctx context.Context, t kadm.TopicDetail, d kadm.PartitionDetail, offset int64) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes = -1, lookBytes
	if rd.options.isolation != "uncommitted" {
		req.IsolationLevel = 1
	}
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = rd.topic, t.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = d.Partition, offset, lookBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	nothing := kmsg.NewFetchResponseTopicPartition()
	raw, err := rd.looks.Broker(int(d.Leader)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := raw.(*kmsg.FetchResponse)
	switch {
	case ok && resp.ErrorCode != 0:
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	case !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1:
		return &nothing, nil // a broker that makes this client wait
	}
	return &resp.Topics[0].Partitions[0], nil
}
