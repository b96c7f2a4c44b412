package engine

import (
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// commandVersion is written into every command. A reader understands it and the
// version before; a newer one stops the start with a clear error.
const commandVersion = 1

// Command is one atomic change of the catalog, as the command log keeps it. Kind
// says which of the other fields are set.
type Command struct {
	Version int         `json:"version"`
	Kind    CommandKind `json:"kind"`
	// Text is the statement as the user typed it.
	Text string `json:"text"`
	// TimeMs is when it was given, in ms since the Unix epoch.
	TimeMs int64 `json:"timeMs"`
	// Source and Query are what is created. A query replaces one of its id.
	Source *catalog.Source `json:"source,omitempty"`
	Query  *plan.Query     `json:"query,omitempty"`
	// Name is the source or type that is dropped, or the type created.
	Name string      `json:"name,omitempty"`
	Type *types.Type `json:"type,omitempty"`
	// QueryIDs are the queries that are ended, paused or resumed.
	QueryIDs []string `json:"queryIds,omitempty"`
}

// CommandKind is what a command does.
type CommandKind string

// The kinds of command.
const (
	createSource  CommandKind = "create-source"
	createQuery   CommandKind = "create-query"
	dropSource    CommandKind = "drop-source"
	createType    CommandKind = "create-type"
	dropType      CommandKind = "drop-type"
	terminateKind CommandKind = "terminate"
	pauseKind     CommandKind = "pause"
	resumeKind    CommandKind = "resume"
)

// decodeCommand reads a record of the command log.
func decodeCommand(b []byte) (*Command, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	if head.Version > commandVersion {
		return nil, fmt.Errorf("decode command: version %d was written by a newer millrace; this one reads up to %d", head.Version, commandVersion)
	}
	c := new(Command)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	return c, nil
}

// applyCommand returns the catalog after a command. It is the only way that a
// catalog changes, at execution and at replay alike. An unknown kind is an
// error, which replay reports and skips.
func applyCommand(cat *catalog.Catalog, c *Command) (*catalog.Catalog, error) {
	switch c.Kind {
	case createSource:
		cat = cat.WithSource(c.Source)
		if c.Query != nil {
			cat = cat.WithQuery(&catalog.Query{ID: c.Query.ID, Plan: c.Query})
		}
	case createQuery:
		if c.Source != nil {
			cat = cat.WithSource(c.Source)
		}
		cat = cat.WithQuery(&catalog.Query{ID: c.Query.ID, Plan: c.Query})
	case dropSource:
		cat = cat.WithoutSource(c.Name)
		for _, id := range c.QueryIDs {
			cat = cat.WithoutQuery(id)
		}
	case createType:
		cat = cat.WithType(c.Name, *c.Type)
	case dropType:
		cat = cat.WithoutType(c.Name)
	case terminateKind:
		for _, id := range c.QueryIDs {
			cat = cat.WithoutQuery(id)
		}
	case pauseKind, resumeKind:
		for _, id := range c.QueryIDs {
			if q := cat.Query(id); q != nil {
				cat = cat.WithQuery(&catalog.Query{ID: q.ID, Plan: q.Plan, Paused: c.Kind == pauseKind})
			}
		}
	default:
		return cat, fmt.Errorf("unknown command %q", c.Kind)
	}
	return cat, nil
}
