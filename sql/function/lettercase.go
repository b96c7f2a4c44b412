package function

import (
	"strings"
	"sync"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Upper and lower case are Unicode's full mappings without a language, as Java's
// are in the root locale: ß becomes SS, İ becomes i with a dot above, and Σ at the
// end of a word becomes ς.

// A Caser is not for several goroutines at once.
var (
	uppers = sync.Pool{New: func() any { c := cases.Upper(language.Und); return &c }}
	lowers = sync.Pool{New: func() any { c := cases.Lower(language.Und); return &c }}
)

func upperCase(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return mapCase(&uppers, s)
}

func lowerCase(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return mapCase(&lowers, s)
}

func mapCase(pool *sync.Pool, s string) string {
	c := pool.Get().(*cases.Caser)
	defer pool.Put(c)
	return c.String(s)
}
