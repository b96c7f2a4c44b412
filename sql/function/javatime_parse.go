package function

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/sql/types"
)

// parsedTime is what a text said, by pattern letter. The zone is nil when the
// text has none.
type parsedTime struct {
	fields map[field]int64
	zone   *time.Location
}

// timeParser matches a text against a pattern, without regard to case. Sections
// in brackets may be missing.
type timeParser struct {
	items   []item
	lenient bool
	out     parsedTime
}

// parse reads all of s.
func (p *timePattern) parse(s string) (parsedTime, error) {
	tp := &timeParser{items: p.items, lenient: p.lenient, out: parsedTime{fields: map[field]int64{}}}
	rest, ok := tp.run(0, len(p.items), s)
	if !ok || rest != "" {
		return parsedTime{}, fmt.Errorf("text %q does not match pattern %q", s, p.text)
	}
	return tp.out, nil
}

// run matches items [from, to) and returns what is left.
func (p *timeParser) run(from, to int, s string) (string, bool) {
	for i := from; i < to; i++ {
		it := p.items[i]
		switch it.letter {
		case 0:
			if len(s) < len(it.text) || !strings.EqualFold(s[:len(it.text)], it.text) {
				return s, false
			}
			s = s[len(it.text):]
		case '[':
			end := p.sectionEnd(i)
			saved := parsedTime{fields: map[field]int64{}, zone: p.out.zone}
			for k, v := range p.out.fields {
				saved.fields[k] = v
			}
			if rest, ok := p.run(i+1, end, s); ok {
				s = rest
			} else {
				p.out = saved
			}
			i = end
		case ']':
		default:
			s = strings.TrimLeft(s, strings.Repeat(" ", min(it.padding, 1)))
			rest, ok := p.field(it, p.adjacent(i, to), s)
			if !ok {
				return s, false
			}
			s = rest
		}
	}
	return s, true
}

