package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/options"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/millrace/millrace/executor/format/registry"
)

// Limits of what a protobuf schema may pull in.
const (
	maxProtoFiles = 200 // by references, with all of theirs
	maxProtoDepth = 100 // messages within messages
	// maxProtoFields is how many fields columns may have, at all depths: a schema
	// of a page can spell out more than memory holds.
	maxProtoFields = 10_000
)

// protoMain is the path under which a schema's own text is compiled: one that no
// reference has.
const protoMain = "(schema)"

// protoMeta holds the options that carry a decimal's precision and scale.
// Confluent's tools use them without an import.
const protoMeta = "confluent/meta.proto"

// protoImports are the files that every schema may import beside those of
// google/protobuf, which the compiler brings.
var protoImports = map[string]string{
	protoMeta: `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta {
  string doc = 1;
  map<string, string> params = 2;
  repeated string tags = 3;
}
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
`,
	"confluent/type/decimal.proto": `syntax = "proto3";
package confluent.type;
message Decimal {
  bytes value = 1;
  uint32 precision = 2;
  int32 scale = 3;
}
`,
	"google/type/date.proto": `syntax = "proto3";
package google.type;
message Date {
  int32 year = 1;
  int32 month = 2;
  int32 day = 3;
}
`,
	"google/type/timeofday.proto": `syntax = "proto3";
package google.type;
message TimeOfDay {
  int32 hours = 1;
  int32 minutes = 2;
  int32 seconds = 3;
  int32 nanos = 4;
}
`,
}

// compileProto compiles a schema with all that it imports: registered
// references first, then the files that everyone has.
func compileProto(s registry.Schema, all registry.Resolver) (protoreflect.FileDescriptor, error) {
	return compiledProto.get(s, func() (protoreflect.FileDescriptor, error) { return compileProtoFiles(s, all) })
}

var compiledProto compiledSchemas[protoreflect.FileDescriptor]

func compileProtoFiles(s registry.Schema, all registry.Resolver) (protoreflect.FileDescriptor, error) {
	files := map[string]string{protoMain: s.Text}
	if err := collectProto(files, s, all); err != nil {
		return nil, err
	}
	for _, text := range files {
		if depth := braceDepth(text); depth > maxProtoDepth {
			return nil, fmt.Errorf("the schema nests deeper than %d", maxProtoDepth)
		}
	}
	l := protoLinker{texts: files, handler: reporter.NewHandler(nil), linked: map[string]linker.File{}}
	out, err := l.file(protoMain)
	if err != nil {
		return nil, protoError(err)
	}
	return out, nil
}

// protoLinker compiles files and what they import, each once. It does by hand
// what protocompile.Compiler does but for that one's checks of JSON names, which
// no payload here depends on: A_B and AB are different columns.
type protoLinker struct {
	texts   map[string]string
	handler *reporter.Handler
	symbols linker.Symbols
	linked  map[string]linker.File // nil while a file waits for its imports
}

// stdProto finds the files of google/protobuf.
var stdProto = protocompile.WithStandardImports(protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
	return protocompile.SearchResult{}, fmt.Errorf("%s is neither a reference of the schema nor a well-known file", path)
}))

func (l *protoLinker) file(path string) (linker.File, error) {
	if f, ok := l.linked[path]; ok {
		if f == nil {
			return nil, fmt.Errorf("%s imports itself", path)
		}
		return f, nil
	}
	text, ok := l.texts[path]
	if !ok {
		text, ok = protoImports[path]
	}
	if !ok {
		std, err := stdProto.FindFileByPath(path)
		if err != nil {
			return nil, err
		}
		return linker.NewFileRecursive(std.Desc)
	}
	if len(l.linked) >= maxProtoFiles {
		return nil, fmt.Errorf("the schema imports more than %d files", maxProtoFiles)
	}
	l.linked[path] = nil
	parsed, err := l.parse(path, text)
	if err != nil {
		return nil, err
	}
	var imports linker.Files
	for _, name := range parsed.FileDescriptorProto().GetDependency() {
		f, err := l.file(name)
		if err != nil {
			return nil, err
		}
		imports = append(imports, f)
	}
	f, err := linker.Link(parsed, imports, &l.symbols, l.handler)
	if err != nil {
		return nil, err
	}
	if _, err := options.InterpretOptions(f, l.handler); err != nil {
		return nil, err
	}
	if err := l.handler.Error(); err != nil {
		return nil, err
	}
	f.RemoveAST()
	l.linked[path] = f
	return f, nil
}

