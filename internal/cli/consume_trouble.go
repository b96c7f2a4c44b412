package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
)

// In what went wrong wholeTopic stands for all partitions, as when a group does not
// come together, and theBroker for a broker that does not answer.
const (
	wholeTopic = -1
	theBroker  = -2
)

// troubleFades is how long after its last report an error counts as one that is
// still there: longer than the client and a look wait between two tries.
const troubleFades = lookTimeout + 5*time.Second

// trouble is an error that may pass, of a partition, wholeTopic or theBroker.
type trouble struct {
	err         error
	since, last time.Time // first and last report
}

// fail notes an error that may pass, and returns it when it will not or when it
// has stayed for --retry-timeout.
func (rd *reading) fail(partition int32, err error) error {
	return rd.failSince(partition, clock.System.Now(), err)
}

// failSince is fail of what was asked for at a time.
func (rd *reading) failSince(partition int32, asked time.Time, err error) error {
	now := clock.System.Now()
	t, ok := rd.troubles[partition]
	if !ok || asked.Sub(t.last) > troubleFades {
		t.since = asked
	}
	t.err, t.last = err, now
	rd.troubles[partition] = t
	switch {
	case !passes(err):
		return rd.unfinished("", rd.describe(partition, err))
	case now.Sub(t.since) >= rd.options.retryTimeout:
		return rd.unfinished(fmt.Sprintf("nothing else for %s", rd.options.retryTimeout), rd.describe(partition, err))
	}
	return nil
}

// passes reports whether an error is worth waiting for its end.
func passes(err error) bool {
	if code := (*kerr.Error)(nil); errors.As(err, &code) {
		return code.Retriable
	}
	dial := (*net.OpError)(nil)
	return kgo.IsRetryableBrokerErr(err) || errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, context.DeadlineExceeded)
}

// describe says what was being read when an error came.
func (rd *reading) describe(partition int32, err error) error {
	what := "read " + rd.topic
	switch place, ok := rd.place[partition]; {
	case ok:
		what = fmt.Sprintf("read %s-%d at offset %d", rd.topic, partition, place)
	case partition >= 0:
		what = fmt.Sprintf("read %s-%d", rd.topic, partition)
	case rd.options.group != "":
		what = "read " + rd.topic + " as group " + rd.options.group
	}
	if session := (*kgo.ErrGroupSession)(nil); errors.As(err, &session) {
		err = session.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: the broker at %s does not answer", what, rd.options.to.addr)
	}
	return tellStorage(context.Background(), rd.client, refusal(what, unreachable(rd.options.to, err), ""), true)
}

// worst returns the oldest error that has not passed.
func (rd *reading) worst() error {
	var oldest *trouble
	at := int32(wholeTopic)
	now := clock.System.Now()
	for p, t := range rd.troubles {
		if now.Sub(t.last) <= troubleFades && (oldest == nil || t.since.Before(oldest.since)) {
			oldest, at = &t, p
		}
	}
	if oldest == nil {
		return nil
	}
	return rd.describe(at, oldest.err)
}

// unfinished returns the error of a reading that ends before its end: why, what
// went wrong where something did, and how far it got. Without an end that was
// asked for and without an error there is none.
func (rd *reading) unfinished(why string, cause error) error {
	if cause == nil && rd.options.max == 0 && !rd.options.toEnd {
		return nil
	}
	far := count(rd.shown, "record") + " came"
	if rd.options.max > 0 {
		far = fmt.Sprintf("%d of %s came", rd.shown, count(rd.options.max, "record"))
	}
	for _, p := range rd.ends.open() {
		far += fmt.Sprintf(", %s-%d is at offset %d of %d", rd.topic, p, rd.place[p], rd.ends[p])
		break
	}
	if more := len(rd.ends) - 1; more > 0 {
		far += fmt.Sprintf(", %s not at the end either", count(int64(more), "more partition"))
	}
	if why != "" {
		far = why + ": " + far
	}
	if cause == nil {
		return errors.New(far)
	}
	return fmt.Errorf("%w; %s", cause, far)
}

// open returns the partitions that have not got to their end, in order.
func (e consumeEnds) open() []int32 {
	var list []int32
	for p := range e {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}
