package function

import (
	"fmt"
	"strings"
	"unicode"
)

// The predefined classes of java.util.regex.Pattern, without its UNICODE_CHARACTER_CLASS.
var (
	digitSet      = runeSet{'0', '9'}
	wordSet       = runeSet{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}
	spaceSet      = runeSet{'\t', '\r', ' ', ' '} // with \v, which RE2's \s lacks
	horizontalSet = runeSet{'\t', '\t', ' ', ' ', 0xA0, 0xA0, 0x1680, 0x1680, 0x180E, 0x180E, 0x2000, 0x200A, 0x202F, 0x202F, 0x205F, 0x205F, 0x3000, 0x3000}
	verticalSet   = runeSet{'\n', '\r', 0x85, 0x85, 0x2028, 0x2029}
	lineEndSet    = runeSet{'\n', '\n', '\r', '\r', 0x85, 0x85, 0x2028, 0x2029}
)

// letterClasses are the classes that one letter names; upper case negates.
var letterClasses = map[byte]runeSet{'d': digitSet, 'w': wordSet, 's': spaceSet, 'h': horizontalSet, 'v': verticalSet}

// posixSets are \p{Name} over ASCII.
var posixSets = map[string]runeSet{
	"Lower": {'a', 'z'}, "Upper": {'A', 'Z'}, "ASCII": {0, 0x7F}, "Alpha": {'A', 'Z', 'a', 'z'}, "Digit": digitSet,
	"Alnum": {'0', '9', 'A', 'Z', 'a', 'z'}, "Punct": {'!', '/', ':', '@', '[', '`', '{', '~'}, "Graph": {'!', '~'}, "Print": {' ', '~'},
	"Blank": {'\t', '\t', ' ', ' '}, "Cntrl": {0, 0x1F, 0x7F, 0x7F}, "XDigit": {'0', '9', 'A', 'F', 'a', 'f'}, "Space": spaceSet,
}

// unicodeSets are the binary properties, written IsName, and the methods of
// java.lang.Character, written javaName.
var unicodeSets = map[string]func() runeSet{
	"ISALPHABETIC":      alphabetic,
	"ISIDEOGRAPHIC":     func() runeSet { return tableSet(unicode.Ideographic) },
	"ISLETTER":          func() runeSet { return tableSet(unicode.L) },
	"ISLOWERCASE":       func() runeSet { return tableSet(unicode.Ll, unicode.Other_Lowercase) },
	"ISUPPERCASE":       func() runeSet { return tableSet(unicode.Lu, unicode.Other_Uppercase) },
	"ISTITLECASE":       func() runeSet { return tableSet(unicode.Lt) },
	"ISPUNCTUATION":     func() runeSet { return tableSet(unicode.P) },
	"ISCONTROL":         func() runeSet { return tableSet(unicode.Cc) },
	"ISWHITE_SPACE":     func() runeSet { return tableSet(unicode.White_Space) },
	"ISDIGIT":           func() runeSet { return tableSet(unicode.Nd) },
	"ISHEX_DIGIT":       func() runeSet { return tableSet(unicode.Hex_Digit) },
	"JAVALOWERCASE":     func() runeSet { return tableSet(unicode.Ll, unicode.Other_Lowercase) },
	"JAVAUPPERCASE":     func() runeSet { return tableSet(unicode.Lu, unicode.Other_Uppercase) },
	"JAVATITLECASE":     func() runeSet { return tableSet(unicode.Lt) },
	"JAVAALPHABETIC":    alphabetic,
	"JAVAIDEOGRAPHIC":   func() runeSet { return tableSet(unicode.Ideographic) },
	"JAVALETTER":        func() runeSet { return tableSet(unicode.L) },
	"JAVADIGIT":         func() runeSet { return tableSet(unicode.Nd) },
	"JAVALETTERORDIGIT": func() runeSet { return tableSet(unicode.L, unicode.Nd) },
	"JAVASPACECHAR":     func() runeSet { return tableSet(unicode.Z) },
	"JAVAISOCONTROL":    func() runeSet { return tableSet(unicode.Cc) },
	"JAVAWHITESPACE": func() runeSet {
		noBreak := runeSet{0xA0, 0xA0, 0x2007, 0x2007, 0x202F, 0x202F}
		return append(tableSet(unicode.Z).and(noBreak.negated()), '\t', '\r', 0x1C, 0x1F).normal()
	},
}

func alphabetic() runeSet { return tableSet(unicode.L, unicode.Nl, unicode.Other_Alphabetic) }

// namedSet returns the set of \p{name}. Gaps: blocks (InGreek, blk=Greek), which
// Go has no tables of.
func namedSet(name string) (runeSet, error) {
	if s, ok := posixSets[name]; ok {
		return s, nil
	}
	if f, ok := unicodeSets[strings.ToUpper(name)]; ok {
		return f(), nil
	}
	switch name {
	case "LC":
		return tableSet(unicode.Lu, unicode.Ll, unicode.Lt), nil
	case "L1":
		return runeSet{0, 0xFF}, nil
	case "all":
		return runeSet{0, unicode.MaxRune}, nil
	}
	short, script := strings.TrimPrefix(name, "Is"), strings.TrimPrefix(name, "Is")
	if kind, value, ok := strings.Cut(name, "="); ok {
		short, script = "", ""
		switch strings.ToLower(kind) {
		case "gc", "general_category":
			short = value
		case "sc", "script":
			script = value
		}
	}
	if t, ok := unicode.Categories[short]; ok {
		return tableSet(t), nil
	}
	for table, t := range unicode.Scripts {
		if strings.EqualFold(table, script) {
			return tableSet(t), nil
		}
	}
	return nil, fmt.Errorf("there is no character property {%s}", name)
}
