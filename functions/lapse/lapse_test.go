package lapse_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/functions/lapse"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	notices := func(who string) func(w *functionstest.World) error {
		return func(w *functionstest.World) error { _, err := w.Keyholder("court", who).Notices(ctx); return err }
	}
	functionstest.Committed{
		Party: "court", Function: "lapse",
		Prepare: func(w *functionstest.World) {
			functionstest.Ordered(w)
			w.Sequence()
			w.Tick("court", "lapse")
			w.Tick("court", "lapse") // twice equals once
		},
		Event: func(w *functionstest.World) []byte { return w.Event(func() error { return notices("supervisor")(w) }) },
		After: func(w *functionstest.World) {
			for who, want := range map[string]int{"supervisor": 1, "judge": 0, "investigator": 0, "stranger": 0, "auditor": 0} {
				out, err := w.Keyholder("court", who).Notices(ctx)
				if err != nil || len(out.Notices) != want {
					t.Errorf("%s is told %v, want %d: %v", who, out.Notices, want, err)
				}
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "by nobody", Kind: problem.Denied, Event: functionstest.Call(notices("nobody"))},
			// The machine's clock is six minutes ahead of the witnesses': nothing is told by it.
			{Name: "a tick of a clock that jumped", Later: 6 * time.Minute, Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"tick"}`) }},
			{Name: "a tick of a clock that went back", Later: -time.Minute, Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"tick"}`) }},
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
		},
	}.Test(t)
}

func TestASettingThatNamesNoClockDoesNotStart(t *testing.T) {
	for setting, want := range map[string]string{"reprot=3d": "clock", "report": "profile, or clocks", "report=3w": "profile, or clocks", "report=3d,report=4d": "once"} {
		lookup := func(name string) (string, bool) {
			return map[string]string{"PARTY": "court", "ORIGIN": "https://court.test", "AWS_REGION": "r", "WARN": setting}[name], true
		}
		env, err := edge.ReadEnv("lapse", lookup, edge.SetWarn)
		if err == nil {
			_, err = lapse.New(env)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "reprot") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
