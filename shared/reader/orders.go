package reader

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// OrderRow is one order chain that concerns this person.
type OrderRow struct {
	Chain     record.Digest
	Case      string // the court's tag, as the order's first member says
	Court     string
	AccessEnd time.Time // the earlier of the two
	State     string    // in-force, suspended, revoked, lapsed …; "" when they differ
	Differs   string    // how court and custodian differ; "" when they agree
	Weeks     []string  // with unit keys at either
	New       bool      // not in any listing before
}

// Orders lists one's own order chains at both keyholders, new ones since last time marked. Nothing is decided on it: each keyholder
// judges by its own copy.
func (r *Reader) Orders(ctx context.Context) ([]OrderRow, error) {
	var lists [2][]wire.Order
	err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
		list, err := k.Orders(ctx)
		lists[slices.Index(parties, role)] = list.Orders
		return err
	})
	if err != nil {
		return nil, err
	}
	rows := map[record.Digest]*OrderRow{}
	var order []record.Digest
	for i, role := range parties {
		for _, o := range lists[i] {
			row, err := orderRow(role, o)
			if err != nil {
				return nil, err
			}
			before := rows[row.Chain]
			switch {
			case before == nil:
				row.Differs = "only the " + string(role) + " has it"
				rows[row.Chain], order = row, append(order, row.Chain)
			case i == 1:
				before.merge(row)
			}
		}
	}
	return r.markNew(rows, order)
}

func orderRow(role seal.Role, o wire.Order) (*OrderRow, error) {
	bad := func(cause error) error { return altered(role, cause, "an order in its list is malformed") }
	chain, err := record.ParseDigest(o.Chain)
	if err != nil || len(o.Members) == 0 || record.HashStatement(o.Members[0]) != chain {
		return nil, bad(err)
	}
	st, err := record.Peek(o.Members[0])
	if err != nil {
		return nil, bad(err)
	}
	var first record.Order
	if err := record.Unmarshal(st.Payload, &first); err != nil {
		return nil, bad(err)
	}
	return &OrderRow{Chain: chain, Case: cleaned(first.Case), Court: cleaned(first.Court), AccessEnd: o.AccessEnd, State: cleaned(o.State), Weeks: o.Units}, nil
}

// merge compares the custodian's view with the court's, of which r was made.
func (r *OrderRow) merge(other *OrderRow) {
	r.Differs = ""
	if r.State != other.State {
		r.State, r.Differs = "", "the court says "+r.State+", the custodian "+other.State
	}
	if !r.AccessEnd.Equal(other.AccessEnd) {
		if other.AccessEnd.Before(r.AccessEnd) {
			r.AccessEnd = other.AccessEnd
		}
		r.Differs = strings.TrimPrefix(r.Differs+"; they say different ends of access", "; ")
	}
	for _, week := range other.Weeks {
		if !slices.Contains(r.Weeks, week) {
			r.Weeks = append(r.Weeks, week)
		}
	}
	slices.Sort(r.Weeks)
}

// markNew compares with what was listed before and remembers what is listed now. The mark is only a convenience: losing it shows all as new.
func (r *Reader) markNew(rows map[record.Digest]*OrderRow, order []record.Digest) ([]OrderRow, error) {
	var seen []record.Digest
	if raw, err := os.ReadFile(r.path("cache", "orders.json")); err == nil && record.UnmarshalStored(raw, &seen) != nil {
		seen = nil
	}
	out := make([]OrderRow, 0, len(order))
	for _, chain := range order {
		row := rows[chain]
		row.New = !slices.Contains(seen, chain)
		if row.New {
			seen = append(seen, chain)
		}
		out = append(out, *row)
	}
	raw, err := record.Marshal(seen)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the list of orders could not be remembered")
	}
	return out, r.write(r.path("cache", "orders.json"), raw)
}
