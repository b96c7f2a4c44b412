package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
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
}

// attempts bounds how often a side is asked again for what takes it a moment.
const attempts = 100

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
	for _, st := range warmUp() {
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
		d := newDice(o.seed+uint64(l), "random-"+l.String())
		for _, st := range d.setUp() {
			if err := c.step(ctx, st, l); err != nil {
				return err
			}
		}
		for range o.random {
			if err := c.step(ctx, d.step(), l); err != nil {
				return err
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
	key := st.build(c.theirs).Key()
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
		if c.verbose {
			fmt.Println(st.name, kmsg.NameForKey(key), v)
		}
		if st.quiet {
			return nil
		}
		differences = c.unexplained(kmsg.NameForKey(key), diff(theirs, ours), try == 0)
		if len(differences) == 0 || try == settles || !readOnly[key] {
			break
		}
		if err := wait(ctx, pollPause); err != nil {
			return err
		}
	}
	c.counts[key]++
	for _, d := range differences {
		id := fmt.Sprint(key, d)
		if c.found[id] == nil {
			c.found[id] = &finding{kmsg.NameForKey(key), st.name, d.path, word(d.theirs), word(d.ours), v, 0}
		}
		c.found[id].times++
	}
	return nil
}

// readOnly are the keys that may be asked again without changing anything.
var readOnly = map[int16]bool{1: true, 2: true, 3: true, 9: true, 10: true, 15: true, 16: true, 18: true, 23: true, 32: true, 35: true, 46: true,
	55: true, 60: true, 61: true, 65: true, 66: true, 69: true, 74: true, 75: true}

// ask sends a step's request to one side until the reply has settled, and returns
// it in lines. A closed connection is a line of its own.
func (c *comparison) ask(ctx context.Context, s *side, st step, v int16) ([]line, error) {
	for try := 0; ; try++ {
		req := st.build(s)
		req.SetVersion(v)
		resp, err := s.do(req)
		if err != nil {
			return []line{{"connection", "closed"}}, ctx.Err()
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

// unexplained returns the differences that no rule accepts.
func (c *comparison) unexplained(key string, differences []difference, first bool) []difference {
	return slices.DeleteFunc(differences, func(d difference) bool {
		ok := c.rules.accepts(key, d)
		if ok && first {
			c.accepted++
		}
		return ok
	})
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
