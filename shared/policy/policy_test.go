package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

var update = flag.Bool("update", false, "write testdata/matrix.golden anew")

const unit7, unit8, court1, court2 = "Unit 7", "Unit 8", "Court 1", "Court 2"

// somebody has a role at the order's own unit and court, cleared for it.
func somebody(id string, roles ...string) Person {
	p := Person{ID: id, Roles: roles, Clearance: "secret"}
	for _, r := range roles {
		switch r {
		case "investigator", "supervisor":
			p.PoliceUnit = unit7
		case "judge", "clerk", "prosecutor":
			p.Court = court1
		}
	}
	return p
}

func with(p Person, change func(*Person)) Person { change(&p); return p }

var (
	order = Resource{Court: court1, PoliceUnit: unit7, Compartment: "main", Classification: "confidential", InForce: true}

	investigator = somebody("investigator", "investigator")
	supervisor   = somebody("supervisor", "supervisor")
	colleague    = somebody("colleague", "supervisor")
	judge        = somebody("judge", "judge")
	clerk        = somebody("clerk", "clerk")
	prosecutor   = somebody("prosecutor", "prosecutor")
	custodian    = somebody("custodian", "custodian")
	registrar    = somebody("registrar", "registrar")
	auditor      = somebody("auditor", "auditor")
	collector    = somebody("collector", "collector")
	mirror       = somebody("mirror", "mirror")
	minister     = somebody("minister", "minister")

	stranger      = with(investigator, func(p *Person) { p.ID, p.PoliceUnit = "stranger", unit8 })
	otherBoss     = with(supervisor, func(p *Person) { p.ID, p.PoliceUnit = "other boss", unit8 })
	otherJudge    = with(judge, func(p *Person) { p.ID, p.Court = "other judge", court2 })
	otherClerk    = with(clerk, func(p *Person) { p.ID, p.Court = "other clerk", court2 })
	otherAccuser  = with(prosecutor, func(p *Person) { p.ID, p.Court = "other prosecutor", court2 })
	suspendedBoss = with(supervisor, func(p *Person) { p.ID, p.Suspended = "suspended boss", true })
	lowBoss       = with(supervisor, func(p *Person) { p.ID, p.Clearance = "low boss", "restricted" })
	boss8Judge1   = Person{ID: "odd", Roles: []string{"supervisor"}, PoliceUnit: unit8, Court: unit7, Clearance: "secret"}
)

func ask(by Person, action Action, approvals ...Person) Question {
	return Question{Action: action, By: by, Resource: order, Purpose: "to find the meeting place", InTime: true, Approvals: approvals, Requester: investigator}
}

func but(q Question, change func(*Question)) Question { change(&q); return q }

type sentence struct {
	says  string
	q     Question
	allow bool
	by    string // a policy id that must be among the reasons, if given
}

