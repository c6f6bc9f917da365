package keyholder

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// roster is every key that was ever enrolled here and those that are suspended. It is one row, so that its
// digest, which the status carries, is of one moment; see maxEnrolled.
type roster struct {
	Enrolled  map[string]record.Digest `json:"enrolled"` // key id → hash of the enrolment
	Suspended []record.Digest          `json:"suspended,omitempty"`
}

func personName(id record.KeyID) string { return "person/" + id.String() }

// digests gives what the status says of enrolments and suspensions: order-free, so that two keyholders that
// learned the same in another order agree.
func (r roster) digests() (enrolled, suspended record.Digest) {
	h := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(r.Enrolled)) {
		d := r.Enrolled[id]
		h.Write([]byte(id))
		h.Write(d[:])
	}
	return record.Digest(h.Sum(nil)), record.SetDigest(r.Suspended)
}

// Person is an enrolled key as this keyholder knows it.
type Person struct {
	ID        record.KeyID
	Enrolment record.Enrolment
	Enrolled  record.Digest // names the enrolment
	Joint     record.Joint  // the enrolment as it was signed
	Suspended bool
}

// same tells whether two enrolments may be one person's: one key, or one name. Who gets a new key has two in service for a while, and
// must not be two people meanwhile; namesakes are told apart by how they are enrolled.
func (p Person) same(other Person) bool {
	return p.ID == other.ID || strings.EqualFold(p.Enrolment.Name, other.Enrolment.Name)
}

// maxEnrolled is how many keys the roster takes, so that it has room to suspend every one of them.
const maxEnrolled = 1900

// Enrol registers a person or machine by the registrars' joint statement (by the court's root alone for judges and
// clerks). Enrolling the same again changes nothing; another enrolment of the same key replaces it only if it is newer.
func (k *Keyholder) Enrol(ctx context.Context, joint record.Joint) (Person, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return Person{}, err
	}
	e, hash, err := trust.OpenEnrolmentAt(trust.Hash, joint, k.now())
	if err != nil {
		return Person{}, err
	}
	id := e.Key.ID()
	if err := ownKeys(&trust.Trust, id); err != nil {
		return Person{}, err
	}
	err = k.act(ctx, record.Digest{}, func(c *change) error {
		var all roster
		if _, err := c.load("roster", &all); err != nil {
			return err
		}
		if all.Enrolled[id.String()] == hash {
			return nil
		}
		var before record.Joint
		if found, err := c.load(personName(id), &before); err != nil {
			return err
		} else if found {
			if old, _, err := openEnrolment(trust, before); err == nil && !e.Issued.After(old.Issued) {
				return problem.New(problem.Conflict, "an enrolment of this key as new as this one, or newer, is already registered; sign it again if it is to replace that")
			}
		} else if _, listed := all.Enrolled[id.String()]; listed {
			// Without the row nothing shows which of two enrolments is the newer: an old one could come back.
			return lost(nil, "an enrolled key has no enrolment")
		}
		if all.Enrolled == nil {
			all.Enrolled = map[string]record.Digest{}
		}
		if _, known := all.Enrolled[id.String()]; !known && len(all.Enrolled) >= maxEnrolled {
			return problem.New(problem.Unavailable, "this keyholder has room for %d enrolled keys; tell the operator", maxEnrolled)
		}
		all.Enrolled[id.String()] = hash
		if err := c.put("roster", all); err != nil {
			return err
		}
		if _, err := c.journal(record.Digest{}, record.EventEnrolled, map[string]record.Digest{"enrolment": hash, "key": id}); err != nil {
			return err
		}
		return c.put(personName(id), joint)
	})
	return Person{ID: id, Enrolment: e}, err
}

// openEnrolment verifies an enrolment under a trust file.
func openEnrolment(trust Pinned, joint record.Joint) (record.Enrolment, record.Digest, error) {
	return trust.OpenEnrolment(trust.Hash, joint)
}

// enrolled is an enrolment that this process has verified, with its hash.
type enrolled struct {
	record.Enrolment
	hash record.Digest
}

// enrolment is openEnrolment, remembered: a release must not verify the same registrars' signatures again and again.
// The memory is by all bytes of the joint, signatures included. A later trust file changes nothing of what an earlier one had admitted.
func (k *Keyholder) enrolment(trust Pinned, joint record.Joint) (record.Enrolment, record.Digest, error) {
	// No statement contains a line feed, so the joined text stands for exactly one joint.
	key := record.HashBytes([]byte(strings.Join(joint, "\n")))
	k.mu.Lock()
	known, ok := k.enrolments[key]
	k.mu.Unlock()
	if ok {
		return known.Enrolment, known.hash, nil
	}
	e, hash, err := openEnrolment(trust, joint)
	if err == nil {
		k.mu.Lock()
		k.enrolments[key] = enrolled{e, hash}
		k.mu.Unlock()
	}
	return e, hash, err
}

