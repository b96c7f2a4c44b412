package server

import (
	"net/http"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
)

// Warnings tell of records of a query that went wrong: values that are NULL and
// rows that are missing because an expression failed or a record could not be
// read. ksqlDB's streams of rows have no place for them, so that they are behind
// the stream, in a trailer, for every media type: a JSON array of Warning. A
// client whose request has the header WarningsHeader: WarningsInline takes them
// among the rows of the media types of objects as well, as {"warning":{...}}: each
// one as it first comes, and all at the end with their counts.
const (
	// WarningsHeader names the trailer, and the header of a request.
	WarningsHeader = "Millrace-Warnings"
	// WarningsInline is the value of the header of a request.
	WarningsInline = "inline"
)

// Warning is executor.Problem as JSON.
type Warning struct {
	Cause   string `json:"cause"`
	Effect  string `json:"effect,omitempty"`
	Records int64  `json:"records"`
}

// warn tells of the problems that are new, and of all of them at the end.
func (o *rowWriter) warn(problems []executor.Problem, end bool) {
	if len(problems) == 0 {
		return
	}
	warnings := make([]Warning, len(problems))
	for i, p := range problems {
		warnings[i] = Warning(p)
	}
	if end {
		if b, err := engine.MarshalJSON(warnings); err == nil {
			o.w.Header().Set(http.TrailerPrefix+WarningsHeader, string(b))
		}
		o.warned = 0
	}
	if !o.inline {
		return
	}
	for _, w := range warnings[min(o.warned, len(warnings)):] {
		b, err := engine.MarshalJSON(map[string]Warning{"warning": w})
		if err != nil {
			panic(err) // strings and numbers marshal
		}
		o.before()
		o.buf = append(o.buf, b...)
		o.behind()
	}
	o.warned = len(warnings)
}
