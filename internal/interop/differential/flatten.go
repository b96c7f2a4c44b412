package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// line is one field of a reply: its path without indexes, the same path with the
// identities of the elements on the way, and its value. An element of a list is a
// line too, whose path ends with [].
type line struct{ path, at, value string }

// hidden are fields whose value is the broker's own: whether it is there counts.
// Epochs need only grow, which requests that build on them prove.
var hidden = map[string]bool{
	"TopicID": true, "ClusterID": true, "ProducerID": true, "MemberID": true, "LeaderID": true, "NodeID": true, "Host": true, "Port": true,
	"ControllerID": true, "Leader": true, "LeaderEpoch": true, "CurrentLeader": true, "CoordinatorEpoch": true, "SessionID": true,
	"BrokerID": true, "LeaderLogEndOffset": true, "DirectoryID": true, "ReplicaDirectoryID": true, "VoterID": true, "TransactionStartTimestamp": true,
	"LastTimestamp": true, "StartTimestamp": true, "StartTimestampMillis": true, "LastFetchTimestamp": true, "LastCaughtUpTimestamp": true,
	"CoordinatorID": true, "LogEndOffset": true, "FinalizedFeaturesEpoch": true, "ReplicaID": true, "Dir": true, "TotalBytes": true,
	"UsableBytes": true, "Size": true, "ClientHost": true, "AssignmentEpoch": true, "ProducerEpoch": true, "MemberEpoch": true, "Epoch": true, "SASLAuthBytes": true, "FinalizedVersion": true,
}

// ignored are fields that say nothing of what the broker does.
// Texts of errors are each broker's own; their codes are compared.
var ignored = map[string]bool{"Version": true, "ThrottleMillis": true, "UnknownTags": true, "ErrorMessage": true}

// named are lists whose elements keep their name in the path, so that a rule can
// be about one of them.
var named = map[string]string{"Configs": "Name", "ApiKeys": "ApiKey", "ConfigSynonyms": "Name", "SupportedFeatures": "Name", "FinalizedFeatures": "Name", "Groups": "Group"}

// keys are fields that make up the identity of a list's element, unless hidden.
var keys = []string{"Topic", "TopicID", "Name", "Group", "ConfigName", "ResourceType", "ResourceName", "ResourcePatternType", "Principal", "Operation",
	"PermissionType", "Partition", "MemberID", "Key", "ApiKey", "TransactionalID", "User", "Mechanism", "Feature", "Type", "GroupState"}

// flatten turns a reply into lines; names are those of topic ids.
func flatten(resp kmsg.Response, names map[[16]byte]string) []line {
	if r, ok := resp.(*kmsg.FetchResponse); ok {
		dropUnstable(r)
	}
	f := &flattener{names: names}
	f.walk("", "", reflect.ValueOf(resp).Elem())
	return f.lines
}

// dropUnstable takes out the aborted transactions that begin at the last stable
// offset or behind it, where the records of who asks for them end: Kafka lists those
// up to the next entry of its offset index, ours none.
func dropUnstable(r *kmsg.FetchResponse) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			p.AbortedTransactions = slices.DeleteFunc(p.AbortedTransactions, func(a kmsg.FetchResponseTopicPartitionAbortedTransaction) bool {
				return a.FirstOffset >= p.LastStableOffset
			})
		}
	}
}

type flattener struct {
	lines []line
	names map[[16]byte]string
}

func (f *flattener) add(path, at, value string) { f.lines = append(f.lines, line{path, at, value}) }

func (f *flattener) walk(path, at string, v reflect.Value) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			f.add(path, at, "null")
			return
		}
		f.walk(path, at, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.IsExported() && !ignored[field.Name] {
				f.walk(strings.TrimPrefix(path+"."+field.Name, "."), strings.TrimPrefix(at+"."+field.Name, "."), v.Field(i))
			}
		}
	case reflect.Slice:
		f.list(path, at, name, v)
	case reflect.Array:
		if id, ok := v.Interface().([16]byte); ok && f.names[id] != "" {
			f.add(path, at, "id of "+f.names[id])
			return
		}
		f.add(path, at, presence(!v.IsZero()))
	default:
		text := fmt.Sprint(v.Interface())
		if hidden[name] {
			text = presence(text != "" && text != "-1")
		}
		f.add(path, at, text)
	}
}

