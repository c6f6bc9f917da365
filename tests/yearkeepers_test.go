package tests

import (
	"context"
	"fmt"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/storetest"
)

// heldYear is a keyholder on rows in memory, under the year's clock.
type heldYear struct {
	*keyholder.Keyholder
	clock   *time.Time
	auditor record.KeyID
}

func (h *heldYear) admit(raw string, _ law.Member, now time.Time) error {
	*h.clock = now
	_, err := h.Admit(context.Background(), raw)
	return err
}

// state is what the keyholder shows of the order; its signed status must say the same.
func (h *heldYear) state(chain record.Digest, now time.Time) (law.State, []law.Member, error) {
	*h.clock = now
	ctx := context.Background()
	who, err := h.Person(ctx, h.auditor)
	if err != nil {
		return law.State{}, nil, err
	}
	c, err := h.ShowChain(ctx, who, chain)
	if err != nil {
		return law.State{}, nil, err
	}
	raw, _, err := h.Status(ctx, record.ID{1}, chain)
	if err != nil {
		return law.State{}, nil, err
	}
	st, err := record.Peek(raw)
	if err != nil {
		return law.State{}, nil, err
	}
	var s record.Status
	if err := record.Unmarshal(st.Payload, &s); err != nil {
		return law.State{}, nil, err
	}
	if got := s.Chains[0]; got.State != c.Word(now) || got.Capture != c.Capture || !got.AccessEnd.Equal(c.AccessEnd) {
		return law.State{}, nil, fmt.Errorf("its status says %s, its order %s", got.State, c.Word(now))
	}
	return c.State, c.Members, nil
}

// anyLog takes every entry: the year is about admission.
type anyLog struct{}

func (anyLog) Add(context.Context, ...ledger.Entry) error { return nil }
func (anyLog) Proof(context.Context, ledger.Entry) ([]byte, error) {
	return nil, problem.New(problem.Conflict, "not yet")
}
func (anyLog) Checkpoint(context.Context) ([]byte, error) {
	return nil, problem.New(problem.Unavailable, "none")
}

// heldYears are both keyholders and everybody who signs orders.
type heldYears struct {
	both    [2]keeper
	trust   record.Digest
	signers map[record.Role]*record.Signer
}

func newHeldYears(t *testing.T, clock *time.Time) *heldYears {
	t.Helper()
	h := &heldYears{signers: map[record.Role]*record.Signer{}}
	parties := [2]seal.Role{seal.Court, seal.Custodian}
	var rows [2]*storetest.Memory
	var roots [2]keys.Roots
	open := func(i int, pin record.Digest) *keyholder.Keyholder {
		return must(keyholder.Open(t.Context(), keyholder.Config{Party: parties[i], Rows: rows[i], Roots: roots[i], Fingerprint: pin, Create: pin.IsZero(), Now: func() time.Time { return *clock },
			Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return anyLog{}, nil }}))
	}
	root, registrar, partyKeys := [2]*record.Signer{}, [2]*record.Signer{}, [2]record.PartyKeys{}
	for i := range parties {
		rows[i] = storetest.NewMemory()
		roots[i] = must(keys.CreateFile(t.TempDir()+"/roots.age", must(keys.MachineSecret(keys.NewMachineSecret()))))
		root[i], registrar[i] = must(record.NewSigner()), must(record.NewSigner())
		partyKeys[i] = record.PartyKeys{Online: open(i, record.Digest{}).Online(), Registrar: registrar[i].Public(), Root: root[i].Public()}
	}
	_, logKey, err := ledger.NewLogSigner("log.test", must(record.NewSigner()).Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	witness := must(ledger.NewCosigner("witness.test", must(record.NewSigner()).Ed25519()))
	trust := record.Trust{Court: partyKeys[0], Custodian: partyKeys[1], Installation: record.ID{1}, Issued: *clock, LogKey: logKey, LogOrigin: "log.test",
		Pack: record.PackShape{Size: 1 << 20, Slots: 8}, Quorum: 1, Version: 1, Witnesses: []string{witness.VerifierKey()}}
	joint := must(record.SignJoint(record.TypeTrust, *clock, trust, root[0], root[1]))
	var again record.Trust
	h.trust = must(joint.Open(record.TypeTrust, &again, root[0].Public(), root[1].Public()))
	var held [2]*heldYear
	for i := range parties {
		held[i] = &heldYear{Keyholder: open(i, h.trust), clock: clock}
		if err := held[i].PutTrust(t.Context(), record.TrustLink{Trust: joint}); err != nil {
			t.Fatal(err)
		}
		h.both[i] = held[i]
	}
	for _, e := range []record.Enrolment{{Roles: []record.Role{record.Judge}, Court: court}, {Roles: []record.Role{record.Prosecutor}, Court: court}, {Roles: []record.Role{record.Minister}},
		{Roles: []record.Role{record.Supervisor}, PoliceUnit: unitA}, {Roles: []record.Role{record.Auditor}}} {
		s := must(record.NewSigner())
		h.signers[e.Roles[0]] = s
		e.Key, e.Name, e.Audience, e.Clearance, e.Issued, e.Expires = s.Public(), string(e.Roles[0]), h.trust, "secret", *clock, clock.AddDate(60, 0, 0)
		by := []*record.Signer{registrar[0], registrar[1]}
		if e.FromCourtRoot() {
			by = root[:1]
		}
		joint := must(record.SignJoint(record.TypeEnrolment, *clock, e, by...))
		for i := range held {
			if _, err := held[i].Enrol(t.Context(), joint); err != nil {
				t.Fatal(err)
			}
			if e.Of(record.Auditor) {
				held[i].auditor = s.Public().ID()
			}
		}
	}
	return h
}

// sign signs as whoever may: of an urgent measure's first member, whom the statute names.
func (h *heldYears) sign(s *rules) pen {
	return func(o record.Order, now time.Time) (string, record.Digest) {
		role := record.Judge
		if o.Urgent {
			role = s.urgentBy
		}
		raw := must(record.Sign(h.signers[role], record.TypeOrder, now, o))
		return raw, record.HashStatement(raw)
	}
}

// TestSimulatedYearAtKeyholdersCampaign is the year with both keyholders: signatures, rows and their own clocks, signed status included. One
// of them is down now and then and catches up.
func TestSimulatedYearAtKeyholdersCampaign(t *testing.T) {
	c := newCampaign(t)
	r, each := teller{c.Rand}, 1
	if c.full {
		each = 20
	}
	clock := time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)
	h := newHeldYears(t, &clock)
	seen := 0
	for _, statute := range statutes {
		for range each {
			s := r.story(statute)
			y := newYear(s, h.sign(statute), h.both)
			y.trust = h.trust
			if said := y.run(); said != "" {
				t.Fatalf("%s\n%s", said, s)
			}
			seen += y.seen
		}
	}
	t.Logf("%d orders, %d answers compared", each*len(statutes), seen)
}
