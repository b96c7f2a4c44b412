package types

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	msPerSecond = 1000
	msPerMinute = 60 * msPerSecond
	msPerHour   = 60 * msPerMinute
	msPerDay    = 24 * msPerHour
)

// CivilDate returns the year, month and day of a count of days since 1970-01-01
// in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms").
func CivilDate(days int64) (year int64, month, day int) {
	z := days + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp) + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// DaysOf is the inverse of CivilDate. The day may be out of the month's range
// and then counts on.
func DaysOf(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := int64(153*(month-3)+2)/5 + int64(day) - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// FormatDate returns yyyy-MM-dd.
func FormatDate(days int64) string { return string(appendDate(nil, days)) }

// FormatTime returns HH:mm, or HH:mm:ss when there are seconds. Milliseconds are
// left out, as KSQL does.
func FormatTime(ms int64) string {
	b := appendTwo(nil, ms/msPerHour)
	b = append(b, ':')
	b = appendTwo(b, ms/msPerMinute%60)
	if s := ms / msPerSecond % 60; s != 0 {
		b = append(b, ':')
		b = appendTwo(b, s)
	}
	return string(b)
}

// FormatTimestamp returns yyyy-MM-dd'T'HH:mm:ss.SSS in UTC.
func FormatTimestamp(ms int64) string {
	days := floorDiv(ms, msPerDay)
	ms -= days * msPerDay
	b := append(appendDate(make([]byte, 0, 24), days), 'T')
	b = appendTwo(b, ms/msPerHour)
	b = append(b, ':')
	b = appendTwo(b, ms/msPerMinute%60)
	b = append(b, ':')
	b = appendTwo(b, ms/msPerSecond%60)
	ms %= msPerSecond
	return string(append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10)))
}

func appendDate(b []byte, days int64) []byte {
	year, month, day := CivilDate(days)
	switch {
	case year > 9999:
		b = append(b, '+')
	case year < 0:
		b = append(b, '-')
		year = -year
	}
	if year < 1000 {
		b = append(b, "000"[:3-len(strconv.FormatInt(year, 10))+1]...)
	}
	b = strconv.AppendInt(b, year, 10)
	b = append(b, '-')
	b = appendTwo(b, int64(month))
	b = append(b, '-')
	return appendTwo(b, int64(day))
}

func appendTwo(b []byte, n int64) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// ParseTimestamp reads yyyy[-MM[-dd]]['T'[HH[:mm[:ss[.fraction]]]][zone]] and
// returns ms since the epoch. What is missing is the smallest; with a T the date
// must be complete. The zone is Z or an offset +HH[:mm], default UTC. Up to 9
// fraction digits are read and cut to milliseconds.
func ParseTimestamp(s string) (int64, error) {
	date, clock, hasTime := strings.Cut(s, "T")
	days, err := parseDate(date, hasTime)
	if err != nil {
		return 0, fmt.Errorf("%q is not a TIMESTAMP: %w", s, err)
	}
	if !hasTime {
		return days * msPerDay, nil
	}
	clock, offset, err := cutZone(clock)
	if err != nil {
		return 0, fmt.Errorf("%q is not a TIMESTAMP: %w", s, err)
	}
	ms, err := parseClock(clock, 0)
	if err != nil {
		return 0, fmt.Errorf("%q is not a TIMESTAMP: %w", s, err)
	}
	return days*msPerDay + ms - offset, nil
}

// ParseDate reads yyyy[-MM[-dd]] and returns days since the epoch.
func ParseDate(s string) (int64, error) {
	days, err := parseDate(s, false)
	if err != nil {
		return 0, fmt.Errorf("%q is not a DATE: %w", s, err)
	}
	return days, nil
}

// ParseTime reads HH:mm[:ss[.fraction]] and returns ms of the day.
func ParseTime(s string) (int64, error) {
	ms, err := parseClock(s, 2)
	if err != nil {
		return 0, fmt.Errorf("%q is not a TIME: %w", s, err)
	}
	return ms, nil
}

func parseDate(s string, complete bool) (int64, error) {
	parts := strings.Split(s, "-")
	if len(parts) > 3 || complete && len(parts) != 3 {
		return 0, fmt.Errorf("expected yyyy-MM-dd")
	}
	fields := [3]int64{0, 1, 1}
	for i, width := range [3]int{4, 2, 2} {
		if i == len(parts) {
			break
		}
		n, err := digits(parts[i], width)
		if err != nil {
			return 0, err
		}
		fields[i] = n
	}
	month, day := int(fields[1]), int(fields[2])
	if month < 1 || month > 12 {
		return 0, fmt.Errorf("month %d is out of range", month)
	}
	if day < 1 || day > DaysInMonth(fields[0], month) {
		return 0, fmt.Errorf("day %d is out of range", day)
	}
	return DaysOf(fields[0], month, day), nil
}

// DaysInMonth returns the number of days of a month from 1 to 12.
func DaysInMonth(year int64, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func digits(s string, width int) (int64, error) {
	if len(s) != width {
		return 0, fmt.Errorf("expected %d digits, got %q", width, s)
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("expected %d digits, got %q", width, s)
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, nil
}

// parseClock reads HH[:mm[:ss[.fraction]]] with at least least parts. Behind a
// date (least is 0) 24:00 is the end of the day, as ISO 8601 and java.time have it.
func parseClock(s string, least int) (int64, error) {
	if s == "" && least == 0 {
		return 0, nil
	}
	s, fraction, hasFraction := strings.Cut(s, ".")
	parts := strings.Split(s, ":")
	if len(parts) < least || len(parts) > 3 || hasFraction && len(parts) != 3 {
		return 0, fmt.Errorf("expected HH:mm:ss")
	}
	ms := int64(0)
	for i, unit := range [3]int64{msPerHour, msPerMinute, msPerSecond} {
		if i == len(parts) {
			break
		}
		n, err := digits(parts[i], 2)
		if err != nil {
			return 0, err
		}
		endOfDay := i == 0 && n == 24 && least == 0
		if i == 0 && n > 23 && !endOfDay || n > 59 {
			return 0, fmt.Errorf("%d is out of range", n)
		}
		ms += n * unit
	}
	if hasFraction {
		if len(fraction) > 9 {
			return 0, fmt.Errorf("fraction %q has more than 9 digits", fraction)
		}
		n, err := digits(fraction, max(1, len(fraction)))
		if err != nil {
			return 0, err
		}
		for i := len(fraction); i < 3; i++ {
			n *= 10
		}
		for i := len(fraction); i > 3; i-- {
			n /= 10
		}
		ms += n
	}
	if ms > msPerDay {
		return 0, fmt.Errorf("24 is out of range")
	}
	return ms, nil
}

// cutZone takes Z or +HH[[:]mm] off the end and returns the offset in ms.
func cutZone(s string) (clock string, offset int64, err error) {
	if rest, ok := strings.CutSuffix(s, "Z"); ok {
		return rest, 0, nil
	}
	i := strings.IndexAny(s, "+-")
	if i < 0 {
		return s, 0, nil
	}
	zone := strings.ReplaceAll(s[i+1:], ":", "")
	if len(zone) == 2 {
		zone += "00"
	}
	n, err := digits(zone, 4)
	if err != nil || n/100 > 18 || n%100 > 59 {
		return "", 0, fmt.Errorf("%q is not a zone offset", s[i:])
	}
	offset = n/100*msPerHour + n%100*msPerMinute
	if s[i] == '-' {
		offset = -offset
	}
	return s[:i], offset, nil
}
