package function

// PatternKind is the language of a pattern argument.
type PatternKind uint8

// The kinds. Those of dates differ by the letters that they may have.
const (
	NoPattern        PatternKind = iota
	RegexPattern                 // java.util.regex
	TimestampPattern             // java.time.format.DateTimeFormatter
	DatePattern                  // the same, without letters of the time of day
	TimePattern                  // the same, without letters of the date
	ZonedTimePattern             // letters of the time of day and of zones
	ZonePattern                  // a time zone's name
)

// patternKinds are the kinds by the names that signatures use.
var patternKinds = map[string]PatternKind{
	"regex": RegexPattern, "timestamp": TimestampPattern, "date": DatePattern, "time": TimePattern, "zonedtime": ZonedTimePattern, "zone": ZonePattern,
}

// Check reports what is wrong with a pattern, in the words of the error that a
// call with it would meet.
func (k PatternKind) Check(text string) error {
	var err error
	switch k {
	case RegexPattern:
		_, err = compile(text)
	case TimestampPattern:
		_, err = findPattern(text)
	case DatePattern:
		_, err = onlyPattern(text, timeLetters+zoneLetters, "DATE")
	case TimePattern:
		_, err = onlyPattern(text, dateLetters+zoneLetters, "TIME")
	case ZonedTimePattern:
		_, err = onlyPattern(text, dateLetters, "TIME")
	case ZonePattern:
		_, err = findZone(text)
	}
	return err
}

// Hint says what a pattern of the kind looks like.
func (k PatternKind) Hint() string {
	switch k {
	case RegexPattern:
		return "patterns are Java's regular expressions: \\ before a character takes it as it is, and ( [ { need their ends"
	case TimestampPattern:
		return "patterns are those of Java's DateTimeFormatter: yyyy-MM-dd''T''HH:mm:ss.SSS; other letters stand in quotes, doubled in SQL text"
	case DatePattern:
		return "patterns are those of Java's DateTimeFormatter: yyyy-MM-dd; other letters stand in quotes, doubled in SQL text"
	case TimePattern, ZonedTimePattern:
		return "patterns are those of Java's DateTimeFormatter: HH:mm:ss.SSS; other letters stand in quotes, doubled in SQL text"
	case ZonePattern:
		return "a zone is a region or an offset: America/Los_Angeles, UTC, +02:00"
	}
	return ""
}
