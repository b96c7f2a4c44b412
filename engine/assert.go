package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// assertInterval is how often ASSERT looks again until its timeout.
const assertInterval = 100 * time.Millisecond

// Names of the properties that hold the timeout of an ASSERT without one.
const (
	assertTopicTimeout  = "ksql.assert.topic.default.timeout.ms"
	assertSchemaTimeout = "ksql.assert.schema.default.timeout.ms"
)

// Assertion is what ASSERT found to hold: a topic, or a schema by subject, id or
// both.
type Assertion struct {
	Topic   string // empty for a schema
	Subject string
	ID      int32
	Exists  bool
}

func (*Assertion) result() {}

// String says what holds.
func (a *Assertion) String() string {
	exists := " exists"
	if !a.Exists {
		exists = " does not exist"
	}
	if a.Topic != "" {
		return "Topic " + a.Topic + exists
	}
	return "Schema" + schemaName(a.Subject, a.ID) + exists
}

func schemaName(subject string, id int32) string {
	name := ""
	if subject != "" {
		name = " with subject name " + subject
	}
	if id != 0 {
		name += " id " + strconv.Itoa(int(id))
	}
	return name
}

// assertTopic answers ASSERT [NOT EXISTS] TOPIC.
func (s *Session) assertTopic(ctx context.Context, st statement, stmt *sql.AssertTopic) (Result, error) {
	want, err := assertedConfig(st, stmt.With)
	if err != nil {
		return nil, err
	}
	name := stmt.Topic.Name
	err = s.assertHolds(ctx, st, stmt.Timeout, assertTopicTimeout, func() (string, error) {
		t, ok := s.engine.cluster.Topic(name)
		switch {
		case stmt.NotExists && ok:
			return "Topic " + name + " exists", nil
		case stmt.NotExists:
			return "", nil
		case !ok:
			return "Topic " + name + " does not exist", nil
		}
		for _, c := range []struct {
			property string
			have     int32
		}{{"PARTITIONS", t.Partitions}, {"REPLICAS", t.Replicas}} {
			if n, given := want[c.property]; given && n != int64(c.have) {
				return fmt.Sprintf("Mismatched configuration for topic %s: For config %s, expected %d got %d", name, c.property, n, c.have), nil
			}
		}
		return "", nil
	})
	return &Assertion{Topic: name, Exists: !stmt.NotExists}, err
}

// assertedConfig reads the WITH clause of ASSERT TOPIC. Values may be strings, as
// in every WITH clause.
func assertedConfig(st statement, with []sql.Property) (map[string]int64, error) {
	want := map[string]int64{}
	for _, p := range with {
		if p.Name.Name != "PARTITIONS" && p.Name.Name != "REPLICAS" {
			return nil, st.fail(sql.CodeUnknownProperty, p.Name.Span, "ASSERT TOPIC takes PARTITIONS and REPLICAS", "Cannot assert unknown topic property: %s", p.Name.Name)
		}
		if _, twice := want[p.Name.Name]; twice {
			return nil, st.fail(sql.CodeInvalidProperty, p.Name.Span, "", "%s is given twice", p.Name.Name)
		}
		n, err := strconv.ParseInt(types.FormatText(p.Value.Value, p.Value.Type), 10, 32)
		if err != nil {
			return nil, st.fail(sql.CodeInvalidProperty, p.Span, "", "%s must be an integer", p.Name.Name)
		}
		want[p.Name.Name] = n
	}
	return want, nil
}

// assertSchema answers ASSERT [NOT EXISTS] SCHEMA.
func (s *Session) assertSchema(ctx context.Context, st statement, stmt *sql.AssertSchema) (Result, error) {
	subject := stmt.Subject.Name
	err := s.assertHolds(ctx, st, stmt.Timeout, assertSchemaTimeout, func() (string, error) {
		found, err := schemaExists(s.engine.registry(), subject, stmt.ID)
		switch {
		case err != nil || found != stmt.NotExists:
			return "", err
		case found:
			return "Schema" + schemaName(subject, stmt.ID) + " exists", nil
		}
		return "Schema" + schemaName(subject, stmt.ID) + " does not exist", nil
	})
	return &Assertion{Subject: subject, ID: stmt.ID, Exists: !stmt.NotExists}, err
}

// schemaExists looks for a subject, an id, or a version of the subject with the id.
func schemaExists(r registryReader, subject string, id int32) (bool, error) {
	if subject == "" {
		_, err := r.ByID(id)
		return err == nil, ignore(err, registry.ErrSchema)
	}
	if id != 0 {
		return r.Has(subject, id)
	}
	_, err := r.Latest(subject)
	return err == nil, ignore(err, registry.ErrSubject)
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// assertHolds looks until check finds nothing wrong, or the timeout passes: the
// error is then what check said last. It looks at least once.
func (s *Session) assertHolds(ctx context.Context, st statement, timeout *sql.Duration, property string, check func() (wrong string, err error)) error {
	var wait time.Duration
	if timeout != nil {
		wait = timeout.Value
	} else {
		ms, err := strconv.ParseInt(s.property(property), 10, 32)
		if err != nil {
			return fmt.Errorf("property %s: %w", property, err)
		}
		wait = time.Duration(ms) * time.Millisecond
	}
	deadline := s.engine.cfg.Clock.Now().Add(wait)
	for {
		wrong, err := check()
		if err != nil || wrong == "" {
			return err
		}
		left := deadline.Sub(s.engine.cfg.Clock.Now())
		if left <= 0 {
			return st.fail(sql.CodeAssertion, st.stmt.Pos(), "", "%s", wrong)
		}
		if err := s.engine.sleep(ctx, min(left, assertInterval)); err != nil {
			return err
		}
	}
}
