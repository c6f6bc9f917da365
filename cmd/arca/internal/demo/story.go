package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/seal"
)

// The fictional people, court and case. Their names are the canaries that the vault must never see.
const (
	court     = "Court of Instruction One"
	unitA     = "Unit Alpha, Judicial Police"
	unitB     = "Unit Bravo, Judicial Police"
	caseTag   = "DP-0000/demo-17"
	target    = "+12025550111"
	target2   = "+447700900142"
	other     = "+12025550122"
	purpose   = "identify who collects the delivery"
	suspect   = "a person called Larch"
	stranger  = "+12025550199"
	judge     = "judge-one"
	collector = "collector"
	one       = "investigator-one"
	two       = "investigator-two"
	boss      = "supervisor-one"
	audit     = "auditor-one"
	clerk     = "clerk-one"
)

func (s *story) installation(ctx context.Context) error {
	s.begin("A vault, a court, a custodian, a collector, a mirror and a witness are set up")
	var made struct {
		Trust string `json:"trust"`
	}
	if err := s.arca(ctx, "", &made, "init", s.dir, "--tiny", "--tick", "1s"); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	s.trust = made.Trust
	s.saw("court and custodian signed one trust file, fingerprint %s…", made.Trust[:16])
	s.saw("each party runs the functions of template.yaml on its own rows; vault/ is all that the storage provider has")
	return nil
}

func (s *story) people(ctx context.Context) error {
	s.begin("People are enrolled: by both registrars, judge and clerk by the court's root alone")
	for _, p := range []struct{ name, role, flag, value string }{
		{judge, "judge", "--court", court}, {clerk, "clerk", "--court", court}, {one, "investigator", "--police-unit", unitA}, {boss, "supervisor", "--police-unit", unitA},
		{two, "investigator", "--police-unit", unitB}, {audit, "auditor", "", ""},
	} {
		args := []string{"enrol", p.name, "--role", p.role, "--clearance", "secret"}
		if p.flag != "" {
			args = append(args, p.flag, p.value)
		}
		if err := s.arca(ctx, "", nil, args...); err != nil {
			return err
		}
	}
	s.saw("court and custodian each checked the signatures and hold the same register")
	return nil
}

// draft is the order as the judge's clerk would fill it in. Recordings of the last hours are covered.
func draft(now time.Time) ([]byte, error) {
	decided := now.Add(-6 * time.Hour)
	return json.MarshalIndent(map[string]any{
		"kind": "authorisation", "profile": "ES-588ter", "court": court, "case": caseTag, "policeUnit": unitA, "classification": "restricted",
		"decided":   stamp(decided),
		"capture":   map[string]string{"from": stamp(decided), "until": stamp(now.AddDate(0, 0, 30))},
		"accessEnd": stamp(now.AddDate(0, 0, 60)),
		"scope": map[string]any{
			"identifiers": []map[string]string{{"kind": "msisdn", "value": target}, {"kind": "msisdn", "value": target2}},
			"kinds":       []string{"call", "message"},
		},
		"grounds": map[string]any{
			"offence": "a fictional offence against public health", "indicia": "fictional indicia", "persons": []string{suspect},
			"extent": "content and associated data", "motivation": "specific, suitable, exceptional, necessary, proportionate", "duration": "thirty days",
			"purpose": "find the fictional network", "obliged": "a fictional operator, bound to secrecy",
		},
		"reports": map[string]any{"form": "in writing", "everyDays": 15},
	}, "", "  ")
}

