package txn

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

func batch(pid kafka.ProducerID, epoch kafka.Epoch, seq int32, n int, base kafka.Offset) kafka.Batch {
	var w kafka.BatchBuilder
	for range n {
		w.Append(1, nil, []byte("v"), nil)
	}
	w.FinishAs(0, pid, epoch, seq)
	b := kafka.Batch(w.Bytes())
	b.SetBaseOffset(base)
	return b
}

// TestSequenceWraps: 2^31-1 is followed by 0, within a batch and between two.
func TestSequenceWraps(t *testing.T) {
	var p Producers
	p.Append(batch(1, 0, math.MaxInt32-4, 3, 0), false, 1)
	if _, err := p.Check(batch(1, 0, math.MaxInt32-1, 3, 0)); err != nil {
		t.Fatalf("a batch across the wrap: %v", err)
	}
	p.Append(batch(1, 0, math.MaxInt32-1, 3, 3), false, 1)
	if _, err := p.Check(batch(1, 0, 0, 1, 0)); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Fatalf("sequence 0 was used by the batch across the wrap: %v", err)
	}
	if _, err := p.Check(batch(1, 0, 1, 1, 0)); err != nil {
		t.Fatalf("behind the wrap: %v", err)
	}
	dup, err := p.Check(batch(1, 0, math.MaxInt32-1, 3, 0))
	if err != nil || dup == nil || dup.Base != 3 {
		t.Fatalf("duplicate across the wrap: %+v, %v", dup, err)
	}
}

// TestSequenceAfterMarker: a marker of the same epoch, as TV1 has it, leaves the
// sequences as they are, but for a batch that was aborted and comes again, which is
// not taken for a duplicate: that would lose it. One of a later epoch begins them
// again.
func TestSequenceAfterMarker(t *testing.T) {
	marker := func(pid kafka.ProducerID, epoch kafka.Epoch, kind byte) kafka.Batch {
		var w kafka.BatchBuilder
		w.Append(1, []byte{0, 0, 0, kind}, []byte{0, 0, 0, 0, 0, 0}, nil)
		w.FinishAs(kafka.AttrControl|kafka.AttrTransactional, pid, epoch, -1)
		return kafka.Batch(w.Bytes())
	}
	var p Producers
	wantOrder := func(what string, b kafka.Batch, inOrder bool) {
		t.Helper()
		dup, err := p.Check(b)
		if dup != nil || inOrder != (err == nil) || err != nil && !errors.Is(err, ErrOutOfOrderSequence) {
			t.Errorf("%s: %+v, %v", what, dup, err)
		}
	}
	const abort, commit = 0, 1
	for _, kind := range []byte{commit, abort} {
		pid := kafka.ProducerID(kind)
		append := func(b kafka.Batch) {
			b.SetAttributes(b.Attributes() | kafka.AttrTransactional)
			p.Append(b, kind == commit, 4)
		}
		append(batch(pid, 0, 0, 2, 0))
		append(batch(pid, 0, 2, 3, 2))
		append(marker(pid, 0, kind))
		aborted := kind == abort
		dup, err := p.Check(batch(pid, 0, 2, 3, 0))
		if err != nil || aborted != (dup == nil) || dup != nil && dup.Base != 2 {
			t.Errorf("after a marker %d the last batch again: %v, %v", kind, dup, err)
		}
		wantOrder("the next sequence", batch(pid, 0, 5, 1, 0), true)
		wantOrder("a gap", batch(pid, 0, 6, 1, 0), false)
		wantOrder("a part of the last batch again", batch(pid, 0, 2, 1, 0), aborted)
		p.Active(func(of kafka.ProducerID, _ kafka.Epoch, last kafka.Offset) {
			if of == pid && last != 4 {
				t.Errorf("after a marker %d the last record has offset %d", kind, last)
			}
		})
		if got := p.List()[0]; got.ProducerID != pid || got.LastSequence != 4 {
			t.Errorf("after a marker %d: %+v", kind, got)
		}
		if aborted {
			append(batch(pid, 0, 2, 3, 6))
			if dup, err := p.Check(batch(pid, 0, 2, 3, 0)); err != nil || dup == nil || dup.Base != 6 {
				t.Errorf("the batch that came again, once more: %v, %v", dup, err)
			}
			wantOrder("the first batch, behind the second", batch(pid, 0, 0, 2, 0), false)
		}
		append(marker(pid, 1, kind))
		wantOrder("the first sequence of the marker's epoch", batch(pid, 1, 0, 2, 0), true)
		wantOrder("another one", batch(pid, 1, 2, 1, 0), false)
	}
	p.Append(marker(7, 3, abort), false, 4)
	wantOrder("the second sequence after a marker alone", batch(7, 3, 1, 1, 0), false)
	wantOrder("any sequence of a producer that is not known", batch(8, 3, 1, 1, 0), true)
	// Expiry counts markers, and a round trip keeps everything.
	p.Expire(4)
	if _, ok := p.Epoch(1); !ok {
		t.Fatal("expired although a marker came just now")
	}
	var e wal.Encoder
	p.Encode(&e)
	var again Producers
	d := wal.Decoder{Buf: e.Buf}
	if again.Decode(&d); d.Err != nil || len(d.Buf) != 0 {
		t.Fatal(d.Err)
	}
	if _, ok := again.Epoch(1); !ok {
		t.Fatal("lost in the round trip")
	}
	p.Expire(5)
	if _, ok := p.Epoch(1); ok {
		t.Fatal("not expired")
	}
}