// collectProto adds the texts of a schema's references, and of theirs. The first
// to claim a path has it.
func collectProto(files map[string]string, s registry.Schema, all registry.Resolver) error {
	for _, ref := range s.References {
		if _, ok := files[ref.Name]; ok {
			continue
		}
		if all == nil {
			return fmt.Errorf("reference %s cannot be resolved without a registry", ref.Name)
		}
		if len(files) > maxProtoFiles {
			return fmt.Errorf("the schema refers to more than %d others", maxProtoFiles)
		}
		v, err := all.ByVersion(ref.Subject, ref.Version)
		if err != nil {
			return fmt.Errorf("reference %s: %w", ref.Name, err)
		}
		if v.Type != registry.Protobuf {
			return fmt.Errorf("reference %s is %s, not %s", ref.Name, v.Type, registry.Protobuf)
		}
		files[ref.Name] = v.Text
		if err := collectProto(files, v.Schema, all); err != nil {
			return err
		}
	}
	return nil
}

// braceDepth returns how deep a text opens braces, a bound on the recursion of
// what compiles it.
func braceDepth(text string) int {
	depth, most := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
			most = max(most, depth)
		case '}':
			depth--
		}
	}
	return most
}

// parse parses a file and relaxes what registries do not insist on.
func (l *protoLinker) parse(path, text string) (parser.Result, error) {
	tree, err := parser.Parse(path, strings.NewReader(text), l.handler)
	if err != nil {
		return nil, err
	}
	res, err := parser.ResultFromAST(tree, true, l.handler)
	if err != nil {
		return nil, err
	}
	relaxProto(res.FileDescriptorProto())
	return res, nil
}

// relaxProto takes away the options that nobody here reads, since their
// definitions need not be at hand, and imports Confluent's where they are used.
func relaxProto(f *descriptorpb.FileDescriptorProto) {
	usesMeta := false
	keep := func(options []*descriptorpb.UninterpretedOption) []*descriptorpb.UninterpretedOption {
		kept := options[:0]
		for _, o := range options {
			first := o.GetName()[0]
			meta := strings.HasPrefix(strings.TrimPrefix(first.GetNamePart(), "."), "confluent.field_meta")
			if !first.GetIsExtension() || meta {
				kept = append(kept, o)
			}
			usesMeta = usesMeta || meta
		}
		return kept
	}
	if o := f.GetOptions(); o != nil {
		o.UninterpretedOption = keep(o.UninterpretedOption)
	}
	for _, m := range f.GetMessageType() {
		relaxMessage(m, keep)
	}
	for _, e := range f.GetEnumType() {
		relaxEnum(e, keep)
	}
	if usesMeta && f.GetName() != protoMeta {
		for _, d := range f.GetDependency() {
			if d == protoMeta {
				return
			}
		}
		f.Dependency = append(f.Dependency, protoMeta)
	}
}

type keepOptions func([]*descriptorpb.UninterpretedOption) []*descriptorpb.UninterpretedOption

func relaxMessage(m *descriptorpb.DescriptorProto, keep keepOptions) {
	if o := m.GetOptions(); o != nil {
		o.UninterpretedOption = keep(o.UninterpretedOption)
	}
	for _, f := range m.GetField() {
		if o := f.GetOptions(); o != nil {
			o.UninterpretedOption = keep(o.UninterpretedOption)
		}
	}
	for _, o := range m.GetOneofDecl() {
		if o := o.GetOptions(); o != nil {
			o.UninterpretedOption = keep(o.UninterpretedOption)
		}
	}
	for _, e := range m.GetEnumType() {
		relaxEnum(e, keep)
	}
	for _, n := range m.GetNestedType() {
		relaxMessage(n, keep)
	}
}

func relaxEnum(e *descriptorpb.EnumDescriptorProto, keep keepOptions) {
	if o := e.GetOptions(); o != nil {
		o.UninterpretedOption = keep(o.UninterpretedOption)
	}
	for _, v := range e.GetValue() {
		if o := v.GetOptions(); o != nil {
			o.UninterpretedOption = keep(o.UninterpretedOption)
		}
	}
}

// protoError gives a compiler's error as "line 3: ...".
func protoError(err error) error {
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return err
	}
	pos := at.GetPosition()
	if pos.Filename != protoMain {
		return fmt.Errorf("%s line %d: %w", pos.Filename, pos.Line, at.Unwrap())
	}
	return fmt.Errorf("line %d: %w", pos.Line, at.Unwrap())
}