// sentences is the policy in words. The mutation test demands that every part
// of every policy is needed by one of them.
func sentences() []sentence {
	privileged := func(q *Question) { q.Resource.Compartment = "privileged" }
	list := []sentence{
		{"An investigator of the order's unit lists recordings without approval.", ask(investigator, ReleaseIndex), true, "police-index"},
		{"An investigator asks to list.", ask(investigator, AskIndex), true, "police-index"},
		{"An investigator asks to listen.", ask(investigator, AskContent), true, "police-index"},
		{"An investigator does not listen without approval.", ask(investigator, ReleaseContent), false, ""},
		{"An investigator listens when a supervisor of the unit approves.", ask(investigator, ReleaseContent, supervisor), true, "police-content"},
		{"A supervisor of another unit approves in vain.", ask(investigator, ReleaseContent, otherBoss), false, ""},
		{"A supervisor whose court is called like the unit approves in vain.", ask(investigator, ReleaseContent, boss8Judge1), false, ""},
		{"A suspended supervisor approves in vain.", ask(investigator, ReleaseContent, suspendedBoss), false, ""},
		{"A supervisor without the clearance approves in vain.", ask(investigator, ReleaseContent, lowBoss), false, ""},
		{"An investigator's colleague approves in vain.", ask(investigator, ReleaseContent, somebody("other", "investigator")), false, ""},
		{"A judge's approval does not stand in for the supervisor's.", ask(investigator, ReleaseContent, judge), false, ""},
		{"A vain approval beside a good one does no harm.", ask(investigator, ReleaseContent, suspendedBoss, supervisor), true, "police-content"},
		{"A supervisor lists.", ask(supervisor, ReleaseIndex), true, "police-index"},
		{"A supervisor asks to listen.", ask(supervisor, AskContent), true, "police-index"},
		{"A supervisor does not listen alone.", ask(supervisor, ReleaseContent), false, ""},
		{"A supervisor listens when another supervisor approves.", ask(supervisor, ReleaseContent, colleague), true, "police-content"},
		{"A supervisor does not approve their own request.", ask(supervisor, ReleaseContent, supervisor), false, "not-own-approval"},
		{"A supervisor's own approval spoils a colleague's.", ask(supervisor, ReleaseContent, supervisor, colleague), false, "not-own-approval"},
		{"An own approval stops even a listing.", ask(supervisor, ReleaseIndex, supervisor), false, "not-own-approval"},
		{"An investigator of another unit does not list.", ask(stranger, ReleaseIndex), false, ""},
		{"An investigator of another unit does not ask to list.", ask(stranger, AskIndex), false, ""},
		{"An investigator of another unit does not ask to listen.", ask(stranger, AskContent), false, ""},
		{"An investigator of another unit does not listen, whoever approves.", ask(stranger, ReleaseContent, supervisor, otherBoss), false, ""},
		{"A clerk with a police unit on file is still no police.", ask(with(otherClerk, func(p *Person) { p.PoliceUnit = unit7 }), ReleaseContent, supervisor), false, ""},
		{"A clerk of another court with the unit on file does not list.", ask(with(otherClerk, func(p *Person) { p.PoliceUnit = unit7 }), ReleaseIndex), false, ""},

		{"The judge of the order's court lists.", ask(judge, ReleaseIndex), true, "court-reads"},
		{"The judge asks to listen.", ask(judge, AskContent), true, "court-reads"},
		{"The judge listens without approval.", ask(judge, ReleaseContent), true, "court-reads"},
		{"The clerk lists.", ask(clerk, ReleaseIndex), true, "court-reads"},
		{"The clerk asks to list.", ask(clerk, AskIndex), true, "court-reads"},
		{"The clerk listens without approval.", ask(clerk, ReleaseContent), true, "court-reads"},
		{"A judge of another court does not list.", ask(otherJudge, ReleaseIndex), false, ""},
		{"A judge of another court does not listen.", ask(otherJudge, ReleaseContent), false, ""},
		{"A clerk of another court does not listen.", ask(otherClerk, ReleaseContent), false, ""},
		{"An investigator of another unit with the court on file does not listen.", ask(with(stranger, func(p *Person) { p.Court = court1 }), ReleaseContent), false, ""},

		{"The prosecutor asks to list.", ask(prosecutor, AskIndex), true, "prosecutor-asks"},
		{"The prosecutor asks to listen.", ask(prosecutor, AskContent), true, "prosecutor-asks"},
		{"The prosecutor does not list alone.", ask(prosecutor, ReleaseIndex), false, ""},
		{"The prosecutor does not listen alone.", ask(prosecutor, ReleaseContent), false, ""},
		{"The prosecutor listens when the judge approves.", ask(prosecutor, ReleaseContent, judge), true, "prosecutor-reads"},
		{"The prosecutor listens when the clerk approves.", ask(prosecutor, ReleaseContent, clerk), true, "prosecutor-reads"},
		{"The prosecutor lists when the clerk approves.", ask(prosecutor, ReleaseIndex, clerk), true, "prosecutor-reads"},
		{"A supervisor's approval does not serve the prosecutor.", ask(prosecutor, ReleaseContent, supervisor), false, ""},
		{"Another court's judge approves in vain.", ask(prosecutor, ReleaseContent, otherJudge, otherClerk), false, ""},
		{"Another court's prosecutor does not ask.", ask(otherAccuser, AskContent), false, ""},
		{"Another court's prosecutor does not listen.", ask(otherAccuser, ReleaseContent, judge), false, ""},
		{"An investigator of another unit with the court on file is no prosecutor.", ask(with(stranger, func(p *Person) { p.Court = court1 }), ReleaseIndex, judge), false, ""},
		{"Nor does such an investigator ask.", ask(with(stranger, func(p *Person) { p.Court = court1 }), AskIndex), false, ""},

		{"The supervisor approves an investigator's request.", ask(supervisor, Approve), true, "supervisor-decides"},
		{"The supervisor denies it.", ask(supervisor, Deny), true, "supervisor-decides"},
		{"A supervisor of another unit does not decide.", ask(otherBoss, Approve), false, ""},
		{"An investigator does not decide.", ask(somebody("other", "investigator"), Approve), false, ""},
		{"The judge decides.", ask(judge, Approve), true, "court-decides"},
		{"The clerk denies.", ask(clerk, Deny), true, "court-decides"},
		{"A judge of another court does not decide.", ask(otherJudge, Deny), false, ""},
		{"An investigator with the court on file does not decide.", ask(with(stranger, func(p *Person) { p.Court = court1 }), Deny), false, ""},
		{"The prosecutor does not decide.", ask(prosecutor, Approve), false, ""},
		{"Nobody approves their own request.", but(ask(supervisor, Approve), func(q *Question) { q.Requester = supervisor }), false, "not-own-request"},
		{"Nobody denies their own request either.", but(ask(judge, Deny), func(q *Question) { q.Requester = judge }), false, "not-own-request"},
		{"A decision without a requester is refused.", but(ask(supervisor, Approve), func(q *Question) { q.Requester = Person{} }), false, "no-id"},
		{"An approval by nobody is refused.", ask(investigator, ReleaseContent, supervisor, with(colleague, func(p *Person) { p.ID = "" })), false, "no-id"},
		{"Nobody is suspended by name of nobody.", ask(registrar, SuspendPerson), false, "no-id"},

		{"The judge lists the privileged compartment.", but(ask(judge, ReleaseIndex), privileged), true, "court-reads"},
		{"The judge opens it.", but(ask(judge, ReleaseContent), privileged), true, "court-reads"},
		{"The clerk does not.", but(ask(clerk, ReleaseContent), privileged), false, "privileged"},
		{"The investigator does not.", but(ask(investigator, ReleaseIndex), privileged), false, "privileged"},
		{"The supervisor does not approve it.", but(ask(supervisor, Approve), privileged), false, "privileged-decides"},
		{"The prosecutor does not, even if the judge approves.", but(ask(prosecutor, ReleaseContent, judge), privileged), false, "privileged"},
		{"Not even a judge opens a compartment that does not exist.", but(ask(judge, ReleaseContent), func(q *Question) { q.Resource.Compartment = "attic" }), false, "privileged"},
		{"A unit without a compartment is refused.", but(ask(judge, ReleaseContent), func(q *Question) { q.Resource.Compartment = "" }), false, "error:privileged"},

		{"An order that is not in force opens for nobody.", but(ask(judge, ReleaseContent), func(q *Question) { q.Resource.InForce = false }), false, "in-force"},
		{"Nor is anything decided under it.", but(ask(supervisor, Approve), func(q *Question) { q.Resource.InForce = false }), false, "in-force"},
		{"A request without a purpose is refused.", but(ask(judge, AskIndex), func(q *Question) { q.Purpose = "" }), false, "purpose"},
		{"A request past its time is refused.", but(ask(judge, ReleaseContent), func(q *Question) { q.InTime = false }), false, "in-time"},

		{"A clearance equal to the classification is enough.", ask(with(judge, func(p *Person) { p.Clearance = "confidential" }), ReleaseContent), true, ""},
		{"A clearance below it is not.", ask(with(judge, func(p *Person) { p.Clearance = "restricted" }), ReleaseContent), false, "clearance"},
		{"No clearance is not.", ask(with(judge, func(p *Person) { p.Clearance = "" }), ReleaseContent), false, "clearance"},
		{"An unknown clearance is not.", ask(with(judge, func(p *Person) { p.Clearance = "cosmic" }), ReleaseContent), false, "clearance"},
		{"An order without a classification is refused.", but(ask(judge, ReleaseContent), func(q *Question) { q.Resource.Classification = "" }), false, "error:clearance"},
		{"An order of an unknown classification is refused.", but(ask(judge, ReleaseContent), func(q *Question) { q.Resource.Classification = "cosmic" }), false, "error:clearance"},
		{"The Spanish names are the same levels.", but(ask(with(judge, func(p *Person) { p.Clearance = "reservado" }), ReleaseContent), func(q *Question) { q.Resource.Classification = "secret" }), true, ""},
		{"Secreto is above reservado.", but(ask(with(judge, func(p *Person) { p.Clearance = "reservado" }), ReleaseContent), func(q *Question) { q.Resource.Classification = "secreto" }), false, "clearance"},

		{"A suspended investigator does not ask.", ask(with(investigator, func(p *Person) { p.Suspended = true }), AskIndex), false, "suspended"},
		{"A suspended judge does nothing.", ask(with(judge, func(p *Person) { p.Suspended = true }), ReadLog), false, "suspended"},
		{"An auditor reads the log of any order.", ask(auditor, ReadLog), true, "auditor-log"},
		{"The clerk reads the court's log.", ask(clerk, ReadLog), true, "court-log"},
		{"The judge reads it.", ask(judge, ReadLog), true, "court-log"},
		{"A judge of another court does not.", ask(otherJudge, ReadLog), false, ""},
		{"An investigator does not, whatever court is on file.", ask(with(stranger, func(p *Person) { p.Court = court1 }), ReadLog), false, ""},
		{"The log stays readable after the order ended.", but(ask(auditor, ReadLog), func(q *Question) { q.Resource.InForce = false }), true, ""},
		{"An auditor never lists.", ask(auditor, ReleaseIndex), false, "operators-never-read"},
		{"An auditor who is also the judge does not even audit.", ask(somebody("both", "auditor", "judge"), ReadLog), false, "auditor-alone"},
		{"An auditor who is also a registrar does not enrol.", but(ask(somebody("both", "registrar", "auditor"), Enrol), func(q *Question) { q.Subject = investigator }), false, "auditor-alone"},
		{"A judge who is also an investigator does not listen.", ask(somebody("both", "judge", "investigator"), ReleaseContent), false, "powers-apart"},
		{"A clerk who is also a supervisor does not read the log.", ask(somebody("both", "clerk", "supervisor"), ReadLog), false, "powers-apart"},
		{"A supervisor who is also the prosecutor does not list.", ask(somebody("both", "prosecutor", "supervisor"), ReleaseIndex), false, "powers-apart"},
		{"A judge who is also the prosecutor does not listen.", ask(somebody("both", "judge", "prosecutor"), ReleaseContent), false, "powers-apart"},
		{"A prosecutor who is also an investigator does not list.", ask(somebody("both", "prosecutor", "investigator"), ReleaseIndex), false, "powers-apart"},
		{"An investigator who is also the supervisor may list.", ask(somebody("both", "investigator", "supervisor"), ReleaseIndex), true, ""},
		{"A judge who is also a clerk may.", ask(somebody("both", "judge", "clerk"), ReleaseContent), true, ""},
		{"A custodian with a second role reads nothing.", ask(somebody("both", "custodian", "investigator"), ReleaseIndex), false, "operators-never-read"},
		{"A registrar who is also the supervisor approves nothing.", ask(somebody("both", "registrar", "supervisor"), Approve), false, "operators-never-read"},
		{"A supervisor who is also a registrar approves in vain.", ask(investigator, ReleaseContent, somebody("both", "registrar", "supervisor")), false, ""},

		{"The clerk admits orders.", ask(clerk, AdmitOrder), true, "court-admits"},
		{"The judge admits orders.", ask(judge, AdmitOrder), true, "court-admits"},
		{"Another court does not.", ask(otherJudge, AdmitOrder), false, ""},
		{"An investigator does not.", ask(with(investigator, func(p *Person) { p.Court = court1 }), AdmitOrder), false, ""},
		{"A registrar enrols an investigator.", but(ask(registrar, Enrol), func(q *Question) { q.Subject = investigator }), true, "registrar-enrols"},
		{"A registrar does not enrol a judge.", but(ask(registrar, Enrol), func(q *Question) { q.Subject = judge }), false, "court-root-makes-judges"},
		{"A registrar does not enrol a clerk.", but(ask(registrar, Enrol), func(q *Question) { q.Subject = clerk }), false, "court-root-makes-judges"},
		{"A registrar does not enrol themselves.", but(ask(registrar, Enrol), func(q *Question) { q.Subject = with(investigator, func(p *Person) { p.ID = registrar.ID }) }), false, "registrar-not-self"},
		{"A judge does not enrol.", but(ask(judge, Enrol), func(q *Question) { q.Subject = investigator }), false, ""},
		{"Nobody enrols nobody.", ask(registrar, Enrol), false, "no-id"},
		{"A registrar suspends.", but(ask(registrar, SuspendPerson), func(q *Question) { q.Subject = judge }), true, "anyone-in-charge-suspends"},
		{"A judge suspends.", but(ask(judge, SuspendPerson), func(q *Question) { q.Subject = investigator }), true, "anyone-in-charge-suspends"},
		{"A supervisor does not.", but(ask(supervisor, SuspendPerson), func(q *Question) { q.Subject = investigator }), false, ""},

		{"A collector files notes.", ask(collector, FileNote), true, "collector-files"},
		{"A collector asks for unit keys.", ask(collector, AskUnits), true, "collector-files"},
		{"A collector asks for the status.", ask(collector, AskStatus), true, "collector-files"},
		{"An investigator files no notes.", ask(investigator, FileNote), false, ""},
		{"A mirror does nothing here.", ask(mirror, AskStatus), false, ""},
		{"An investigator sees whether the order stands.", ask(investigator, AskStatus), true, "police-status"},
		{"The supervisor too.", ask(supervisor, AskStatus), true, "police-status"},
		{"One of another unit does not.", ask(stranger, AskStatus), false, ""},
		{"A mirror with the unit on file does not.", ask(with(mirror, func(p *Person) { p.PoliceUnit, p.Court = unit7, court1 }), AskStatus), false, ""},
		{"The prosecutor sees whether the order stands.", ask(prosecutor, AskStatus), true, "court-status"},
		{"The judge too.", ask(judge, AskStatus), true, "court-status"},
		{"The clerk too.", ask(clerk, AskStatus), true, "court-status"},
		{"Another court's clerk does not.", ask(otherClerk, AskStatus), false, ""},
		{"The auditor sees whether any order stands.", ask(auditor, AskStatus), true, "oversight-status"},
		{"The custodian sees whether the order stands.", ask(custodian, AskStatus), true, "oversight-status"},
		{"A minister sees whether the urgent order stands.", ask(minister, AskStatus), true, "minister-status"},
		{"A minister does not list, whoever approves.", ask(with(minister, func(p *Person) { p.PoliceUnit, p.Court = unit7, court1 }), ReleaseIndex, judge), false, "operators-never-read"},
		{"A minister who is also a supervisor does nothing.", ask(somebody("both", "minister", "supervisor"), AskStatus), false, "powers-apart"},
		{"A person without an id is nobody.", ask(with(judge, func(p *Person) { p.ID = "" }), ReadLog), false, "no-id"},
		{"A person without a role does nothing.", ask(with(judge, func(p *Person) { p.Roles = nil }), ReleaseIndex), false, ""},
		{"An unknown action is refused.", ask(judge, "openEverything"), false, ""},
	}
	list = append(list, compartments()...)
	// Nothing matches by being empty on both sides.
	for _, action := range Actions() {
		nowhere := but(ask(Person{ID: "x", Roles: []string{"investigator", "supervisor"}, Clearance: "secret"}, action), func(q *Question) { q.Resource.PoliceUnit = "" })
		list = append(list, sentence{"Police of no unit, order of no unit: " + string(action), nowhere, false, ""})
		nobodys := but(ask(Person{ID: "x", Roles: []string{"clerk"}, Clearance: "secret"}, action), func(q *Question) { q.Resource.Court = "" })
		list = append(list, sentence{"A clerk of no court, order of no court: " + string(action), nobodys, false, ""})
	}
	// What guards opening guards asking, deciding and releasing alike.
	for _, action := range []Action{AskIndex, AskContent, ReleaseIndex, ReleaseContent, Approve, Deny, Annotate, Move} {
		guard := "privileged"
		if action == Approve || action == Deny {
			guard = "privileged-decides"
		}
		list = append(list, sentence{"The privileged compartment is guarded: " + string(action), but(ask(clerk, action), privileged), false, guard},
			sentence{"The clerk's compartment is guarded: " + string(action), in("clerk", ask(supervisor, action)), false, "clerk-alone"})
		if action != Approve && action != Deny { // what is excluded may still be denied
			list = append(list, sentence{"What is excluded is guarded: " + string(action), excluded(ask(clerk, action)), false, "excluded"})
		}
		for by, spoil := range map[string]func(*Question){
			"in-force":  func(q *Question) { q.Resource.InForce = false },
			"purpose":   func(q *Question) { q.Purpose = "" },
			"in-time":   func(q *Question) { q.InTime = false },
			"clearance": func(q *Question) { q.By.Clearance = "restricted" },
		} {
			if (by == "purpose" || by == "in-time") && (action == Approve || action == Deny) || by == "in-time" && (action == Annotate || action == Move) {
				continue // a decision has no purpose of its own; its request does. What was made in time may be reported later
			}
			list = append(list, sentence{string(action) + " is guarded by " + by, but(ask(judge, action), spoil), false, by})
		}
		for _, p := range []Person{custodian, registrar, auditor, collector, mirror} {
			both := with(p, func(p *Person) { p.Roles, p.Court = append(slices.Clone(p.Roles), "judge"), court1 })
			list = append(list, sentence{p.ID + " and judge: " + string(action), ask(both, action), false, "operators-never-read"})
		}
	}
	return list
}

