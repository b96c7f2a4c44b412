package quota

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestPrecedence(t *testing.T) {
	u, c, d := Named("alice"), Named("app"), DefaultPart
	// From the strongest to the weakest; each is added before those above it.
	order := []struct{ limit, meter Entity }{
		{Entity{User: u, Client: c}, Entity{User: u, Client: c}},
		{Entity{User: u, Client: d}, Entity{User: u, Client: c}},
		{Entity{User: u}, Entity{User: u}},
		{Entity{User: d, Client: c}, Entity{User: u, Client: c}},
		{Entity{User: d, Client: d}, Entity{User: u, Client: c}},
		{Entity{User: d}, Entity{User: u}},
		{Entity{Client: c}, Entity{Client: c}},
		{Entity{Client: d}, Entity{Client: c}},
	}
	var table Table
	if _, _, ok := table.For(ProducerByteRate, "alice", "app"); ok {
		t.Error("an empty table limits")
	}
	for i := len(order) - 1; i >= 0; i-- {
		table = table.With(order[i].limit, Limits{ProducerByteRate: float64(i + 1)})
		v, meter, ok := table.For(ProducerByteRate, "alice", "app")
		if !ok || v != float64(i+1) || meter != order[i].meter {
			t.Errorf("level %d: %v for %+v, %v", i, v, meter, ok)
		}
		if _, _, ok := table.For(ConsumerByteRate, "alice", "app"); ok {
			t.Errorf("level %d limits another key", i)
		}
	}
	if v, _, _ := table.For(ProducerByteRate, "bob", "other"); v != 5 {
		t.Errorf("bob with another client: %v", v)
	}
	table = table.With(order[0].limit, nil)
	if v, _, _ := table.For(ProducerByteRate, "alice", "app"); v != 2 || table.Len() != len(order)-1 {
		t.Errorf("after the removal: %v", v)
	}
}

func TestIP(t *testing.T) {
	table := Table{}.With(Entity{IP: DefaultPart}, Limits{ConnectionCreationRate: 5}).With(Entity{IP: Named("10.0.0.1")}, Limits{ConnectionCreationRate: 9})
	for ip, want := range map[string]float64{"10.0.0.1": 9, "10.0.0.2": 5} {
		if v, of, ok := table.ForIP(ConnectionCreationRate, ip); !ok || v != want || of != (Entity{IP: Named(ip)}) {
			t.Errorf("%s: %v for %v", ip, v, of)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, e := range map[string]Entity{
		"empty": {}, "address and user": {User: DefaultPart, IP: DefaultPart}, "no name": {User: Part{Set: true}},
	} {
		if err := e.Check(); !errors.Is(err, ErrEntity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	user, ip := Entity{User: Named("a")}, Entity{IP: Named("h")}
	for _, c := range []struct {
		e     Entity
		k     Key
		value float64
		ok    bool
	}{
		{user, ProducerByteRate, 1024, true}, {user, RequestPercentage, 12.5, true}, {user, ControllerMutationRate, 0.5, true},
		{ip, ConnectionCreationRate, 10, true}, {ip, ProducerByteRate, 10, false}, {user, ConnectionCreationRate, 10, false},
		{user, "bytes", 1, false}, {user, ProducerByteRate, 0, false}, {user, ProducerByteRate, -1, false},
		{user, ProducerByteRate, 0.5, false}, {user, ProducerByteRate, math.NaN(), false}, {user, ProducerByteRate, math.Inf(1), false},
	} {
		if err := c.e.CheckLimit(c.k, c.value); (err == nil) != c.ok {
			t.Errorf("%s = %v: %v", c.k, c.value, err)
		}
	}
}

func TestMeter(t *testing.T) {
	var m Meters
	e, now := Entity{User: Named("a")}, time.Unix(1000, 0)
	use := func(n float64) time.Duration { return m.Use(ProducerByteRate, e, 100, n, now) }
	if d := use(100); d != 0 {
		t.Errorf("the burst waits %v", d)
	}
	if d := use(50); d != 500*time.Millisecond {
		t.Errorf("half a second's worth too much waits %v", d)
	}
	now = now.Add(500 * time.Millisecond)
	if d := m.Wait(ProducerByteRate, e, 100, now); d != 0 {
		t.Errorf("a paid debt waits %v", d)
	}
	if d := use(1e9); d != MaxWait {
		t.Errorf("a huge request waits %v", d)
	}
	now = now.Add(-time.Hour)
	if d := use(0); d != MaxWait {
		t.Errorf("a clock that jumps back: %v", d)
	}
	// The rate holds over time, whatever the size of one request.
	e.User.Name = "b"
	began, used := now, 0.0
	for used < 10_000 {
		n := math.Mod(used*7+13, 400)
		used += n
		now = now.Add(use(n))
	}
	if rate := (used - 100) / now.Sub(began).Seconds(); rate > 101 || rate < 90 {
		t.Errorf("%.1f units per second, the limit is 100", rate)
	}
}

func TestMetersAreBounded(t *testing.T) {
	var m Meters
	now := time.Unix(0, 0)
	for i := range 3 * metersMax {
		m.Use(ProducerByteRate, Entity{Client: Named(fmt.Sprint(i))}, 1, 5, now)
	}
	if n := m.Len(); n > metersMax {
		t.Errorf("%d meters", n)
	}
}
