package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// weakened is a twin of the product in which one defence is off: in one file a text, which occurs there once, is another. The twin
// exists only in the build of one test (go test -overlay), so the product has no switch for it.
type weakened struct {
	file    string
	text    string
	instead string
	test    string // that must fail, as -run takes it
	in      string // package of the test; "" is the file's own
}

// off makes a condition of a defence never true.
func off(file, condition, test string) weakened {
	return weakened{file, "if " + condition + " {", "if false && (" + condition + ") {", test, ""}
}

// offAfter is off for a condition behind a statement in the same line.
func offAfter(file, statement, condition, test string) weakened {
	return weakened{file, "if " + statement + "; " + condition + " {", "if " + statement + "; false && (" + condition + ") {", test, ""}
}

// lawless is a weakening of package law that TestSimulatedYearCampaign must notice.
func lawless(possible, file, text, instead string) struct {
	possible string
	weakened
} {
	return struct {
		possible string
		weakened
	}{possible, weakened{"shared/law/" + file, text, instead, "TestSimulatedYearCampaign$", "tests"}}
}

const (
	releaseFile  = "shared/keyholder/release.go"
	requestsFile = "shared/keyholder/requests.go"
	peopleFile   = "shared/keyholder/people.go"
	ordersFile   = "shared/keyholder/orders.go"
	lossFile     = "shared/keyholder/loss.go"
	shredFile    = "shared/keyholder/shred.go"
	madeFile     = "shared/keyholder/made.go"
	passFile     = "shared/keyholder/destroy.go"
	copiesFile   = "shared/keyholder/copies.go"
	answersFile  = "shared/keyholder/answers.go"
	depositFile  = "shared/vault/deposit.go"
	clientFile   = "shared/wire/client.go"
	lawFile      = "shared/law/law.go"
	stopsFile    = "shared/law/stops.go"
	destroyFile  = "shared/law/destroy.go"
	clocksFile   = "shared/law/clocks.go"

	timestampsFile = "shared/bundle/timestamps.go"
	discloseFile   = "shared/reader/disclose.go"
)

