package keyholder_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// compose runs the report function at both keyholders after a fresh checkpoint.
func (w *world) compose() {
	w.t.Helper()
	w.sequence()
	for _, party := range parties {
		must(w.t, w.keyholder[party].ComposeReports(w.t.Context()))
	}
}

// parts are the journal reports of a keyholder on a chain, verified.
func (w *world) parts(party seal.Role, chain record.Digest) (list []record.JournalReport) {
	w.t.Helper()
	k := w.keyholder[party]
	all, err := k.ReportsOf(w.t.Context(), w.person(party, "judge"), chain)
	must(w.t, err)
	for _, r := range all.Reports {
		if r.By != "" {
			continue
		}
		hash, err := record.ParseDigest(r.Hash)
		must(w.t, err)
		shown, err := k.ShowReport(w.t.Context(), w.person(party, "judge"), hash)
		must(w.t, err)
		var j record.JournalReport
		_, err = record.Open(shown.Statement, record.TypeJournalReport, k.Online(), &j)
		must(w.t, err)
		list = append(list, j)
	}
	return list
}

// At the order's dates and at the end the journal's part is composed once, whenever the function runs.
func TestTheJournalsPartIsComposedOnItsDates(t *testing.T) {
	w := newWorld(t).cast()
	o := w.order()
	chain := w.admit(o)
	w.pass(10 * day)
	w.compose()
	if list := w.parts(seal.Court, chain); len(list) != 0 {
		t.Fatalf("%d parts before the first date", len(list))
	}
	w.admit(record.Order{Audience: w.hash, Kind: record.Suspension, Profile: o.Profile, Court: o.Court, Chain: chain, Decided: w.now(), Reason: "a doubt", Nonce: newID()})
	w.pass(50 * day) // past both dates and the end
	w.lapse()
	w.compose()
	w.compose()
	for _, party := range parties {
		list := w.parts(party, chain)
		var dates []time.Time
		for _, j := range list {
			dates = append(dates, j.Until)
		}
		want := []time.Time{o.Capture.From.AddDate(0, 0, 15), o.Capture.From.AddDate(0, 0, 30), o.Capture.Until}
		if !slices.EqualFunc(dates, want, time.Time.Equal) {
			t.Fatalf("%s composes for %v, want %v", party, dates, want)
		}
		first, last := list[0], list[2]
		if first.Party != string(party) || first.Final || !last.Final || first.First != 1 || first.Last != 2 || list[1].First != 3 {
			t.Errorf("%s: %+v", party, first)
		}
		if !slices.Contains(first.Events, record.ReportedCount{Kind: record.EventAdmitted, Count: 2}) {
			t.Errorf("the first part does not count the members: %+v", first.Events)
		}
		if s := slices.IndexFunc(first.Clocks, func(c record.ReportedClock) bool { return c.Clock == "report" }); s < 0 || first.Clocks[s].State != "overdue" {
			t.Errorf("%+v", first.Clocks)
		}
		if len(last.Incidents) > 0 { // what the functions wrote on day 60 is of no part's time
			t.Errorf("the last part tells of what came after it: %+v", last.Incidents)
		}
	}
}

// deliver sends a report of somebody's to both keyholders.
func (w *world) deliver(who string, chain record.Digest, final bool, content string) (record.Digest, map[seal.Role]wire.ReportFile, error) {
	w.t.Helper()
	author := w.people[who]
	sealed, court, custodian := seal.SealReport(chain, author.Public().ID().String(), []byte(content))
	r := record.Report{Audience: w.hash, Chain: chain, Content: sha256.Sum256(sealed), Court: sha256.Sum256(court[:]), Custodian: sha256.Sum256(custodian[:]), Final: final, Issued: w.now(), Nonce: newID()}
	raw := w.sign(who, record.TypeReport, r)
	files := map[seal.Role]wire.ReportFile{seal.Court: {Content: sealed, Share: court[:], Statement: raw}, seal.Custodian: {Content: sealed, Share: custodian[:], Statement: raw}}
	for _, party := range parties {
		if _, err := w.keyholder[party].FileReport(w.t.Context(), raw, files[party].Content, files[party].Share); err != nil {
			return record.Digest{}, files, err
		}
	}
	return record.HashStatement(raw), files, nil
}

