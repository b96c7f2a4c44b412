package txn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// What a coordinator request can be refused for; the names are Kafka's.
var (
	ErrInvalidProducerIDMapping = errors.New("txn: producer id does not belong to the transactional id")
	ErrProducerFenced           = errors.New("txn: a newer producer with the same transactional id exists")
	ErrInvalidTxnState          = errors.New("txn: not possible in the transaction's state")
	ErrTooManyIDs               = errors.New("txn: too many transactional ids")
)

// State is the state of a transactional id.
type State uint8

// The states.
const (
	Empty State = iota
	Ongoing
	CompleteCommit
	CompleteAbort
)

// String returns Kafka's name of the state.
func (s State) String() string {
	return [...]string{"Empty", "Ongoing", "CompleteCommit", "CompleteAbort"}[s]
}

// Partition names a partition by topic id, so that a topic that was deleted and
// created again is another one.
type Partition struct {
	Topic     wal.TopicID
	Partition int32
}

// maxEpoch is the last epoch that is given out: one more is left for fencing.
const maxEpoch = math.MaxInt16 - 1

// Transaction is one transactional id.
type Transaction struct {
	ID         string
	ProducerID kafka.ProducerID
	Epoch      kafka.Epoch
	// LastProducerID and LastEpoch are what the current pair replaced: a client
	// that retries with them did not get the answer.
	LastProducerID kafka.ProducerID
	LastEpoch      kafka.Epoch
	Timeout        time.Duration
	State          State
	// Updated is the wall time of the last change.
	Updated    kafka.Timestamp
	Partitions map[Partition]struct{}
	Groups     map[string]struct{}
	// Deadline is when an Ongoing transaction times out. It is not durable: a
	// restart begins anew.
	Deadline time.Time
}

// Coordinator holds the transactional ids. Its owner serialises all calls.
type Coordinator struct {
	MaxIDs int
	byID   map[string]*Transaction
	nextID kafka.ProducerID
}

// NewCoordinator returns an empty coordinator.
func NewCoordinator(maxIDs int) *Coordinator {
	return &Coordinator{MaxIDs: maxIDs, byID: map[string]*Transaction{}}
}

// Get returns a transactional id, nil when it is not known.
func (c *Coordinator) Get(id string) *Transaction { return c.byID[id] }

// All calls f for every transactional id, in no order.
func (c *Coordinator) All(f func(*Transaction)) {
	for _, t := range c.byID {
		f(t)
	}
}

// NextProducerID returns the producer id that is given out next. The change is
// made by a Change that is durable before the id is handed out.
func (c *Coordinator) NextProducerID() kafka.ProducerID { return c.nextID }

// Change is a change of one transactional id, complete but for what it adds.
type Change struct {
	ID             string
	ProducerID     kafka.ProducerID
	Epoch          kafka.Epoch
	LastProducerID kafka.ProducerID
	LastEpoch      kafka.Epoch
	Timeout        time.Duration
	State          State
	Updated        kafka.Timestamp
	// Partitions and Groups are added to an Ongoing transaction. A change to any
	// other state clears them.
	Partitions []Partition
	Groups     []string
	// Forget removes the id.
	Forget bool
}

// End is what a Change does to an Ongoing transaction besides: markers for its
// partitions and an end to its pending offsets.
type End struct {
	ProducerID kafka.ProducerID
	// Epoch is the markers' epoch.
	Epoch      kafka.Epoch
	Commit     bool
	Partitions []Partition
	Groups     []string
}

// change starts a Change that keeps everything.
func (t *Transaction) change() *Change {
	return &Change{
		ID: t.ID, ProducerID: t.ProducerID, Epoch: t.Epoch,
		LastProducerID: t.LastProducerID, LastEpoch: t.LastEpoch,
		Timeout: t.Timeout, State: t.State,
	}
}

// end starts an End of what the transaction holds.
func (t *Transaction) end(commit bool, epoch kafka.Epoch) *End {
	e := &End{ProducerID: t.ProducerID, Epoch: epoch, Commit: commit}
	for p := range t.Partitions {
		e.Partitions = append(e.Partitions, p)
	}
	for g := range t.Groups {
		e.Groups = append(e.Groups, g)
	}
	return e
}

// bump moves the change to the next epoch, or to a new producer id when the
// epochs are used up.
func (c *Coordinator) bump(ch *Change) {
	ch.LastProducerID, ch.LastEpoch = ch.ProducerID, ch.Epoch
	if ch.Epoch >= maxEpoch {
		ch.ProducerID, ch.Epoch = c.nextID, 0
		return
	}
	ch.Epoch++
}