func presence(is bool) string {
	if is {
		return "some"
	}
	return "none"
}

func (f *flattener) list(path, at, name string, v reflect.Value) {
	element := v.Type().Elem().Kind()
	switch {
	case v.IsNil() && element == reflect.Uint8:
		f.add(path, at, "null")
	case name == "RecordBatches":
		f.batches(path, at, v.Bytes())
	case element == reflect.Uint8 && hidden[name]:
		f.add(path, at, presence(v.Len() > 0))
	case element == reflect.Uint8:
		f.add(path, at, hex.EncodeToString(v.Bytes()))
	case element == reflect.Int32 && (name == "Replicas" || name == "ISR" || name == "OfflineReplicas" || name == "EligibleLeaderReplicas" || name == "LastKnownELR"):
		f.add(path, at, fmt.Sprintf("%d nodes", v.Len()))
	default:
		f.elements(path, at, name, v)
	}
}

// elements adds the elements of a list, each with its identity: a repeated one
// is counted, one without keys has its place.
func (f *flattener) elements(path, at, name string, v reflect.Value) {
	key := named[name]
	if key != "" && (v.Type().Elem().Kind() != reflect.Struct || !hasField(v.Type().Elem(), key)) {
		key = ""
	}
	seen := map[string]int{}
	for i := range v.Len() {
		id, below := f.identity(v.Index(i)), path
		if seen[id]++; seen[id] > 1 {
			id = fmt.Sprint(id, "#", seen[id])
		}
		if key != "" {
			below = fmt.Sprintf("%s[%v]", path, v.Index(i).FieldByName(key).Interface())
		}
		here := fmt.Sprintf("%s[%s]", at, id)
		f.lines = append(f.lines, line{below + "[]", here, cmp.Or(id, "there")})
		if v.Type().Elem().Kind() == reflect.Struct {
			f.walk(below, here, v.Index(i))
		}
	}
}

func hasField(t reflect.Type, name string) bool {
	_, ok := t.FieldByName(name)
	return ok
}

// identity is what an element of a list is recognised by on both sides.
func (f *flattener) identity(v reflect.Value) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return fmt.Sprint(v.Interface())
	}
	var parts []string
	for _, k := range keys {
		field := v.FieldByName(k)
		if !field.IsValid() {
			continue
		}
		for field.Kind() == reflect.Pointer && !field.IsNil() {
			field = field.Elem()
		}
		id, isID := field.Interface().([16]byte)
		switch {
		case isID:
			parts = append(parts, f.names[id])
		case !hidden[k]:
			parts = append(parts, fmt.Sprint(field.Interface()))
		}
	}
	if entity := v.FieldByName("Entity"); entity.IsValid() { // of a quota: a list of types and names
		var of []string
		for i := range entity.Len() {
			of = append(of, f.identity(entity.Index(i)))
		}
		slices.Sort(of)
		parts = append(parts, of...)
	}
	return strings.Join(parts, "/")
}

// batches adds what a reader sees of record batches: not the leader's epoch, nor
// the CRC, which covers what is compared anyway, nor the time of a marker.
func (f *flattener) batches(path, at string, raw []byte) {
	for n := 0; len(raw) > 0; n++ {
		here := fmt.Sprintf("%s[%d]", at, n)
		b, rest, err := kafka.NextBatch(raw)
		if err != nil {
			f.add(path, here, "cut short")
			return
		}
		if b.Control() {
			f.add(path, here, fmt.Sprintf("control at %d, kind %x", b.BaseOffset(), b.Payload()[len(b.Payload())-9:][:4]))
		} else {
			f.add(path, here, fmt.Sprintf("%d..%d attributes %d, times %d..%d, %d records, epoch %s, sequence %d, %x", b.BaseOffset(), b.LastOffset(), b.Attributes(),
				b.BaseTimestamp(), b.MaxTimestamp(), b.Count(), presence(b.ProducerEpoch() >= 0), b.BaseSequence(), b.Payload()))
		}
		raw = rest
	}
}
