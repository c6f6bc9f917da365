package edge

import (
	"strings"
	"testing"
	"time"
)

func settingsOf(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// complete has a good value for every setting.
func complete() map[string]string {
	return map[string]string{"PARTY": "vault", "ORIGIN": "https://vault.example", "AWS_REGION": "eu-west-1", "TABLE": "t", "BUCKET": "b", "ROOTS": "base=arn:a,ring-1=arn:b",
		"TRUST": strings.Repeat("ab", 32), "LOG": "log.example", "WITNESSES": "https://w1.example, http://127.0.0.1:7", "LEDGER": "https://vault.example",
		"OTHER": "https://other.example", "SEQUENCE": "s", "UNITS": "u", "PACK_BYTES": "1048576", "PACK_SLOTS": "8", "COPY": "copy", "SCRUB_BYTES": "1073741824",
		"AUTHORITIES": "http://tsa.example/path?x=1, https://tsa2.example", "WARN": "report=5d,told=12h"}
}

func allSettings() (all []Setting) {
	for name := range settings {
		all = append(all, name)
	}
	return all
}

func TestEverySettingIsReadAndDemanded(t *testing.T) {
	env, err := ReadEnv("f", settingsOf(complete()), allSettings()...)
	if err != nil || len(env.Witnesses) != 2 || len(env.Authorities) != 2 || env.CopyFrom != "copy" || env.Scrub != 1<<30 || env.Trust[31] != 0xab || env.PackBytes != 1<<20 || env.PackSlots != 8 || env.Units != "u" || env.RootKeys["ring-1"] != "arn:b" || env.Warn["report"] != 120*time.Hour || env.Warn["told"] != 12*time.Hour {
		t.Fatalf("%+v %v", env, err)
	}
	for _, name := range allSettings() {
		m := complete()
		delete(m, string(name))
		_, err := ReadEnv("f", settingsOf(m), allSettings()...)
		if err == nil || !strings.Contains(err.Error(), string(name)+" is not set: "+settings[name].why) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestWrongSettingsAreNamedNotShown(t *testing.T) {
	for name, value := range map[string]string{"PARTY": "zzvendor", "ORIGIN": "http://zz.example", "LEDGER": "https://zz.example/", "OTHER": "zz://x", "TRUST": "zz",
		"WITNESSES": "https://w.example,zz", "PACK_BYTES": "zz7", "PACK_SLOTS": "0zz", "ROOTS": "zz=1,zz=2", "AUTHORITIES": "none,zz", "SCRUB_BYTES": "zz", "WARN": "report=zz"} {
		m := complete()
		m[name] = value
		_, err := ReadEnv("f", settingsOf(m), allSettings()...)
		if err == nil || !strings.Contains(err.Error(), name+" must") || strings.Contains(err.Error(), "zz") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadEnv("f", settingsOf(complete()), "MADE_UP"); err == nil {
		t.Error("an unknown setting was read")
	}
	if _, err := ReadEnv("f", settingsOf(nil)); err == nil || !strings.Contains(err.Error(), "PARTY") || !strings.Contains(err.Error(), "ORIGIN") {
		t.Errorf("not everything that is missing is named: %v", err)
	}
}
