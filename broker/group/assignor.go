package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millrace/millrace/broker/wal"
)

// topicPartition names a partition by topic id.
type topicPartition struct {
	topic     wal.TopicID
	partition int32
}

// partitionSet is a set of partitions.
type partitionSet map[topicPartition]struct{}

// Partitions is an assignment as it is sent: partitions by topic, in order.
type Partitions map[wal.TopicID][]int32

func (s partitionSet) wire() Partitions {
	p := Partitions{}
	for tp := range s {
		p[tp.topic] = append(p[tp.topic], tp.partition)
	}
	for _, list := range p {
		slices.Sort(list)
	}
	return p
}

func (p Partitions) set() partitionSet {
	s := partitionSet{}
	for topic, list := range p {
		for _, partition := range list {
			s[topicPartition{topic, partition}] = struct{}{}
		}
	}
	return s
}

func (s partitionSet) intersects(o partitionSet) bool {
	for tp := range s {
		if _, ok := o[tp]; ok {
			return true
		}
	}
	return false
}

// subscriber is what an assignor knows of a member.
type subscriber struct {
	id     string
	rank   string // orders members in a range: the instance id, else the id
	topics map[wal.TopicID]int32
	now    partitionSet // its part of the last target assignment
}

// assignors are the server-side assignors (KIP-848), the default first.
var assignors = []struct {
	name   string
	assign func([]subscriber) map[string]partitionSet
}{
	{"uniform", assignUniform},
	{"range", assignRange},
}

func findAssignor(name string) func([]subscriber) map[string]partitionSet {
	for _, a := range assignors {
		if a.name == name {
			return a.assign
		}
	}
	return nil
}

// assignRange gives every member a contiguous part of each topic, in the order of
// their ranks; the first ones get one more where it does not divide.
func assignRange(members []subscriber) map[string]partitionSet {
	target := map[string]partitionSet{}
	byTopic := map[wal.TopicID][]subscriber{}
	counts := map[wal.TopicID]int32{}
	for _, m := range members {
		target[m.id] = partitionSet{}
		for topic, n := range m.topics {
			byTopic[topic], counts[topic] = append(byTopic[topic], m), n
		}
	}
	for topic, subscribed := range byTopic {
		slices.SortFunc(subscribed, func(a, b subscriber) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.id, b.id)) })
		next, n, all := int32(0), counts[topic], int32(len(subscribed))
		for i, m := range subscribed {
			share := n / all
			if int32(i) < n%all {
				share++
			}
			for range share {
				target[m.id][topicPartition{topic, next}] = struct{}{}
				next++
			}
		}
	}
	return target
}

// assignUniform spreads all partitions as evenly as the subscriptions allow and
// moves as few as it can: members keep what they have, what is free goes to who
// has least, and then partitions move from the fullest to the emptiest while
// that makes them more equal.
func assignUniform(members []subscriber) map[string]partitionSet {
	target := map[string]partitionSet{}
	taken := partitionSet{}
	eligible := map[wal.TopicID][]string{}
	counts := map[wal.TopicID]int32{}
	members = slices.SortedFunc(slices.Values(members), func(a, b subscriber) int { return cmp.Compare(a.id, b.id) })
	for _, m := range members {
		target[m.id] = partitionSet{}
		for topic, n := range m.topics {
			eligible[topic], counts[topic] = append(eligible[topic], m.id), n
		}
		for tp := range m.now {
			if _, other := taken[tp]; !other && tp.partition < m.topics[tp.topic] {
				target[m.id][tp], taken[tp] = struct{}{}, struct{}{}
			}
		}
	}
	// Topics with few subscribers first: the others can still make up for them.
	topics := slices.SortedFunc(maps.Keys(eligible), func(a, b wal.TopicID) int {
		return cmp.Or(cmp.Compare(len(eligible[a]), len(eligible[b])), slices.Compare(a[:], b[:]))
	})
	for _, topic := range topics {
		for partition := range counts[topic] {
			tp := topicPartition{topic, partition}
			if _, ok := taken[tp]; !ok {
				target[emptiest(target, eligible[topic])][tp] = struct{}{}
			}
		}
	}
	balance(target, eligible)
	return target
}

// emptiest returns the member with the fewest partitions.
func emptiest(target map[string]partitionSet, ids []string) string {
	return slices.MinFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(target[a]), len(target[b])), cmp.Compare(a, b))
	})
}

// balance moves partitions until no move makes two members more equal. Every
// move lowers the sum of squares of the sizes, so it ends.
func balance(target map[string]partitionSet, eligible map[wal.TopicID][]string) {
	for moved := true; moved; {
		moved = false
		fullest := slices.SortedFunc(maps.Keys(target), func(a, b string) int {
			return cmp.Or(cmp.Compare(len(target[b]), len(target[a])), cmp.Compare(a, b))
		})
		for _, from := range fullest {
			for _, tp := range target[from].ordered() {
				to := emptiest(target, eligible[tp.topic])
				if len(target[from])-len(target[to]) < 2 {
					continue
				}
				delete(target[from], tp)
				target[to][tp] = struct{}{}
				moved = true
			}
		}
	}
}

func (s partitionSet) ordered() []topicPartition {
	return slices.SortedFunc(maps.Keys(s), func(a, b topicPartition) int {
		return cmp.Or(slices.Compare(a.topic[:], b.topic[:]), cmp.Compare(a.partition, b.partition))
	})
}
