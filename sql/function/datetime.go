package function

import (
	"fmt"
	"math"
	"time"

	"github.com/millrace/millrace/sql/types"
)

const (
	dateTime = "DATE / TIME"
	dayMs    = 24 * 60 * 60 * 1000
)

// The deprecated functions without a zone argument use UTC, not the zone of the
// machine: the same query must answer the same everywhere.

func datetimeFunctions() []*Function {
	return []*Function{
		fn("CONVERT_TZ", dateTime, "A TIMESTAMP moved from one time zone to another: the difference of their offsets at that instant is added, so in the hours around a change of clocks it may be off by the change.", over("ts TIMESTAMP, from STRING~zone, to STRING~zone", "TIMESTAMP", convertTZ)),
		shift("DATEADD", "A DATE and a number of units.", "DATE", 1, addDate),
		shift("DATESUB", "A DATE less a number of units.", "DATE", -1, addDate),
		shift("TIMEADD", "A TIME and a number of units, around midnight.", "TIME", 1, addTime),
		shift("TIMESUB", "A TIME less a number of units, around midnight.", "TIME", -1, addTime),
		shift("TIMESTAMPADD", "A TIMESTAMP and a number of units.", "TIMESTAMP", 1, addTimestamp),
		shift("TIMESTAMPSUB", "A TIMESTAMP less a number of units.", "TIMESTAMP", -1, addTimestamp),
		fn("FORMAT_DATE", dateTime, "A DATE as text.", over("date DATE, format STRING~date", "STRING", formatDate)),
		fn("FORMAT_TIME", dateTime, "A TIME as text.", over("time TIME, format STRING~time", "STRING", formatTime)),
		fn("FORMAT_TIMESTAMP", dateTime, "A TIMESTAMP as text, in UTC or a time zone.",
			over("ts TIMESTAMP, format STRING~timestamp", "STRING", formatTimestamp), over("ts TIMESTAMP, format STRING~timestamp, zone STRING~zone", "STRING", formatTimestamp)),
		fn("FROM_DAYS", dateTime, "The DATE of a number of days since 1970-01-01.",
			over("days INTEGER!", "DATE", func(a []types.Value) (types.Value, error) { return types.NewDate(int32(a[0].Int())), nil })),
		fn("FROM_UNIXTIME", dateTime, "The TIMESTAMP of milliseconds since 1970-01-01.",
			over("ms BIGINT", "TIMESTAMP", func(a []types.Value) (types.Value, error) { return types.NewTimestamp(a[0].Int()), nil })),
		fn("PARSE_DATE", dateTime, "Text as a DATE.", over("value STRING, format STRING~timestamp", "DATE", parseDate)),
		fn("PARSE_TIME", dateTime, "Text as a TIME.", over("value STRING, format STRING~zonedtime", "TIME", parseTime)),
		fn("PARSE_TIMESTAMP", dateTime, "Text as a TIMESTAMP, in UTC or a time zone unless it names one.",
			over("value STRING, format STRING~timestamp", "TIMESTAMP", parseTimestamp(types.NewTimestamp)),
			over("value STRING, format STRING~timestamp, zone STRING~zone", "TIMESTAMP", parseTimestamp(types.NewTimestamp))),
		fn("UNIX_DATE", dateTime, "Days since 1970-01-01 of a DATE, or of today in UTC.",
			overEnv("", "INTEGER", func(env *Env, _ []types.Value) (types.Value, error) {
				return types.NewInteger(int32(floorDiv(env.NowMs, dayMs))), nil
			}).volatile(),
			over("date DATE", "INTEGER", integer(func(a []types.Value) int64 { return a[0].Int() }))),
		fn("UNIX_TIMESTAMP", dateTime, "Milliseconds since 1970-01-01 of a TIMESTAMP, or of now.",
			overEnv("", "BIGINT", func(env *Env, _ []types.Value) (types.Value, error) { return types.NewBigint(env.NowMs), nil }).volatile(),
			over("ts TIMESTAMP", "BIGINT", bigint(func(a []types.Value) int64 { return a[0].Int() }))),
		fn("DATETOSTRING", dateTime, "Days since 1970-01-01 as text. Deprecated: use FORMAT_DATE.", over("days INTEGER!, format STRING~date", "STRING", formatDate)),
		fn("STRINGTODATE", dateTime, "Text as days since 1970-01-01. Deprecated: use PARSE_DATE.",
			over("value STRING!, format STRING~timestamp!", "INTEGER", stringToDate).nullable()),
		fn("STRINGTOTIMESTAMP", dateTime, "Text as milliseconds since 1970-01-01. Deprecated: use PARSE_TIMESTAMP.",
			over("value STRING!, format STRING~timestamp!", "BIGINT", parseTimestamp(types.NewBigint)).nullable(),
			over("value STRING!, format STRING~timestamp!, zone STRING~zone!", "BIGINT", parseTimestamp(types.NewBigint)).nullable()),
		fn("TIMESTAMPTOSTRING", dateTime, "Milliseconds since 1970-01-01 as text. Deprecated: use FORMAT_TIMESTAMP.",
			over("ms BIGINT!, format STRING~timestamp", "STRING", formatTimestamp), over("ms BIGINT!, format STRING~timestamp, zone STRING~zone", "STRING", formatTimestamp)),
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

var unitMs = map[string]int64{"DAYS": dayMs, "HOURS": 3600_000, "MINUTES": 60_000, "SECONDS": 1000, "MILLISECONDS": 1}

// shift describes a function of a unit, a number and a value.
func shift(name, doc, typ string, sign int64, add func(v, ms int64) (types.Value, error)) *Function {
	return fn(name, dateTime, doc, over("unit UNIT, n INTEGER, value "+typ, typ, func(a []types.Value) (types.Value, error) {
		ms, ok := unitMs[a[0].Str()]
		if !ok {
			return types.NullValue, fmt.Errorf("%s does not take %s, use DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS", name, a[0].Str())
		}
		return add(a[2].Int(), sign*ms*a[1].Int())
	}))
}

func addDate(days, ms int64) (types.Value, error) {
	days += floorDiv(ms, dayMs)
	if days < math.MinInt32 || days > math.MaxInt32 {
		return types.NullValue, fmt.Errorf("date is out of range")
	}
	return types.NewDate(int32(days)), nil
}

func addTime(t, ms int64) (types.Value, error) {
	sum := t + ms
	return types.NewTime(int32(sum - floorDiv(sum, dayMs)*dayMs)), nil
}

func addTimestamp(t, ms int64) (types.Value, error) {
	sum := t + ms
	if (sum > t) != (ms > 0) && ms != 0 {
		return types.NullValue, fmt.Errorf("timestamp is out of range")
	}
	return types.NewTimestamp(sum), nil
}

// convertTZ adds the difference of the zones' offsets at ts.
func convertTZ(a []types.Value) (types.Value, error) {
	offset := func(id string) (int64, error) {
		zone, err := findZone(id)
		if err != nil {
			return 0, err
		}
		_, seconds := instant(a[0].Int(), zone).Zone()
		return int64(seconds) * 1000, nil
	}
	from, err := offset(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	to, err := offset(a[2].Str())
	if err != nil {
		return types.NullValue, err
	}
	return types.NewTimestamp(a[0].Int() + to - from), nil
}

// onlyPattern returns a pattern that uses none of the letters.
func onlyPattern(s, without, what string) (*timePattern, error) {
	p, err := findPattern(s)
	if err != nil {
		return nil, err
	}
	if letter := p.has(without); letter != 0 {
		return nil, fmt.Errorf("pattern %q has the letter %c, which a %s does not have", s, letter, what)
	}
	return p, nil
}

func formatWith(p *timePattern, t time.Time) (types.Value, error) {
	s, err := p.format(t)
	if err != nil {
		return types.NullValue, err
	}
	return types.NewString(s), nil
}

func formatDate(a []types.Value) (types.Value, error) {
	p, err := onlyPattern(a[1].Str(), timeLetters+zoneLetters, "DATE")
	if err != nil {
		return types.NullValue, err
	}
	return formatWith(p, dayTime(a[0].Int()))
}

func formatTime(a []types.Value) (types.Value, error) {
	p, err := onlyPattern(a[1].Str(), dateLetters+zoneLetters, "TIME")
	if err != nil {
		return types.NullValue, err
	}
	return formatWith(p, instant(a[0].Int(), time.UTC))
}

// zoneArg returns the zone that argument i names, UTC without one.
func zoneArg(a []types.Value, i int) (*time.Location, error) {
	if i >= len(a) {
		return time.UTC, nil
	}
	return findZone(a[i].Str())
}

func formatTimestamp(a []types.Value) (types.Value, error) {
	p, err := findPattern(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	zone, err := zoneArg(a, 2)
	if err != nil {
		return types.NullValue, err
	}
	return formatWith(p, instant(a[0].Int(), zone))
}

func parseTimestamp(make func(int64) types.Value) body {
	return func(a []types.Value) (types.Value, error) {
		p, err := findPattern(a[1].Str())
		if err != nil {
			return types.NullValue, err
		}
		zone, err := zoneArg(a, 2)
		if err != nil {
			return types.NullValue, err
		}
		t, err := p.parse(a[0].Str())
		if err != nil {
			return types.NullValue, err
		}
		ms, err := t.millis(zone)
		return make(ms), err
	}
}

func parseTime(a []types.Value) (types.Value, error) {
	p, err := onlyPattern(a[1].Str(), dateLetters, "TIME")
	if err != nil {
		return types.NullValue, err
	}
	t, err := p.parse(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	nanos, err := t.nanos()
	return types.NewTime(int32(nanos / 1e6 % dayMs)), err
}

// parseDate reads numbers of any width, as the original's parser of dates does.
func parseDate(a []types.Value) (types.Value, error) {
	p, err := findPattern(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	lenient := *p
	lenient.lenient = true
	t, err := lenient.parse(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	ms, err := t.millis(time.UTC)
	if err != nil {
		return types.NullValue, err
	}
	if ms%dayMs != 0 {
		return types.NullValue, fmt.Errorf("%q has a time of day", a[0].Str())
	}
	return types.NewDate(int32(ms / dayMs)), nil
}

func stringToDate(a []types.Value) (types.Value, error) {
	p, err := findPattern(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	t, err := p.parse(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	days, err := t.days()
	return types.NewInteger(int32(days)), err
}