func (p *timeParser) sectionEnd(i int) int {
	depth := 0
	for ; i < len(p.items); i++ {
		switch p.items[i].letter {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// adjacent returns the digits that number fields right behind item i take: a
// number of open width leaves them alone, as in yyyyMMdd.
func (p *timeParser) adjacent(i, to int) int {
	reserved := 0
	for j := i + 1; j < to && p.items[j].letter != 0 && fixedNumber(p.items[j]); j++ {
		reserved += p.items[j].count
	}
	return reserved
}

// fixedNumber reports whether a field is a number of exactly count digits.
func fixedNumber(it item) bool {
	switch it.letter {
	case 'S':
		return true
	case 'M', 'L', 'Q', 'q', 'e', 'c', 'd', 'H', 'h', 'K', 'k', 'm', 's', 'w', 'u', 'y', 'Y':
		return it.count == 2
	case 'D':
		return it.count == 3
	}
	return false
}

func (p *timeParser) field(it item, reserved int, s string) (string, bool) {
	switch n := it.count; it.letter {
	case 'G':
		return p.text(it, s, []string{eraName("BC", "Before Christ", n), eraName("AD", "Anno Domini", n)}, 0)
	case 'M', 'L':
		if n > 2 {
			return p.text(it, s, monthNames(n), 1)
		}
	case 'E', 'e', 'c':
		if it.letter == 'E' || n > 2 {
			return p.text(it, s, dayNames(n), 1)
		}
	case 'a':
		return p.text(it, s, []string{"AM", "PM"}, 0)
	case 'Q', 'q':
		if n > 2 {
			var names []string
			for q := 1; q <= 4; q++ {
				names = append(names, formatQuarter(q, n))
			}
			return p.text(it, s, names, 1)
		}
	case 'S':
		return p.fraction(n, s)
	case 'V':
		return p.zoneID(s)
	case 'z':
		return p.zoneName(s)
	case 'O', 'X', 'x', 'Z':
		return p.offset(byte(it.letter), n, s)
	}
	return p.number(it, reserved, s)
}

func monthNames(n int) []string {
	var names []string
	for m := time.January; m <= time.December; m++ {
		names = append(names, name(m.String(), 3, n))
	}
	return names
}

func dayNames(n int) []string {
	var names []string
	for d := range 7 {
		names = append(names, name(time.Weekday((d+1)%7).String(), 3, n))
	}
	return names
}

// text reads one of the names; the first counts as base. The longest wins.
func (p *timeParser) text(it item, s string, names []string, base int64) (string, bool) {
	best := -1
	for i, w := range names {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) && (best < 0 || len(w) > len(names[best])) {
			best = i
		}
	}
	if best < 0 {
		return s, false
	}
	return s[len(names[best]):], p.set(it.letter, int64(best)+base)
}

// set records a field; saying two things at once is an error.
func (p *timeParser) set(f field, n int64) bool {
	switch f {
	case 'L':
		f = 'M'
	case 'e', 'c':
		f = 'E'
	case 'q':
		f = 'Q'
	}
	old, ok := p.out.fields[f]
	p.out.fields[f] = n
	return !ok || old == n
}

// number reads a number: exactly count digits for two-digit fields, else at
// least count and as many as there are but for those that adjacent fields of fixed
// width take, with a sign where the field has one.
func (p *timeParser) number(it item, reserved int, s string) (string, bool) {
	least, most := it.count, 19
	year := it.letter == 'u' || it.letter == 'y' || it.letter == 'Y'
	switch {
	case fixedNumber(it):
		most = it.count
	case it.letter == 'F' || it.letter == 'W':
		most = 1
	case !year && it.letter != 'A' && it.letter != 'n' && it.letter != 'N':
		if it.count > 1 {
			most = max(it.count, 2)
		}
		if it.letter == 'D' && it.count > 1 {
			most = 3
		}
	}
	if p.lenient && reserved == 0 {
		least, most = 1, 19
	}
	negative := false
	if year && it.count != 2 && s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		if s[0] == '+' && it.count < 4 {
			return s, false
		}
		s = s[1:]
	} else if year && it.count == 4 && !p.lenient {
		most = min(most, 4) // more digits need a sign
	}
	n := 0
	for n < len(s) && n < most && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if reserved > 0 && (p.lenient || !fixedNumber(it)) {
		all := n
		for all < len(s) && s[all] >= '0' && s[all] <= '9' {
			all++
		}
		n = max(min(n, all-reserved), min(least, n))
	}
	if n < least || n == 0 {
		return s, false
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	if err != nil {
		return s, false
	}
	if negative {
		v = -v
	}
	if year && it.count == 2 && n <= 2 {
		v += 2000
	}
	return s[n:], p.set(it.letter, v)
}

// fraction reads exactly n digits as nanoseconds.
func (p *timeParser) fraction(n int, s string) (string, bool) {
	if len(s) < n {
		return s, false
	}
	v, err := strconv.ParseUint(s[:n], 10, 64)
	if err != nil {
		return s, false
	}
	for i := n; i < 9; i++ {
		v *= 10
	}
	return s[n:], p.set('n', int64(v))
}

func (p *timeParser) zoneID(s string) (string, bool) {
	n := 0
	for n < len(s) && (isWordByte(s[n]) || strings.IndexByte("/+-:", s[n]) >= 0) {
		n++
	}
	for ; n > 0; n-- {
		if zone, err := findZone(s[:n]); err == nil {
			p.out.zone = zone
			return s[n:], true
		}
	}
	return s, false
}

// zoneName reads a short name of a zone, or its id.
func (p *timeParser) zoneName(s string) (string, bool) {
	n := 0
	for n < len(s) && s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' {
		n++
	}
	if id, ok := zoneNames[strings.ToUpper(s[:n])]; ok && (n == len(s) || s[n] != '/') {
		zone, err := findZone(id)
		p.out.zone = zone
		return s[n:], err == nil
	}
	return p.zoneID(s)
}

// offset reads an offset as java.time's OffsetIdPrinterParser does: what stands
// for no offset first, then exactly the digits of the pattern, so that what
// follows may begin with digits.
func (p *timeParser) offset(letter byte, n int, s string) (string, bool) {
	if letter == 'O' || letter == 'Z' && n == 4 {
		return p.localizedOffset(n == 4, s)
	}
	none := "Z"
	switch {
	case letter == 'x' && n == 1:
		none = "+00"
	case letter == 'x' && (n == 3 || n == 5):
		none = "+00:00"
	case letter == 'x', letter == 'Z' && n < 4:
		none = "+0000"
	}
	if len(s) >= len(none) && strings.EqualFold(s[:len(none)], none) {
		p.out.zone = time.UTC
		return s[len(none):], true
	}
	colon := n == 3 || n == 5
	// X and x alone may leave the minutes out, four and five of them and ZZZZZ the
	// seconds; in the other forms there are no seconds.
	needMinutes, seconds := n > 1 || letter == 'Z', n > 3
	at, h := offsetDigits(s, 1, false)
	if s == "" || s[0] != '+' && s[0] != '-' || at == 0 {
		return s, false
	}
	end, m := offsetDigits(s, at, colon)
	if end == 0 && needMinutes {
		return s, false
	}
	sec := 0
	if end > 0 {
		at = end
		if end, v := offsetDigits(s, at, colon); seconds && end > 0 {
			at, sec = end, v
		}
	} else {
		m = 0
	}
	return p.setOffset(s[0], h, m, sec, s[at:])
}

// offsetDigits reads two digits from 00 to 59 at a place, behind a colon where
// there must be one; end is 0 when they are not there.
func offsetDigits(s string, at int, colon bool) (end, value int) {
	if colon {
		if at >= len(s) || s[at] != ':' {
			return 0, 0
		}
		at++
	}
	if at+2 > len(s) || s[at] < '0' || s[at] > '5' || s[at+1] < '0' || s[at+1] > '9' {
		return 0, 0
	}
	return at + 2, int(s[at]-'0')*10 + int(s[at+1]-'0')
}

// localizedOffset reads GMT, GMT+H[H][:mm[:ss]], or when full GMT+HH:mm[:ss].
func (p *timeParser) localizedOffset(full bool, s string) (string, bool) {
	if len(s) < 3 || !strings.EqualFold(s[:3], "GMT") {
		return s, false
	}
	rest := s[3:]
	if rest == "" || rest[0] != '+' && rest[0] != '-' {
		p.out.zone = time.UTC
		return rest, true
	}
	at, h := offsetDigits(rest, 1, false)
	if at == 0 && !full && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9' {
		at, h = 2, int(rest[1]-'0')
	}
	if at == 0 {
		return s, false
	}
	m, sec := 0, 0
	end, v := offsetDigits(rest, at, true)
	if end == 0 && full {
		return s, false
	}
	if end > 0 {
		at, m = end, v
		if end, v := offsetDigits(rest, at, true); end > 0 {
			at, sec = end, v
		}
	}
	return p.setOffset(rest[0], h, m, sec, rest[at:])
}

