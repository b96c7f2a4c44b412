package function

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/sql/types"
)

// format writes an instant.
func (p *timePattern) format(t time.Time) (string, error) {
	var b strings.Builder
	for _, it := range p.items {
		switch it.letter {
		case 0:
			b.WriteString(it.text)
		case '[', ']':
		default:
			s, err := formatField(it, t)
			if err != nil {
				return "", err
			}
			if len(s) < it.padding {
				b.WriteString(strings.Repeat(" ", it.padding-len(s)))
			}
			b.WriteString(s)
		}
	}
	return b.String(), nil
}

// formatNumber pads with zeros to width.
func formatNumber(n int64, width int) string {
	if n < 0 {
		return "-" + formatNumber(-n, width)
	}
	s := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, width-len(s))) + s
}

// name picks a form of a name by the count of letters: 3 short, 4 full, 5 narrow.
func name(full string, short int, count int) string {
	switch count {
	case 4:
		return full
	case 5:
		return full[:1]
	}
	return full[:short]
}

func formatField(it item, t time.Time) (string, error) {
	n := it.count
	switch it.letter {
	case 'G':
		if t.Year() > 0 {
			return eraName("AD", "Anno Domini", n), nil
		}
		return eraName("BC", "Before Christ", n), nil
	case 'u':
		return formatYear(int64(t.Year()), n), nil
	case 'y':
		y := int64(t.Year())
		if y <= 0 {
			y = 1 - y
		}
		return formatYear(y, n), nil
	case 'Y':
		y, _ := t.ISOWeek()
		return formatYear(int64(y), n), nil
	case 'M', 'L':
		if n > 2 {
			return name(t.Month().String(), 3, n), nil
		}
		return formatNumber(int64(t.Month()), n), nil
	case 'Q', 'q':
		return formatQuarter(int(t.Month()-1)/3+1, n), nil
	case 'E':
		return name(t.Weekday().String(), 3, n), nil
	case 'e', 'c':
		if n > 2 {
			return name(t.Weekday().String(), 3, n), nil
		}
		return formatNumber(int64((t.Weekday()+6)%7)+1, n), nil
	case 'a':
		if t.Hour() < 12 {
			return "AM", nil
		}
		return "PM", nil
	case 'S':
		return formatNumber(int64(t.Nanosecond()), 9)[:n], nil
	case 'V':
		return zoneID(t), nil
	case 'z':
		abbreviation, _ := t.Zone()
		return abbreviation, nil
	case 'O', 'X', 'x', 'Z':
		_, offset := t.Zone()
		return formatOffset(byte(it.letter), n, offset), nil
	}
	return formatNumber(numberField(byte(it.letter), t), n), nil
}

// numberField returns the fields that are plain numbers.
func numberField(letter byte, t time.Time) int64 {
	secondOfDay := int64(t.Hour())*3600 + int64(t.Minute())*60 + int64(t.Second())
	switch letter {
	case 'D':
		return int64(t.YearDay())
	case 'd':
		return int64(t.Day())
	case 'F':
		return int64((t.Day()-1)%7 + 1)
	case 'w':
		_, w := t.ISOWeek()
		return int64(w)
	case 'W':
		first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		lead := (int(first.Weekday()) + 6) % 7 // days of the week before the 1st
		week := (t.Day() + lead - 1) / 7
		if lead < 4 {
			week++
		}
		return int64(week)
	case 'H':
		return int64(t.Hour())
	case 'k':
		return int64((t.Hour()+23)%24 + 1)
	case 'K':
		return int64(t.Hour() % 12)
	case 'h':
		return int64((t.Hour()+11)%12 + 1)
	case 'm':
		return int64(t.Minute())
	case 's':
		return int64(t.Second())
	case 'n':
		return int64(t.Nanosecond())
	case 'A':
		return secondOfDay*1000 + int64(t.Nanosecond())/1e6
	}
	return secondOfDay*1e9 + int64(t.Nanosecond()) // N
}

func eraName(short, full string, count int) string {
	switch count {
	case 4:
		return full
	case 5:
		return short[:1]
	}
	return short
}

// formatYear: two letters give two digits; four or more put a sign in front of
// what is longer.
func formatYear(y int64, n int) string {
	if n == 2 {
		return formatNumber(((y%100)+100)%100, 2)
	}
	s := formatNumber(y, n)
	if n >= 4 && y > 0 && len(s) > n {
		s = "+" + s
	}
	return s
}

func formatQuarter(q, n int) string {
	switch n {
	case 3:
		return "Q" + strconv.Itoa(q)
	case 4:
		return [...]string{"1st", "2nd", "3rd", "4th"}[q-1] + " quarter"
	case 5:
		return strconv.Itoa(q)
	}
	return formatNumber(int64(q), n)
}

// zoneID returns the id that a zone was found by.
func zoneID(t time.Time) string {
	if s := t.Location().String(); s != "UTC" {
		return s
	}
	return "Z"
}

func formatOffset(letter byte, n, offset int) string {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	h, m, s := offset/3600, offset/60%60, offset%60
	switch {
	case letter == 'O' || letter == 'Z' && n == 4:
		return formatGMT(letter == 'Z' || n == 4, sign, h, m, s)
	case letter == 'Z' && n < 4:
		return fmt.Sprintf("%c%02d%02d", sign, h, m)
	case letter == 'Z':
		letter = 'X'
	}
	if letter == 'X' && offset == 0 {
		return "Z"
	}
	colon := ""
	if n == 3 || n == 5 {
		colon = ":"
	}
	out := fmt.Sprintf("%c%02d", sign, h)
	if n > 1 || m != 0 {
		out += fmt.Sprintf("%s%02d", colon, m)
	}
	if n > 3 && s != 0 {
		out += fmt.Sprintf("%s%02d", colon, s)
	}
	return out
}

func formatGMT(full bool, sign byte, h, m, s int) string {
	if h == 0 && m == 0 && s == 0 {
		return "GMT"
	}
	if full {
		return fmt.Sprintf("GMT%c%02d:%02d", sign, h, m)
	}
	if m == 0 {
		return fmt.Sprintf("GMT%c%d", sign, h)
	}
	return fmt.Sprintf("GMT%c%d:%02d", sign, h, m)
}

// instant returns ms since the epoch as a time in a zone.
func instant(ms int64, zone *time.Location) time.Time { return time.UnixMilli(ms).In(zone) }

// dayTime returns midnight of a DATE.
func dayTime(days int64) time.Time {
	y, m, d := types.CivilDate(days)
	return time.Date(int(y), time.Month(m), d, 0, 0, 0, 0, time.UTC)
}