func in(compartment string, q Question) Question { q.Resource.Compartment = compartment; return q }

func excluded(q Question) Question { q.Resource.Excluded = true; return q }

func move(by Person, from, to string, cleared bool) Question {
	q := in(from, ask(by, Move))
	q.To, q.Resource.Cleared = to, cleared
	return q
}

// compartments are the sentences on notes, on what is sealed again, and on what the judge decides of single recordings.
func compartments() []sentence {
	courtOnFile := with(stranger, func(p *Person) { p.Court = court1 })
	unitOnFile := with(otherClerk, func(p *Person) { p.PoliceUnit = unit7 })
	screened := func(q Question) Question { q.Resource.Screened = true; return in("privileged", q) }
	cleared := func(q Question) Question { q.Resource.Cleared = true; return in("privileged", q) }
	list := []sentence{
		{"An investigator seals a note.", ask(investigator, Annotate), true, "police-annotates"},
		{"A supervisor seals a note.", ask(supervisor, Annotate), true, "police-annotates"},
		{"An investigator of another unit does not.", ask(stranger, Annotate), false, ""},
		{"Nor does a clerk of another court with the unit on file.", ask(unitOnFile, Annotate), false, ""},
		{"The judge seals a note.", ask(judge, Annotate), true, "court-annotates"},
		{"The clerk seals a note.", ask(clerk, Annotate), true, "court-annotates"},
		{"A clerk of another court does not.", ask(otherClerk, Annotate), false, ""},
		{"Nor does an investigator of another unit with the court on file.", ask(courtOnFile, Annotate), false, ""},
		{"The prosecutor does not.", ask(prosecutor, Annotate), false, ""},

		{"The clerk keeps a copy in the clerk's compartment.", move(clerk, "main", "clerk", false), true, "clerk-keeps"},
		{"The judge too.", move(judge, "main", "clerk", false), true, "clerk-keeps"},
		{"Another court's clerk does not.", move(otherClerk, "main", "clerk", false), false, ""},
		{"An investigator with the court on file does not.", move(courtOnFile, "main", "clerk", false), false, ""},
		{"An investigator seals nothing again.", move(investigator, "main", "clerk", false), false, ""},
		{"Not even the judge takes what is privileged into the clerk's compartment.", move(judge, "privileged", "clerk", true), false, ""},
		{"Nothing moves to where it is.", move(judge, "main", "main", true), false, ""},
		{"The judge sets a recording apart.", move(judge, "main", "privileged", false), true, "judge-sets-apart"},
		{"The clerk does not.", move(clerk, "main", "privileged", false), false, ""},
		{"Another court's judge does not.", move(otherJudge, "main", "privileged", false), false, ""},
		{"What the clerk keeps is not set apart.", move(judge, "clerk", "privileged", false), false, ""},
		{"Nothing privileged is set apart again.", move(judge, "privileged", "privileged", true), false, ""},
		{"Out of the privileged compartment comes what the judge has ordered out of it.", move(judge, "privileged", "main", true), true, "released-to-main"},
		{"The clerk carries it out.", move(clerk, "privileged", "main", true), true, "released-to-main"},
		{"Without the order it does not come out, whoever tries.", move(judge, "privileged", "main", false), false, ""},
		{"A clerk without the order does not try.", move(clerk, "privileged", "main", false), false, "privileged"},
		{"Another court's judge brings nothing out.", move(otherJudge, "privileged", "main", true), false, ""},
		{"An investigator seals nothing privileged into main.", move(investigator, "privileged", "main", true), false, "privileged"},
		{"Nor does a person with the court on file who screens.", screened(move(courtOnFile, "privileged", "main", true)), false, ""},
		{"What the clerk keeps does not come back.", move(clerk, "clerk", "main", true), false, ""},

		{"The clerk opens the clerk's compartment.", in("clerk", ask(clerk, ReleaseContent)), true, "court-reads"},
		{"The judge opens it.", in("clerk", ask(judge, ReleaseContent)), true, "court-reads"},
		{"The prosecutor does not, even if the judge approves.", in("clerk", ask(prosecutor, ReleaseContent, judge)), false, "clerk-alone"},

		{"The judge sees what is excluded.", excluded(ask(judge, ReleaseContent)), true, "court-reads"},
		{"What is excluded is denied to who asks for it.", excluded(ask(supervisor, Deny)), true, "supervisor-decides"},

		{"The clerk opens what the judge has ordered out of the privileged compartment.", cleared(ask(clerk, ReleaseContent)), true, "court-reads"},
		{"An investigator does not: for them it is sealed again into main.", cleared(ask(investigator, ReleaseIndex)), false, "privileged"},
		{"Who screens opens nothing that others are named for.", in("privileged", ask(stranger, ReleaseContent)), false, "privileged"},
		{"Who screens the privileged compartment reads nothing in main by it.", in("main", screened(ask(stranger, ReleaseContent))), false, ""},
		{"Who screens does not decide on requests.", screened(ask(supervisor, Approve)), false, "privileged-decides"},
		{"Another court's clerk opens nothing that is ordered out.", cleared(ask(otherClerk, ReleaseContent)), false, ""},
		{"Nobody decides on a compartment that does not exist.", in("attic", ask(judge, Deny)), false, "privileged-decides"},
		{"The clerk decides on the clerk's compartment.", in("clerk", ask(clerk, Approve)), true, "court-decides"},
		{"The judge decides on the privileged one.", in("privileged", ask(judge, Approve)), true, "court-decides"},
		{"Who screens seals nothing again.", screened(move(stranger, "privileged", "main", false)), false, ""},
		{"What is excluded is closed to who screens.", excluded(screened(ask(stranger, ReleaseContent))), false, "excluded"},
	}
	for _, action := range []Action{AskIndex, AskContent, ReleaseIndex, ReleaseContent, Annotate} {
		list = append(list, sentence{"Who is named to screen may: " + string(action), screened(ask(stranger, action)), true, "screener-looks"})
	}
	return list
}

