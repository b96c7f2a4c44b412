package function

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	// The zones come with the binary: a container may have none. This is the one
	// place that imports them.
	_ "time/tzdata"
)

// findZone resolves Z, UTC, GMT, fixed offsets (+02:00, -0330, UTC+1, GMT+1) and
// IANA ids such as Europe/London. Three-letter ids such as PST are not accepted,
// nor is the machine's own zone.
func findZone(id string) (*time.Location, error) {
	switch id {
	case "Z", "UTC", "GMT", "UT":
		return time.UTC, nil
	}
	for _, prefix := range []string{"UTC", "GMT", "UT", ""} {
		rest, ok := strings.CutPrefix(id, prefix)
		if ok && rest != "" && (rest[0] == '+' || rest[0] == '-') {
			return fixedZone(rest)
		}
	}
	if id == "" || id == "Local" || len(id) == 3 {
		return nil, fmt.Errorf("unknown time zone %q", id)
	}
	if zone, ok := zones.Load(id); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(id)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q", id)
	}
	zones.Store(id, zone)
	return zone, nil
}

// zones caches the zones found, of which there are some hundreds.
var zones sync.Map

// zoneNames are the names that the pattern letter z reads, by region: whether a
// name says summer or winter, the date decides.
var zoneNames = map[string]string{
	"UTC": "UTC", "GMT": "GMT", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PT": "America/Los_Angeles",
	"MST": "America/Denver", "MDT": "America/Denver", "CST": "America/Chicago", "CDT": "America/Chicago",
	"EST": "America/New_York", "EDT": "America/New_York", "BST": "Europe/London", "WET": "Europe/Lisbon", "CET": "Europe/Paris",
	"CEST": "Europe/Paris", "EET": "Europe/Bucharest", "EEST": "Europe/Bucharest", "MSK": "Europe/Moscow", "IST": "Asia/Kolkata",
	"JST": "Asia/Tokyo", "KST": "Asia/Seoul", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney", "NZST": "Pacific/Auckland",
	"NZDT": "Pacific/Auckland",
}

// fixedZone reads +H, +HH, +HHmm, +HH:mm, +HHmmss or +HH:mm:ss.
func fixedZone(s string) (*time.Location, error) {
	bad := fmt.Errorf("%q is not a zone offset", s)
	parts := strings.Split(s[1:], ":")
	if digits := parts[0]; len(parts) == 1 && (len(digits) == 4 || len(digits) == 6) {
		parts = nil
		for ; digits != ""; digits = digits[2:] {
			parts = append(parts, digits[:2])
		}
	}
	if len(parts) > 3 {
		return nil, bad
	}
	offset, unit := 0, 3600
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || len(part) != 2 && (i > 0 || len(part) != 1) || i == 0 && n > 18 || n > 59 {
			return nil, bad
		}
		offset += int(n) * unit
		unit /= 60
	}
	if s[0] == '-' {
		offset = -offset
	}
	return time.FixedZone(s, offset), nil
}
