package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

// step is one request, made for each side from what it answered before.
type step struct {
	name  string
	build func(*side) kmsg.Request
	learn func(*side, kmsg.Response)
	// until says when a reply is not one of a moment only; both sides are asked
	// again until then.
	until func(kmsg.Response) bool
	// quiet replies are not compared.
	quiet bool
	// least is the version below which the request means something else.
	least int16
	// newest and oldest requests are sent at that version whatever the level.
	newest, oldest bool
	// as is who sends it; fresh asks for a new connection.
	as    who
	fresh bool
	// codesOnly leaves all but error codes out of the comparison.
	codesOnly bool
	// bare is sent, instead of a request, as a message without a header.
	bare []byte
}

// attempts bounds how often a side is asked again for what takes it a moment.
const attempts = 100

// publishPause is how long Kafka gets to publish a change of its metadata to those
// who enforce it: its reply does not wait for them.
const publishPause = 25 * time.Millisecond

// publishes are the keys that change metadata.
var publishes = map[int16]bool{19: true, 20: true, 30: true, 31: true, 33: true, 37: true, 44: true, 49: true, 51: true}

// settles is how often a difference is looked at again before it counts: what one
// broker does at once the other may do a moment later.
const settles = 4

// finding is a difference and how often it was met.
type finding struct {
	key, name, path, theirs, ours string
	version                       int16
	times                         int
}

type comparison struct {
	theirs, ours *side
	rules        *rules
	verbose      bool
	counts       map[int16]int
	accepted     int
	found        map[string]*finding
}

// run sends the script and random requests at every level of versions.
func (c *comparison) run(ctx context.Context, o options) error {
	for _, s := range []*side{c.theirs, c.ours} {
		if err := s.learnVersions(); err != nil {
			return err
		}
	}
	for _, st := range append(warmUp(), newAlice()...) {
		if err := c.step(ctx, st, highest); err != nil {
			return err
		}
	}
	for l := lowest; l <= highest; l++ {
		for _, st := range script("differential-" + l.String()) {
			if err := c.step(ctx, st, l); err != nil {
				return err
			}
		}
		for i, set := range sets {
			if len(o.sets) > 0 && !slices.Contains(o.sets, set.name) {
				continue
			}
			d := newDice(o.seed+uint64(l)<<8+uint64(i), set.name+"-"+l.String())
			for _, st := range d.setUp() {
				if err := c.step(ctx, st, l); err != nil {
					return err
				}
			}
			finish := func(*dice) []step { return nil }
			if set.finish != nil {
				finish = set.finish
			}
			for range o.random {
				for _, st := range set.draw(d) {
					if err := c.step(ctx, st, l); err != nil {
						return err
					}
				}
			}
			for _, st := range finish(d) {
				if err := c.step(ctx, st, l); err != nil {
					return err
				}
			}
		}
	}
	return ctx.Err()
}

// step sends one request to both sides and compares the replies.
func (c *comparison) step(ctx context.Context, st step, l level) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	key := int16(keySASLAuthenticate)
	if st.build != nil {
		key = st.build(c.theirs).Key()
	}
	if st.newest {
		l = highest
	}
	if st.oldest {
		l = lowest
	}
	v, ok := version(c.theirs, c.ours, key, l)
	if !ok || v < st.least {
		return nil
	}
	var differences []difference
	for try := 0; ; try++ {
		theirs, err := c.ask(ctx, c.theirs, st, v)
		if err != nil {
			return err
		}
		ours, err := c.ask(ctx, c.ours, st, v)
		if err != nil {
			return err
		}
		if publishes[key] {
			if err := wait(ctx, publishPause); err != nil {
				return err
			}
		}
		if c.verbose {
			fmt.Println(st.name, kmsg.NameForKey(key), v, st.as)
		}
		if st.quiet {
			return nil
		}
		all := diff(theirs, ours)
		if st.codesOnly {
			all = slices.DeleteFunc(all, func(d difference) bool { return !strings.HasSuffix(d.path, "ErrorCode") })
		}
		differences = slices.DeleteFunc(slices.Clone(all), func(d difference) bool { return c.rules.accepts(kmsg.NameForKey(key), st.name, d) })
		if len(differences) == 0 || try == settles || !readOnly[key] {
			c.accepted += len(all) - len(differences)
			break
		}
		if err := wait(ctx, pollPause); err != nil {
			return err
		}
	}
	c.counts[key]++
	for _, d := range differences {
		if c.verbose {
			fmt.Println("DIFFERENT here:", d.at, word(d.theirs), word(d.ours))
		}
		id := fmt.Sprint(key, d.path, word(d.theirs), word(d.ours))
		if c.found[id] == nil {
			c.found[id] = &finding{kmsg.NameForKey(key), st.name, d.path, word(d.theirs), word(d.ours), v, 0}
		}
		c.found[id].times++
	}
	return nil
}

// readOnly are the keys that may be asked again without changing anything.
var readOnly = map[int16]bool{1: true, 2: true, 3: true, 9: true, 10: true, 15: true, 16: true, 18: true, 23: true, 29: true, 32: true, 35: true, 46: true,
	48: true, 50: true, 55: true, 60: true, 61: true, 65: true, 66: true, 69: true, 74: true, 75: true}

// ask sends a step's request to one side until the reply has settled, and returns
// it in lines. A closed connection is a line of its own.
func (c *comparison) ask(ctx context.Context, s *side, st step, v int16) ([]line, error) {
	if st.fresh {
		if err := s.hangUp(st.as); err != nil {
			return nil, err
		}
	}
	for try := 0; ; try++ {
		if st.build == nil {
			reply, err := s.bare(st.as, st.bare)
			if err != nil {
				return closed, ctx.Err()
			}
			return []line{{"message", "message", presence(len(reply) > 0)}}, nil
		}
		req := st.build(s)
		req.SetVersion(v)
		resp, err := s.do(st.as, req)
		if err != nil {
			if c.verbose {
				fmt.Println(st.name, s.name, err)
			}
			return closed, ctx.Err()
		}
		if st.until != nil && !st.until(resp) && try < attempts {
			if err := wait(ctx, pollPause); err != nil {
				return nil, err
			}
			continue
		}
		if st.learn != nil {
			st.learn(s, resp)
		}
		return flatten(resp, s.topicNames()), nil
	}
}

// closed is what a reply is compared as that did not come.
var closed = []line{{"connection", "connection", "closed"}}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := clock.System.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// report prints what was compared and found, and returns how many differences
// nobody has explained.
func (c *comparison) report() int {
	total := 0
	for _, n := range c.counts {
		total += n
	}
	fmt.Printf("%d requests of %d keys compared, %d differences accepted\n", total, len(c.counts), c.accepted)
	var silent []string
	for _, key := range slices.Sorted(maps.Keys(c.ours.versions)) {
		if _, both := c.theirs.versions[key]; !both {
			silent = append(silent, kmsg.NameForKey(key)+" (not Kafka's)")
		} else if c.counts[key] == 0 {
			silent = append(silent, kmsg.NameForKey(key))
		}
	}
	if len(silent) > 0 {
		fmt.Println("keys without a request:", strings.Join(silent, ", "))
	}
	for _, line := range c.rules.unused() {
		fmt.Println("accepted, but not met:", line)
	}
	for _, id := range slices.Sorted(maps.Keys(c.found)) {
		f := c.found[id]
		fmt.Printf("DIFFERENT %s v%d (%s): %s %s %s, %d times\n", f.key, f.version, f.name, f.path, f.theirs, f.ours, f.times)
	}
	return len(c.found)
}
