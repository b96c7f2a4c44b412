package sql

import "strconv"

// What is emitted to TiDB (see doc.go). KSQL's own operators become calls of
// functions with the reserved names below. They are back-quoted letters, user
// names are back-quoted token indexes: the two cannot clash.
const (
	callIndex       = "ix" // x[i]            -> ix(x, i)
	callField       = "fd" // x->f            -> fd(x, ?)
	callArray       = "ar" // ARRAY[a, b]     -> ar(?, a, b)
	callMap         = "mp" // MAP(k := v)     -> mp(?, k, v)
	callStruct      = "st" // STRUCT(n := e)  -> st(?, ?, e)
	callLambda      = "la" // (x, y) => e     -> la(?, e)
	callCast        = "ca" // CAST(e AS t)    -> ca(e, ?)
	callDistinct    = "di" // IS DISTINCT     -> <=> di(e)
	callNotDistinct = "nd" // IS NOT DISTINCT -> <=> nd(e)
	callEscape      = "es" // LIKE p ESCAPE c -> LIKE es(p, ?)
	callFilter      = "fi" // f(..) FILTER    -> fi(f(..), e)
)

type pieceKind uint8

const (
	pieceText pieceKind = iota // static text
	pieceName                  // a user's name: the index of its token in back-quotes
	pieceMark                  // ? standing for the token arg
	pieceGap                   // where the opening of reserved calls goes; arg is the last wrap
)

type piece struct {
	kind pieceKind
	text string
	arg  int32
}

// wrap is one reserved call around a primary. prev is the wrap inside it, -1 for
// none.
type wrap struct {
	call string
	prev int32
}

// mark maps a parameter marker, by its byte offset in the emitted text, to the
// token that it stands for.
type mark struct{ offset, token int }

// emission collects the pieces of one text for TiDB. Postfix operators wrap what
// was emitted before them: a gap piece in front of every primary receives the
// openings, so that a chain of n postfixes costs O(n).
type emission struct {
	pieces []piece
	wraps  []wrap
}

func (e *emission) reset() {
	e.pieces, e.wraps = e.pieces[:0], e.wraps[:0]
}

func (e *emission) text(s string)  { e.pieces = append(e.pieces, piece{kind: pieceText, text: s}) }
func (e *emission) name(token int) { e.pieces = append(e.pieces, piece{pieceName, "", int32(token)}) }
func (e *emission) mark(token int) { e.pieces = append(e.pieces, piece{pieceMark, "", int32(token)}) }

// gap marks the start of a primary and returns its handle for wrapIn.
func (e *emission) gap() int {
	e.pieces = append(e.pieces, piece{pieceGap, "", -1})
	return len(e.pieces) - 1
}

// wrapIn opens a reserved call at the gap, around everything emitted since.
func (e *emission) wrapIn(gap int, call string) {
	e.wraps = append(e.wraps, wrap{call, e.pieces[gap].arg})
	e.pieces[gap].arg = int32(len(e.wraps) - 1)
}

// render appends the text of pieces to buf and their markers to marks.
func (e *emission) render(buf []byte, marks []mark, pieces []piece) ([]byte, []mark) {
	for _, p := range pieces {
		switch p.kind {
		case pieceText:
			buf = append(buf, p.text...)
		case pieceName:
			buf = append(buf, '`')
			buf = strconv.AppendInt(buf, int64(p.arg), 10)
			buf = append(buf, '`')
		case pieceMark:
			marks = append(marks, mark{len(buf), int(p.arg)})
			buf = append(buf, '?')
		case pieceGap:
			for w := p.arg; w >= 0; w = e.wraps[w].prev {
				buf = append(buf, '`')
				buf = append(buf, e.wraps[w].call...)
				buf = append(buf, "`("...)
			}
			continue
		}
		buf = append(buf, ' ')
	}
	return buf, marks
}
