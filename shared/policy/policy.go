// Package policy decides who may do what, from Cedar policies in policies.cedar
// under the schema beside it.
//
// It promises a pure decision: no I/O, no clock, the same answer for the same
// question. Nothing is allowed that no permit allows; a forbid wins; any error
// while a policy is evaluated is a refusal, whatever the others say, because
// Cedar skips a forbid that errs and would otherwise open where it is broken.
// An attribute that is missing matches nothing.
//
// It trusts its caller for facts: that the person's enrolment was verified,
// that each approval's signature, hash of the request and place in the log were
// verified, that InForce and InTime were computed by the witnesses' time. It
// trusts nobody for rights: whether an approver may approve is decided here.
//
// Why each policy is there, and its source in law, stands beside it (@why).
package policy

import (
	_ "embed"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

//go:embed policies.cedar
var policyText []byte

//go:embed schema.cedarschema
var schemaText []byte

// Action is something that a keyholder is asked to do.
type Action string

// The actions.
const (
	AdmitOrder     Action = "admitOrder"
	AskIndex       Action = "askIndex"
	AskContent     Action = "askContent"
	Approve        Action = "approve"
	Deny           Action = "deny"
	ReleaseIndex   Action = "releaseIndex"
	ReleaseContent Action = "releaseContent"
	ReadLog        Action = "readLog"
	Enrol          Action = "enrol"
	SuspendPerson  Action = "suspendPerson"
	FileNote       Action = "fileNote"
	AskUnits       Action = "askUnits"
	AskStatus      Action = "askStatus"
	Annotate       Action = "annotate" // seal a note or transcript beside what it is of
	Move           Action = "move"     // seal a recording again into another compartment
)

// Actions lists all of them.
func Actions() []Action {
	return []Action{AdmitOrder, AskIndex, AskContent, Approve, Deny, ReleaseIndex, ReleaseContent, ReadLog, Enrol, SuspendPerson, FileNote, AskUnits, AskStatus, Annotate, Move}
}

// Person is an enrolled person or machine. Empty attributes match nothing.
type Person struct {
	ID         string   // key id; required
	Roles      []string // of record.Role
	PoliceUnit string
	Court      string
	Clearance  string // a level's name, see Level
	Suspended  bool
}

// Resource is what the question is about: an order chain, and for asking,
// deciding and releasing a unit of it.
type Resource struct {
	Court          string
	PoliceUnit     string
	Compartment    string // main, privileged or clerk
	Classification string // a level's name; unknown or empty refuses
	InForce        bool   // the chain is in force now, for opening
	// What the judge has decided of all the recordings in question:
	Cleared  bool // that they leave the privileged compartment
	Excluded bool // of at least one, that it is excluded or to be deleted
	Screened bool // that this very person looks at them, to mark them
}

// Question is one question. What an action does not need is ignored.
type Question struct {
	Action    Action
	By        Person
	Resource  Resource
	Purpose   string   // asking, releasing: what the request is for; empty refuses
	InTime    bool     // asking, releasing: before the request's expiry and the access end
	Requester Person   // approving, denying: who asked
	Approvals []Person // releasing: who approved, each approval verified
	To        string   // moving: the compartment
	Subject   Person   // enrolling, suspending: who is enrolled or suspended
}

// Decision is the answer.
type Decision struct {
	Allowed bool
	Reasons []string // ids of the policies that decided, sorted; empty when no permit matched
	Tells   []string // what a refused person may be told, one per forbid that has something to tell
	// Needed lists the roles of which one more must approve: for an allowed ask
	// before its release, for a refused release to be allowed. Empty when no
	// approval is needed, or none would help.
	Needed []string
}

// levels orders the classifications, each with the Spanish name of the same
// level (treaty BOE-A-2023-2250 art. 4), either of which may stand in an order.
var levels = [][2]string{{"unclassified", "sin-clasificar"}, {"restricted", "difusion-limitada"}, {"confidential", "confidencial"}, {"secret", "reservado"}, {"top-secret", "secreto"}}

// Level gives the rank of a classification or clearance, 0 for unclassified.
// Beware of the words: the Spanish "secreto" is top secret, not secret.
func Level(name string) (rank int, known bool) {
	rank = slices.IndexFunc(levels, func(names [2]string) bool { return name != "" && (name == names[0] || name == names[1]) })
	return rank, rank >= 0
}

// Levels lists the classifications by their English names, lowest first.
func Levels() []string {
	var names []string
	for _, l := range levels {
		names = append(names, l[0])
	}
	return names
}

// Decide answers q.
func Decide(q Question) Decision { return embedded.decide(q) }

// set is the loaded policies.
type set struct {
	policies *cedar.PolicySet
	tell     map[string]string
}

// embedded is loaded once; a file that does not load stops every program at
// start, because running without policies is not an option.
var embedded = mustLoad(policyText)

func mustLoad(text []byte) *set {
	s, err := load(text)
	if err != nil {
		panic("embedded policies: " + err.Error())
	}
	return s
}

// load adds each policy under its own @id: Cedar's ids are positions otherwise,
// and a decision in the log would change its meaning with the next edit.
func load(text []byte) (*set, error) {
	list, err := cedar.NewPolicyListFromBytes("policies.cedar", text)
	if err != nil {
		return nil, err
	}
	s := &set{policies: cedar.NewPolicySet(), tell: map[string]string{}}
	for _, p := range list {
		id, why := string(p.Annotations()["id"]), p.Annotations()["why"]
		if id == "" || why == "" {
			return nil, fmt.Errorf("the policy at line %d has no @id or no @why", p.Position().Line)
		}
		if !s.policies.Add(cedar.PolicyID(id), p) {
			return nil, fmt.Errorf("two policies have the id %s", id)
		}
		if tell := p.Annotations()["tell"]; tell != "" {
			s.tell[id] = string(tell)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no policies")
	}
	return s, nil
}

func (s *set) decide(q Question) Decision {
	d := s.authorize(q, s.counted(q))
	switch {
	case d.Allowed && q.Action == AskIndex:
		d.Needed = s.needed(q, ReleaseIndex)
	case d.Allowed && q.Action == AskContent:
		d.Needed = s.needed(q, ReleaseContent)
	case !d.Allowed && (q.Action == ReleaseIndex || q.Action == ReleaseContent):
		d.Needed = s.needed(q, q.Action)
	}
	return d
}

// counted keeps the approvals of people who may approve this very request; the
// requester's own is kept too, for the policy that refuses it by name.
func (s *set) counted(q Question) []Person {
	var list []Person
	for _, by := range q.Approvals {
		ask := Question{Action: Approve, By: by, Resource: q.Resource, Requester: q.By}
		if by.ID == q.By.ID || s.authorize(ask, nil).Allowed {
			list = append(list, by)
		}
	}
	return list
}

// needed tries the release with one more approval of each kind that there is.
func (s *set) needed(q Question, release Action) []string {
	q.Action = release
	if !q.named() || s.authorize(q, s.counted(q)).Allowed {
		return nil
	}
	given := slices.Clip(q.Approvals)
	var roles []string
	for _, role := range []string{"supervisor", "clerk", "judge"} {
		q.Approvals = append(given, Person{ID: "another person", Roles: []string{role}, PoliceUnit: q.Resource.PoliceUnit, Court: q.Resource.Court, Clearance: q.Resource.Classification})
		if s.authorize(q, s.counted(q)).Allowed {
			roles = append(roles, role)
		}
	}
	return roles
}

func (s *set) authorize(q Question, approvals []Person) Decision {
	if !q.named() {
		return Decision{Reasons: []string{"no-id"}, Tells: []string{"the question does not say who it is about"}}
	}
	request, entities := express(q, approvals)
	answer, diagnostic := cedar.Authorize(s.policies, entities, request)
	var d Decision
	for _, e := range diagnostic.Errors {
		d.Reasons = append(d.Reasons, "error:"+string(e.PolicyID))
	}
	d.Allowed = answer == cedar.Allow && len(diagnostic.Errors) == 0
	for _, r := range diagnostic.Reasons {
		id := string(r.PolicyID)
		if answer == cedar.Allow && !d.Allowed {
			break // a permit is no reason for a refusal
		}
		d.Reasons = append(d.Reasons, id)
		if tell := s.tell[id]; tell != "" && !d.Allowed {
			d.Tells = append(d.Tells, tell)
		}
	}
	slices.Sort(d.Reasons)
	slices.Sort(d.Tells)
	return d
}

// named reports whether everybody whom the action involves has an id: without one
// "not the same person" would hold of anybody.
func (q Question) named() bool {
	switch q.Action {
	case Approve, Deny:
		return q.By.ID != "" && q.Requester.ID != ""
	case Enrol, SuspendPerson:
		return q.By.ID != "" && q.Subject.ID != ""
	}
	return q.By.ID != "" && !slices.ContainsFunc(q.Approvals, func(p Person) bool { return p.ID == "" })
}

// express puts a question into Cedar's terms.
func express(q Question, approvals []Person) (cedar.Request, types.EntityMap) {
	entities := types.EntityMap{}
	principal := addPerson(entities, q.By)
	request := cedar.Request{Principal: principal, Action: cedar.NewEntityUID("Action", cedar.String(q.Action)), Context: cedar.NewRecord(nil)}
	asking := cedar.RecordMap{"purposeGiven": cedar.Boolean(q.Purpose != ""), "inTime": cedar.Boolean(q.InTime)}
	switch q.Action {
	case Enrol, SuspendPerson:
		request.Resource = addPerson(entities, q.Subject)
		return request, entities
	case AskIndex, AskContent, Annotate:
		request.Context = cedar.NewRecord(asking)
	case Move:
		request.Context = cedar.NewRecord(cedar.RecordMap{"to": cedar.String(q.To),
			"purposeGiven": asking["purposeGiven"], "inTime": asking["inTime"]})
	case ReleaseIndex, ReleaseContent:
		addApprovals(asking, entities, approvals)
		request.Context = cedar.NewRecord(asking)
	case Approve, Deny:
		request.Context = cedar.NewRecord(cedar.RecordMap{"requester": addPerson(entities, q.Requester)})
	default:
		request.Resource = add(entities, "Chain", "chain", attributes(q.Resource, false))
		return request, entities
	}
	request.Resource = add(entities, "Unit", "unit", attributes(q.Resource, true))
	return request, entities
}

// addPerson adds a person unless it is there: the first, which is who asks, stands.
func addPerson(entities types.EntityMap, p Person) cedar.EntityUID {
	uid := cedar.NewEntityUID("Principal", cedar.String(p.ID))
	if _, there := entities[uid]; there || p.ID == "" {
		return uid
	}
	roles := make([]cedar.Value, 0, len(p.Roles))
	for _, r := range p.Roles {
		roles = append(roles, cedar.String(r))
	}
	attrs := cedar.RecordMap{"roles": cedar.NewSet(roles...), "suspended": cedar.Boolean(p.Suspended)}
	optional(attrs, "policeUnit", p.PoliceUnit)
	optional(attrs, "court", p.Court)
	level(attrs, "clearance", p.Clearance)
	return add(entities, "Principal", p.ID, attrs)
}

func attributes(r Resource, unit bool) cedar.RecordMap {
	attrs := cedar.RecordMap{}
	optional(attrs, "court", r.Court)
	optional(attrs, "policeUnit", r.PoliceUnit)
	if unit {
		optional(attrs, "compartment", r.Compartment)
		level(attrs, "classification", r.Classification)
		attrs["inForce"] = cedar.Boolean(r.InForce)
		attrs["cleared"], attrs["excluded"], attrs["screened"] = cedar.Boolean(r.Cleared), cedar.Boolean(r.Excluded), cedar.Boolean(r.Screened)
	}
	return attrs
}

func addApprovals(context cedar.RecordMap, entities types.EntityMap, approvals []Person) {
	var approvers []cedar.Value
	of := map[string][]cedar.Value{}
	for _, p := range approvals {
		approvers = append(approvers, addPerson(entities, p))
		for _, role := range p.Roles {
			office := p.Court
			if role == "supervisor" {
				office = p.PoliceUnit
			}
			of[role] = append(of[role], cedar.String(office))
		}
	}
	context["approvers"] = cedar.NewSet(approvers...)
	context["supervisors"] = cedar.NewSet(of["supervisor"]...)
	context["judges"] = cedar.NewSet(of["judge"]...)
	context["clerks"] = cedar.NewSet(of["clerk"]...)
}

func add(entities types.EntityMap, kind cedar.EntityType, id string, attrs cedar.RecordMap) cedar.EntityUID {
	uid := cedar.NewEntityUID(kind, cedar.String(id))
	entities[uid] = cedar.Entity{UID: uid, Attributes: cedar.NewRecord(attrs)}
	return uid
}

func optional(attrs cedar.RecordMap, name cedar.String, value string) {
	if value != "" {
		attrs[name] = cedar.String(value)
	}
}

func level(attrs cedar.RecordMap, name cedar.String, value string) {
	if rank, known := Level(value); known {
		attrs[name] = cedar.Long(rank)
	}
}
