package record

import (
	"strings"
	"time"

	"arca.example/arca/shared/problem"
)

// JournalReport is a keyholder's part of a report to the judge (LECrim 588 bis g): what its own journal says of a measure between two of
// the order's dates. It is signed by the keyholder's online key as TypeJournalReport. A keyholder has no keys to contents and says nothing
// of them.
type JournalReport struct {
	Accesses   []ReportedAccess   `json:"accesses"` // halves that left, one line a request; the oldest first
	Audience   Digest             `json:"aud"`
	Batches    int                `json:"batches"` // received
	Chain      Digest             `json:"chain"`
	Clocks     []ReportedClock    `json:"clocks"` // as they stood at Until
	Events     []ReportedCount    `json:"events"` // of the journal, by kind
	Final      bool               `json:"final,omitzero"`
	First      int64              `json:"first"` // number of the first event that counts here
	From       time.Time          `json:"from"`
	Gaps       []ReportedGap      `json:"gaps"`      // batches that a collector numbered and that are not here
	Incidents  []ReportedIncident `json:"incidents"` // what was refused, lapsed or overdue
	Issued     time.Time          `json:"issued"`
	Last       int64              `json:"last"`          // of the last; First-1: none
	More       int                `json:"more,omitzero"` // lines that had no room
	Party      string             `json:"party"`
	Recordings int                `json:"recordings"` // in those batches
	Until      time.Time          `json:"until"`      // the order's date, not inside
}

// ReportedAccess is a request for which halves left.
type ReportedAccess struct {
	At         time.Time `json:"at"` // of the first
	By         KeyID     `json:"by"`
	Class      string    `json:"class"`
	Name       string    `json:"name"` // that By is enrolled under
	Purpose    string    `json:"purpose"`
	Recordings int       `json:"recordings"`
	Request    Digest    `json:"request"`
}

// ReportedClock is a clock of package law.
type ReportedClock struct {
	Article string    `json:"article"`
	Clock   string    `json:"clock"`
	Due     time.Time `json:"due,omitzero"`
	State   string    `json:"state"`
}

// ReportedCount is how many events of a kind there were.
type ReportedCount struct {
	Count int       `json:"count"`
	Kind  EventKind `json:"kind"`
}

// ReportedGap is a run of batch numbers that are missing.
type ReportedGap struct {
	Collector   KeyID  `json:"collector"`
	Compartment string `json:"compartment"`
	First       uint64 `json:"first"`
	Last        uint64 `json:"last"`
	Week        string `json:"week"`
}

// ReportedIncident is a line of the journal that the judge should see.
type ReportedIncident struct {
	At   time.Time `json:"at"`
	By   KeyID     `json:"by,omitzero"`
	Kind EventKind `json:"kind"`
	What string    `json:"what"`
}

// Report is the police's report to the judge, signed by its author as TypeReport. Its content is sealed: each keyholder keeps it with one
// share of its key (package seal), so that neither reads it alone.
type Report struct {
	Audience  Digest    `json:"aud"`
	Chain     Digest    `json:"chain"`
	Content   Digest    `json:"content"`   // SHA-256 of the sealed content
	Court     Digest    `json:"court"`     // SHA-256 of the court's share
	Custodian Digest    `json:"custodian"` // and of the custodian's
	Final     bool      `json:"final,omitzero"`
	Issued    time.Time `json:"issued"`
	Nonce     ID        `json:"nonce"`
}

// MaxReport is the size of a sealed content: with its share and statement it is one row.
const MaxReport = 200 << 10

// ReportContent is what a report says, canonical JSON.
type ReportContent struct {
	Bundles  []ReportedBundle `json:"bundles"` // the complete recordings, on separate supports
	Passages []Passage        `json:"passages"`
	Summary  string           `json:"summary"`
}

// ReportedBundle names a bundle file.
type ReportedBundle struct {
	Name   string `json:"name"`
	SHA256 Digest `json:"sha256"` // of the whole file
}

// Passage is a recording of interest with its transcript.
type Passage struct {
	Recording  Reference `json:"recording"`
	Transcript string    `json:"transcript,omitzero"` // absent: it lies sealed beside the recording
}

// How much a report says at most; MaxReport bounds all of it.
const (
	maxPassages   = 200
	maxBundles    = 20
	maxTranscript = 64 << 10
)

// Validate checks form and limits. Errors: problem.Invalid.
func (r *Report) Validate() error { return checkTimes(r.Issued) }

// Validate checks form and limits. Errors: problem.Invalid.
func (c *ReportContent) Validate() error {
	if err := CheckText(c.Summary); err != nil {
		return err
	}
	if strings.TrimSpace(c.Summary) == "" {
		return problem.New(problem.Invalid, "a report says what came of the measure; give a summary")
	}
	if len(c.Passages) > maxPassages || len(c.Bundles) > maxBundles {
		return problem.New(problem.Invalid, "a report has at most %d passages and names at most %d bundles", maxPassages, maxBundles)
	}
	for _, p := range c.Passages {
		if len(p.Transcript) > maxTranscript || !printable(p.Transcript, true) {
			return problem.New(problem.Invalid, "a transcript in a report is plain text of at most %d bytes; a longer one goes into the bundle", maxTranscript)
		}
	}
	for _, b := range c.Bundles {
		if err := CheckName(b.Name); err != nil {
			return err
		}
	}
	return nil
}