func (s sentence) check(policies *set) string {
	d := policies.decide(s.q)
	if d.Allowed != s.allow {
		return fmt.Sprintf("%s allowed=%v because of %v", s.says, d.Allowed, d.Reasons)
	}
	if s.by != "" && !slices.Contains(d.Reasons, s.by) {
		return fmt.Sprintf("%s decided by %v, not by %s", s.says, d.Reasons, s.by)
	}
	return ""
}

func TestPolicyReadsAsSentences(t *testing.T) {
	for _, s := range sentences() {
		if wrong := s.check(embedded); wrong != "" {
			t.Error(wrong)
		}
	}
}

func TestAForbidTellsWhatToDo(t *testing.T) {
	d := Decide(but(ask(judge, AskIndex), func(q *Question) { q.Purpose, q.InTime = "", false }))
	if want := []string{"say what the request is for", "the request or the access to the order's recordings has ended"}; !slices.Equal(d.Tells, want) {
		t.Errorf("tells %q", d.Tells)
	}
	for _, p := range embedded.policies.All() {
		if p.Effect() == cedar.Forbid && p.Annotations()["tell"] == "" {
			t.Errorf("a forbid tells nothing: %s", p.Annotations()["id"])
		}
	}
	if d := Decide(ask(judge, ReleaseContent)); len(d.Tells) != 0 {
		t.Errorf("an allowed person is told %q", d.Tells)
	}
}

