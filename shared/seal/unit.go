package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"arca.example/arca/shared/problem"
)

// MaxLabelBytes bounds a unit's compartment and classification.
const MaxLabelBytes = 64

// maxUnitBytes is the longest encoding of a Unit.
const maxUnitBytes = 4*4 + 32 + 8 + 2*MaxLabelBytes

// Unit is what one pair of unit keys opens and what is destroyed together.
type Unit struct {
	Order          [32]byte // SHA-256 of the JWS signing input of the chain's first member
	Week           string   // ISO week of the recording's start, UTC: "2026-W47"
	Compartment    string   // "main", "privileged"; 1 to 64 of A-Z a-z 0-9 . _ -
	Classification string   // same alphabet and limit
}

// BatchID names a batch; 16 random bytes.
type BatchID [16]byte

// RecordingID names a recording; 16 random bytes.
type RecordingID [16]byte

// Context is ctx: salt, AAD and info of all that belongs to one recording.
type Context [32]byte

func (id BatchID) String() string     { return hex.EncodeToString(id[:]) }
func (id RecordingID) String() string { return hex.EncodeToString(id[:]) }

// ParseRecordingID reads 32 lower-case hexadecimal digits.
func ParseRecordingID(s string) (id RecordingID, err error) {
	return id, parseHex16(id[:], s, "recording id")
}

// ParseBatchID reads 32 lower-case hexadecimal digits.
func ParseBatchID(s string) (id BatchID, err error) {
	return id, parseHex16(id[:], s, "batch id")
}

func parseHex16(dst []byte, s, what string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(dst) || hex.EncodeToString(b) != s {
		return problem.New(problem.Invalid, "a %s is 32 lower-case hexadecimal digits; copy it whole", what)
	}
	copy(dst, b)
	return nil
}

// WeekOf gives the ISO 8601 week of t in UTC, as a Unit names it.
func WeekOf(t time.Time) string {
	year, week := t.UTC().ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

// Bytes is lp(order) lp(week) lp(compartment) lp(classification).
func (u Unit) Bytes() []byte {
	out := make([]byte, 0, maxUnitBytes)
	out = lp(out, u.Order[:])
	out = lp(out, []byte(u.Week))
	out = lp(out, []byte(u.Compartment))
	return lp(out, []byte(u.Classification))
}

// Check refuses a unit that has no canonical encoding.
func (u Unit) Check() error {
	if !validWeek(u.Week) {
		return problem.New(problem.Invalid, "the unit's week is not an ISO week such as 2026-W47; give the week of the recording's start in UTC")
	}
	if !validLabel(u.Compartment) || !validLabel(u.Classification) {
		return problem.New(problem.Invalid, "compartment and classification are 1 to %d letters, digits, dots, hyphens or underscores", MaxLabelBytes)
	}
	return nil
}

// ParseUnit reads what Bytes wrote, and nothing else.
func ParseUnit(b []byte) (Unit, error) {
	var u Unit
	if len(b) > maxUnitBytes {
		return Unit{}, malformed("unit")
	}
	c := cursor{rest: b}
	if copy(u.Order[:], c.lp(32)) != 32 {
		c.bad = true
	}
	u.Week = string(c.lp(8))
	u.Compartment = string(c.lp(MaxLabelBytes))
	u.Classification = string(c.lp(MaxLabelBytes))
	if !c.whole() || u.Check() != nil {
		return Unit{}, malformed("unit")
	}
	return u, canonical("unit", b, u.Bytes())
}

// validWeek accepts exactly the strings that WeekOf can produce.
func validWeek(s string) bool {
	var year, week int
	if len(s) != 8 {
		return false
	}
	if n, err := fmt.Sscanf(s, "%04d-W%02d", &year, &week); n != 2 || err != nil || year < 1 || week < 1 || week > 53 {
		return false
	}
	// 4 January always lies in week 1, so this lands inside the named week, or
	// in week 1 of the next year when the year has no week 53.
	return WeekOf(time.Date(year, 1, 4+7*(week-1), 0, 0, 0, 0, time.UTC)) == s
}

func validLabel(s string) bool {
	if len(s) == 0 || len(s) > MaxLabelBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// ContextOf gives ctx = SHA-256(lp("arca/v1/ctx") lp(recordingID) lp(batchID) lp(unit)).
func ContextOf(recording RecordingID, batch BatchID, unit Unit) Context {
	return sha256.Sum256(bind("arca/v1/ctx", recording[:], batch[:], unit.Bytes()))
}

// random fills b. crypto/rand.Read never fails since Go 1.24: it crashes the
// process rather than return predictable bytes.
func random(b []byte) { rand.Read(b) }