// Init decides InitProducerId. pid and epoch are the client's current ones
// (KIP-360), -1 when it has none. A nil Change is the retry of a request that
// was done: the transaction's current pair is the answer.
func (c *Coordinator) Init(id string, timeout time.Duration, pid kafka.ProducerID, epoch kafka.Epoch) (*Change, *End, error) {
	t := c.byID[id]
	if t == nil {
		if pid != kafka.NoProducerID {
			return nil, nil, fmt.Errorf("%w: %q is not known", ErrInvalidProducerIDMapping, id)
		}
		if len(c.byID) >= c.MaxIDs {
			return nil, nil, fmt.Errorf("%w: limit %d", ErrTooManyIDs, c.MaxIDs)
		}
		return &Change{ID: id, ProducerID: c.nextID, LastProducerID: kafka.NoProducerID, LastEpoch: -1, Timeout: timeout}, nil, nil
	}
	if pid != kafka.NoProducerID {
		retry := pid == t.LastProducerID && epoch == t.LastEpoch
		if retry && t.State == Empty {
			return nil, nil, nil
		}
		if !retry && (pid != t.ProducerID || epoch != t.Epoch) {
			return nil, nil, fmt.Errorf("%w: %q is at producer %d epoch %d", ErrProducerFenced, id, t.ProducerID, t.Epoch)
		}
	}
	ch := t.change()
	c.bump(ch)
	ch.State, ch.Timeout = Empty, timeout
	if t.State != Ongoing {
		return ch, nil, nil
	}
	return ch, t.end(false, fenceEpoch(t.Epoch)), nil
}

// fenceEpoch is the epoch of the markers that end a transaction from outside: it
// is higher than the producer's, so that its late batches are refused.
func fenceEpoch(e kafka.Epoch) kafka.Epoch { return min(e, math.MaxInt16-1) + 1 }

// check verifies a producer's identity.
func (c *Coordinator) check(id string, pid kafka.ProducerID, epoch kafka.Epoch) (*Transaction, error) {
	t := c.byID[id]
	if t == nil || t.ProducerID != pid {
		return nil, fmt.Errorf("%w: %q, producer %d", ErrInvalidProducerIDMapping, id, pid)
	}
	if t.Epoch != epoch {
		return nil, fmt.Errorf("%w: %q has epoch %d, current is %d", ErrProducerFenced, id, epoch, t.Epoch)
	}
	return t, nil
}

// Add decides AddPartitionsToTxn, AddOffsetsToTxn and their implicit forms. A
// nil Change says that everything is in the transaction already.
func (c *Coordinator) Add(id string, pid kafka.ProducerID, epoch kafka.Epoch, parts []Partition, groups []string) (*Change, error) {
	t, err := c.check(id, pid, epoch)
	if err != nil {
		return nil, err
	}
	ch := t.change()
	ch.State = Ongoing
	for _, p := range parts {
		if _, ok := t.Partitions[p]; !ok || t.State != Ongoing {
			ch.Partitions = append(ch.Partitions, p)
		}
	}
	for _, g := range groups {
		if _, ok := t.Groups[g]; !ok || t.State != Ongoing {
			ch.Groups = append(ch.Groups, g)
		}
	}
	if len(ch.Partitions) == 0 && len(ch.Groups) == 0 {
		return nil, nil
	}
	return ch, nil
}

// Verify says whether a TV1 batch may be appended to a partition: its
// transaction is Ongoing and has it.
func (c *Coordinator) Verify(id string, pid kafka.ProducerID, epoch kafka.Epoch, p Partition) error {
	t, err := c.check(id, pid, epoch)
	if err != nil {
		return err
	}
	if _, ok := t.Partitions[p]; t.State != Ongoing || !ok {
		return fmt.Errorf("%w: the partition was not added to the transaction of %q", ErrInvalidTxnState, id)
	}
	return nil
}

// VerifyGroup is Verify for a group's offsets.
func (c *Coordinator) VerifyGroup(id string, pid kafka.ProducerID, epoch kafka.Epoch, group string) error {
	t, err := c.check(id, pid, epoch)
	if err != nil {
		return err
	}
	if _, ok := t.Groups[group]; t.State != Ongoing || !ok {
		return fmt.Errorf("%w: group %q was not added to the transaction of %q", ErrInvalidTxnState, group, id)
	}
	return nil
}

