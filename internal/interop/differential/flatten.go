package main

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// line is one field of a reply: its path without indexes, and its value.
type line struct{ path, value string }

// hidden are fields whose value is the broker's own: whether it is there counts.
var hidden = map[string]bool{
	"TopicID": true, "ClusterID": true, "ProducerID": true, "MemberID": true, "LeaderID": true, "NodeID": true, "Host": true, "Port": true,
	"ControllerID": true, "Leader": true, "LeaderEpoch": true, "CurrentLeader": true, "CoordinatorEpoch": true, "SessionID": true,
	"BrokerID": true, "LeaderLogEndOffset": true, "DirectoryID": true, "ReplicaDirectoryID": true, "VoterID": true, "TransactionStartTimestamp": true,
	"LastTimestamp": true, "StartTimestamp": true, "StartTimestampMillis": true, "LastFetchTimestamp": true, "LastCaughtUpTimestamp": true,
	"CoordinatorID": true, "LogEndOffset": true, "FinalizedFeaturesEpoch": true, "ReplicaID": true, "Dir": true, "TotalBytes": true,
	"UsableBytes": true, "Size": true, "ClientHost": true, "AssignmentEpoch": true,
}

// ignored are fields that say nothing of what the broker does.
// Texts of errors are each broker's own; their codes are compared.
var ignored = map[string]bool{"Version": true, "ThrottleMillis": true, "UnknownTags": true, "ErrorMessage": true}

// named are lists whose elements keep their name in the path, so that one that
// only one side has shifts nothing.
var named = map[string]string{"Configs": "Name", "ApiKeys": "ApiKey", "ConfigSynonyms": "Name", "SupportedFeatures": "Name", "FinalizedFeatures": "Name", "Groups": "Group"}

// keys are fields by which the elements of a list are put into order.
var keys = []string{"Topic", "TopicID", "Name", "Group", "ConfigName", "ResourceName", "Partition", "MemberID", "Key", "ApiKey", "TransactionalID", "NodeID"}

// flatten turns a reply into lines; names are those of topic ids.
func flatten(resp kmsg.Response, names map[[16]byte]string) []line {
	f := &flattener{names: names}
	f.walk("", reflect.ValueOf(resp).Elem())
	return f.lines
}

type flattener struct {
	lines []line
	names map[[16]byte]string
}

func (f *flattener) add(path, value string) { f.lines = append(f.lines, line{path, value}) }

func (f *flattener) walk(path string, v reflect.Value) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			f.add(path, "null")
			return
		}
		f.walk(path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.IsExported() && !ignored[field.Name] {
				f.walk(strings.TrimPrefix(path+"."+field.Name, "."), v.Field(i))
			}
		}
	case reflect.Slice:
		f.list(path, name, v)
	case reflect.Array:
		if id, ok := v.Interface().([16]byte); ok && f.names[id] != "" {
			f.add(path, "id of "+f.names[id])
			return
		}
		f.add(path, presence(!v.IsZero()))
	default:
		text := fmt.Sprint(v.Interface())
		if hidden[name] {
			text = presence(text != "" && text != "-1")
		}
		f.add(path, text)
	}
}

func presence(is bool) string {
	if is {
		return "some"
	}
	return "none"
}

func (f *flattener) list(path, name string, v reflect.Value) {
	switch {
	case v.IsNil() && v.Type().Elem().Kind() == reflect.Uint8:
		f.add(path, "null")
	case name == "RecordBatches":
		f.batches(path, v.Bytes())
	case v.Type().Elem().Kind() == reflect.Uint8:
		f.add(path, hex.EncodeToString(v.Bytes()))
	case v.Type().Elem().Kind() == reflect.Int32 && (name == "Replicas" || name == "ISR" || name == "OfflineReplicas" || name == "EligibleLeaderReplicas" || name == "LastKnownELR"):
		f.add(path, fmt.Sprintf("%d nodes", v.Len()))
	default:
		key := named[name]
		if key == "" || v.Type().Elem().Kind() != reflect.Struct || !hasField(v.Type().Elem(), key) {
			key = ""
			f.add(path, fmt.Sprintf("%d elements", v.Len()))
		}
		for _, i := range f.order(v) {
			if key == "" {
				f.walk(path, v.Index(i))
				continue
			}
			f.walk(fmt.Sprintf("%s[%v]", path, v.Index(i).FieldByName(key).Interface()), v.Index(i))
		}
	}
}

func hasField(t reflect.Type, name string) bool {
	_, ok := t.FieldByName(name)
	return ok
}

// order returns the indexes of a list's elements, sorted where they have names.
func (f *flattener) order(v reflect.Value) []int {
	indexes := make([]int, v.Len())
	names := make([]string, v.Len())
	for i := range indexes {
		indexes[i] = i
		e := v.Index(i)
		for e.Kind() == reflect.Pointer {
			e = e.Elem()
		}
		if e.Kind() != reflect.Struct {
			names[i] = fmt.Sprintf("%020v", e.Interface())
			continue
		}
		for _, k := range keys {
			field := e.FieldByName(k)
			if !field.IsValid() {
				continue
			}
			for field.Kind() == reflect.Pointer && !field.IsNil() {
				field = field.Elem()
			}
			text := fmt.Sprintf("%020v ", field.Interface())
			if id, ok := field.Interface().([16]byte); ok {
				text = f.names[id]
			}
			names[i] += text
		}
	}
	slices.SortStableFunc(indexes, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	return indexes
}

// batches adds what a reader sees of record batches: not the leader's epoch, nor
// the CRC, which covers what is compared anyway, nor the time of a marker.
func (f *flattener) batches(path string, raw []byte) {
	for n := 0; len(raw) > 0; n++ {
		b, rest, err := kafka.NextBatch(raw)
		if err != nil {
			f.add(path, "cut short")
			return
		}
		if b.Control() {
			f.add(path, fmt.Sprintf("control at %d, epoch %d, kind %x", b.BaseOffset(), b.ProducerEpoch(), b.Payload()[len(b.Payload())-9:][:4]))
		} else {
			f.add(path, fmt.Sprintf("%d..%d attributes %d, times %d..%d, %d records, epoch %d, sequence %d, %x", b.BaseOffset(), b.LastOffset(), b.Attributes(),
				b.BaseTimestamp(), b.MaxTimestamp(), b.Count(), b.ProducerEpoch(), b.BaseSequence(), b.Payload()))
		}
		raw = rest
	}
}

// difference is a line in which two replies differ; a side that lacks it has "".
type difference struct{ path, theirs, ours string }

// diff compares two replies line by line, in order of paths.
func diff(theirs, ours []line) []difference {
	var found []difference
	i, j := 0, 0
	for i < len(theirs) || j < len(ours) {
		switch {
		case i < len(theirs) && j < len(ours) && theirs[i].path == ours[j].path:
			if theirs[i].value != ours[j].value {
				found = append(found, difference{theirs[i].path, theirs[i].value, ours[j].value})
			}
			i, j = i+1, j+1
		case j >= len(ours) || i < len(theirs) && !has(ours[j:], theirs[i].path):
			found = append(found, difference{theirs[i].path, theirs[i].value, ""})
			i++
		default:
			found = append(found, difference{ours[j].path, "", ours[j].value})
			j++
		}
	}
	return found
}

func has(lines []line, path string) bool {
	return slices.ContainsFunc(lines, func(l line) bool { return l.path == path })
}
