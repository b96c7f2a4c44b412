package repl

import (
	"slices"
	"strings"

	"github.com/c-bata/go-prompt"

	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
)

// wordSeparators end the word that completion looks at.
const wordSeparators = " \t\n,()[]=<>+-*/%'\";.|"

// complete offers keywords, functions, streams, tables and columns that begin
// with the word at the cursor.
func (r *repl) complete(d prompt.Document) []prompt.Suggest {
	r.history.typed(d.Text)
	word := d.GetWordBeforeCursorUntilSeparator(wordSeparators)
	if word == "" || insideString(r.statement+d.TextBeforeCursor()) {
		return nil
	}
	return suggestions(word, slices.Clone(r.names))
}

// suggestions lists what begins with word, in the word's own case.
func suggestions(word string, names []string) []prompt.Suggest {
	prefix := strings.ToUpper(word)
	lower := word == strings.ToLower(word)
	var out []prompt.Suggest
	seen := map[string]bool{}
	add := func(text, kind string) {
		if !strings.HasPrefix(strings.ToUpper(text), prefix) || seen[text] || strings.EqualFold(text, word) {
			return
		}
		seen[text] = true
		if lower && text == strings.ToUpper(text) {
			text = strings.ToLower(text)
		}
		out = append(out, prompt.Suggest{Text: text, Description: kind})
	}
	slices.Sort(names)
	for _, n := range names {
		add(n, "")
	}
	reserved, nonReserved := sql.Keywords()
	words := append(slices.Clone(reserved), nonReserved...)
	slices.Sort(words)
	for _, w := range words {
		add(w, "keyword")
	}
	for _, f := range function.All() {
		add(f.Name, "function")
	}
	return out
}

// insideString reports whether text ends inside a string literal.
func insideString(text string) bool { return strings.Count(text, "'")%2 == 1 }
