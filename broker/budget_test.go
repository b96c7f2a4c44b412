package broker

import (
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

// TestBudget: requests that wait for each other go on one at a time.
func TestBudget(t *testing.T) {
	var g budget
	g.init(Limits{InFlightMaxBytes: 100, StalledTimeout: time.Hour}, clock.System)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			h := hold{large: i%2 == 0}
			for range 9 { // more than all of it together
				g.take(&h, 10)
				runtime.Gosched()
			}
			g.end(&h, false)
			g.give(h.bytes)
		})
	}
	all.Wait()
	if g.left != 100 || g.spare != nil || len(g.reading) != 0 {
		t.Errorf("%d bytes are left, spare %v, %d in reading", g.left, g.spare, len(g.reading))
	}
}

// TestBudgetForSmall: large requests that have all they can get leave room for small
// ones.
func TestBudgetForSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g budget
		g.init(Limits{InFlightMaxBytes: 1000, StalledTimeout: time.Hour}, clock.System)
		release := make(chan struct{})
		for range 10 {
			go func() {
				h := &hold{large: true}
				g.take(h, 200)
				<-release
				g.end(h, true)
			}()
		}
		synctest.Wait()
		if g.left < 250 {
			t.Fatalf("large requests leave %d of 1000 bytes", g.left)
		}
		var h hold
		g.take(&h, 200)
		g.end(&h, true)
		close(release)
	})
}

// TestStalled: of requests that hold the memory others wait for, those are cut that
// did not come on in time, the largest first, no more than needed; who comes on, who
// waits itself, and who has just begun stays.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mib = 1 << 20
		var g budget
		g.init(Limits{InFlightMaxBytes: 100 * mib, StalledTimeout: 2 * time.Second}, clock.System)
		var cuts []string
		holds := map[string]*hold{}
		begin := func(name string, bytes int64) {
			h := &hold{large: true}
			h.cut = func(n int64) {
				if n != bytes {
					t.Errorf("%s is cut for %d bytes, it has %d", name, n, bytes)
				}
				cuts = append(cuts, name)
				g.end(h, true)
			}
			holds[name] = h
			g.take(h, bytes)
		}
		begin("small", 5*mib)
		begin("moving", 30*mib)
		begin("largest", 25*mib)
		begin("smaller", 12*mib)
		time.Sleep(time.Hour) // nobody waits: nobody is cut
		synctest.Wait()
		if len(cuts) > 0 {
			t.Fatalf("%s cut while nobody waits", cuts)
		}
		served := false
		go func() {
			h := &hold{large: true}
			g.take(h, 20*mib)
			served = true
			g.end(h, true)
		}()
		for range 4 {
			time.Sleep(time.Second)
			holds["moving"].read.Add(stalledBytes)
		}
		synctest.Wait()
		if !served || !slices.Equal(cuts, []string{"largest"}) {
			t.Errorf("served %v, cut %s", served, cuts)
		}
		for h := range g.reading {
			g.end(h, true)
		}
	})
}

// TestHalfRequests: peers that send the half of large requests keep neither open nor
// new connections waiting, and are cut when somebody needs what they hold.
func TestHalfRequests(t *testing.T) {
	b, addr := serveTest(t, Limits{InFlightMaxBytes: 8 << 20, SmallRequestMaxBytes: 128 << 10, StalledTimeout: 50 * time.Millisecond})
	createTopics(t, b, TopicSpec{Name: "t"})
	ctx, cl := testCtx(t), client(t, addr)
	produce(t, ctx, cl, "t", "before")
	half := append(frameOf(90<<20, 0, 9, []byte{0, 1, 'c', 0}), make([]byte, 1<<20)...)
	for range 16 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go nc.Write(half) // as much of it as is taken
	}
	for range 20 {
		if _, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl); err != nil {
			t.Fatal(err)
		}
		if _, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client(t, addr)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		produce(t, ctx, cl, "t", strings.Repeat("v", 900<<10))
	}
}