func TestAnAskSaysWhoMustApprove(t *testing.T) {
	for _, c := range []struct {
		by     Person
		action Action
		needed string
	}{
		{investigator, AskIndex, ""}, {investigator, AskContent, "supervisor"}, {supervisor, AskContent, "supervisor"},
		{judge, AskContent, ""}, {clerk, AskIndex, ""}, {prosecutor, AskIndex, "clerk judge"}, {prosecutor, AskContent, "clerk judge"},
		{stranger, AskContent, ""},
		// A refused release says which approval is missing, unless none would help.
		{investigator, ReleaseContent, "supervisor"}, {prosecutor, ReleaseContent, "clerk judge"}, {stranger, ReleaseContent, ""},
		{with(investigator, func(p *Person) { p.Suspended = true }), ReleaseContent, ""}, {judge, ReleaseContent, ""}, {auditor, ReadLog, ""},
	} {
		if d := Decide(ask(c.by, c.action)); strings.Join(d.Needed, " ") != c.needed {
			t.Errorf("%s %s needs %v, want %q", c.by.ID, c.action, d.Needed, c.needed)
		}
	}
	if d := Decide(ask(supervisor, ReleaseContent, supervisor)); len(d.Needed) != 0 {
		t.Errorf("a request spoilt by an own approval needs %v; nothing helps it", d.Needed)
	}
}

