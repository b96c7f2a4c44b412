package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
)

// lookInterval is how long no record comes before a reader asks the broker
// itself whether it is there and whether anything is left before the end.
const lookInterval = 500 * time.Millisecond

// reading is one `millrace consume` that runs.
type reading struct {
	options   consumeOptions
	topic     string
	isolation kgo.IsolationLevel
	client    *kgo.Client
	looks     *kgo.Client // what admin and look ask through
	admin     *kadm.Client
	each      func(*kgo.Record) error // takes records in order, no control records
	polled    func() error            // is called behind those of a poll, may be nil

	// place is where each partition is read next, without a group; ends is where
	// reading ends. A partition that has got there is taken out of ends.
	place map[int32]int64
	ends  consumeEnds

	shown    int64
	arrived  time.Time // when the last record came, or reading began
	looked   time.Time
	troubles map[int32]trouble
	resting  map[int32]time.Time // partitions that are not fetched until then
	throttle throttled
	timedOut bool
}

// throttled notes until when a broker has asked this client to wait.
type throttled struct{ until atomic.Int64 } // ns since 1970

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (t *throttled) OnBrokerThrottle(_ kgo.BrokerMetadata, wait time.Duration, after bool) {
	if after {
		t.until.Store(clock.System.Now().Add(wait).UnixNano())
	}
}

func (t *throttled) over(now time.Time) bool { return now.UnixNano() >= t.until.Load() }

// open makes the clients of a reading; close ends them.
func (rd *reading) open(opts ...kgo.Opt) (err error) {
	opts = append(opts, kgo.FetchIsolationLevel(rd.isolation), kgo.KeepControlRecords(), kgo.KeepRetryableFetchErrors(), kgo.WithHooks(&rd.throttle))
	if rd.place != nil {
		offsets := make(map[int32]kgo.Offset, len(rd.place))
		for p, at := range rd.place {
			offsets[p] = kgo.NewOffset().At(at)
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{rd.topic: offsets}))
	}
	if rd.client, err = kafkaClient(rd.options.to, opts...); err != nil {
		return err
	}
	// What looks at the end must not queue behind a Fetch that waits for records. It
	// asks every time: an answer that the client remembers says nothing of a broker
	// that is gone; and a dial does not end with its context.
	if rd.looks, err = kafkaClient(rd.options.to, kgo.RequestRetries(0), kgo.WithHooks(&rd.throttle),
		kgo.MetadataMinAge(lookInterval/2), kgo.DialTimeout(rd.lookFor(clock.System.Now()))); err != nil {
		rd.client.Close()
		return err
	}
	rd.admin = kadm.NewClient(rd.looks)
	return nil
}

func (rd *reading) close() {
	rd.client.Close()
	rd.looks.Close()
}

// run reads until the end that was asked for.
func (rd *reading) run(ctx context.Context) error {
	rd.troubles, rd.resting = map[int32]trouble{}, map[int32]time.Time{}
	rd.arrived = clock.System.Now()
	rd.looked = rd.arrived
	for {
		fetches, err := rd.poll(ctx)
		if err != nil {
			return err
		}
		done, err := rd.take(ctx, fetches)
		if done || err != nil {
			return err
		}
		now := clock.System.Now()
		if fetches.NumRecords() == 0 && now.Sub(rd.arrived) >= lookInterval && now.Sub(rd.looked) >= lookInterval && rd.throttle.over(now) {
			if err := rd.look(ctx); err != nil {
				return err
			}
			rd.looked = clock.System.Now()
		}
		switch {
		case rd.options.toEnd && len(rd.ends) == 0:
			return nil
		case ctx.Err() != nil:
			return rd.unfinished("interrupted", nil)
		case rd.options.timeout > 0 && clock.System.Now().Sub(rd.arrived) >= rd.options.timeout:
			rd.timedOut = true
			return rd.unfinished(fmt.Sprintf("--timeout %s is over", rd.options.timeout), rd.worst())
		}
	}
}

// poll waits for records until it is time to look around. Errors that may pass
// are noted.
func (rd *reading) poll(ctx context.Context) (kgo.Fetches, error) {
	wait := lookInterval
	if rd.options.timeout > 0 {
		wait = min(wait, max(rd.options.timeout-clock.System.Now().Sub(rd.arrived), time.Millisecond))
	}
	pollCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	rd.wake()
	fetches := rd.client.PollFetches(pollCtx)
	for _, e := range fetches.Errors() {
		if pollCtx.Err() != nil && errors.Is(e.Err, pollCtx.Err()) {
			continue
		}
		partition := e.Partition
		if e.Topic == "" || partition < 0 {
			partition = wholeTopic
		}
		if err := rd.fail(partition, e.Err); err != nil {
			return fetches, err
		}
		if partition >= 0 {
			rd.rest(partition)
		}
	}
	return fetches, nil
}

// rest lets a partition be for a while: the client fetches again at once what it
// hands an error out of, thousands of times per second.
func (rd *reading) rest(partition int32) {
	rd.resting[partition] = clock.System.Now().Add(lookInterval)
	rd.client.PauseFetchPartitions(map[string][]int32{rd.topic: {partition}})
}

// wake has the partitions fetched again that have rested.
func (rd *reading) wake() {
	now := clock.System.Now()
	for p, until := range rd.resting {
		if !now.Before(until) {
			delete(rd.resting, p)
			rd.client.ResumeFetchPartitions(map[string][]int32{rd.topic: {p}})
		}
	}
}

// take prints the records of a poll and reports whether the end is reached.
func (rd *reading) take(ctx context.Context, fetches kgo.Fetches) (done bool, err error) {
	var taken []*kgo.Record
	for it := fetches.RecordIter(); !it.Done() && !done; {
		rec := it.Next()
		delete(rd.troubles, rec.Partition)
		delete(rd.troubles, wholeTopic)
		delete(rd.troubles, theBroker)
		past := rd.ends.pass(rec.Partition, rec.Offset)
		if rd.place != nil {
			rd.place[rec.Partition] = rec.Offset + 1
		}
		if past || rec.Attrs.IsControl() {
			continue
		}
		if err := rd.each(rec); err != nil {
			return false, err
		}
		rd.shown++
		taken = append(taken, rec)
		done = rd.options.max > 0 && rd.shown >= rd.options.max
	}
	if fetches.NumRecords() > 0 {
		rd.arrived = clock.System.Now()
	}
	if rd.polled != nil {
		if err := rd.polled(); err != nil {
			return false, err
		}
	}
	if rd.options.group != "" && len(taken) > 0 {
		// What was printed is committed, also behind an interrupt.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clientTimeout)
		defer cancel()
		if err := rd.client.CommitRecords(ctx, taken...); err != nil {
			return false, tellStorage(ctx, rd.client, refusal("commit offsets of group "+rd.options.group, err, ""), false)
		}
	}
	return done, nil
}
