// Package functions is the register of everything that template.yaml can run.
//
// One entry per function: what it must be told at start and how it is built.
// The bootstrap picks an entry by _HANDLER, the local parties by the template;
// both build it the same way, and a test holds register = template.
package functions

import (
	"fmt"
	"slices"
	"strings"

	"arca.example/arca/functions/arrived"
	"arca.example/arca/functions/deposit"
	"arca.example/arca/functions/destroy"
	"arca.example/arca/functions/lapse"
	"arca.example/arca/functions/ledger"
	"arca.example/arca/functions/notes"
	"arca.example/arca/functions/orders"
	"arca.example/arca/functions/people"
	"arca.example/arca/functions/release"
	"arca.example/arca/functions/report"
	"arca.example/arca/functions/requests"
	"arca.example/arca/functions/scrub"
	"arca.example/arca/functions/sequence"
	"arca.example/arca/functions/stamp"
	"arca.example/arca/functions/units"
	"arca.example/arca/shared/edge"
)

// Entry builds one function.
type Entry struct {
	// Needs are the settings that the function reads, edge.Always apart.
	Needs []edge.Setting
	// New builds the function. It opens nothing: resources open on first use.
	New func(env edge.Env) (*edge.Function, error)
}

// All has every function by its Handler name.
var All = map[string]Entry{
	"deposit":  {deposit.Needs, deposit.New},
	"arrived":  {arrived.Needs, arrived.New},
	"ledger":   {ledger.Needs, ledger.New},
	"sequence": {sequence.Needs, sequence.New},
	"stamp":    {stamp.Needs, stamp.New},
	"scrub":    {scrub.Needs, scrub.New},

	"orders":   {orders.Needs, orders.New},
	"notes":    {notes.Needs, notes.New},
	"units":    {units.Needs, units.New},
	"requests": {requests.Needs, requests.New},
	"release":  {release.Needs, release.New},
	"people":   {people.Needs, people.New},
	"lapse":    {lapse.Needs, lapse.New},
	"destroy":  {destroy.Needs, destroy.New},
	"report":   {report.Needs, report.New},
}

// Open reads the settings of the function named name and builds it. resources
// receives the settings, so that it can open this party's stores later.
func Open(name string, lookup func(string) (string, bool), resources func(edge.Env) edge.Resources) (*edge.Function, edge.Env, error) {
	entry, ok := All[name]
	if !ok {
		return nil, edge.Env{}, fmt.Errorf("there is no function of that name; _HANDLER must be one of %s", strings.Join(names(), ", "))
	}
	env, err := edge.ReadEnv(name, lookup, entry.Needs...)
	if err != nil {
		return nil, edge.Env{}, err
	}
	env.Resources = resources(env)
	fn, err := entry.New(env)
	if err != nil {
		return nil, edge.Env{}, fmt.Errorf("function %s does not start: %w", name, err)
	}
	return fn, env, nil
}

func names() []string {
	var all []string
	for name := range All {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
