package sql

// Limits of a script. Passing one is an error with CodeLimit that names it.
const (
	// MaxScriptBytes bounds the text of one script.
	MaxScriptBytes = 16 << 20
	// MaxNesting bounds the depth of expressions and types.
	MaxNesting = 500
	// MaxErrors bounds how many errors of a script are reported.
	MaxErrors = 20
)
