package local

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	arca "arca.example/arca"
)

// parameters are what a deployment is given, in fiction.
func parameters() map[string]string {
	return map[string]string{"DomainName": "vault.example", "CertificateArn": "arn:x", "Trust": strings.Repeat("ab", 32), "LogOrigin": "log.example",
		"Witnesses": "https://w.example", "LedgerUrl": "https://vault.example", "OtherUrl": "https://other.example"}
}

func TestThePlansOfTheThreeParties(t *testing.T) {
	want := map[string][]string{
		"vault":     {"deposit", "arrived", "ledger", "sequence", "scrub", "stamp"},
		"court":     {"orders", "notes", "units", "requests", "release", "people", "lapse", "report", "destroy"},
		"custodian": {"orders", "notes", "units", "requests", "release", "people", "lapse", "report", "destroy"},
	}
	for party, names := range want {
		plan, err := Load(arca.Template, party, parameters())
		if err != nil {
			t.Fatalf("%s: %v", party, err)
		}
		if len(plan.Functions) != len(names) {
			t.Errorf("%s runs %d functions, want %d", party, len(plan.Functions), len(names))
		}
		for _, name := range names {
			f, ok := plan.Function(name)
			if !ok {
				t.Errorf("%s does not run %s", party, name)
				continue
			}
			if f.Env["PARTY"] != party || f.Env["ORIGIN"] != "https://vault.example" || f.Env["TABLE"] != "Table" || f.Env["AWS_REGION"] != "local" {
				t.Errorf("%s %s: environment %v", party, name, f.Env)
			}
		}
	}
}

func TestWhatThePlanOfTheVaultSays(t *testing.T) {
	params := parameters()
	params["Bucket"], params["BaseRoot.Arn"] = "objects", "key-file"
	plan, err := Load(arca.Template, "vault", params)
	if err != nil {
		t.Fatal(err)
	}
	sequence, _ := plan.Function("sequence")
	if len(sequence.Schedules) != 1 || sequence.Schedules[0].Expression != "rate(1 minute)" || string(sequence.Schedules[0].Input) != `{"arca":"tick"}` {
		t.Errorf("%+v", sequence.Schedules)
	}
	if sequence.Timeout != 55*time.Second || sequence.Env["BUCKET"] != "objects" || sequence.Env["ROOTS"] != "base=key-file" {
		t.Errorf("%+v", sequence)
	}
	arrived, _ := plan.Function("arrived")
	if len(arrived.Created) != 1 || arrived.Created[0] != "pack/" || arrived.Env["PACK_BYTES"] != "16777216" {
		t.Errorf("%+v", arrived)
	}
	ledger, _ := plan.Function("ledger")
	if f, ok := plan.Function(ledger.Env["SEQUENCE"]); !ok || f.Name != "sequence" {
		t.Errorf("ledger cannot find sequence by %q", ledger.Env["SEQUENCE"])
	}
	found := false
	for _, r := range ledger.Routes {
		found = found || r.Pattern == "GET /v1/tile/{path...}" && r.Path == "/v1/tile/{path+}"
	}
	if !found {
		t.Errorf("%+v", ledger.Routes)
	}
	if err := plan.Set("ORIGIN", "http://127.0.0.1:1"); err != nil || sequence.Env["ORIGIN"] != "http://127.0.0.1:1" {
		t.Error("ORIGIN cannot be set", err)
	}
	if plan.Set("MADE_UP", "x") == nil {
		t.Error("a variable that nobody has was set")
	}
}

// small is a template with one function and a place for one more line in each section.
const small = `
Parameters: { Party: { Type: String } }
Conditions:
  Vault: !Equals [!Ref Party, vault]
  Other: { "Fn::Not": [{ Condition: Vault }] }
  CONDITION
Globals: { Function: { Timeout: 3, Environment: { Variables: { PARTY: !Ref Party } } } }
Resources:
  Here:
    Type: AWS::Serverless::Function
    Condition: Vault
    Properties:
      Handler: here
      Environment: { Variables: { WHICH: !If [Vault, !Sub "a-${Party}-${There}-${There.Arn}", { Ref: Nothing }] } }
      Events:
        A: { Type: HttpApi, Properties: { Method: GET, Path: /a, PayloadFormatVersion: "2.0" } }
        EVENT
  There:
    Type: AWS::Serverless::Function
    Condition: Other
    Properties: { Handler: there }
  RESOURCE
`

func fill(replace map[string]string) []byte {
	out := small
	for _, place := range []string{"CONDITION", "EVENT", "RESOURCE"} {
		out = strings.ReplaceAll(out, place, replace[place])
	}
	return []byte(out)
}