// ownKeys keeps the parties' own keys, those that were replaced too, out of the roster: they have their places in the trust files.
func ownKeys(t *record.Trust, id record.KeyID) error {
	for _, e := range t.Eras() {
		for _, p := range []record.PartyKeys{e.Court, e.Custodian} {
			if id == p.Root.ID() || id == p.Registrar.ID() || id == p.Online.ID() {
				return problem.New(problem.Denied, "this key belongs to a party and cannot be enrolled as a person's")
			}
		}
	}
	return nil
}

// SuspendPerson takes a key out of service at once, on one signature by a registrar, the court's root or a judge.
func (k *Keyholder) SuspendPerson(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	st, err := record.Peek(raw)
	if err != nil {
		return err
	}
	key, may, err := k.suspender(ctx, trust, st.Author)
	if err != nil {
		return err
	}
	var s record.PersonSuspension
	if _, err := record.OpenKnown(raw, record.TypeSuspension, key, &s); err != nil {
		return err
	}
	if !may { // said only to who has signed
		return problem.New(problem.Denied, "a registrar, the court's root or a judge suspends people")
	}
	if err := trust.addressed(s.Audience); err != nil {
		return err
	}
	if err := record.CheckText(s.Reason); err != nil {
		return err
	}
	return k.act(ctx, record.Digest{}, func(c *change) error {
		var all roster
		if _, err := c.load("roster", &all); err != nil {
			return err
		}
		if _, known := all.Enrolled[s.Person.String()]; !known {
			return problem.New(problem.NotFound, "this key is not enrolled")
		}
		if slices.Contains(all.Suspended, s.Person) {
			return nil
		}
		all.Suspended = append(all.Suspended, s.Person)
		if err := c.put("roster", all); err != nil {
			return err
		}
		_, err := c.journal(record.Digest{}, record.EventSuspended, map[string]string{"key": s.Person.String(), "reason": s.Reason, "by": st.Author.String()})
		return err
	})
}

// suspender finds the key of a suspension's author and whether it may suspend: one of the four offices, or a judge in office.
func (k *Keyholder) suspender(ctx context.Context, trust Pinned, id record.KeyID) (key record.PublicKey, may bool, err error) {
	for _, t := range trust.Counting(k.now()) {
		for _, key := range []record.PublicKey{t.Court.Registrar, t.Custodian.Registrar, t.Court.Root, t.Custodian.Root} {
			if key.ID() == id {
				return key, true, nil
			}
		}
	}
	p, err := k.Person(ctx, id)
	return p.Enrolment.Key, p.Enrolment.Of(record.Judge), err
}

// Person finds an enrolled key that is in service now. Errors: problem.Denied for everybody else, without saying
// whether the key was ever known.
func (k *Keyholder) Person(ctx context.Context, id record.KeyID) (Person, error) {
	unknown := record.Unknown(nil)
	trust, err := k.Trust(ctx)
	if err != nil {
		return Person{}, err
	}
	rows, err := k.rows.Get(ctx, "roster", personName(id))
	if err != nil {
		return Person{}, err
	}
	if _, ok := rows[personName(id)]; !ok {
		return Person{}, unknown
	}
	var all roster
	var joint record.Joint
	if err := unmarshalRows(rows, map[string]any{"roster": &all, personName(id): &joint}); err != nil {
		return Person{}, err
	}
	e, hash, err := k.enrolment(trust, joint)
	if err != nil || all.Enrolled[id.String()] != hash {
		return Person{}, problem.Wrap(problem.Denied, err, "this enrolment does not hold under the trust file in force; ask a registrar for a new one")
	}
	now := k.now()
	if trust.Lapsed(&e, joint, now) {
		return Person{}, problem.New(problem.Denied, "the court's root that enrolled this key was replaced; have the court enrol it again")
	}
	if slices.Contains(all.Suspended, id) || !now.Before(e.Expires) || now.Add(skew).Before(e.Issued) {
		return Person{}, unknown
	}
	return Person{ID: id, Enrolment: e, Enrolled: hash, Joint: joint}, nil
}

// People lists every enrolment, suspended ones marked, in the order of key ids.
func (k *Keyholder) People(ctx context.Context) ([]Person, error) {
	var all roster
	if _, err := k.read(ctx, "roster", &all); err != nil {
		return nil, err
	}
	trust, err := k.Trust(ctx)
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(all.Enrolled))
	var names []string
	for _, id := range ids {
		names = append(names, "person/"+id)
	}
	joints, err := readMany[record.Joint](ctx, k, names)
	if err != nil {
		return nil, err
	}
	var people []Person
	for _, joint := range joints {
		e, _, err := openEnrolment(trust, joint)
		if err != nil {
			continue // an enrolment under an earlier trust file opens nothing and is not listed
		}
		id := e.Key.ID()
		people = append(people, Person{ID: id, Enrolment: e, Joint: joint, Suspended: slices.Contains(all.Suspended, id)})
	}
	return people, nil
}

// subject is a person as policy sees one.
func (p Person) subject() policy.Person {
	var roles []string
	for _, r := range p.Enrolment.Roles {
		roles = append(roles, string(r))
	}
	return policy.Person{
		ID: p.ID.String(), Roles: roles, PoliceUnit: p.Enrolment.PoliceUnit, Court: p.Enrolment.Court,
		Clearance: p.Enrolment.Clearance, Suspended: p.Suspended,
	}
}