func (s *story) order(ctx context.Context) error {
	s.begin("A judge signs an order; both keyholders admit it, each checking it alone")
	text, err := draft(time.Now())
	if err != nil {
		return err
	}
	from, to := filepath.Join(s.work, "draft.json"), filepath.Join(s.work, "order.jws")
	// First what a hurried clerk would send: the keyholders must name what is missing.
	hurried := bytes.Replace(text, []byte(unitA), nil, 1)
	if err := os.WriteFile(from, hurried, 0o600); err != nil {
		return err
	}
	message, err := s.refused(ctx, judge, 3, "order", "sign", "--from", from, "-o", to)
	if err != nil {
		return err
	}
	s.saw("a draft without the unit of police is refused: %s", message)
	if err := os.WriteFile(from, text, 0o600); err != nil {
		return err
	}
	if err := s.arca(ctx, judge, nil, "order", "sign", "--from", from, "-o", to); err != nil {
		return err
	}
	var admitted struct {
		Chain string `json:"chain"`
	}
	if err := s.arca(ctx, judge, &admitted, "order", "admit", to); err != nil {
		return err
	}
	s.chain = admitted.Chain
	s.saw("court and custodian: in force; the order is known as %s…", s.chain[:12])
	return s.clock(ctx)
}

// clock tells what the order's next duty is; nobody has to remember it.
func (s *story) clock(ctx context.Context) error {
	var shown struct {
		Clocks []struct {
			Name, Says, Article string
			Due                 time.Time
		} `json:"clocks"`
	}
	if err := s.arca(ctx, judge, &shown, "order", "show", s.chain); err != nil {
		return err
	}
	for _, c := range shown.Clocks {
		if c.Name == "report" {
			s.saw("the clock says: %s, by %s (%s)", c.Says, c.Due.UTC().Format(time.RFC3339), c.Article)
			return nil
		}
	}
	return errors.New("the order has no clock for its reports")
}

// sealed is what arca seal says of a recording.
type sealed struct {
	Recording string `json:"recording"`
	File      string `json:"file"`
}

func (s *story) sealing(ctx context.Context) error {
	s.begin("The collector seals recordings and messages, and refuses what the order does not cover")
	if _, err := s.refused(ctx, "", 4, "seal", s.sample("msg_en_2.json").path, "--order", s.chain, "--target", "msisdn:"+stranger,
		"--from", stranger, "--to", other, "--start", stamp(time.Now().Add(-time.Hour)), "--kind", "message"); err != nil {
		return err
	}
	s.saw("a message of a number that the order does not name was refused, counted and logged")
	for i, file := range []string{"en_delivery_time.wav", "es_cambio_hora.alaw.wav", "es_hora_entrega.opus", "en_address_check.wav", "msg_en_1.json", "msg_es_1.json"} {
		kind, number := "call", target
		if strings.HasPrefix(file, "msg") {
			kind = "message"
		}
		if strings.Contains(file, "es_") {
			number = target2
		}
		var answer struct {
			Sealed []sealed `json:"sealed"`
		}
		args := []string{"seal", s.sample(file).path, "--order", s.chain, "--target", "msisdn:" + number, "--from", number, "--to", other,
			"--kind", kind, "--start", stamp(startOf(i, time.Now())), "--receipts", filepath.Join(s.work, "receipts")}
		if i == 5 {
			args = append(args, "--flush")
		}
		if err := s.arca(ctx, "", &answer, args...); err != nil {
			return err
		}
		if len(answer.Sealed) != 1 {
			return fmt.Errorf("%s: %d recordings were sealed", file, len(answer.Sealed))
		}
	}
	return s.proven(ctx)
}

// startOf spreads the recordings over the last hours, and over the last seconds when the hours reach into last week: what
// is asked for later in one request must be of one week.
func startOf(i int, now time.Time) time.Time {
	start := now.Add(time.Duration(i-8) * 20 * time.Minute)
	if seal.WeekOf(start) != seal.WeekOf(now) {
		start = now.Add(time.Duration(i-8) * time.Second)
	}
	return start
}

// waiting is a line of arca spool.
type waiting struct {
	Recordings int    `json:"recordings"`
	Why        string `json:"why"`
}

