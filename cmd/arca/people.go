package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// partyAnswer is what one keyholder said.
type partyAnswer struct {
	Party  string   `json:"party"`
	Answer string   `json:"answer,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

// atBoth does the same at court and custodian, whatever the first one says, and gives every answer and the first failure.
func atBoth(f *installation.Folder, signer *record.Signer, do func(k *wire.Keyholder) (string, error)) ([]partyAnswer, error) {
	var answers []partyAnswer
	var first error
	for _, party := range installation.Keyholders {
		word, err := do(f.Keyholder(party, signer))
		if err != nil && first == nil {
			first = err
		}
		answers = append(answers, partyAnswer{Party: party, Answer: word, Error: failed(err)})
	}
	return answers, first
}

// answers writes what both keyholders said.
func (p *page) answers(list []partyAnswer) {
	var rows [][]string
	for _, a := range list {
		word := a.Answer
		if a.Error != nil {
			word = a.Error.Message
		}
		rows = append(rows, []string{a.Party, word})
	}
	p.table([]string{"KEYHOLDER", "ANSWER"}, rows)
}

// personAnswer is a person as enrol and whoami show one.
type personAnswer struct {
	Name       string        `json:"name"`
	Key        string        `json:"key"`
	PublicKey  string        `json:"publicKey"`
	Roles      []record.Role `json:"roles"`
	Court      string        `json:"court,omitempty"`
	PoliceUnit string        `json:"policeUnit,omitempty"`
	Clearance  string        `json:"clearance,omitempty"`
	Expires    time.Time     `json:"expires,omitzero"`
	Keyholders []partyAnswer `json:"keyholders,omitempty"`
	Error      *failure      `json:"error,omitempty"`
}

func describePerson(name string, key record.PublicKey, e record.Enrolment) personAnswer {
	return personAnswer{
		Name: name, Key: key.ID().String(), PublicKey: key.String(), Roles: e.Roles, Court: e.Court,
		PoliceUnit: e.PoliceUnit, Clearance: e.Clearance, Expires: e.Expires,
	}
}

func (who personAnswer) write(p *page) {
	var roles []string
	for _, r := range who.Roles {
		roles = append(roles, string(r))
	}
	p.pairs("name", who.Name, "roles", strings.Join(roles, ", "), "court", who.Court, "police unit", who.PoliceUnit,
		"clearance", who.Clearance, "enrolled until", when(who.Expires), "key", who.Key)
	if len(who.Keyholders) > 0 {
		p.line("")
		p.answers(who.Keyholders)
	}
}

func (a *app) enrolCommand() *cobra.Command {
	var e record.Enrolment
	var roles []string
	var renew bool
	c := a.command(spec{
		use: "enrol NAME", short: "Make an identity and have the registrars enrol it",
		long: "Makes a signing key in people/NAME and enrols it at both keyholders. The enrolment carries the signatures of the court's\n" +
			"and the custodian's registrar; a judge's or clerk's carries the court root's alone, so that only the court makes judges.\n" +
			"With --role collector or mirror the key is made in NAME/ and admitted at the vault too.\n\n" +
			"If a keyholder was not there, the same line again goes on. Roles: investigator, supervisor, judge, clerk, prosecutor,\n" +
			"custodian, registrar, auditor, collector, mirror, minister.",
		example: "arca enrol judge --role judge --court 'Court One' --clearance secret\n" +
			"arca enrol ines --role investigator --police-unit 'Unit A' --clearance secret\n" +
			"arca enrol site-b --role mirror",
		args: cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			for _, r := range roles {
				e.Roles = append(e.Roles, record.Role(r))
			}
			return a.enrol(cmd.Context(), args[0], e, renew)
		},
	})
	c.Flags().StringSliceVar(&roles, "role", nil, "role; several are separated by commas")
	c.Flags().StringVar(&e.Court, "court", "", "court that a judge, clerk or prosecutor belongs to")
	c.Flags().StringVar(&e.PoliceUnit, "police-unit", "", "unit that an investigator or supervisor belongs to")
	c.Flags().StringVar(&e.Clearance, "clearance", "", "highest classification that the person may see: unclassified, restricted, confidential, secret or top-secret")
	c.Flags().BoolVar(&renew, "renew", false, "sign a new enrolment for an identity that has one")
	_ = c.MarkFlagRequired("role")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"investigator", "supervisor", "judge", "clerk",
		"prosecutor", "custodian", "registrar", "auditor", "collector", "mirror", "minister"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// places are the folder names of an installation that no machine may take.
var places = []string{"vault", "court", "custodian", "witness", "people"}

func (a *app) enrol(ctx context.Context, name string, e record.Enrolment, renew bool) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	if err := installation.CheckName(name); err != nil {
		return err
	}
	e.Name = name
	if err := cmp.Or(belongs(e), e.CheckRights()); err != nil { // before there is a key, so that a slip leaves none behind
		return err
	}
	machine := e.Of(record.Collector) || e.Of(record.Mirror)
	home := []string{"people", name}
	if machine {
		home = []string{name}
		if slices.Contains(places, name) {
			return problem.New(problem.Conflict, "this name is a party's own; give the machine another one")
		}
	}
	if _, err := f.Enrolment(home...); err == nil && !renew {
		return problem.New(problem.Conflict, "this name is enrolled already; --renew signs a new enrolment for its key")
	}
	signer, err := identityFor(f, name, home)
	if err != nil {
		return err
	}
	e.Key = signer.Public()
	joint, err := f.SignEnrolment(e)
	if err != nil {
		return err
	}
	out := describePerson(name, signer.Public(), e)
	out.Keyholders, err = atBoth(f, nil, func(k *wire.Keyholder) (string, error) {
		return "enrolled", k.Enrol(ctx, joint)
	})
	if err == nil && renew && !machine {
		out.Keyholders, err = atBoth(f, signer, func(k *wire.Keyholder) (string, error) { return "enrolled", afterRenewal(inService(ctx, k, out.Key)) })
	}
	if err == nil && machine {
		err = f.AdmitMachine(ctx, signer.Public(), e.Roles[0])
	}
	if err == nil {
		err = f.KeepEnrolment(joint, home...)
	}
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

// belongs refuses an enrolment that would be admitted and then allow nothing: no policy matches a judge of no court or a clearance
// that is no level.
func belongs(e record.Enrolment) error {
	if _, known := policy.Level(e.Clearance); e.Clearance != "" && !known {
		return problem.New(problem.Invalid, "there is no such clearance; levels are %s", strings.Join(policy.Levels(), ", "))
	}
	for _, role := range e.Roles {
		switch role {
		case record.Judge, record.Clerk, record.Prosecutor:
			if e.Court == "" {
				return problem.New(problem.Invalid, "a %s belongs to a court; say which with --court, spelt as in its orders", string(role))
			}
		case record.Investigator, record.Supervisor:
			if e.PoliceUnit == "" {
				return problem.New(problem.Invalid, "%s belongs to a unit of police; say which with --police-unit, spelt as in its orders", article(string(role)))
			}
		}
	}
	return nil
}

// afterRenewal names the one reason why a key that was enrolled a moment ago is refused.
func afterRenewal(err error) error {
	if problem.KindOf(err) != problem.Denied {
		return err
	}
	return problem.Wrap(problem.Denied, err, "this key was suspended, and no enrolment lifts that; enrol the person under another name, with a new key")
}

// identityFor takes up the identity of an enrolment that did not finish, or makes one.
func identityFor(f *installation.Folder, name string, home []string) (*record.Signer, error) {
	signer, err := f.Identity(home...)
	if problem.KindOf(err) != problem.NotFound {
		return signer, err
	}
	if _, err := os.Stat(f.Dir(home...)); err == nil && len(home) == 1 {
		return nil, problem.New(problem.Conflict, "a folder of this name is here already and is no machine's; choose another name")
	}
	return f.NewIdentity(name, home...)
}

func (a *app) whoamiCommand() *cobra.Command {
	return a.command(spec{
		use: "whoami", short: "Show who acts here, with roles and what both keyholders say",
		long:    "Shows the identity that --as, ARCA_AS or its being the only one chooses, the enrolment filed beside it, verified, and whether\neach keyholder has it in service.",
		example: "arca whoami --as ines",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			e, err := f.Enrolment("people", me.name)
			if err != nil {
				return err
			}
			out := describePerson(me.name, me.signer.Public(), e)
			out.Keyholders, err = atBoth(f, me.signer, func(k *wire.Keyholder) (string, error) {
				return "in service", inService(cmd.Context(), k, out.Key)
			})
			out.Error = failed(err)
			return a.report(out, err, out.write)
		},
	})
}

// inService asks a keyholder for the caller's own enrolment, which it gives only to whom it knows and has not suspended.
func inService(ctx context.Context, k *wire.Keyholder, key string) error {
	people, err := k.People(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(people.People, func(p wire.EnrolledPerson) bool { return p.Key == key && !p.Suspended }) {
		return problem.New(problem.Denied, "this key is not in service here; ask a registrar")
	}
	return nil
}

func (a *app) suspendCommand() *cobra.Command {
	var reason, by string
	c := a.command(spec{
		use: "suspend NAME", short: "Take a person or machine out of service at once",
		long: "One signature is enough: that of the court's or the custodian's registrar. It applies at once at each keyholder that takes it;\n" +
			"while only one has it, nothing is released at all, because both must say the same. Nobody returns from a suspension: enrol a new key.",
		example: "arca suspend bruno --reason 'left the unit'",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			return a.suspend(cmd.Context(), args[0], by, reason)
		},
	})
	c.ValidArgsFunction = a.completePeople
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	c.Flags().StringVar(&by, "by", "court", "whose registrar signs: court or custodian")
	_ = c.MarkFlagRequired("reason")
	_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(installation.Keyholders, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) suspend(ctx context.Context, name, by, reason string) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	if !slices.Contains(installation.Keyholders, by) {
		return problem.New(problem.Invalid, "--by is court or custodian")
	}
	key, err := keyOf(f, name)
	if err != nil {
		return err
	}
	registrar, err := f.Office(by, "registrar")
	if err != nil {
		return err
	}
	s := record.PersonSuspension{Audience: f.Config.Trust, Issued: record.Second(a.now()), Person: key, Reason: reason}
	rand.Read(s.Nonce[:]) // never fails: the runtime stops the process instead
	statement, err := record.Sign(registrar, record.TypeSuspension, a.now(), s)
	if err != nil {
		return err
	}
	out := struct {
		Name       string        `json:"name"`
		Key        string        `json:"key"`
		Keyholders []partyAnswer `json:"keyholders"`
		Error      *failure      `json:"error,omitempty"`
	}{Name: name, Key: key.String()}
	out.Keyholders, err = atBoth(f, nil, func(k *wire.Keyholder) (string, error) {
		return "suspended", k.Suspend(ctx, statement)
	})
	out.Error = failed(err)
	return a.report(out, err, func(p *page) { p.answers(out.Keyholders) })
}

// keyOf finds the key of a person or machine of this installation, or reads a whole key id.
func keyOf(f *installation.Folder, name string) (record.KeyID, error) {
	if id, err := record.ParseDigest(name); err == nil {
		return id, nil
	}
	signer, err := f.Person(name)
	if problem.KindOf(err) == problem.NotFound && !slices.Contains(places, name) {
		if machine, absent := f.Identity(name); absent == nil {
			signer, err = machine, nil
		}
	}
	if err != nil {
		return record.KeyID{}, err
	}
	return signer.Public().ID(), nil
}