// twins are the product without one defence each, by what is then possible. The gravest come first.
var twins = []struct {
	possible string
	weakened
}{
	// A half without a lawful request.
	{"a half for somebody else's request", off(releaseFile, "caller.ID != asked.Author", "TestReplays")},
	{"a half after a denial", off(releaseFile, "asked.Denied", "TestReleaseIsRefusedWithout/anybody")},
	{"a half that policy refuses", weakened{releaseFile, "mayHave(releaseAction(r.Class), author, state, r, facts, approvers)", "mayHave(askAction(r.Class), author, state, r, facts, approvers)", "TestReleaseIsRefusedWithout/an_approval$", ""}},
	{"a half for an expired request", offAfter(releaseFile, "err := at.Within(r.Issued.Add(-skew), r.Expires)", "err != nil", "TestReleaseIsRefusedWithout/time_left")},
	{"a half under an order that is not in force", offAfter(releaseFile, "err := state.allowsRequest(r, now)", "err != nil", "TestReleaseIsRefusedWithout/an_order_in_force")},
	{"a half under an old checkpoint", weakened{requestsFile, "string(parsed.Checkpoint)}, at.Fresh(k.cfg.Now(), skew)", "string(parsed.Checkpoint)}, nil", "TestReleaseIsRefusedWithout/(a_fresh|a_clock)", ""}},
	{"a half on an approval that is in no log", weakened{requestsFile, "append([]opening{asked.opening}, asked.openings...)", "[]opening{asked.opening}", "TestReleaseIsRefusedWithout/an_approval_in", ""}},
	{"a half on the approval of somebody who left", weakened{releaseFile, "if problem.KindOf(err) == problem.Denied && err != nil {\n\t\t\tcontinue",
		"if problem.KindOf(err) == problem.Denied && err != nil {\n\t\t\tpeople = append(people, Person{ID: d.Author, Enrolment: record.Enrolment{Name: \"x\", Roles: []record.Role{record.Supervisor}, PoliceUnit: author.Enrolment.PoliceUnit, Clearance: \"secret\"}})\n\t\t\tcontinue",
		"TestReleaseIsRefusedWithout/the_requester", ""}},
	{"a half of a recording of another order", off(releaseFile, "note == nil || note.Statement.Unit != u", "TestReleaseIsRefusedWithout/recordings_of")},
	{"a half on what one rolled back keyholder holds", off(releaseFile, "!mine.Agrees(theirs, 0)", "TestARolledBackKeyholderRevivesNothing")},
	{"a half on a recorded status", weakened{releaseFile, "!theirs.Answers(string(k.other()), trust.Hash, nonce, chain)", "!theirs.Answers(string(k.other()), trust.Hash, theirs.Nonce, chain)", "TestOlderStatusAnswersNothing", ""}},
	{"a half on an hour-old status", weakened{releaseFile, "age < 0 || age > statusFor", "age < 0", "TestAStatusDoesNotOutliveItsMinute", ""}},
	{"a half after a denial that was acknowledged meanwhile", weakened{releaseFile, "maps.Copy(grant.rows, rests)", "maps.Copy(map[string]int64{}, rests)", "TestADenialFiledWhileTheReleaseIsDecidedStopsIt", ""}},
	{"two statements with one nonce", off(requestsFile, "found && before != hash", "TestReplays")},
	{"one person approving under two keys", weakened{peopleFile, "return p.ID == other.ID || strings.EqualFold(p.Enrolment.Name, other.Enrolment.Name)", "return p.ID == other.ID", "TestOnePersonWithTwoKeysIsOnePerson", ""}},
	{"an order of a judge who was just suspended", weakened{ordersFile, "return c.inService(raw)", "return nil", "TestASuspendedJudgesOrderDoesNotSlipIn", ""}},
	{"a request for next month", off(requestsFile, "r.Issued.After(k.now().Add(skew))", "TestARequestIsNotMadeForTheFuture")},
	{"an older enrolment in force again", weakened{peopleFile, "listed := all.Enrolled[id.String()]; listed {", "listed := all.Enrolled[id.String()]; listed && false {", "TestAnOlderEnrolmentDoesNotComeBackWhenARowIsTakenAway", ""}},
	{"statements under a key that anybody has", weakened{"shared/record/key.go", "return slices.Contains(smallOrder, y)", "return len(smallOrder) == 0 && slices.Contains(smallOrder, y)", "TestNoKeyUnderWhichAnybodyCanSign|^TestAStatementIsNotForgedUnderAWeakKey", ""}},

	// Keys that are replaced.
	{"a trust file by its own roots alone", weakened{"shared/record/trust.go", "[]PublicKey{last.Court.Root, last.Custodian.Root, next.Court.Root, next.Custodian.Root}", "[]PublicKey{next.Court.Root, next.Custodian.Root}", "TestSuccession", ""}},
	{"a replaced key that speaks on", weakened{"shared/record/trust.go", "if begun && !ended {", "if begun || ended {", "TestAnOnlineKeyCountsInItsTime", ""}},
	{"a word dated back", weakened{"shared/record/trust.go", "files := t.Counting(at)\n", "files := t.Counting(st.Signed)\n", "TestAnOnlineKeyCountsInItsTime", ""}},
	{"a trust file that is in no log", off("shared/ledger/trust.go", `e.Author != "court" || e.Kind != record.EventTrust || !e.Case.IsZero() || body.Trust != hash || len(entry.Random) != 32`, "TestATrustFileTakesForceInTheLog")},
	{"a log that goes on under replaced keys", off("shared/ledger/policy.go", "t.Until > 0 && c.Size > t.Until && c.Latest.After(t.Ends)", "TestEachPolicyCountsForItsTrees")},
	{"an enrolment by replaced registrars", weakened{peopleFile, "trust.OpenEnrolmentAt(trust.Hash, joint, k.now())", "trust.OpenEnrolment(trust.Hash, joint)", "TestKeysOfAKeyholderAreReplaced", ""}},
	{"a judge of a root that was replaced", off(peopleFile, "trust.Lapsed(&e, joint, now)", "TestKeysOfAKeyholderAreReplaced")},
	{"two trust files of one version", weakened{"shared/record/trust.go", "if a != b {", "if a != b && false {", "TestATwinOfATrustFileIsAFork", ""}},

	// What was destroyed opens again, or goes without the court's order.
	{"a batch's secret kept with its survivors", weakened{lossFile, "row.Recordings = append(row.Recordings, ref.Recording)", "row.Recordings = append(row.Recordings, ref.Recording)\n\t\t\tp.halves = append(p.halves, secret{secretName{1}, shared})", "TestASnapshotOpensNothingOfWhatWasDestroyed", ""}},
	{"a seed kept for its survivors", weakened{lossFile, "p.gone[seedName(l.unit)] = true", "p.gone[seedName(l.unit)] = len(l.stays) == 0", "TestASnapshotOpensNothingOfWhatWasDestroyed", ""}},
	{"pages of a snapshot under the ring key of now", weakened{shredFile, "key := random(32)", "key, _ := k.ringKey(ctx, head.Generation, head.Root, head.Key)", "TestASnapshotOpensNothingOfWhatWasDestroyed", ""}},
	{"an old root that lives on", weakened{passFile, "if err := k.retire(ctx, head); err != nil {\n\t\treturn err\n\t}\n\tfor _, decision := range head.Jobs {", "for _, decision := range head.Jobs {", "TestASnapshotOpensNothingOfWhatWasDestroyed", ""}},
	{"a destruction that the law forbids", weakened{passFile, "return doomed.Blocked\n", "return nil\n", "TestNothingIsDestroyedWithout", ""}},
	{"a destruction before its unit is closed", off(passFile, "!closed", "TestNothingIsDestroyedWithout")},
	{"originals that go before the clerk has copies", weakened{copiesFile, "if err != nil || lack == 0 {", "if err != nil || lack >= 0 {", "TestStep1WaitsForTheClerksCopies", ""}},
	{"a copy that is gone itself", weakened{copiesFile, "if these[next[0]] {", "if len(next) > 0 {", "TestADestroyedCopyIsNone", ""}},
	{"a destruction that only one keyholder agrees to", off(passFile, "!theirs.Losses.Equal(j.sum)", "TestListsThatDifferDestroyNothing")},
	{"a keyholder rolled back to before a destruction", weakened{ordersFile, "if s.Destroyed, err = k.destroyedDigest(ctx); err != nil {", "if s.Destroyed = record.SetDigest(nil); err != nil {", "TestAKeyholderRolledBackToBeforeADestructionRevivesNothing", ""}},
	{"another's recording destroyed by who claims to have made it", weakened{madeFile, "} else if there != nil {", "} else if false && there != nil {", "TestNobodyClaimsToHaveMadeWhatIsOnFile", ""}},
	{"what was made of another's recording destroyed by who gives a note its id", weakened{madeFile, "return \"derived/\" + of.Batch.String() + \"/\" + of.Recording.String()", "return \"derived/\" + of.Recording.String()", "TestANoteWithAnothersIDTakesNothingOfIt", ""}},
	{"kept halves lost by a run that was halted", weakened{shredFile, "if err := c.requireHead(head); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n\t\t\tfor _, batch", "for _, batch", "TestAHaltedRunSpoilsNothingWhenItGoesOn", ""}},
	{"both roots destroyed, or pages that only the old one had", offAfter(shredFile, "err := k.opensStill(ctx, head)", "err != nil", "TestAHeadFromTheMiddleOfADestructionCostsNoRoot|TestAPageTakenAwayBeforeTheOldRootGoesStopsIt")},

	{"words in somebody's mouth", weakened{"shared/bundle/custody.go", "if _, err := record.Open(b.Statement, st.Type, p.Key, nil); err != nil {", "if _, err := record.Open(b.Statement, st.Type, p.Key, nil); err != nil && p.Name == \"\" {", "TestWhatAJournalSaysThatSomebodySigned", ""}},

	{"a timestamp on a log without the recordings", offAfter(timestampsFile, "err := tree.CheckInclusion(packs[c.Pack].entry.Leaf(), packs[c.Pack].index, path)", "err != nil", "TestTimestampsThatShowNothing")},
	{"a timestamp that leaves out what it does not cover", off(timestampsFile, "!same || len(want) == 0", "TestTimestampsThatShowNothing")},

	{"a bundle of a week that is not whole", off(discloseFile, "check.Waiting > 0 || len(check.Warnings) > 0", "TestGatherRefuses")},
	{"a bundle without what one keyholder alone holds", off(discloseFile, "!slices.Equal(sorted(members[0]), sorted(members[1]))", "TestGatherRefuses")},
	{"a bundle with one journal of two", weakened{discloseFile, "return nil // the bundle says that the journals are not in it, and why", "err = nil", "TestGatherTakesBothJournalsOrNone", ""}},

	// Something that counts is crowded out or lost.
	{"a denial without room", off(requestsFile, "a.Approve && row.size() > roomForApprovals", "TestNobodyCrowdsOutADenial")},
	{"an older approval in place of a longer one", off(requestsFile, "!a.Expires.After(earlier.Expires)", "TestAnApproverCountsOnceAndMayProlong")},
	{"a revocation without room beside orders", weakened{ordersFile, "case !kind.NamesChain() && size > roomForOrders:", "case false && size > roomForOrders:", "TestAFullChainStillTakesASuspensionAndARevocation", ""}},
	{"a revocation without room beside suspensions", weakened{ordersFile, "kind != record.Revocation && size > roomForStops:", "kind != record.Revocation && false && size > roomForStops:", "TestAFullChainStillTakesASuspensionAndARevocation", ""}},
	{"a suspension without room", weakened{peopleFile, "!known && len(all.Enrolled) >= maxEnrolled {", "!known && len(all.Enrolled) >= 100*maxEnrolled {", "TestAFullRegisterStillTakesSuspensions", ""}},
	{"a journal that nobody can read", off(requestsFile, "len(raw) > maxStatement", "TestAnOverlongRefusalDoesNotJamTheJournal")},
	{"a page of the journal that does not arrive", weakened{answersFile, "lines = within(lines, pageBytes)", "lines = within(lines, 1000*pageBytes)", "TestLongStatementsJamNeitherJournalNorInbox", ""}},
	{"a page of the inbox that does not arrive", weakened{answersFile, "len(out.Requests) < inboxPage && size < pageBytes;", "len(out.Requests) < inboxPage && size < 1000*pageBytes;", "TestLongStatementsJamNeitherJournalNorInbox", ""}},
	{"a unit that fills the memory", weakened{releaseFile, "page, notes[ref.Batch] = append(page, ref), note\n\t\t}\n", "page = append(page, ref)\n\t\t}\n\t\tnotes[ref.Batch] = note\n", "TestAFilledUnitDoesNotExhaustARelease", ""}},
	{"a ring page overwritten", weakened{"shared/keyholder/ring.go", "head.place().pageName(1)); err != nil || here != nil {", "head.place().pageName(1)); err != nil || here != nil && false {", "TestARowTakenAwayAndPutBackLosesNoKey", ""}},
	{"a number at which mirrors stop for ever", weakened{depositFile, "if p.Pack, p.Slots, err = v.stored(ctx, n); err != nil {", "if pack, slots, err := v.stored(ctx, n); err != nil || pack != p.Pack || slots != p.Slots {", "TestASpoiledNumberDoesNotHoldUpTheMirrors", ""}},
	{"a number kept by announcing again", weakened{depositFile, "if p.By != who.ID || p.Pack.IsZero() {", "if !who.ID.IsZero() {", "TestAnnouncingAgainDoesNotKeepANumber", ""}},
	{"a pack of another size", off(depositFile, "info.Size != int64(v.cfg.Geometry.Size)", "TestAnObjectOfAnotherSizeIsNotRegistered")},

	// Something that is learned, or said in another's name.
	{"a report by who only screens", weakened{"shared/keyholder/reports.go", "e.PoliceUnit != c.PoliceUnit:", "false:", "TestReportsAreRefused", ""}},
	{"learning who is enrolled", weakened{requestsFile, "st, err := record.OpenKnown(raw, typ, author.Enrolment.Key, v)", "st, err := record.Open(raw, typ, author.Enrolment.Key, v)", "TestOutsidersDoNotLearnWhoIsEnrolled", ""}},
	{"learning that an order stands", weakened{requestsFile, "if !k.concerns(author, state) {\n\t\t// The answer", "if false {\n\t\t// The answer", "TestAnotherUnitDoesNotLearnWhetherAnOrderStands", ""}},
	{"the vault speaking for a keyholder", weakened{requestsFile, "return witnessed{}, unproven(err)", "return witnessed{}, err", "TestTheVaultDoesNotSpeakForAKeyholder", ""}},
	{"a caller sent elsewhere", weakened{clientFile, "once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }", "", "TestAPartyCannotSendItsCallersElsewhere", ""}},
	{"a party writing in a terminal", weakened{clientFile, "record.CheckText(detail) == nil", "(true || record.CheckText(detail) == nil)", "TestAPartysRefusalIsOnePlainLine", ""}},

	// What the statute forbids.
	{"an urgent measure that goes on untold", weakened{stopsFile, "\tif !told {\n\t\ts.TellBy = tellBy\n\t}\n", "\t_ = told\n", "TestAnUrgentMeasureLapsesByItself", ""}},
	{"an urgent measure that goes on unconfirmed", weakened{stopsFile, "\tif !s.Confirmed {\n\t\ts.ConfirmBy = confirmBy\n\t}\n", "", "TestAnUrgentMeasureLapsesByItself", ""}},
	{"a confirmation that came too late", off(stopsFile, "!o.Decided.Before(confirmBy)", "TestWhatComesTooLateToAnUrgentMeasure")},
	{"a rejected measure that is confirmed after all", weakened{stopsFile, "\tcase s.Rejected:\n", "\tcase false:\n", "TestWhatComesTooLateToAnUrgentMeasure", ""}},
	{"a rejection without effect", weakened{stopsFile, "\t\t\ts.Rejected = true\n", "", "TestWhatComesTooLateToAnUrgentMeasure", ""}},
	{"a closing without effect", weakened{stopsFile, "\t\t\ts.endBy(m.Order.Decided)\n", "", "TestAClosingEndsCapture", ""}},
	{"an urgent order by anybody in office", weakened{lawFile, "u.By == record.Minister && e.Of(u.By) ||", "true ||", "TestWhoMaySign", ""}},
	{"a hold by a clerk", weakened{lawFile, "o.Kind == record.Milestone && e.Of(record.Clerk)", "e.Of(record.Clerk)", "TestWhoMaySign", ""}},
	{"a term from any first interception", off(lawFile, "!s.starts.IsZero() && s.starts.Before(start)", "TestTheAmericanTermRuns")},
	{"an extension of what nobody confirmed", weakened{lawFile, "case s.Urgent && (!s.Confirmed || o.Decided.Before(s.confirmedAt)):", "case false:", "TestWhatComesTooLateToAnUrgentMeasure", ""}},
	{"a third renewal", weakened{lawFile, "case p.Renewals > 0 && s.renewals >= p.Renewals:", "case false:", "TestWhatIsExtendedOnceOrNever", ""}},
	{"a cap passed without reasons", off(lawFile, "o.Kind == record.Extension && !present[x.Field](o)", "TestTheItalianCap")},
	{"a privilege forgotten", weakened{lawFile, "list = slices.Clone(list)\n\tfor _, one := range more", "list = nil\n\tfor _, one := range more", "TestThePrivilegedListOnlyGrows", ""}},
	{"a member refused for what was decided later", weakened{lawFile, "then, known := asOf(chain, next.Order.Decided, state)", "then, known := state, chain", "TestAClosingEndsCapture", ""}},
	{"a destruction under a hold", off(destroyFile, "held(chain, d, t)", "TestAHoldAlwaysWins")},
	{"a destruction whose time has not come", weakened{destroyFile, "\t\tif !when.IsZero() && !t.Before(when) {\n", "\t\tif true {\n", "TestTheTwoSteps", ""}},
	{"a destruction that cannot be taken back", off(destroyFile, "t.Before(d.Ready)", "TestTheTwoSteps|TestADestructionIsTakenBack")},
	{"a destruction that was taken back", off(destroyFile, "takenBack(p, chain, &m)", "TestADestructionIsTakenBack")},
	{"a destruction taken back when it is done", weakened{destroyFile, "o.Lifts == m.Hash && o.Decided.Before(p.ready(&m.Order)) {", "o.Lifts == m.Hash {", "TestADestructionIsTakenBack", ""}},
	{"a destruction under a suspended order", off(destroyFile, "s.Suspended", "TestADestructionIsTakenBack")},
	{"a report ahead of its time", weakened{clocksFile, "served < dates && at.After(start.AddDate(0, 0, served*every))", "served < dates", "TestReportsAreDue", ""}},
	{"a final report before the end", weakened{clocksFile, "if at := w.milestone(name); !at.Before(w.s.Capture.Until) {", "if at := w.milestone(name); !at.IsZero() {", "TestTheClocksOfASpanishOrder", ""}},

	// What the law forbids. The same simulated year must notice each.
	lawless("a day past the cap", "law.go", "	return p.End(decided, p.Cap)\n", "	return p.End(decided, p.Cap).AddDate(0, 0, 1)\n"),
	lawless("a destruction under a hold", "destroy.go", "if held(chain, d, t) {", "if false && held(chain, d, t) {"),
	lawless("a destruction before it cannot be taken back", "destroy.go", "if t.Before(d.Ready) {", "if false && t.Before(d.Ready) {"),
	lawless("an untold urgent measure in force", "stops.go", "if !told {", "if false && !told {"),
	lawless("an extension of what has expired", "law.go", "if o.Decided.After(s.Capture.Until) {", "if false && o.Decided.After(s.Capture.Until) {"),
	lawless("a term that ends at midnight in London", "count.go", "return time.Date(year, month, day, 0, 0, 0, 0, p.zone).UTC()", "return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)"),
	lawless("a working day on a holiday", "count.go", "return !p.isHoliday(day)", "return true || p.isHoliday(day)"),

	// What the kill harness is for.
	{"a pack that is registered and not in the log when a function is killed", weakened{depositFile,
		"err = v.cfg.Rows.Commit(ctx, append(writes, store.Write{Op: store.Put, Key: packRowName(n), Value: value, Version: version})...)",
		"if err = v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: packRowName(n), Value: value, Version: version}); err == nil {\n\t\terr = v.cfg.Rows.Commit(ctx, writes...)\n\t}",
		"TestKilledBetweenEveryTwoWrites/arrived", "functions/functionstest"}},
}

