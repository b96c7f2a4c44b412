package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root       = "../.."
	modulePath = "github.com/millrace/millrace"
)

// allowed lists what each package tree may import of this module, the longest
// prefix deciding. A tree may always import itself.
var allowed = map[string][]string{
	"":                {"*"},
	"repl":            {"engine", "server", "sql", "planner", "planner/catalog", "executor", "internal/clock", "internal/vfs"},
	"server":          {"engine", "sql", "planner/catalog", "planner/plan", "executor", "internal/clock"},
	"engine":          {"planner", "executor", "broker", "sql", "internal/clock", "internal/vfs", "internal/kafka", "internal/seal"},
	"engine/simulate": {"engine", "planner", "executor", "sql", "internal/kafka"},
	"planner":         {"planner", "sql"},
	"planner/catalog": {"planner/plan", "sql/types"},
	"planner/plan":    {"sql/types"},
	"executor":        {"planner/plan", "sql/function", "sql/types", "internal/clock", "internal/vfs", "internal/kafka"},
	"broker":          {"internal/clock", "internal/vfs", "internal/kafka", "internal/seal", "internal/lend"},
	"sql":             {"sql/types"},
	"sql/types":       {},
	"sql/function":    {"sql/types"},
	"internal/clock":  {},
	"internal/vfs":    {},
	"internal/seal":   {"internal/vfs"},
	"internal/kafka":  {},
	"internal/script": {},
	"internal/tidy":   {},
	"internal":        {"*"},
}

// testOnly are imports that tests of any package may add; testOf those that the
// tests of one may add.
var (
	testOnly = []string{"internal/script", "internal/clock", "internal/vfs", "internal/kafka"}
	testOf   = map[string][]string{"sql/function": {"sql"}}
)

// programs are trees of commands: they exit, and they read and write files that
// belong to nobody else.
var programs = []string{"main", "internal/cli", "internal/conformance", "internal/interop", "bench/broker"}

// banned are calls that belong to one place, and the trees where they are legal.
var banned = map[string][]string{
	"time.Now":     {"internal/clock", "main", "internal/interop/clients"},
	"time.Sleep":   {"internal/clock", "main", "internal/interop/clients"},
	"time.After":   {"internal/clock", "main", "internal/interop/clients"},
	"time.Tick":    {"internal/clock", "main"},
	"os.Create":    append([]string{"internal/vfs"}, programs...),
	"os.OpenFile":  append([]string{"internal/vfs"}, programs...),
	"os.Rename":    append([]string{"internal/vfs"}, programs...),
	"os.WriteFile": append([]string{"internal/vfs"}, programs...),
	"os.ReadFile":  append([]string{"internal/vfs", "repl", "bench"}, programs...),
	"os.Exit":      programs,
}

// tidbOwner is the only package that may import TiDB's parser.
const tidbOwner = "sql"

const maxFileLines = 1000

type goFile struct {
	path, dir string
	test      bool
	ast       *ast.File
	fset      *token.FileSet
	lines     int
	text      string
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() && p != root {
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(p), root+"/")
		files = append(files, goFile{rel, path.Dir(rel), strings.HasSuffix(rel, "_test.go"), f, fset, strings.Count(string(text), "\n"), string(text)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestImports(t *testing.T) {
	for _, f := range goFiles(t) {
		rules, tree := rulesFor(f.dir)
		for _, spec := range f.ast.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(imported, "github.com/pingcap/tidb") && f.dir != tidbOwner {
				t.Errorf("%s imports TiDB's parser, which only package %s may", f.path, tidbOwner)
			}
			local, ok := strings.CutPrefix(imported, modulePath+"/")
			if !ok || within(local, tree) && tree != "" || mayImport(rules, local) || f.test && (mayImport(testOnly, local) || mayImport(testOf[f.dir], local)) {
				continue
			}
			t.Errorf("%s may not import %s", f.path, local)
		}
	}
}

func rulesFor(dir string) (rules []string, tree string) {
	for tree = dir; ; tree = path.Dir(tree) {
		if tree == "." {
			return allowed[""], ""
		}
		if r, ok := allowed[tree]; ok {
			return r, tree
		}
	}
}

func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

func mayImport(rules []string, p string) bool {
	return slices.ContainsFunc(rules, func(r string) bool { return r == "*" || within(p, r) })
}

func TestBannedCalls(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		dir := f.dir
		if dir == "." {
			dir = "main"
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			if where, ok := banned[pkg.Name+"."+sel.Sel.Name]; ok && pkg.Obj == nil &&
				!slices.ContainsFunc(where, func(w string) bool { return within(dir, w) }) {
				t.Errorf("%s: %s.%s may be used only in %v", f.fset.Position(sel.Pos()), pkg.Name, sel.Sel.Name, where)
			}
			return true
		})
	}
}

func TestFiles(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.ast.Doc != nil {
			documented[f.dir] = true
		}
		if f.lines > maxFileLines && !strings.HasPrefix(f.text, "// Long:") {
			t.Errorf("%s has %d lines: look for the second idea, or say at the top why (// Long: ...)", f.path, f.lines)
		}
		switch base := path.Base(f.dir); base {
		case "util", "common", "helpers", "manager", "base":
			t.Errorf("%s: %s is not a name for a package", f.path, base)
		}
	}
	for _, f := range goFiles(t) {
		if !documented[f.dir] {
			t.Errorf("package %s has no package comment", f.dir)
			documented[f.dir] = true
		}
	}
}

var codePath = regexp.MustCompile("`([a-z][a-zA-Z0-9_./-]*/[a-zA-Z0-9_./-]*)`")

func TestArchitecturePaths(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range codePath.FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("ARCHITECTURE.md names %s, which does not exist", m[1])
		}
	}
}