// setOffset takes an offset over, unless it is larger than java.time's ±18:00.
func (p *timeParser) setOffset(sign byte, h, m, s int, rest string) (string, bool) {
	zone, err := fixedZone(fmt.Sprintf("%c%02d:%02d:%02d", sign, h, m, s))
	if err != nil {
		return rest, false
	}
	p.out.zone = zone
	return rest, true
}

// get returns a field or a default.
func (t parsedTime) get(f field, other int64) int64 {
	if n, ok := t.fields[f]; ok {
		return n
	}
	return other
}

func (t parsedTime) has(f field) bool {
	_, ok := t.fields[f]
	return ok
}

// days returns the date that the fields say, as days since 1970-01-01. Missing
// fields count as the start of 1970.
func (t parsedTime) days() (int64, error) {
	year := t.get('y', 1970)
	if t.has('G') && t.get('G', 1) == 0 {
		year = 1 - year
	}
	if t.has('u') {
		if t.has('y') && year != t.get('u', 0) {
			return 0, fmt.Errorf("year %d is not %d", year, t.get('u', 0))
		}
		year = t.get('u', 0)
	}
	if t.has('Y') && !t.has('u') && !t.has('y') {
		return t.weekDate()
	}
	if t.has('D') && !t.has('M') {
		day := t.get('D', 1)
		length := int64(365)
		if types.DaysInMonth(year, 2) == 29 {
			length = 366
		}
		if day < 1 || day > length {
			return 0, fmt.Errorf("day %d of year %d does not exist", day, year)
		}
		return types.DaysOf(year, 1, 1) + day - 1, nil
	}
	month := t.get('M', (t.get('Q', 1)-1)*3+1)
	day := t.get('d', 1)
	if month < 1 || month > 12 {
		return 0, fmt.Errorf("month %d does not exist", month)
	}
	if day < 1 || day > 31 {
		return 0, fmt.Errorf("day %d does not exist", day)
	}
	if last := types.DaysInMonth(year, int(month)); day > int64(last) {
		day = int64(last) // java.time's SMART resolver
	}
	days := types.DaysOf(year, int(month), int(day))
	if t.has('E') && t.get('E', 1) != (days+3)%7+1 && t.has('d') && days >= -3 {
		return 0, fmt.Errorf("the day of the week does not fit the date")
	}
	return days, nil
}