// proven waits until the spool holds no recording: every pack with one is in the witnessed log and both keyholders have given
// receipts. The dummy of the tick that is running may lie there at any moment, so waiting for an empty spool could last for ever.
func (s *story) proven(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		var spool struct {
			Waiting []waiting `json:"waiting"`
		}
		if err := s.quietly(func() error { return s.arca(ctx, "", &spool, "spool", "--receipts", filepath.Join(s.work, "receipts")) }); err != nil {
			return err
		}
		held := slices.DeleteFunc(spool.Waiting, func(p waiting) bool { return p.Recordings == 0 })
		if len(held) == 0 {
			s.saw("6 recordings are sealed, and none waits in the spool: witnessed proofs and both keyholders' receipts are there")
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the spool still holds %d packs with recordings, the first waits for: %s", len(held), held[0].Why)
		}
	}
}

// quietly runs f without printing commands, for what is repeated until it succeeds.
func (s *story) quietly(f func() error) error {
	quiet := s.quiet
	s.quiet = true
	defer func() { s.quiet = quiet }()
	return f()
}

// row is a line of arca ls.
type row struct {
	Recording string `json:"recording"`
	Name      string `json:"name"`
	Codec     string `json:"codec"`
	Kind      string `json:"kind"`
}

func (s *story) listing(ctx context.Context) error {
	s.begin("The first investigator lists the order: index halves only, nothing opens yet")
	if err := s.arca(ctx, "", nil, "mirror"); err != nil {
		return err
	}
	var list struct {
		Recordings []row `json:"recordings"`
	}
	if err := s.arca(ctx, one, &list, "ls", "--order", s.chain, "--purpose", purpose); err != nil {
		return err
	}
	if len(list.Recordings) != 6 {
		return fmt.Errorf("%d recordings are listed instead of 6", len(list.Recordings))
	}
	s.rows = list.Recordings
	for _, r := range list.Recordings {
		s.saw("%s…  %-8s %-10s %s", r.Recording[:8], r.Kind, r.Codec, r.Name)
	}
	return nil
}

// find gives the recording of a sample file.
func (s *story) find(file string) (string, error) {
	for _, r := range s.rows {
		if strings.Contains(r.Name, file) {
			return r.Recording, nil
		}
	}
	return "", fmt.Errorf("no recording is called %s", file)
}

func (s *story) asking(ctx context.Context) error {
	s.begin("The investigator asks for two recordings; without a supervisor's approval nothing comes")
	wav, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	message, err := s.find("msg_es_1.json")
	if err != nil {
		return err
	}
	var asked struct {
		Request string `json:"request"`
	}
	if err := s.arca(ctx, one, &asked, "ask", "--order", s.chain, "--recording", wav, "--recording", message, "--class", "content", "--purpose", purpose); err != nil {
		return err
	}
	s.request = asked.Request
	refusal, err := s.refused(ctx, one, 4, "open", wav, "-o", filepath.Join(s.work, "too-early.wav"))
	if err != nil {
		return err
	}
	s.saw("refused: %s", refusal)
	if err := s.arca(ctx, boss, nil, "approve", s.request, "--reason", "within the order and needed"); err != nil {
		return err
	}
	s.saw("request and approval are in the log, under a checkpoint that the witness has cosigned")
	return nil
}

func (s *story) opening(ctx context.Context) error {
	s.begin("Both halves come; the audio opens byte-identical")
	for _, file := range []string{"en_delivery_time.wav", "msg_es_1.json"} {
		id, err := s.find(file)
		if err != nil {
			return err
		}
		to := filepath.Join(s.work, "opened-"+file)
		if err := s.arca(ctx, one, nil, "open", id, "-o", to); err != nil {
			return err
		}
		got, err := hashFile(to)
		if err != nil {
			return err
		}
		if got != s.sample(file).SHA256 {
			return fmt.Errorf("%s opened with other bytes", file)
		}
		s.saw("%s: SHA-256 %s…, the same as before it was sealed", file, got[:16])
	}
	id, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	part := filepath.Join(s.work, "part.wav")
	if err := s.arca(ctx, one, nil, "open", id, "--from", "5", "--to", "8", "-o", part); err != nil {
		return err
	}
	raw, err := os.ReadFile(part)
	if err != nil {
		return err
	}
	if len(raw) != 44+3*16000 || string(raw[:4]) != "RIFF" {
		return fmt.Errorf("three seconds of it are %d bytes", len(raw))
	}
	s.saw("seconds 5 to 8 alone are a valid WAV of 3 seconds")
	return nil
}