func TestIntrinsics(t *testing.T) {
	plan, err := Load(fill(nil), "vault", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Functions[0].Env["WHICH"]; len(plan.Functions) != 1 || got != "a-vault-There-There.Arn" {
		t.Errorf("%q %+v", got, plan)
	}
}

func TestWhatTheLoaderDoesNotKnowIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ place, line, want string }{
		{"CONDITION", "Bad: !Or [!Equals [a, b]]", "intrinsic Or"},
		{"CONDITION", `Bad: { "Fn::And": [a, b] }`, "intrinsic And"},
		{"RESOURCE", `X: { Value: !Join [",", [a]] }`, "intrinsic Join"},
		{"RESOURCE", "X: { Value: !Select [0, [a]] }", "intrinsic Select"},
		{"RESOURCE", "X: { Value: !FindInMap [a, b, c] }", "intrinsic FindInMap"},
		{"RESOURCE", "X: { Value: !ImportValue a }", "intrinsic ImportValue"},
		{"RESOURCE", `X: { "Fn::Transform": { Name: y } }`, "intrinsic Transform"},
		{"RESOURCE", `X: { "Fn::Sub": a, other: b }`, "stand alone"},
		{"RESOURCE", "X: { Y: [{ Action: [s3:GetObject] }] }", "space after the colon of s3"},
		{"RESOURCE", "Here: { Type: twice }", "already defined"},
		{"RESOURCE", "X: &anchor { a: b }", "Anchor"},
		{"EVENT", "Q: { Type: SQS, Properties: {} }", "event type SQS"},
		{"EVENT", "Q: { Type: Schedule, Properties: {} }", "event type Schedule"},
		{"EVENT", "Q: { Type: S3, Properties: {} }", "event type S3"},
		{"EVENT", "Q: { Type: HttpApi, Properties: { Method: ANY, Path: /q, PayloadFormatVersion: \"2.0\" } }", "one upper-case method"},
		{"EVENT", "Q: { Type: HttpApi, Properties: { Method: GET, Path: /q } }", "PayloadFormatVersion"},
		{"EVENT", "Q: { Type: HttpApi, Properties: { Method: GET, Path: /a, PayloadFormatVersion: \"2.0\" } }", "both serve GET /a"},
		{"EVENT", "Q: { Type: ScheduleV2, Properties: { ScheduleExpression: at(2030-01-01T00:00:00), Input: a } }", "neither rate() nor cron()"},
		{"EVENT", "Q: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 minute) } }", "input"},
		{"EVENT", "Q: { Type: EventBridgeRule, Properties: { Pattern: { source: [aws.ec2] } } }", "only rules for objects"},
		{"EVENT", "Q: { Type: EventBridgeRule, Properties: { Pattern: { source: [aws.s3], detail-type: [Object Created], detail: { object: { key: [{ suffix: x }] } } } } }", "only prefixes"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: { Handler: here } }", "two functions have the Handler here"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: {} }", "needs a Handler"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Condition: Nope, Properties: { Handler: x } }", "no condition"},
		{"CONDITION", "Loop: !Not [{ Condition: Loop }]", ""},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Condition: Loop, Properties: { Handler: x } }", "no condition"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: { Handler: x, Environment: { Variables: { A: !Ref Nope } } } }", "Ref Nope"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: { Handler: x, Environment: { Variables: { A: !GetAtt Nope.Arn } } } }", "GetAtt Nope.Arn"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: { Handler: x, Environment: { Variables: { A: !Sub [a, {}] } } } }", "Sub with a mapping"},
		{"RESOURCE", "X: { Type: AWS::Serverless::Function, Properties: { Handler: x, Environment: { Variables: { A: !Sub \"${Nope}\" } } } }", "Ref Nope"},
	} {
		_, err := Load(fill(map[string]string{c.place: c.line}), "vault", nil)
		if c.want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.line, err, c.want)
		}
	}
	loop := fill(map[string]string{"CONDITION": "Loop: !Not [{ Condition: Loop }]", "RESOURCE": "X: { Type: AWS::Serverless::Function, Condition: Loop, Properties: { Handler: x } }"})
	if _, err := Load(loop, "vault", nil); err == nil || !strings.Contains(err.Error(), "depends on itself") {
		t.Errorf("a condition that names itself: %v", err)
	}
}

func TestMissingAndForbiddenParameters(t *testing.T) {
	if _, err := Load(arca.Template, "vault", nil); err == nil || !strings.Contains(err.Error(), "DomainName") || !strings.Contains(err.Error(), "Trust") {
		t.Errorf("%v", err)
	}
	if _, err := Load(arca.Template, "vendor", parameters()); err == nil || !strings.Contains(err.Error(), "Party must be one of") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(arca.Template)
	f.Add(fill(nil))
	f.Add([]byte("a: !Ref b\nc: [1, 0x2, ~, 1.5, true]\nd: |\n  text\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := Parse(raw); err == nil && len(raw) == 0 {
			t.Fatal("nothing is a template")
		}
	})
}

// FuzzParseExpression: what is taken for a schedule has its next time after now, or never comes again.
func FuzzParseExpression(f *testing.F) {
	for _, s := range []string{"rate(1 minute)", "rate(5 minutes)", "cron(0 3 ? * MON *)", "cron(*/10 8-18/2 1,15 * ? 2026-2030)", "cron(0 0 29 FEB ? *)"} {
		f.Add(s)
	}
	at := time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExpression(text)
		if err != nil {
			return
		}
		if next := e.next(at); !next.IsZero() && !next.After(at) {
			t.Fatalf("%q comes again at %v", text, next)
		}
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	for _, target := range []string{"FuzzParse", "FuzzParseExpression"} {
		if cases, err := filepath.Glob("testdata/fuzz/" + target + "/*"); err != nil || len(cases) < 1 {
			t.Fatalf("%s: %d cases, %v", target, len(cases), err)
		}
	}
}