// weekDate resolves an ISO week date.
func (t parsedTime) weekDate() (int64, error) {
	week, day := t.get('w', 1), t.get('E', 1)
	if week < 1 || week > 53 {
		return 0, fmt.Errorf("week %d does not exist", week)
	}
	fourth := types.DaysOf(t.get('Y', 1970), 1, 4)
	monday := fourth - (((fourth+3)%7)+7)%7
	return monday + (week-1)*7 + day - 1, nil
}

// nanos returns the time of day.
func (t parsedTime) nanos() (int64, error) {
	if t.has('N') {
		return t.get('N', 0), nil
	}
	if t.has('A') {
		return t.get('A', 0) * 1e6, nil
	}
	hour := t.get('H', 0)
	switch {
	case t.has('H'):
	case t.has('k'):
		hour = t.get('k', 0) % 24
	case t.has('h'):
		hour = t.get('h', 0)%12 + 12*t.get('a', 0)
	case t.has('K'):
		hour = t.get('K', 0) + 12*t.get('a', 0)
	}
	if err := t.checkHours(hour % 24); err != nil {
		return 0, err
	}
	minute, second := t.get('m', 0), t.get('s', 0)
	if hour > 23 && !(hour == 24 && minute == 0 && second == 0) || minute > 59 || second > 59 {
		return 0, fmt.Errorf("time %d:%d:%d does not exist", hour, minute, second)
	}
	return (hour*3600+minute*60+second)*1e9 + t.get('n', 0), nil
}

// checkHours verifies that every field that says something of the hour is in its
// range and says the same.
func (t parsedTime) checkHours(hour int64) error {
	for _, c := range []struct {
		field        field
		least, most  int64
		says, period int64
	}{
		{'k', 1, 24, hour, 24}, {'h', 1, 12, hour, 12}, {'K', 0, 11, hour, 12}, {'a', 0, 1, hour / 12, 2},
	} {
		if !t.has(c.field) {
			continue
		}
		n := t.get(c.field, 0)
		if n < c.least || n > c.most {
			return fmt.Errorf("hour %d does not exist", n)
		}
		if n%c.period != c.says%c.period {
			return fmt.Errorf("hour %d is not %d in the field %c", hour, n, c.field)
		}
	}
	return nil
}

// millis returns the instant in ms since the epoch; zone is that of a text that
// has none.
func (t parsedTime) millis(zone *time.Location) (int64, error) {
	days, err := t.days()
	if err != nil {
		return 0, err
	}
	nanos, err := t.nanos()
	if err != nil {
		return 0, err
	}
	if t.zone != nil {
		zone = t.zone
	}
	y, m, d := types.CivilDate(days)
	return atLocal(time.Date(int(y), time.Month(m), d, 0, 0, int(nanos/1e9), int(nanos%1e9), time.UTC), zone).UnixMilli(), nil
}

// gapMargin is longer than any change of a zone's offset.
const gapMargin = 26 * time.Hour

// overlapMargin is longer than what clocks are turned back at the end of summer.
const overlapMargin = 3 * time.Hour

// atLocal returns when a zone's clocks show local, whose own zone does not count.
// Where they show it twice the earlier one counts; where they skip it, it is read
// with the offset from before the gap, as java.time does.
func atLocal(local time.Time, zone *time.Location) time.Time {
	t := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), zone)
	shows := func(t time.Time) bool { return t.Hour() == local.Hour() && t.Minute() == local.Minute() }
	// Go does not say which of two it returns.
	for _, margin := range []time.Duration{overlapMargin, gapMargin} {
		_, before := t.Add(-margin).Zone()
		earlier := local.Add(-time.Duration(before) * time.Second).In(zone)
		if earlier.Before(t) && earlier.Day() == local.Day() && shows(earlier) {
			return earlier
		}
	}
	if shows(t) {
		return t
	}
	_, before := t.Add(-gapMargin).Zone()
	return local.Add(-time.Duration(before) * time.Second)
}
