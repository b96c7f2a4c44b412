package sql

import (
	"slices"
	"strings"
)

// attempts remembers which words the parser asked for and where, so that an error
// can be put at the word that is misspelt instead of the one at which the parser
// gave up: a misspelt keyword is a name to it, and names go in many places.
//
// It is kept in a second run over a statement that has an error, so that
// statements without one pay nothing for it.
type attempts struct {
	from  int              // the first token that matters
	words map[int][]string // what was asked for, by the index of the token
	ctx   map[int]string   // what was being parsed there
	// far is the last token that a sequence of words was followed to, after at least
	// one of them had come: BEGINING in FROM BEGINING.
	far int
}

func (a *attempts) add(at int, ctx string, words ...string) {
	if a == nil || at < a.from {
		return
	}
	if a.ctx[at] == "" {
		a.ctx[at] = ctx
	}
	for _, w := range words {
		if isWord(w) && !slices.Contains(a.words[at], w) {
			a.words[at] = append(a.words[at], w)
		}
	}
}

// isWord reports whether what was asked for is a keyword, not an operator and not
// a description like "a column name".
func isWord(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// wanted tells the attempts that these words were looked for where the parser
// stands, by other means than is and accept.
func (p *parser) wanted(words ...string) { p.tries.add(p.pos, p.ctx, words...) }

// Bounds of the search for the misspelt word.
const (
	// maxLookBack is how many tokens in front of the error may be the culprit.
	maxLookBack = 32
	// maxRepairs is how many words are tried in their right spelling.
	maxRepairs = 16
)

// repair is a token in another spelling, and how far the parser gets with it.
type repair struct {
	at   int
	word string
	// reach is where the error is then, past the end of the text for none.
	reach int
}

// improve returns the error that the user should see in place of err, which ended
// the statement that starts at token first: the one at a misspelt word if there is
// one, or at the word that breaks off a clause.
//
// A word is misspelt if it is near to one that was asked for there, or would have
// been had it not been taken for a name, and if the statement with the word in its
// right spelling is fine or has its next error further on. The latter makes the
// guess a fact, so that it may be made for every word and every clause alike.
func (p *parser) improve(first int, err *Error) *Error {
	if err.Code != CodeSyntax && err.Code != CodeUnsupported {
		return err
	}
	gaveUp := p.gaveUp == err
	stop := p.tokenAt(err.Span.Start, first)
	tries := p.attempts(first, max(first, stop-maxLookBack))
	from := min(max(stop, tries.far), p.end-1)
	if best, ok := p.bestRepair(first, from, err.Span.Start, tries); ok {
		return p.misspeltError(best, stop, gaveUp, err, tries)
	}
	if gaveUp && tries.far > stop && len(tries.words[tries.far]) > 0 {
		t := p.toks[tries.far]
		return &Error{Code: CodeSyntax, Span: t.Span,
			Msg: "unexpected " + p.describe(t) + " in " + tries.ctx[tries.far] + ", expected " + orList(tries.words[tries.far])}
	}
	return err
}

func (p *parser) misspeltError(r repair, stop int, gaveUp bool, err *Error, tries *attempts) *Error {
	t := p.toks[r.at]
	ctx := tries.ctx[r.at]
	if !slices.Contains(tries.words[r.at], r.word) {
		ctx = tries.ctx[r.at+1]
	}
	improved := &Error{Code: CodeSyntax, Msg: "unexpected " + p.describe(t) + " in " + ctx + ", expected " + r.word, Span: t.Span,
		Hint: "did you mean " + r.word + "?"}
	if gaveUp && r.at == stop && strings.Contains(err.Msg, r.word) {
		improved.Msg = err.Msg // it lists what else would do
	}
	return improved
}

// attempts parses the statement again and returns what was asked for from a token
// on.
func (p *parser) attempts(first, from int) *attempts {
	p.tries = &attempts{from: from, words: map[int][]string{}, ctx: map[int]string{}}
	defer func() { p.tries = nil }()
	p.rerun(first)
	return p.tries
}

// bestRepair returns the repair that gets the parser furthest, of equals the one
// nearest to the error.
func (p *parser) bestRepair(first, from, errorStart int, tries *attempts) (best repair, found bool) {
	best.reach = errorStart
	left := maxRepairs
	for i := from; i >= max(first, from-maxLookBack) && left > 0; i-- {
		t := p.toks[i]
		if t.Kind != TokName && t.Kind != TokReserved {
			continue
		}
		for _, word := range p.nearWords(t, tries.words[i], tries.words[i+1]) {
			if left--; left < 0 {
				break
			}
			if reach := p.reachWith(first, i, word); reach > best.reach {
				best, found = repair{i, word, reach}, true
			}
		}
	}
	return best, found
}

// nearWords returns the words of the lists that a token may have been meant as, of
// each list the nearest first.
func (p *parser) nearWords(t Token, lists ...[]string) (near []string) {
	text := strings.ToUpper(p.textOf(t))
	for _, list := range lists {
		for _, s := range nearest(text, list) {
			if s != text && !slices.Contains(near, s) {
				near = append(near, s)
			}
		}
	}
	return near
}

// reachWith returns where the statement's error is when token at is spelt as word.
func (p *parser) reachWith(first, at int, word string) int {
	old := p.toks[at]
	defer func() { p.toks[at] = old }()
	p.toks[at].Word, p.toks[at].Kind = word, TokName
	if words[word].reserved {
		p.toks[at].Kind = TokReserved
	}
	if err := p.rerun(first); err != nil {
		return err.Span.Start
	}
	return len(p.text) + 1
}

// rerun parses the statement from its first token again.
func (p *parser) rerun(first int) (err *Error) {
	defer p.recover(&err)
	p.pos = first
	p.terminated()
	return nil
}

// tokenAt returns the index of the statement's token that holds the byte at offset,
// or the one behind it.
func (p *parser) tokenAt(offset, first int) int {
	for i := first; i < p.end; i++ {
		if p.toks[i].Span.End > offset {
			return i
		}
	}
	return p.end
}