// transcript is what the investigator writes of the recording; the vault must never see it.
const transcript = "The larch is felled on Thursday, at the old sawmill."

func (s *story) annotating(ctx context.Context) error {
	s.begin("The investigator seals a transcript beside it, which nobody can take for what the collector delivered")
	id, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	file := filepath.Join(s.work, "transcript.txt")
	if err := os.WriteFile(file, []byte(transcript), 0o600); err != nil {
		return err
	}
	if err := s.arca(ctx, one, nil, "transcript", id, file, "--language", "en"); err != nil {
		return err
	}
	var list struct {
		Recordings []struct {
			row
			By string `json:"by"`
			Of string `json:"of"`
		} `json:"recordings"`
	}
	deadline := time.Now().Add(30 * time.Second)
	for { // the site's tick deposits it, the investigator's next command files it
		err := s.quietly(func() error {
			if err := s.arca(ctx, one, nil, "ls", "--order", s.chain); err != nil {
				return err
			}
			if err := s.arca(ctx, "", nil, "mirror"); err != nil {
				return err
			}
			return s.arca(ctx, boss, &list, "ls", "--order", s.chain, "--kind", "transcript", "--purpose", "read what was transcribed")
		})
		if err != nil {
			return err
		}
		if len(list.Recordings) > 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the transcript is in no listing")
		}
		time.Sleep(time.Second)
	}
	got := list.Recordings[0]
	if got.By != one || got.Of != id {
		return fmt.Errorf("the transcript is shown as by %q, of %s", got.By, got.Of)
	}
	s.rows = append(s.rows, got.row)
	s.saw("the supervisor sees %s…, a transcript by %s of %s…", got.Recording[:8], got.By, id[:8])
	s.saw("its pack left at a tick through the site's collector: the vault knows of no reader")
	return nil
}

func (s *story) stranger(ctx context.Context) error {
	s.begin("A second investigator, of another unit, is refused")
	refusal, err := s.refused(ctx, two, 5, "ls", "--order", s.chain, "--purpose", "curiosity")
	if err != nil {
		return err
	}
	s.saw("refused, without learning that the order exists: %s", refusal)
	return nil
}

// disclosure makes a copy for the defence and checks it as the defence would.
func (s *story) disclosure(ctx context.Context) error {
	s.begin("A clerk makes a bundle for the defence, which checks it offline with arca-verify")
	wav, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	file := filepath.Join(s.work, "disclosure.zip")
	for _, args := range [][]string{
		{"ls", "--order", s.chain, "--purpose", "copy for the defence"},
		{"ask", "--recording", wav, "--class", "content", "--purpose", "copy for the defence"},
		{"bundle", "make", "--recording", wav, "--clear", "--reason", "copy for the defence, as the court ordered", "--receipts", filepath.Join(s.work, "receipts"), "-o", file},
	} {
		if err := s.arca(ctx, clerk, nil, args...); err != nil {
			return err
		}
	}
	line, code, err := s.offline(ctx, file)
	if err != nil || code != 0 {
		return fmt.Errorf("the bundle does not verify: exit %d, %s (%v)", code, line, err)
	}
	s.saw("%s", line)
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	raw[rand.IntN(len(raw))] ^= 1
	if err := os.WriteFile(file+".spoiled", raw, 0o600); err != nil {
		return err
	}
	if line, code, err = s.offline(ctx, file+".spoiled"); err != nil || code == 0 {
		return fmt.Errorf("the bundle with one bit flipped verifies (%v)", err)
	}
	s.saw("one of its %d bytes changed: %s", len(raw), line)
	return nil
}