// TestAttempts: behind a batch that was refused none is the first of a transaction
// on a partition, until one or a marker is appended, or the epoch is a later one.
func TestAttempts(t *testing.T) {
	var p Producers
	try := func(what string, b kafka.Batch, inOrder bool) {
		t.Helper()
		if err := p.Attempt(b, 5); inOrder != (err == nil) || err != nil && !errors.Is(err, ErrOutOfOrderSequence) {
			t.Errorf("%s: %v", what, err)
		}
	}
	try("the second of three", batch(1, 0, 2, 2, 0), true)
	try("the third", batch(1, 0, 4, 1, 0), false)
	try("the first", batch(1, 0, 0, 2, 0), true)
	try("the second again", batch(1, 0, 2, 2, 0), false)
	try("another producer's", batch(2, 0, 4, 1, 0), true)
	try("that of a later epoch", batch(1, 1, 9, 1, 0), true)
	try("one of the epoch before", batch(1, 0, 1, 1, 0), true)
	try("the later epoch again", batch(1, 1, 10, 1, 0), false)
	saved := p.Save(1)
	b := batch(1, 1, 9, 1, 0)
	b.SetAttributes(kafka.AttrTransactional)
	p.Append(b, false, 5)
	try("after one was appended", batch(1, 1, 10, 1, 0), true)
	p.Restore(saved)
	try("after it was taken back", batch(1, 1, 10, 1, 0), false)
	p.Expire(6)
	try("after a long time", batch(1, 1, 10, 1, 0), true)
}

var (
	start = time.Unix(1000, 0)
	part  = Partition{Topic: wal.TopicID{1}, Partition: 2}
)

// ongoing returns a coordinator whose id "t" has an open transaction.
func ongoing(t *testing.T) *Coordinator {
	t.Helper()
	c := NewCoordinator(2)
	ch, end, err := c.Init("t", time.Minute, kafka.NoProducerID, -1)
	if err != nil || end != nil {
		t.Fatal(err)
	}
	c.Apply(ch, start)
	add(t, c)
	return c
}

func add(t *testing.T, c *Coordinator) {
	t.Helper()
	tx := c.Get("t")
	ch, err := c.Add("t", tx.ProducerID, tx.Epoch, []Partition{part}, []string{"g"})
	if err != nil || ch == nil {
		t.Fatal(ch, err)
	}
	c.Apply(ch, start)
	if again, err := c.Add("t", tx.ProducerID, tx.Epoch, []Partition{part}, []string{"g"}); err != nil || again != nil {
		t.Fatalf("added twice: %+v, %v", again, err)
	}
}

