package broker

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/broker/wal"
)

// The checkpoint's section 3:
//
//	entity count | entities
//
// An entity is: user, client id, address, value count, and for each value its key
// and the bits of the number. Each of the first three is a byte (0 not there, 1
// the default, 2 a name) and the name.
const sectionQuotas = 3

// quotas is the durable limits of clients and what measures them.
type quotas struct {
	// change is held while limits are changed, from the check against what is
	// there to the publication. Lock order: before Broker.mu.
	change sync.Mutex
	meters quota.Meters

	mu    sync.RWMutex // a leaf lock, guards table
	table quota.Table

	// What nobody is limited in costs nothing to measure.
	peers, time, mutations, connections atomic.Bool
}

func (q *quotas) limits() quota.Table {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.table
}

func (q *quotas) set(t quota.Table) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.table = t
	q.peers.Store(t.Any(quota.ProducerByteRate, quota.ConsumerByteRate, quota.RequestPercentage, quota.ControllerMutationRate))
	q.time.Store(t.Any(quota.RequestPercentage))
	q.mutations.Store(t.Any(quota.ControllerMutationRate))
	q.connections.Store(t.Any(quota.ConnectionCreationRate))
}

// use counts n units against the limit of a request's peer and returns how long
// it has to wait.
func (q *quotas) use(rq *request, k quota.Key, n float64, now time.Time) time.Duration {
	user, _ := auth.UserName(rq.peer.principal)
	rate, shared, ok := q.limits().For(k, user, rq.clientID)
	if !ok {
		return 0
	}
	if k == quota.RequestPercentage {
		rate /= 100 // of one processor: seconds per second
	}
	return q.meters.Use(k, shared, rate, n, now)
}

// charge counts what a request has cost when its response, nil for none, is about
// to be sent: the response says how long the client is to wait, and for so long
// the connection is not read (KIP-219).
func (c *conn) charge(rq *request, resp kmsg.Response) {
	q := &c.b.quotas
	if rq.peer == nil || !q.peers.Load() {
		return
	}
	now := c.b.cfg.Clock.Now()
	wait := rq.wait
	if rq.key == keyProduce {
		wait = max(wait, q.use(rq, quota.ProducerByteRate, float64(rq.size), now))
	}
	if f, ok := resp.(*fetchResponse); ok {
		wait = max(wait, q.use(rq, quota.ConsumerByteRate, float64(f.bytes()), now))
	}
	if q.time.Load() {
		// What a handler does after it has answered counts with the next request.
		spent := time.Duration(c.spent.Swap(0))
		wait = max(wait, q.use(rq, quota.RequestPercentage, spent.Seconds(), now))
	}
	if wait <= 0 {
		return
	}
	if t, ok := resp.(kmsg.SetThrottleResponse); ok {
		t.SetThrottle(int32(max(1, wait.Milliseconds())))
	}
	c.mute(now.Add(wait))
}

// mutate counts n partitions that a request has created or deleted. A peer that
// is in debt may go on only when its version of the request knows no better
// (KIP-599): handlers ask with 0 before they do anything.
func (rq *request) mutate(n int, strict bool) error {
	q := &rq.c.b.quotas
	if rq.peer == nil || !q.mutations.Load() {
		return nil
	}
	now := rq.c.b.cfg.Clock.Now()
	if wait := q.use(rq, quota.ControllerMutationRate, 0, now); wait > 0 && strict {
		rq.wait = max(rq.wait, wait)
		return kerr.ThrottlingQuotaExceeded
	}
	rq.wait = max(rq.wait, q.use(rq, quota.ControllerMutationRate, float64(n), now))
	return nil
}

// partitionCount returns how many partitions a topic has, 0 when it does not
// exist.
func (b *Broker) partitionCount(topic string) int {
	if t := b.topics.get(topic); t != nil {
		return len(t.partitions())
	}
	return 0
}

// admit reports whether an address may have one more connection now.
func (q *quotas) admit(host string, now time.Time) bool {
	if !q.connections.Load() {
		return true
	}
	rate, shared, ok := q.limits().ForIP(quota.ConnectionCreationRate, host)
	if !ok {
		return true
	}
	if q.meters.Wait(quota.ConnectionCreationRate, shared, rate, now) > 0 {
		return false
	}
	q.meters.Use(quota.ConnectionCreationRate, shared, rate, 1, now)
	return true
}

func (q *quotas) encode(w *wal.Encoder) {
	t := q.limits()
	w.Uint(uint64(t.Len()))
	for _, e := range t.Entities() {
		encodeQuota(w, e, t.Of(e))
	}
}

func (q *quotas) decode(d *wal.Decoder) {
	var t quota.Table
	for range d.Count() {
		e, limits := decodeQuota(d)
		t = t.With(e, limits)
	}
	q.set(t)
}

func encodeQuota(w *wal.Encoder, e quota.Entity, limits quota.Limits) {
	for _, p := range []quota.Part{e.User, e.Client, e.IP} {
		kind := uint64(0)
		switch {
		case p.Default:
			kind = 1
		case p.Set:
			kind = 2
		}
		w.Uint(kind)
		w.String(p.Name)
	}
	w.Uint(uint64(len(limits)))
	for _, k := range sortedKeys(limits) {
		w.String(string(k))
		w.Uint(math.Float64bits(limits[k]))
	}
}

func decodeQuota(d *wal.Decoder) (e quota.Entity, limits quota.Limits) {
	for _, p := range []*quota.Part{&e.User, &e.Client, &e.IP} {
		kind := d.Uint()
		*p = quota.Part{Set: kind != 0, Default: kind == 1, Name: d.String()}
	}
	limits = quota.Limits{}
	for range d.Count() {
		k := quota.Key(d.String())
		limits[k] = math.Float64frombits(d.Uint())
	}
	return e, limits
}

// quotaSet: an entity and all its values from now on; without any it has no
// limits.
type quotaSet struct {
	entity quota.Entity
	limits quota.Limits
}

func (*quotaSet) kind() byte              { return kindQuotaSet }
func (e *quotaSet) encode(w *wal.Encoder) { encodeQuota(w, e.entity, e.limits) }
func (e *quotaSet) decode(d *wal.Decoder) { e.entity, e.limits = decodeQuota(d) }
func (*quotaSet) stage(*Broker)           {}
func (e *quotaSet) publish(b *Broker) {
	b.quotas.set(b.quotas.limits().With(e.entity, e.limits))
}

func sortedKeys(limits quota.Limits) []quota.Key {
	keys := make([]quota.Key, 0, len(limits))
	for k := range limits {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