func TestADeliveredReportMeetsTheDutyAndOnlyTheCourtReadsIt(t *testing.T) {
	w := newWorld(t).cast()
	w.enrol("other judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: "Court Two", Clearance: "secret"})
	o := w.order()
	chain := w.admit(o)
	w.pass(16 * day)
	w.lapse()
	notices := func() int {
		out, err := w.keyholder[seal.Court].NoticesOf(t.Context(), w.person(seal.Court, "judge"), 0)
		must(t, err)
		return len(slices.DeleteFunc(out.Notices, func(n wire.Notice) bool { return n.Clock != "report" }))
	}
	if notices() != 1 {
		t.Fatal("the report is not overdue")
	}
	const text = "canary: the transcript of a fictional call"
	hash, files, err := w.deliver("investigator", chain, false, text)
	must(t, err)
	if notices() != 0 {
		t.Error("a report was delivered, and it is overdue all the same")
	}
	shares := map[seal.Role]seal.Share{}
	var sealed []byte
	for _, party := range parties {
		k := w.keyholder[party]
		for name, may := range map[string]bool{"judge": true, "clerk": true, "investigator": true, "supervisor": false, "auditor": false, "stranger": false, "other judge": false} {
			shown, err := k.ShowReport(t.Context(), w.person(party, name), hash)
			if (err == nil) != may || err != nil && problem.KindOf(err) != problem.NotFound {
				t.Errorf("%s: %s may read it: %v", party, name, err)
			}
			if may {
				shares[party], sealed = seal.Share(shown.Share), shown.Content
			}
		}
		must(t, func() error {
			_, err := k.FileReport(t.Context(), files[party].Statement, files[party].Content, files[party].Share)
			return err
		}())
		lines, err := k.Journal(t.Context(), chain, 1, 1000)
		must(t, err)
		reported := 0
		for _, line := range lines {
			if line.Event.Kind == record.EventReported {
				reported++
			}
			if strings.Contains(string(line.Opened), "canary") {
				t.Error("the journal has the transcript")
			}
		}
		if reported != 1 {
			t.Errorf("%s journals it %d times", party, reported)
		}
		// The weakened twin: what one keyholder keeps does not open it, with a share of its own invention neither.
		if _, err := seal.OpenReport(chain, w.people["investigator"].Public().ID().String(), sealed, shares[party], shares[party]); err == nil {
			t.Errorf("the %s alone reads it", party)
		}
	}
	got, err := seal.OpenReport(chain, w.people["investigator"].Public().ID().String(), sealed, shares[seal.Court], shares[seal.Custodian])
	if err != nil || string(got) != text {
		t.Errorf("%q %v", got, err)
	}
}

func TestReportsAreRefused(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	for who, kind := range map[string]problem.Kind{"judge": problem.Denied, "auditor": problem.Denied, "stranger": problem.NotFound, "collector": problem.Denied} {
		if _, _, err := w.deliver(who, chain, false, "x"); problem.KindOf(err) != kind || err == nil {
			t.Errorf("a report by %s: %v", who, err)
		}
	}
	apart := w.batchIn(chain, "privileged", seal.Statement{}, "doubtful")
	w.verdict(chain, record.VerdictScreen, func(o *record.Order) { o.Screener = w.people["stranger"].Public().ID() }, apart.reference(0))
	if _, _, err := w.deliver("stranger", chain, false, "x"); problem.KindOf(err) != problem.Denied || err == nil {
		t.Errorf("a report by who screens, of another unit: %v", err)
	}
	if _, _, err := w.deliver("investigator", record.Digest{9}, false, "x"); problem.KindOf(err) != problem.NotFound || err == nil {
		t.Errorf("on an order that there is not: %v", err)
	}
	if _, _, err := w.deliver("investigator", chain, true, "x"); problem.KindOf(err) != problem.Conflict || err == nil {
		t.Errorf("a final report while the measure runs: %v", err)
	}
	if _, _, err := w.deliver("supervisor", chain, false, strings.Repeat("x", record.MaxReport)); problem.KindOf(err) != problem.Invalid || err == nil {
		t.Errorf("too large: %v", err)
	}
	_, files, err := w.deliver("supervisor", chain, false, "x")
	must(t, err)
	f := files[seal.Court]
	for name, bad := range map[string]wire.ReportFile{
		"the other's share": {Content: f.Content, Share: files[seal.Custodian].Share, Statement: f.Statement},
		"other content":     {Content: append([]byte{1}, f.Content...), Share: f.Share, Statement: f.Statement},
		"no share":          {Content: f.Content, Statement: f.Statement},
	} {
		if _, err := w.keyholder[seal.Court].FileReport(t.Context(), bad.Statement, bad.Content, bad.Share); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
