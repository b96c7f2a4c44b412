package quota

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Key is the name of a limit, as Kafka spells it.
type Key string

// The limits.
const (
	ProducerByteRate       Key = "producer_byte_rate"       // bytes of Produce requests per second
	ConsumerByteRate       Key = "consumer_byte_rate"       // bytes of records fetched per second
	RequestPercentage      Key = "request_percentage"       // of one processor's time
	ControllerMutationRate Key = "controller_mutation_rate" // partitions created or deleted per second
	ConnectionCreationRate Key = "connection_creation_rate" // connections accepted per second, by address
)

// Part is one part of an entity.
type Part struct {
	Set     bool   // the entity has this part
	Default bool   // it is the default of all names
	Name    string // when it is not
}

// Named returns a part with a name; DefaultPart is the default's.
func Named(name string) Part { return Part{Set: true, Name: name} }

// DefaultPart stands for all names that have no limit of their own.
var DefaultPart = Part{Set: true, Default: true}

// Entity is whom a limit is for: a user, a client id or both, or an address.
type Entity struct{ User, Client, IP Part }

// The errors of entities and limits.
var (
	ErrEntity = errors.New("quota: bad entity")
	ErrLimit  = errors.New("quota: bad limit")
)

// nameMaxBytes bounds names.
const nameMaxBytes = 1024

// Check verifies that limits can be given to the entity.
func (e Entity) Check() error {
	switch {
	case e.IP.Set && (e.User.Set || e.Client.Set):
		return fmt.Errorf("%w: an address goes with nothing else", ErrEntity)
	case !e.IP.Set && !e.User.Set && !e.Client.Set:
		return fmt.Errorf("%w: it is empty", ErrEntity)
	}
	if e.IP.Set && !e.IP.Default {
		if _, err := netip.ParseAddr(e.IP.Name); err != nil {
			return fmt.Errorf("%w: an address is expected: %w", ErrEntity, err)
		}
	}
	for _, p := range []Part{e.User, e.Client, e.IP} {
		if p.Set && !p.Default && p.Name == "" || len(p.Name) > nameMaxBytes {
			return fmt.Errorf("%w: a name has 1 to %d bytes", ErrEntity, nameMaxBytes)
		}
	}
	return nil
}

// CheckLimit verifies that the entity can have a value for a key.
func (e Entity) CheckLimit(k Key, value float64) error {
	known := []Key{ProducerByteRate, ConsumerByteRate, RequestPercentage, ControllerMutationRate}
	if e.IP.Set {
		known = []Key{ConnectionCreationRate}
	}
	switch {
	case !slices.Contains(known, k):
		return fmt.Errorf("%w: %s is not one of %s", ErrLimit, k, strings.Trim(fmt.Sprint(known), "[]"))
	case math.IsNaN(value) || math.IsInf(value, 0) || value <= 0:
		return fmt.Errorf("%w: %s = %v: expected a number above 0", ErrLimit, k, value)
	case k != RequestPercentage && k != ControllerMutationRate && value != math.Trunc(value):
		return fmt.Errorf("%w: %s = %v: expected a whole number", ErrLimit, k, value)
	}
	return nil
}

// compare orders entities.
func (e Entity) compare(o Entity) int {
	part := func(a, b Part) int {
		rank := func(p Part) int {
			switch {
			case !p.Set:
				return 0
			case p.Default:
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	}
	return cmp.Or(part(e.User, o.User), part(e.Client, o.Client), part(e.IP, o.IP))
}

// Limits are an entity's values.
type Limits map[Key]float64

// Table is an immutable set of limits; the zero value has none.
type Table struct{ byEntity map[Entity]Limits }

// With returns a table in which an entity's values are what limits says, none
// when it is empty.
func (t Table) With(e Entity, limits Limits) Table {
	next := Table{maps.Clone(t.byEntity)}
	if next.byEntity == nil {
		next.byEntity = map[Entity]Limits{}
	}
	if len(limits) == 0 {
		delete(next.byEntity, e)
	} else {
		next.byEntity[e] = maps.Clone(limits)
	}
	return next
}

// Of returns an entity's own values; the caller does not change them.
func (t Table) Of(e Entity) Limits { return t.byEntity[e] }

// Len returns how many entities have limits.
func (t Table) Len() int { return len(t.byEntity) }

// Entities returns every entity that has limits, in order.
func (t Table) Entities() []Entity {
	return slices.SortedFunc(maps.Keys(t.byEntity), Entity.compare)
}

// Any reports whether any entity has a value for one of the keys.
func (t Table) Any(keys ...Key) bool {
	for _, limits := range t.byEntity {
		for _, k := range keys {
			if _, ok := limits[k]; ok {
				return true
			}
		}
	}
	return false
}

// For returns the value that holds for a peer and what its meter is shared by;
// ok is false when nothing limits it.
func (t Table) For(k Key, user, client string) (value float64, shared Entity, ok bool) {
	if len(t.byEntity) == 0 {
		return 0, Entity{}, false
	}
	u, c := Named(user), Named(client)
	d := DefaultPart
	// A default stands for each peer, so the meter has the peer's own names.
	for _, at := range [...]struct{ limit, meter Entity }{
		{Entity{User: u, Client: c}, Entity{User: u, Client: c}},
		{Entity{User: u, Client: d}, Entity{User: u, Client: c}},
		{Entity{User: u}, Entity{User: u}},
		{Entity{User: d, Client: c}, Entity{User: u, Client: c}},
		{Entity{User: d, Client: d}, Entity{User: u, Client: c}},
		{Entity{User: d}, Entity{User: u}},
		{Entity{Client: c}, Entity{Client: c}},
		{Entity{Client: d}, Entity{Client: c}},
	} {
		if v, has := t.byEntity[at.limit][k]; has {
			return v, at.meter, true
		}
	}
	return 0, Entity{}, false
}

// ForIP is For for addresses.
func (t Table) ForIP(k Key, ip string) (value float64, shared Entity, ok bool) {
	e := Entity{IP: Named(ip)}
	if v, has := t.byEntity[e][k]; has {
		return v, e, true
	}
	v, has := t.byEntity[Entity{IP: DefaultPart}][k]
	return v, e, has
}