// offline runs arca-verify, the small program, on a file.
func (s *story) offline(ctx context.Context, file string) (line string, code int, err error) {
	program := filepath.Join(filepath.Dir(s.o.Program), "arca-verify")
	if !s.o.JSON {
		fmt.Fprintf(s.o.Out, "    $ arca-verify --fingerprint %s… %s\n", s.trust[:12], filepath.Base(file))
	}
	out, err := exec.CommandContext(ctx, program, "--fingerprint", s.trust, file).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code, err = exit.ExitCode(), nil
	}
	_, line, _ = strings.Cut(strings.TrimSpace(string(out)), ": ")
	return line, code, err
}

func (s *story) revocation(ctx context.Context) error {
	s.begin("The judge revokes the order; the first investigator is refused too")
	if err := s.arca(ctx, judge, nil, "order", "revoke", s.chain, "--reason", "the measure is no longer needed"); err != nil {
		return err
	}
	id, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	refusal, err := s.refused(ctx, one, 4, "open", id, "-o", filepath.Join(s.work, "after.wav"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.work, "after.wav")); err == nil {
		return fmt.Errorf("a file was written all the same")
	}
	s.saw("refused: %s", refusal)
	return nil
}

func (s *story) journal(ctx context.Context) error {
	s.begin("An auditor reads who asked and who was refused, and checks a receipt offline")
	var log struct {
		Acts []struct {
			Act string `json:"act"`
		} `json:"acts"`
	}
	if err := s.arca(ctx, audit, &log, "log", "--order", s.chain); err != nil {
		return err
	}
	count := map[string]int{}
	for _, e := range log.Acts {
		count[e.Act]++
	}
	if count["asked"] == 0 || count["approved"] == 0 || count["released"] == 0 || count["refused"] == 0 {
		return fmt.Errorf("the log lacks what happened: %v", count)
	}
	s.saw("both keyholders' journals: %d asked, %d approved, %d released, %d refused", count["asked"], count["approved"], count["released"], count["refused"])
	receipts, err := filepath.Glob(filepath.Join(s.work, "receipts", "*"))
	if err != nil || len(receipts) == 0 {
		return fmt.Errorf("no receipts were written: %v", err)
	}
	if err := s.arca(ctx, "", nil, "verify", receipts[0]); err != nil {
		return err
	}
	s.saw("a deposit's receipt verifies without any network")
	raw, err := os.ReadFile(receipts[0])
	if err != nil {
		return err
	}
	flipped := bytes.Clone(raw)
	flipped[rand.IntN(len(flipped))] ^= 1
	spoiled := filepath.Join(s.work, "spoiled.receipt")
	if err := os.WriteFile(spoiled, flipped, 0o600); err != nil {
		return err
	}
	if _, code, err := s.try(ctx, "", "verify", spoiled); err != nil || code == 0 {
		return fmt.Errorf("a receipt with one flipped bit verifies (%v)", err)
	}
	s.saw("the same receipt with one bit flipped does not")
	return nil
}

// custody shows what was done with the recording that was opened.
func (s *story) custody(ctx context.Context) error {
	s.begin("The auditor reads the custody of the opened recording out of both journals")
	id, err := s.find("en_delivery_time.wav")
	if err != nil {
		return err
	}
	page := filepath.Join(s.work, "custody.html")
	var timeline struct {
		Acts []struct {
			Act string `json:"act"`
		} `json:"acts"`
		Verdict string `json:"verdict"`
	}
	if err := s.arca(ctx, audit, &timeline, "custody", id, "--order", s.chain, "--html", page, "--case", filepath.Join(s.work, "custody.jsonld")); err != nil {
		return err
	}
	var acts []string
	for _, e := range timeline.Acts {
		if len(acts) == 0 || acts[len(acts)-1] != e.Act {
			acts = append(acts, e.Act)
		}
	}
	for _, want := range []string{"authorisation", "sealed", "found", "asked", "approved", "released", "opened", "copied", "annotated", "refused", "revocation"} {
		if !slices.Contains(acts, want) {
			return fmt.Errorf("custody lacks %s: %v", want, acts)
		}
	}
	s.saw("%s", strings.Join(acts, ", "))
	s.saw("%s", timeline.Verdict)
	s.saw("the same as a page to print and in CASE/UCO")
	return nil
}