// TestWeakenedTwinsCampaign runs tests of attacks against the product without its defence: each must fail, or it proves nothing of
// that defence. A few in make test, all in make campaign.
func TestWeakenedTwinsCampaign(t *testing.T) {
	if os.Getenv(twinRun) != "" {
		return // this is a twin's own run
	}
	c := newCampaign(t)
	for _, x := range c.flips(len(twins), 3) {
		twin := twins[x.at]
		t.Run(twin.possible, func(t *testing.T) {
			out, err := twin.run(t)
			if failed := regexp.MustCompile(`(?m)^--- FAIL: `); err == nil || !failed.MatchString(out) {
				t.Errorf("%s does not fail without the defence: %v\n%s", twin.test, err, out)
			}
		})
	}
}

// TestEveryTwinIsOfThisProduct holds the table against the code: a text that is no longer there weakens nothing.
func TestEveryTwinIsOfThisProduct(t *testing.T) {
	for _, twin := range twins {
		raw, err := os.ReadFile(filepath.Join("..", twin.file))
		if err != nil || bytes.Count(raw, []byte(twin.text)) != 1 {
			t.Errorf("%s: %q occurs %d times in %s (%v)", twin.possible, twin.text, bytes.Count(raw, []byte(twin.text)), twin.file, err)
		}
	}
}

// twinRun marks the process that tests a twin.
const twinRun = "ARCA_TEST_TWIN"

// run runs the test against the twin.
func (w weakened) run(t *testing.T) (string, error) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, w.file)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	twin, overlay := filepath.Join(t.TempDir(), "twin.go"), filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: twin}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{twin: []byte(strings.Replace(string(raw), w.text, w.instead, 1)), overlay: replace} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pkg := w.in
	if pkg == "" {
		pkg = filepath.Dir(w.file)
	}
	cmd := exec.CommandContext(context.Background(), "go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout=10m", "-run", "^"+w.test, "./"+pkg)
	cmd.Dir, cmd.Env = root, append(os.Environ(), twinRun+"=1", "ARCA_CAMPAIGN=")
	out, err := cmd.CombinedOutput()
	return fmt.Sprintf("%.4000s", out), err
}