// Any error is a refusal, in a permit as in a forbid, and even if another
// permit allows: Cedar alone would skip the broken policy.
func TestAnyErrorIsARefusal(t *testing.T) {
	for name, broken := range map[string]string{
		"permit": `@id("broken") @why("test") permit (principal, action, resource) when { principal.nothing == 1 };`,
		"forbid": `@id("broken") @why("test") forbid (principal, action, resource) when { principal.nothing == 1 };`,
	} {
		s, err := load(append(bytes.Clone(policyText), broken...))
		if err != nil {
			t.Fatal(err)
		}
		q := ask(judge, ReleaseContent)
		request, entities := express(q, nil)
		if alone, _ := cedar.Authorize(s.policies, entities, request); alone != cedar.Allow {
			t.Fatalf("the twin without the rule refuses too (%v), so this tests nothing", alone)
		}
		if d := s.decide(q); d.Allowed || !slices.Equal(d.Reasons, []string{"error:broken"}) || !Decide(q).Allowed {
			t.Errorf("broken %s: %+v", name, d)
		}
	}
}

func TestPoliciesAreAddedByTheirOwnID(t *testing.T) {
	for name, text := range map[string]string{
		"none":       ``,
		"without id": `@why("x") permit (principal, action, resource);`,
		"no reason":  `@id("x") permit (principal, action, resource);`,
		"twice":      `@id("x") @why("y") permit (principal, action, resource); @id("x") @why("y") forbid (principal, action, resource);`,
		"no Cedar":   `allow everything`,
	} {
		if _, err := load([]byte(text)); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func validator(t *testing.T) *validate.Validator {
	t.Helper()
	var s schema.Schema
	if err := s.UnmarshalCedar(schemaText); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return validate.New(resolved, validate.WithStrict())
}

func TestPoliciesKeepToTheSchema(t *testing.T) {
	v := validator(t)
	checked := 0
	for id, p := range embedded.policies.All() {
		if err := v.Policy(string(id), (*ast.Policy)(p.AST())); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		checked++
	}
	if checked < 20 {
		t.Errorf("only %d policies were checked", checked)
	}
	// The validator is no dummy: a policy that reads an optional attribute unguarded fails.
	list, err := cedar.NewPolicyListFromBytes("x", []byte(`permit (principal, action == Action::"readLog", resource) when { principal.court == resource.court };`))
	if err != nil {
		t.Fatal(err)
	}
	if v.Policy("x", (*ast.Policy)(list[0].AST())) == nil {
		t.Error("the validator accepts an unguarded optional attribute")
	}
}

func TestQuestionsKeepToTheSchema(t *testing.T) {
	v := validator(t)
	for _, action := range Actions() {
		q := ask(supervisor, action, colleague, judge)
		q.Subject = investigator
		request, entities := express(q, q.Approvals)
		if err := v.Request(request); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		if err := v.Entities(entities); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// Each policy dropped, and each condition weakened, makes a sentence wrong.
func TestEveryPolicyAndConditionIsNeeded(t *testing.T) {
	list := sentences()
	mutants := 0
	for id := range embedded.policies.All() {
		for name, policies := range mutantsOf(t, id) {
			mutants++
			if !slices.ContainsFunc(list, func(s sentence) bool { return s.check(policies) != "" }) {
				t.Errorf("%s: %s, and no sentence notices", id, name)
			}
		}
	}
	t.Logf("%d weakened twins", mutants)
	if mutants < 80 {
		t.Errorf("only %d mutants were tried", mutants)
	}
}

func mutantsOf(t *testing.T, id cedar.PolicyID) map[string]*set {
	t.Helper()
	original, err := embedded.policies.Get(id).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]*set{"dropped": replaced(nil, id)}
	for name, mutant := range weaken(t, original) {
		var p cedar.Policy
		if err := p.UnmarshalJSON(mutant); err != nil {
			t.Fatalf("%s: %s: %v", id, name, err)
		}
		list[name] = replaced(&p, id)
	}
	return list
}

func replaced(p *cedar.Policy, id cedar.PolicyID) *set {
	s := &set{policies: cedar.NewPolicySet(), tell: embedded.tell}
	for other, policy := range embedded.policies.All() {
		if other != id {
			s.policies.Add(other, policy)
		}
	}
	if p != nil {
		s.policies.Add(id, p)
	}
	return s
}

// weaken walks a policy's JSON and gives copies in which one && or || lost a
// side, one set lost a member, one list of actions lost an action, or one
// comparison lost its equality. Losing "has" is left out: the attribute then errs, and any error refuses as well.
func weaken(t *testing.T, original []byte) map[string][]byte {
	mutants := map[string][]byte{}
	var tree any
	if err := json.Unmarshal(original, &tree); err != nil {
		t.Fatal(err)
	}
	emit := func(name string) {
		b, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		mutants[fmt.Sprintf("%s (%d)", name, len(mutants))] = b
	}
	var walk func(node any, put func(any))
	walk = func(node any, put func(any)) {
		switch n := node.(type) {
		case []any:
			for i := range n {
				walk(n[i], func(v any) { n[i] = v })
			}
		case map[string]any:
			for _, op := range []string{"&&", "||"} {
				if sides, ok := n[op].(map[string]any); ok {
					for keep, lose := range map[string]string{"left": "right", "right": "left"} {
						if lost, ok := sides[lose].(map[string]any); ok && lost["has"] != nil {
							continue
						}
						put(sides[keep])
						emit("without the " + lose + " of " + op)
						put(node)
					}
				}
			}
			if members, ok := n["Set"].([]any); ok && len(members) > 1 {
				shorten(members, func(v []any) { n["Set"] = v }, emit, "a set without ")
			}
			if actions, ok := n["entities"].([]any); ok && len(actions) > 1 {
				shorten(actions, func(v []any) { n["entities"] = v }, emit, "without action ")
			}
			if sides, ok := n[">="]; ok {
				put(map[string]any{">": sides})
				emit("> for >=")
				put(node)
			}
			for _, key := range slices.Sorted(maps.Keys(n)) {
				if key != "annotations" {
					walk(n[key], func(v any) { n[key] = v })
				}
			}
		}
	}
	walk(tree, func(v any) { tree = v })
	return mutants
}

func shorten(list []any, put func([]any), emit func(string), what string) {
	for i := range list {
		put(slices.Delete(slices.Clone(list), i, i+1))
		emit(what + fmt.Sprint(list[i]))
	}
	put(list)
}

// The golden matrix: every role × action, alone and with each approval, in both compartments.
func TestTheMatrixOfRolesAndActions(t *testing.T) {
	var out strings.Builder
	out.WriteString("# who, at the order's own unit and court, may do what: m main compartment, p privileged, - no\n")
	approvals := []struct {
		name string
		by   []Person
	}{{"alone", nil}, {"supervisor", []Person{colleague}}, {"clerk", []Person{with(clerk, func(p *Person) { p.ID = "another clerk" })}}, {"judge", []Person{with(judge, func(p *Person) { p.ID = "another judge" })}}}
	for _, who := range []Person{investigator, supervisor, judge, clerk, prosecutor, custodian, registrar, auditor, collector, mirror, minister} {
		for _, action := range Actions() {
			fmt.Fprintf(&out, "%-13s %-15s", who.ID, action)
			for _, a := range approvals {
				cell := ""
				for _, compartment := range []string{"main", "privileged"} {
					q := ask(who, action, a.by...)
					q.Resource.Compartment = compartment
					q.Requester, q.Subject = somebody("requester", "investigator"), somebody("subject", "investigator")
					if Decide(q).Allowed {
						cell += compartment[:1]
					}
				}
				if cell == "" {
					cell = "-"
				}
				fmt.Fprintf(&out, " %s:%-2s", a.name, cell)
			}
			out.WriteString("\n")
		}
	}
	got := strings.ReplaceAll(out.String(), " \n", "\n")
	const path = "testdata/matrix.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("the matrix changed (%v); if that is meant, run go test ./shared/policy -update and read the difference:\n%s", err, got)
	}
}

func BenchmarkDecide(b *testing.B) {
	q := ask(investigator, ReleaseContent, supervisor)
	for b.Loop() {
		if !Decide(q).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		mustLoad(policyText)
	}
}
