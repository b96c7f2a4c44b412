package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// encodeSide serialises the JSON text of a key or value by the rules of the
// corpus: JSON as written, DELIMITED as raw text, KAFKA by the column's type.
func encodeSide(f plan.Format, cols []types.Column, text json.RawMessage) ([]byte, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	switch f.Name {
	case "NONE":
		return nil, nil
	case "JSON":
		return expandExponents(text), nil
	case "DELIMITED":
		return rawText(text)
	case "KAFKA":
		return encodeKafka(cols, text)
	}
	return nil, fmt.Errorf("format %s is not available", f.Name)
}

// rawText returns a JSON string's content, or other JSON as it stands.
func rawText(text json.RawMessage) ([]byte, error) {
	if text[0] != '"' {
		return text, nil
	}
	var s string
	err := json.Unmarshal(text, &s)
	return []byte(s), err
}

// expandExponents writes numbers with exponents in plain form.
func expandExponents(text json.RawMessage) []byte {
	var out bytes.Buffer
	inString := false
	for i := 0; i < len(text); {
		c := text[i]
		if inString && c == '\\' {
			out.Write(text[i : i+2])
			i += 2
			continue
		}
		if c == '"' {
			inString = !inString
		}
		if inString || c != '-' && (c < '0' || c > '9') {
			out.WriteByte(c)
			i++
			continue
		}
		j := i
		for j < len(text) && strings.IndexByte("+-0123456789.eE", text[j]) >= 0 {
			j++
		}
		number := string(text[i:j])
		if strings.ContainsAny(number, "eE") {
			if f, _, err := big.ParseFloat(number, 10, 200, big.ToNearestEven); err == nil {
				number = f.Text('f', -1)
			}
		}
		out.WriteString(number)
		i = j
	}
	return out.Bytes()
}

func encodeKafka(cols []types.Column, text json.RawMessage) ([]byte, error) {
	raw, err := rawText(text)
	if err != nil {
		return nil, err
	}
	kind := types.KindString
	if len(cols) > 0 {
		kind = cols[0].Type.Kind
	}
	switch kind {
	case types.KindInteger:
		n, err := strconv.ParseInt(string(raw), 10, 32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case types.KindBigint:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return binary.BigEndian.AppendUint64(nil, uint64(n)), err
	case types.KindDouble:
		x, err := strconv.ParseFloat(string(raw), 64)
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(x)), err
	}
	return raw, nil
}

// appendWindow adds a window to a serialised key.
func appendWindow(key []byte, w *window) []byte {
	if strings.EqualFold(w.Type, "session") {
		key = binary.BigEndian.AppendUint64(key, uint64(w.End))
	}
	return binary.BigEndian.AppendUint64(key, uint64(w.Start))
}

// compareRecord compares one output record with what is expected.
func (r *runner) compareRecord(src *catalog.Source, want record, got executor.DriverRecord) error {
	if src == nil {
		src = &catalog.Source{Key: plan.Format{Name: "KAFKA"}, Value: plan.Format{Name: "JSON"}}
	}
	key := got.Key
	if src.Windowed != nil && key != nil {
		var err error
		if key, err = compareWindow(src.Windowed, want.Window, key); err != nil {
			return err
		}
	} else if want.Window != nil {
		return fmt.Errorf("the key has no window")
	}
	if err := r.compareSide(src, true, want.Key, key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := r.compareSide(src, false, want.Value, got.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if want.Timestamp != nil && *want.Timestamp != int64(got.Timestamp) && !(len(r.c.Inputs) == 0 && *want.Timestamp == 0) {
		return fmt.Errorf("timestamp %d, expected %d", got.Timestamp, *want.Timestamp)
	}
	return compareHeaders(want.Headers, got.Headers)
}

func compareWindow(info *plan.WindowInfo, want *window, key []byte) ([]byte, error) {
	n := 8
	if info.Kind == plan.Session {
		n = 16
	}
	if len(key) < n {
		return nil, fmt.Errorf("windowed key of %d bytes", len(key))
	}
	suffix := key[len(key)-n:]
	start := int64(binary.BigEndian.Uint64(suffix[n-8:]))
	end := start + info.SizeMs
	if info.Kind == plan.Session {
		end = int64(binary.BigEndian.Uint64(suffix))
	}
	if want == nil {
		return nil, fmt.Errorf("the key has a window [%d, %d]", start, end)
	}
	if start != want.Start || end != want.End || strings.EqualFold(want.Type, "session") != (info.Kind == plan.Session) {
		return nil, fmt.Errorf("window [%d, %d], expected %s [%d, %d]", start, end, want.Type, want.Start, want.End)
	}
	return key[:len(key)-n], nil
}

func compareHeaders(want []header, got []kafka.Header) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d headers, expected %d", len(got), len(want))
	}
	for i, w := range want {
		if w.Key != got[i].Key {
			return fmt.Errorf("header %d is %q, expected %q", i, got[i].Key, w.Key)
		}
		if (w.Value == nil) != (got[i].Value == nil) || w.Value != nil && *w.Value != base64.StdEncoding.EncodeToString(got[i].Value) {
			return fmt.Errorf("header %q has another value", w.Key)
		}
	}
	return nil
}

// compareSide decodes a payload by its format and compares it.
func (r *runner) compareSide(src *catalog.Source, side bool, want json.RawMessage, got []byte) error {
	f, cols := sideOf(src, side)
	wantNull := len(want) == 0 || string(want) == "null"
	if f.Name == "NONE" || f.Name == "KAFKA" && len(cols) == 0 {
		return nil
	}
	if got == nil || wantNull {
		if (got == nil) != wantNull {
			return fmt.Errorf("%s, expected %s", string(got), string(want))
		}
		return nil
	}
	expected, err := parseJSON(want)
	if err != nil {
		return err
	}
	var actual any
	switch f.Name {
	case "JSON":
		if actual, err = parseJSON(got); err != nil {
			return fmt.Errorf("output is not JSON: %w", err)
		}
	case "DELIMITED":
		text, err := rawText(want)
		if err != nil {
			return err
		}
		if string(text) != string(got) {
			return fmt.Errorf("%q, expected %q", got, text)
		}
		return nil
	case "KAFKA":
		if actual, err = decodeKafka(cols, got); err != nil {
			return err
		}
	default:
		if actual, err = (payloads{r.registered()}).decode(src, side, got); err != nil {
			return err
		}
	}
	return r.compare(expected, actual)
}

func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func decodeKafka(cols []types.Column, b []byte) (any, error) {
	kind, width := types.KindString, len(b)
	if len(cols) > 0 {
		kind = cols[0].Type.Kind
	}
	switch kind {
	case types.KindInteger:
		width = 4
	case types.KindBigint, types.KindDouble:
		width = 8
	}
	if len(b) != width {
		return nil, fmt.Errorf("%d bytes for %s", len(b), kind)
	}
	switch kind {
	case types.KindInteger:
		return json.Number(strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10)), nil
	case types.KindBigint:
		return json.Number(strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)), nil
	case types.KindDouble:
		s := strconv.FormatFloat(math.Float64frombits(binary.BigEndian.Uint64(b)), 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return json.Number(s), nil
	}
	return string(b), nil
}
