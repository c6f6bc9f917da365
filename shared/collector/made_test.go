package collector

import (
	"context"
	"slices"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// made is an item of a reader's, which the order's scope does not cover, and what was vouched for.
func made(chain record.Digest, name string, day int, content []byte, vouched *[]record.Made) Item {
	it := item(chain, name, day, content)
	it.Description.Kind, it.Description.Target = record.KindNote, record.Identifier{Kind: "msisdn", Value: "+12025550199"}
	it.Description.From, it.Description.To = "", ""
	it.Vouch = func(m record.Made) (string, error) {
		*vouched = append(*vouched, m)
		return "act of " + name, nil
	}
	return it
}

func TestAReadersItemIsAloneInItsBatchAndItsActGoesBefore(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	folder := t.TempDir()
	c := openCollector(t, w.config(folder))
	var vouched []record.Made
	items := []Item{item(chain, "call", 11, []byte("x")), made(chain, "one", 11, []byte("1"), &vouched), made(chain, "two", 11, []byte("2"), &vouched), item(chain, "call 2", 11, []byte("y"))}
	results := sealAll(t, c, items)
	var batches []record.ID
	for i, r := range results {
		if slices.Contains(batches, r.Batch) {
			t.Errorf("item %d shares its batch", i)
		}
		batches = append(batches, r.Batch)
	}
	if len(vouched) != 2 || vouched[0].Recording != results[1].Recording || vouched[0].Batch != results[1].Batch || vouched[0].Compartment != "main" || vouched[0].Statement.IsZero() {
		t.Fatalf("%+v", vouched)
	}
	// The acts are durable with the batches: another process files them, at both, before the notes.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openCollector(t, w.config(folder))
	flush(t, c)
	for _, k := range []*fakeKeyholder{w.court, w.custodian} {
		if !slices.Equal(k.acts, []string{"act of one", "act of two"}) {
			t.Errorf("%s has %v", k.role, k.acts)
		}
	}
}

func TestADepositorSealsNothingAndFilesNothing(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	folder := t.TempDir()
	reader := w.config(folder)
	reader.Signer = signerOf("reader")
	c := openCollector(t, reader)
	var vouched []record.Made
	sealAll(t, c, []Item{made(chain, "one", 11, []byte("1"), &vouched)})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.config(folder)); problem.KindOf(err) != problem.Denied {
		t.Fatal("another's spool opens without saying whose it is:", err)
	}
	site := w.config(folder)
	site.Owner = reader.Signer.Public().ID()
	d := openCollector(t, site)
	if _, err := d.Seal(context.Background(), []Item{item(chain, "call", 11, []byte("x"))}, nil); problem.KindOf(err) != problem.Denied {
		t.Fatal("a depositor seals:", err)
	}
	for want := 1; want >= 0; want-- { // the second time nothing is left
		if n, err := d.Deposit(context.Background()); n != want || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := must(d.List(context.Background())); len(got) != 1 || got[0].Stage != "arrived" || len(w.court.acts) != 0 {
		t.Fatalf("%+v, %v", got, w.court.acts)
	}
}

// What is on the order's privileged list never goes into main, however it is written and whatever is said of it.
func TestPrivilegedCommunicationsAreSetApart(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	lawyer := record.Privilege{Category: "counsel", Identifier: record.Identifier{Kind: "msisdn", Value: "+12025550177"}}
	mail := record.Privilege{Category: "counsel", Identifier: record.Identifier{Kind: "email", Value: "counsel@example.org"}}
	chain := w.order("a", func(o *record.Order) { o.Privileged = []record.Privilege{lawyer, mail} })
	c := openCollector(t, w.config(t.TempDir()))
	with := func(name, to string) Item {
		it := item(chain, name, 11, []byte(name))
		it.Description.To = to
		return it
	}
	items := []Item{with("a", "+12025550122"), with("b", "+12025550177"), with("c", "+1 (202) 555-0177"), with("d", "0012025550177"), with("e", "COUNSEL@example.org"),
		with("f", "+12025550178"), with("g", "counsel"), with("h", "")}
	items[7].Description.From, items[7].Description.To, items[7].Description.Direction = "+12025550177", line1.Value, "to-target"
	items[6].Compartment = record.PrivilegedCompartment // said by whoever delivers
	for i, r := range sealAll(t, c, items) {
		if want := map[bool]string{true: "privileged", false: "main"}[i != 0 && i != 5]; r.Unit.Compartment != want {
			t.Errorf("%s to %q lies in %s", r.Name, items[i].Description.To, r.Unit.Compartment)
		}
	}
	flush(t, c)
	it := item(chain, "x", 11, []byte("x"))
	it.Compartment = record.ClerkCompartment
	if got := must(c.Seal(context.Background(), []Item{it}, nil)); problem.KindOf(got[0].Err) != problem.Invalid {
		t.Error("a delivery into the clerk's compartment:", got[0].Err)
	}
}

func TestOneNumberIsOneHoweverItIsWritten(t *testing.T) {
	type pair struct {
		listed, said string
		same         bool
	}
	pairs := []pair{{"+12025550177", "+12025550177", true}, {"+12025550177", "+1 (202) 555-0177", true}, {"+12025550177", "0012025550177", true}, {"a@example.org", "A@example.org", true},
		{"+12025550177", "+12025550178", false}, {"+12025550177", "", false}, {"", "", false}, {"112", "1 12", false}, {"+12025550177", "call 12025550177", false}}
	missed := 0
	for _, p := range pairs {
		if sameParty(p.listed, p.said) != p.same {
			t.Errorf("%q and %q", p.listed, p.said)
		}
		if (p.listed == p.said && p.said != "") != p.same {
			missed++
		}
	}
	if missed == 0 {
		t.Error("letter by letter gives the same, so nothing tests the comparison")
	}
}
