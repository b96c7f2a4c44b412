package function

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/sql/types"
)

// families lists the functions of every file, in the order of the file names.
var families = []func() []*Function{
	aggregateFunctions,
	bytesFunctions,
	collectionFunctions,
	datetimeFunctions,
	jsonFunctions,
	lambdaFunctions,
	maskFunctions,
	nullFunctions,
	numericFunctions,
	regexpFunctions,
	stringFunctions,
	urlFunctions,
}

// catalogue is built on first use, so that a program that runs no SQL does not
// pay for it.
var catalogue = sync.OnceValue(func() *index {
	ix := &index{byName: map[string]*Function{}, byID: map[string]*Overload{}}
	for _, family := range families {
		for _, f := range family() {
			if ix.byName[f.Name] != nil {
				panic("function: " + f.Name + " is registered twice")
			}
			ix.byName[f.Name] = f
			f.Examples = examples[f.Name]
			ix.all = append(ix.all, f)
			for _, o := range f.Overloads {
				if ix.byID[o.ID] != nil {
					panic("function: " + o.ID + " is registered twice")
				}
				ix.byID[o.ID] = o
			}
		}
	}
	slices.SortFunc(ix.all, func(a, b *Function) int { return strings.Compare(a.Name, b.Name) })
	return ix
})

type index struct {
	all    []*Function
	byName map[string]*Function
	byID   map[string]*Overload
}

// Lookup finds a function by its name, in any case.
func Lookup(name string) (*Function, bool) {
	f, ok := catalogue().byName[strings.ToUpper(name)]
	return f, ok
}

// ByID finds the overload that a plan names.
func ByID(id string) (*Overload, bool) {
	o, ok := catalogue().byID[id]
	return o, ok
}

// All returns every function, sorted by name. The slice must not be changed.
func All() []*Function { return catalogue().all }

// errNullArgument says that an argument that cannot be NULL was.
var errNullArgument = errors.New("argument is NULL")

// Call evaluates a scalar overload: it applies the NULL rules of the parameters
// and of the overload, then runs the body.
func (o *Overload) Call(env *Env, args []types.Value) (types.Value, error) {
	if null, err := o.nullRule(args); null || err != nil {
		return types.NullValue, err
	}
	return o.Body(env, args)
}

// Expand evaluates a table function with the NULL rules of Call; NULL gives no
// row.
func (o *Overload) Expand(env *Env, args []types.Value) ([]types.Value, error) {
	if null, err := o.nullRule(args); null || err != nil {
		return nil, err
	}
	return o.Rows(env, args)
}

func (o *Overload) nullRule(args []types.Value) (null bool, err error) {
	for i, a := range args {
		if !a.IsNull() {
			continue
		}
		p := o.param(i, len(args))
		if p.NotNull {
			return false, fmt.Errorf("%s: %s: %w", o.Function.Name, p.Name, errNullArgument)
		}
		null = null || o.NullOnNull && !strings.HasPrefix(p.Shape, "LAMBDA")
	}
	return null, nil
}
