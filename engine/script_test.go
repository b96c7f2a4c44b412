package engine

import (
	"flag"
	"testing"

	"github.com/millrace/millrace/internal/script"
	"github.com/millrace/millrace/internal/vfs"
)

// life is a way to live through a script. All lives must show the same golden
// output: an engine that is stopped, killed or run over another log between two
// commands is not allowed to be noticed.
type life struct {
	name  string
	start func(t *testing.T) *world
	// between runs after every command, nil for nothing.
	between func(t *testing.T, w *world)
}

// embeddedLives run the engine over its own broker, on a file system in memory.
var embeddedLives = []life{
	{"plain", startEmbedded, nil},
	{"restarted", startEmbedded, func(t *testing.T, w *world) { w.restart(t) }},
	{"crashed", startEmbedded, func(t *testing.T, w *world) { w.crash(t) }},
}

func startEmbedded(t *testing.T) *world {
	return startWorld(t, Config{Dir: "data", FS: vfs.NewCrashable()})
}

// TestQueryScripts runs testdata/query in every life over the embedded broker.
func TestQueryScripts(t *testing.T) { runLives(t, "../testdata/query", embeddedLives) }

// TestErrorScripts runs the statements that fail while they are planned or run;
// the syntax errors beside them belong to package sql.
func TestErrorScripts(t *testing.T) { runLives(t, "../testdata/error/engine", embeddedLives[:1]) }

func runLives(t *testing.T, dir string, lives []life) {
	t.Helper()
	rewriting := flag.Lookup("rewrite").Value.String() == "true"
	for i, l := range lives {
		if rewriting && i > 0 {
			break // the first life writes the golden output, the others must agree
		}
		t.Run(l.name, func(t *testing.T) {
			script.Run(t, dir, func(t *testing.T) func(*testing.T, script.Command) string {
				w := l.start(t)
				return func(t *testing.T, c script.Command) string {
					t.Helper()
					out := w.run(t, c)
					if l.between != nil {
						l.between(t, w)
					}
					return out
				}
			})
		})
	}
}
