package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func metadataReply(errorCode int16, names ...string) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	for i, name := range names {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.ErrorCode, t.TopicID = &name, errorCode, [16]byte{byte(i + 1)}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func TestOrderAndIDsDoNotDiffer(t *testing.T) {
	a, b := flatten(metadataReply(0, "a", "b"), nil), flatten(metadataReply(0, "b", "a"), nil)
	if d := diff(a, b); len(d) != 0 {
		t.Errorf("differences: %v", d)
	}
}

func TestDifferencesAreFound(t *testing.T) {
	a, b := flatten(metadataReply(3, "a"), nil), flatten(metadataReply(0, "a"), nil)
	if d := diff(a, b); len(d) != 1 || d[0] != (difference{"Topics.ErrorCode", "Topics[a/].ErrorCode", "3", "0"}) {
		t.Errorf("differences: %v", d)
	}
	if d := diff(flatten(metadataReply(0, "a", "b"), nil), b); len(d) == 0 {
		t.Error("a topic that one side lacks is no difference")
	}
}

func TestTopicIDsHaveNames(t *testing.T) {
	names := map[[16]byte]string{{1}: "orders"}
	a := flatten(metadataReply(0, "orders"), names)
	if d := diff(a, flatten(metadataReply(0, "orders"), map[[16]byte]string{{1}: "other"})); len(d) == 0 {
		t.Errorf("the id of another topic: %v", d)
	}
}

func TestRules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accepted.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# about\nMetadata Topics.* 3 * # reason\nFetch A - x_y # reason\n")
	r, err := readRules(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  string
		d    difference
		want bool
	}{
		{"Metadata", difference{"Topics.ErrorCode", "", "3", "0"}, true}, {"Metadata", difference{"Topics.ErrorCode", "", "4", "0"}, false},
		{"Produce", difference{"Topics.ErrorCode", "", "3", "0"}, false}, {"Metadata", difference{"Brokers", "", "3", "0"}, false},
	} {
		if got := r.accepts(c.key, "a step", c.d); got != c.want {
			t.Errorf("%s %v: %v", c.key, c.d, got)
		}
	}
	if u := r.unused(); len(u) != 1 || u[0] != "Fetch A - x_y" {
		t.Errorf("unused: %v", u)
	}
	if !r.accepts("Fetch", "a step", difference{"A", "", "", "x y"}) || len(r.unused()) != 0 {
		t.Error("a line that one side lacks is not accepted")
	}
	for _, bad := range []string{"Metadata Topics 3 0\n", "Metadata Topics 3 # reason\n"} {
		write(bad)
		if _, err := readRules(file); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if _, err := readRules(file + ".no"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestVersions(t *testing.T) {
	a, b := newSide("a", nil), newSide("b", nil)
	a.versions, b.versions = map[int16][2]int16{0: {0, 13}, 1: {4, 18}, 2: {5, 6}}, map[int16][2]int16{0: {0, 9}, 1: {4, 17}, 2: {1, 4}}
	for _, c := range []struct {
		key  int16
		l    level
		want int16
		ok   bool
	}{{0, lowest, 3, true}, {0, highest, 9, true}, {1, lowest, 4, true}, {1, middle, 10, true}, {1, highest, 17, true}, {2, lowest, 0, false}, {9, lowest, 0, false}} {
		if got, ok := version(a, b, c.key, c.l); ok != c.ok || got != c.want {
			t.Errorf("key %d at the %s: %d %v", c.key, c.l, got, ok)
		}
	}
}

func TestSetsAreChecked(t *testing.T) {
	if err := checkSets([]string{"records", "security"}); err != nil {
		t.Error(err)
	}
	if err := checkSets([]string{"records", "txns"}); err == nil || !strings.Contains(err.Error(), "txns") || !strings.Contains(err.Error(), "transactions") {
		t.Errorf("got %v", err)
	}
}

// An aborted transaction counts below the last stable offset only.
func TestAbortedBelowTheStableOffset(t *testing.T) {
	reply := func(stable int64, aborted ...int64) kmsg.Response {
		p := kmsg.NewFetchResponseTopicPartition()
		p.LastStableOffset = stable
		for _, first := range aborted {
			a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			a.FirstOffset = first
			p.AbortedTransactions = append(p.AbortedTransactions, a)
		}
		topic := kmsg.NewFetchResponseTopic()
		topic.Partitions = append(topic.Partitions, p)
		resp := kmsg.NewPtrFetchResponse()
		resp.Topics = append(resp.Topics, topic)
		return resp
	}
	if d := diff(flatten(reply(9, 3, 8, 9, 12), nil), flatten(reply(9, 3, 8), nil)); len(d) != 0 {
		t.Errorf("differences: %v", d)
	}
	for _, other := range []kmsg.Response{reply(9, 3), reply(9), reply(9, 3, 7), reply(9, 3, 8, 8)} {
		if d := diff(flatten(reply(9, 3, 8), nil), flatten(other, nil)); len(d) == 0 {
			t.Error("a transaction that one side lacks is no difference")
		}
	}
}
