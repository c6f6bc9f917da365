package keyholder

import (
	"strings"

	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// resource is a chain, the compartment of a request, and what the judge has decided of its recordings, as policy sees them.
func (c Chain) resource(compartment string, inForce bool, f facts) policy.Resource {
	return policy.Resource{
		Court: c.Court, PoliceUnit: c.PoliceUnit, Classification: c.Classification,
		Compartment: compartment, InForce: inForce, Cleared: f.cleared, Excluded: f.excluded, Screened: f.screened,
	}
}

// decide turns policy's answer into an error that says what is missing.
func decide(q policy.Question) error {
	d := policy.Decide(q)
	if d.Allowed {
		return nil
	}
	if len(d.Needed) > 0 {
		return problem.New(problem.Denied, "this still needs an approval by: %s", strings.Join(d.Needed, " or "))
	}
	if len(d.Tells) > 0 {
		return problem.New(problem.Denied, "policy refuses this: %s", strings.Join(d.Tells, "; "))
	}
	return problem.New(problem.Denied, "no policy allows you this under this order; ask whoever is responsible for the case")
}

// mayHave decides on asking for (action of the asking kind) or receiving (of the releasing kind) a request's halves.
func mayHave(action policy.Action, who Person, c Chain, r *record.Request, f facts, approvals []Person) error {
	q := policy.Question{
		Action: action, By: who.subject(), Resource: c.resource(r.Compartment, true, f),
		Purpose: r.Purpose, InTime: true,
	}
	for _, p := range approvals {
		q.Approvals = append(q.Approvals, p.subject())
	}
	return decide(q)
}

// mayDecideOn decides on approving or denying somebody's request.
func mayDecideOn(action policy.Action, who, requester Person, c Chain, r *record.Request) error {
	return decide(policy.Question{
		Action: action, By: who.subject(), Resource: c.resource(r.Compartment, true, facts{}),
		Purpose: r.Purpose, InTime: true, Requester: requester.subject(),
	})
}

// MayReadLog decides on reading a chain's journal, or the general one when the chain is the zero Chain.
func mayReadLog(who Person, c Chain) error {
	return decide(policy.Question{Action: policy.ReadLog, By: who.subject(), Resource: c.resource(record.MainCompartment, true, facts{})})
}

func askAction(class string) policy.Action {
	if class == string(seal.IndexClass) {
		return policy.AskIndex
	}
	return policy.AskContent
}

func releaseAction(class string) policy.Action {
	if class == string(seal.IndexClass) {
		return policy.ReleaseIndex
	}
	return policy.ReleaseContent
}

func decideAction(approve bool) policy.Action {
	if approve {
		return policy.Approve
	}
	return policy.Deny
}