// TestEndTxnTable is the table of what EndTxn does in every state.
func TestEndTxnTable(t *testing.T) {
	finish := func(t *testing.T, c *Coordinator, commit, tv2 bool) (*End, error) {
		t.Helper()
		tx := c.Get("t")
		ch, end, err := c.EndTxn("t", tx.ProducerID, tx.Epoch, commit, tv2)
		if ch != nil {
			c.Apply(ch, start)
		}
		return end, err
	}
	for _, tv2 := range []bool{false, true} {
		for _, commit := range []bool{false, true} {
			c := ongoing(t)
			before := *c.Get("t")
			end, err := finish(t, c, commit, tv2)
			if err != nil || end == nil || end.Commit != commit || len(end.Partitions) != 1 || len(end.Groups) != 1 {
				t.Fatalf("tv2 %v commit %v: %+v, %v", tv2, commit, end, err)
			}
			after := c.Get("t")
			if bumped := after.Epoch == before.Epoch+1; bumped != tv2 || tv2 && end.Epoch != after.Epoch {
				t.Fatalf("tv2 %v: epoch %d, markers %d, before %d", tv2, after.Epoch, end.Epoch, before.Epoch)
			}
			// The retry of what was done succeeds and changes nothing.
			ch, end, err := c.EndTxn("t", before.ProducerID, before.Epoch, commit, tv2)
			if err != nil || ch != nil || end != nil {
				t.Fatalf("retry, tv2 %v commit %v: %+v, %v", tv2, commit, ch, err)
			}
			// The opposite of what was done is refused.
			if _, _, err := c.EndTxn("t", before.ProducerID, before.Epoch, !commit, tv2); !errors.Is(err, ErrInvalidTxnState) {
				t.Fatalf("the opposite, tv2 %v commit %v: %v", tv2, commit, err)
			}
			add(t, c) // and the next transaction begins
		}
	}
	c := ongoing(t)
	if _, err := finish(t, c, true, true); err != nil {
		t.Fatal(err)
	}
	// TV2: an abort before the first write bumps the epoch; a commit is refused.
	if _, err := finish(t, c, true, true); !errors.Is(err, ErrInvalidTxnState) {
		t.Fatalf("commit of nothing: %v", err)
	}
	e := c.Get("t").Epoch
	if end, err := finish(t, c, false, true); err != nil || end != nil || c.Get("t").Epoch != e+1 {
		t.Fatalf("abort of nothing: %+v, %v", end, err)
	}
}

func TestInitFencesAndRetries(t *testing.T) {
	c := ongoing(t)
	old := *c.Get("t")
	ch, end, err := c.Init("t", time.Minute, kafka.NoProducerID, -1)
	if err != nil || end == nil || end.Commit || end.Epoch != old.Epoch+1 || ch.Epoch != old.Epoch+1 {
		t.Fatalf("%+v, %+v, %v", ch, end, err)
	}
	c.Apply(ch, start)
	if err := c.Verify("t", old.ProducerID, old.Epoch, part); !errors.Is(err, ErrProducerFenced) {
		t.Fatalf("the fenced producer: %v", err)
	}
	if err := c.Verify("t", old.ProducerID, old.Epoch+1, part); !errors.Is(err, ErrInvalidTxnState) {
		t.Fatalf("a partition of the aborted transaction: %v", err)
	}
	// KIP-360: the same bump asked for again has the same answer.
	if ch, _, err := c.Init("t", time.Minute, old.ProducerID, old.Epoch); err != nil || ch != nil {
		t.Fatalf("retry: %+v, %v", ch, err)
	}
	if _, _, err := c.Init("t", time.Minute, old.ProducerID, old.Epoch+5); !errors.Is(err, ErrProducerFenced) {
		t.Fatalf("an epoch that never was: %v", err)
	}
	if _, _, err := c.Init("u", time.Minute, 99, 0); !errors.Is(err, ErrInvalidProducerIDMapping) {
		t.Fatalf("a producer id from nowhere: %v", err)
	}
	// Used-up epochs lead to a new producer id.
	c.Get("t").Epoch = maxEpoch
	ch, _, err = c.Init("t", time.Minute, kafka.NoProducerID, -1)
	if err != nil || ch.ProducerID == old.ProducerID || ch.Epoch != 0 {
		t.Fatalf("%+v, %v", ch, err)
	}
	// The limit of ids.
	for _, id := range []string{"u", "v"} {
		ch, _, err := c.Init(id, time.Minute, kafka.NoProducerID, -1)
		if (err != nil) != (id == "v") {
			t.Fatalf("%s: %v", id, err)
		}
		if err == nil {
			c.Apply(ch, start)
		}
	}
}

