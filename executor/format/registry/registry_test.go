package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// lines is a Checker of a toy language: a schema is a list of names, a reader must
// know all names that a writer writes.
type lines struct{}

func (lines) Check(s Schema, _ Resolver) error {
	if strings.Contains(s.Text, "!") {
		return errors.New("a name has no '!'")
	}
	return nil
}

func (lines) Incompatible(reader, writer Schema, _ Resolver) (why []string, err error) {
	for _, name := range strings.Fields(strings.Trim(writer.Text, `"`)) {
		if !strings.Contains(reader.Text, name) {
			why = append(why, name+" is not known")
		}
	}
	return why, nil
}

func schema(names string) Schema { return Schema{Type: Avro, Text: `"` + names + `"`} }

// register proposes and applies.
func register(t *testing.T, r *Registry, subject string, s Schema) Version {
	t.Helper()
	v, ev, err := r.Propose(subject, s)
	if err != nil {
		t.Fatal(err)
	}
	if ev != nil {
		if err := r.Apply(*ev); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v Version) short() string { return fmt.Sprintf("%s/%d=%d", v.Subject, v.Version, v.ID) }

func TestRegisterGivesOneIDPerSchema(t *testing.T) {
	r := New(lines{})
	for _, step := range []struct{ subject, names, want string }{
		{"a-value", "x", "a-value/1=1"},
		{"a-value", "x y", "a-value/2=2"},
		{"b-value", "x", "b-value/1=1"}, // the same schema, the same id
		{"a-value", "x", "a-value/1=1"}, // there already
	} {
		if got := register(t, r, step.subject, schema(step.names)).short(); got != step.want {
			t.Errorf("%s %q: %s, want %s", step.subject, step.names, got, step.want)
		}
	}
	if s, err := r.ByID(2); err != nil || s.Text != `"x y"` {
		t.Errorf("schema 2 is %v, %v", s, err)
	}
	if id, err := r.ID("b-value", Schema{Text: "  \"x\"\n"}); err != nil || id != 1 { // AVRO is the default type
		t.Errorf("id %d, %v", id, err)
	}
	if got := strings.Join(r.Subjects(), " "); got != "a-value b-value" {
		t.Errorf("subjects %s", got)
	}
}

func TestErrorsOfLookups(t *testing.T) {
	r := New(lines{})
	register(t, r, "s", schema("x"))
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"id":      {func() error { _, err := r.ByID(9); return err }(), ErrSchema},
		"subject": {func() error { _, err := r.Latest("t"); return err }(), ErrSubject},
		"version": {func() error { _, err := r.ByVersion("s", 2); return err }(), ErrVersion},
		"below 1": {func() error { _, err := r.ByVersion("s", 0); return err }(), ErrVersion},
		"lookup":  {func() error { _, err := r.Lookup("s", schema("y")); return err }(), ErrSchema},
		"invalid": {func() error { _, _, err := r.Propose("s", schema("!")); return err }(), ErrInvalid},
		"too long": {func() error {
			_, _, err := r.Propose("s", schema(strings.Repeat("x", MaxSchemaBytes)))
			return err
		}(), ErrInvalid},
		"reference": {func() error {
			_, _, err := r.Propose("s", Schema{Type: Avro, Text: `"x"`, References: []Reference{{"n", "none", 1}}})
			return err
		}(), ErrInvalid},
		"delete": {func() error { _, err := r.ProposeDelete("t", 0); return err }(), ErrSubject},
		"taken":  {func() error { _, _, err := r.ProposeID("t", schema("y"), 1); return err }(), ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		level     Level
		versions  []string // the last one is proposed
		wantError string
	}{
		{Backward, []string{"x", "x y"}, ""},
		{Backward, []string{"x y", "x"}, "y is not known"},
		{Forward, []string{"x y", "x"}, ""},
		{Forward, []string{"x", "x y"}, "y is not known"},
		{Full, []string{"x", "x y"}, "y is not known"},
		{Full, []string{"x y", "y x"}, ""},
		{None, []string{"x", "z"}, ""},
		// The last version alone is asked, or all of them.
		{Backward, []string{"x y", "-", "x"}, ""},
		{BackwardTransitive, []string{"x y", "-", "x"}, "version 1"},
	} {
		r := New(lines{})
		for i, names := range c.versions {
			level := c.level
			if i < len(c.versions)-1 {
				level = None
			}
			ev, err := r.ProposeLevel("s", level)
			if err != nil || r.Apply(*ev) != nil {
				t.Fatal(err)
			}
			if names == "-" {
				names = ""
			}
			_, ev, err = r.Propose("s", schema(names))
			if i < len(c.versions)-1 {
				if err != nil || r.Apply(*ev) != nil {
					t.Fatal(err)
				}
				continue
			}
			if (err == nil) != (c.wantError == "") || err != nil && !strings.Contains(err.Error(), c.wantError) {
				t.Errorf("%s %q: %v, want %q", c.level, c.versions, err, c.wantError)
			}
		}
	}
	if _, err := New(lines{}).ProposeLevel("", "SIDEWAYS"); err == nil {
		t.Error("a level that is none was taken")
	}
}

func TestDeleteKeepsIDs(t *testing.T) {
	r := New(lines{})
	register(t, r, "s", schema("x"))
	register(t, r, "s", schema("x y"))
	held, err := r.Versions("s")
	if err != nil {
		t.Fatal(err)
	}
	ev, err := r.ProposeDelete("s", 2)
	if err != nil || r.Apply(*ev) != nil {
		t.Fatal(err)
	}
	if v, err := r.Latest("s"); err != nil || v.Version != 1 {
		t.Errorf("latest is %v, %v", v, err)
	}
	if len(held) != 2 || held[1].ID != 2 {
		t.Errorf("a reader's versions changed: %v", held)
	}
	if _, err := r.ByID(2); err != nil {
		t.Errorf("records with id 2 cannot be read: %v", err)
	}
	// A new version gets a number of its own.
	if got := register(t, r, "s", schema("x y z")).short(); got != "s/3=3" {
		t.Errorf("got %s", got)
	}
	if ev, err = r.ProposeDelete("s", 0); err != nil || r.Apply(*ev) != nil {
		t.Fatal(err)
	}
	if _, err := r.Latest("s"); !errors.Is(err, ErrSubject) {
		t.Errorf("the subject lives: %v", err)
	}
	if got := register(t, r, "s", schema("q")).short(); got != "s/4=4" {
		t.Errorf("got %s", got)
	}
}

func TestReferencedSubjectsStay(t *testing.T) {
	r := New(lines{})
	register(t, r, "common", schema("x"))
	s := schema("y")
	s.References = []Reference{{Name: "c", Subject: "common", Version: 1}}
	register(t, r, "s", s)
	for _, version := range []int32{0, 1} {
		if _, err := r.ProposeDelete("common", version); !errors.Is(err, ErrReferenced) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestReplay holds a registry that is rebuilt from events against the one that
// made them, and events that do not follow against it.
func TestReplay(t *testing.T) {
	r := New(lines{})
	var events []Event
	apply := func(ev *Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, *ev)
		if err := r.Apply(*ev); err != nil {
			t.Fatal(err)
		}
	}
	add := func(subject, names string) (*Event, error) {
		_, ev, err := r.Propose(subject, schema(names))
		return ev, err
	}
	apply(add("s", "x"))
	apply(add("t", "x"))
	apply(r.ProposeLevel("t", None))
	apply(add("t", "y"))
	apply(r.ProposeDelete("s", 0))
	again := New(lines{})
	for _, ev := range events {
		if err := again.Apply(ev); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []*Registry{r, again, r.Clone()} {
		v, err := x.Latest("t")
		if err != nil || v.short() != "t/2=2" || x.LevelOf("t") != None || x.LevelOf("s") != Backward {
			t.Errorf("latest %v, %v, levels %s %s", v, err, x.LevelOf("t"), x.LevelOf("s"))
		}
	}
	for _, ev := range []Event{{}, {Add: &Version{Subject: "t", Version: 2, ID: 7}}, {Add: &Version{Subject: "u", Version: 1}}} {
		if err := again.Apply(ev); err == nil {
			t.Errorf("%+v was applied", ev)
		}
	}
}

func TestCloneChangesApart(t *testing.T) {
	r := New(lines{})
	register(t, r, "s", schema("x"))
	c := r.Clone()
	register(t, c, "s", schema("x y"))
	register(t, r, "s", schema("x z"))
	a, _ := r.Latest("s")
	b, _ := c.Latest("s")
	if a.Text != `"x z"` || b.Text != `"x y"` {
		t.Errorf("%s and %s", a.Text, b.Text)
	}
}