// EndTxn decides EndTxn. tv2 says that the client gets a new epoch with every
// transaction. Without Change it is the retry of a request that was done.
func (c *Coordinator) EndTxn(id string, pid kafka.ProducerID, epoch kafka.Epoch, commit, tv2 bool) (*Change, *End, error) {
	done := CompleteAbort
	if commit {
		done = CompleteCommit
	}
	if t := c.byID[id]; tv2 && t != nil && t.LastProducerID == pid && t.LastEpoch == epoch && (t.State == CompleteCommit || t.State == CompleteAbort) {
		if t.State != done {
			return nil, nil, fmt.Errorf("%w: %q is %s", ErrInvalidTxnState, id, t.State)
		}
		return nil, nil, nil
	}
	t, err := c.check(id, pid, epoch)
	if err != nil {
		return nil, nil, err
	}
	ch := t.change()
	ch.State = done
	switch {
	case t.State == Ongoing:
		markers := t.Epoch
		if tv2 {
			c.bump(ch)
			markers = fenceEpoch(t.Epoch)
		}
		return ch, t.end(commit, markers), nil
	case tv2 && !commit:
		// An abort before the first write: a new epoch and nothing else.
		c.bump(ch)
		return ch, nil, nil
	case !tv2 && t.State == done:
		return nil, nil, nil
	}
	return nil, nil, fmt.Errorf("%w: %q is %s", ErrInvalidTxnState, id, t.State)
}

// Expired decides what happens to a transactional id as time passes: an Ongoing
// transaction past its deadline is fenced and aborted, an id that was not used
// since before is forgotten. All nil means nothing.
func (c *Coordinator) Expired(t *Transaction, now time.Time, before kafka.Timestamp) (*Change, *End) {
	switch {
	case t.State == Ongoing && now.After(t.Deadline):
		ch := t.change()
		c.bump(ch)
		ch.State = CompleteAbort
		return ch, t.end(false, fenceEpoch(t.Epoch))
	case t.State != Ongoing && t.Updated < before:
		ch := t.change()
		ch.Forget = true
		return ch, nil
	}
	return nil, nil
}

// Apply makes a change, decided just now or recovered.
func (c *Coordinator) Apply(ch *Change, now time.Time) {
	if ch.Forget {
		delete(c.byID, ch.ID)
		return
	}
	t := c.byID[ch.ID]
	if t == nil {
		t = &Transaction{ID: ch.ID}
		c.byID[ch.ID] = t
	}
	if ch.State != Ongoing || t.State != Ongoing {
		t.Partitions, t.Groups = map[Partition]struct{}{}, map[string]struct{}{}
		t.Deadline = now.Add(ch.Timeout)
	}
	t.ProducerID, t.Epoch, t.LastProducerID, t.LastEpoch = ch.ProducerID, ch.Epoch, ch.LastProducerID, ch.LastEpoch
	t.Timeout, t.State, t.Updated = ch.Timeout, ch.State, ch.Updated
	for _, p := range ch.Partitions {
		t.Partitions[p] = struct{}{}
	}
	for _, g := range ch.Groups {
		t.Groups[g] = struct{}{}
	}
	c.nextID = max(c.nextID, ch.ProducerID+1)
}

// UseProducerID records that an id was given out without a transactional id.
func (c *Coordinator) UseProducerID(pid kafka.ProducerID) { c.nextID = max(c.nextID, pid+1) }

// Saved is one transactional id's state, to be put back when a change is refused.
type Saved struct {
	id string
	t  *Transaction // nil: it was not known
}

// Save returns a transactional id's state as it is now.
func (c *Coordinator) Save(id string) Saved {
	t := c.byID[id]
	if t == nil {
		return Saved{id: id}
	}
	old := *t
	old.Partitions, old.Groups = maps.Clone(t.Partitions), maps.Clone(t.Groups)
	return Saved{id, &old}
}

// Restore puts a transactional id's state back. Producer ids that were given out
// meanwhile stay used.
func (c *Coordinator) Restore(s Saved) {
	if s.t == nil {
		delete(c.byID, s.id)
		return
	}
	c.byID[s.id] = s.t
}

// SaveTopic returns the state of every transactional id with a partition of a
// topic.
func (c *Coordinator) SaveTopic(id wal.TopicID) []Saved {
	var saved []Saved
	for _, t := range c.byID {
		for p := range t.Partitions {
			if p.Topic == id {
				saved = append(saved, c.Save(t.ID))
				break
			}
		}
	}
	return saved
}

// DropTopic takes a deleted topic's partitions out of all transactions.
func (c *Coordinator) DropTopic(id wal.TopicID) {
	for _, t := range c.byID {
		for p := range t.Partitions {
			if p.Topic == id {
				delete(t.Partitions, p)
			}
		}
	}
}