func TestExpiryAndRoundTrip(t *testing.T) {
	c := ongoing(t)
	if ch, _ := c.Expired(c.Get("t"), start.Add(time.Minute), 0); ch != nil {
		t.Fatal("expired too early")
	}
	var e wal.Encoder
	c.Encode(&e)
	again := NewCoordinator(2)
	d := wal.Decoder{Buf: e.Buf}
	restart := start.Add(time.Hour)
	if again.Decode(&d, restart); d.Err != nil || len(d.Buf) != 0 {
		t.Fatal(d.Err)
	}
	// A restart begins the time-out anew.
	if ch, _ := again.Expired(again.Get("t"), restart.Add(time.Second), 0); ch != nil {
		t.Fatal("expired by the restart")
	}
	ch, end := again.Expired(again.Get("t"), restart.Add(61*time.Second), 0)
	if ch == nil || end == nil || end.Commit || len(end.Partitions) != 1 || ch.State != CompleteAbort || ch.Epoch != 1 {
		t.Fatalf("%+v, %+v", ch, end)
	}
	again.Apply(ch, restart)
	if ch, _ := again.Expired(again.Get("t"), restart, 1); ch == nil || !ch.Forget {
		t.Fatalf("an unused id stays: %+v", ch)
	}
}

// TestDuplicates: any of the last five batches may come again, with five in
// flight, and is answered with its own offset.
func TestDuplicates(t *testing.T) {
	var p Producers
	for i := range int32(6) {
		p.Append(batch(1, 0, 10*i, 10, kafka.Offset(100+10*i)), false, 1)
	}
	for i := int32(1); i < 6; i++ {
		dup, err := p.Check(batch(1, 0, 10*i, 10, 0))
		if err != nil || dup == nil || dup.Base != kafka.Offset(100+10*i) {
			t.Errorf("batch %d again: %+v, %v", i, dup, err)
		}
	}
	if _, err := p.Check(batch(1, 0, 0, 10, 0)); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a batch from before the window: %v", err)
	}
	if _, err := p.Check(batch(1, 0, 70, 1, 0)); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a gap: %v", err)
	}
}

// TestProducerEpochs: an old epoch is refused, a new one starts at sequence 0.
func TestProducerEpochs(t *testing.T) {
	var p Producers
	p.Append(batch(1, 3, 0, 2, 0), false, 1)
	if _, err := p.Check(batch(1, 2, 2, 1, 0)); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("an old epoch: %v", err)
	}
	if _, err := p.Check(batch(1, 4, 2, 1, 0)); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a new epoch that starts at 2: %v", err)
	}
	if dup, err := p.Check(batch(1, 4, 0, 2, 0)); dup != nil || err != nil {
		t.Errorf("a new epoch: %+v, %v", dup, err)
	}
}

// TestProducersExpire: idle producers are forgotten, but not with an open
// transaction, and what Save returned is not changed by what comes later.
func TestProducersExpire(t *testing.T) {
	var p Producers
	open := batch(1, 0, 0, 1, 0)
	open.SetAttributes(kafka.AttrTransactional)
	p.Append(open, false, 10)
	p.Append(batch(2, 0, 0, 1, 1), false, 10)
	saved := p.Save(2)
	for i := range int32(7) {
		p.Append(batch(2, 0, 1+i, 1, kafka.Offset(2+i)), false, 10)
	}
	p.Restore(saved)
	if dup, err := p.Check(batch(2, 0, 0, 1, 0)); err != nil || dup == nil || dup.Base != 1 {
		t.Errorf("after Restore: %+v, %v", dup, err)
	}
	if _, err := p.Check(batch(2, 0, 1, 1, 0)); err != nil {
		t.Errorf("after Restore the next sequence is 1: %v", err)
	}
	p.Expire(11)
	if _, ok := p.Epoch(1); !ok {
		t.Error("a producer with an open transaction is forgotten")
	}
	if _, ok := p.Epoch(2); ok {
		t.Error("an idle producer is remembered")
	}
	p.Restore(p.Save(9))
	if _, ok := p.Epoch(9); ok {
		t.Error("a producer that was not known is known")
	}
}
