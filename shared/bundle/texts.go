package bundle

import (
	"fmt"
	"strings"
	"time"
)

// DefaultWhy are the reasons for what is left out when its maker gives no other.
var DefaultWhy = map[string]string{
	OmitRecordings:  "not among the recordings that this disclosure was asked for",
	OmitSeconds:     "left out by the maker of the bundle",
	OmitTranscripts: "none was asked for, or none was made",
	OmitCustody:     "the maker of the bundle may not read the keyholders' journals; a clerk or judge of the court may",
	OmitReceipts:    "the collector's receipts were not at hand",
	OmitTimestamps:  "no authority had stamped them when the bundle was made; time is the witnesses' alone",
	OmitWeeks:       "not among the weeks that this disclosure was asked for",
}

// words are the texts of the page, in one place so that they can be had in another language.
var words = struct {
	Title, Made, By, For, Order, Bundle, Recordings, Omitted, Journal, How                       string
	Start, End, From, To, Kind, File, Bytes, ID, Hidden, Who, When, What, Why, Keyholder, Number string
	Clear, Encrypted, Whole, Casual, Secret, NotSecret                                           string
}{
	Title: "Disclosure of recordings", Made: "Made", By: "by", For: "for", Order: "Order", Bundle: "Installation", Recordings: "Recordings in this bundle",
	Omitted: "What is not in this bundle", Journal: "Custody, from both keyholders' journals", How: "How to check it",
	Start: "Start", End: "End", From: "From", To: "To", Kind: "Kind", File: "File", Bytes: "Bytes", ID: "Recording",
	Hidden: "in the encrypted files", Who: "Who", When: "When", What: "What", Why: "Reason", Keyholder: "Keyholder", Number: "No",
	Clear: "The recordings are in clear.", Encrypted: "The recordings and what is said of them are encrypted to the recipients' age keys; the order and the journals are not.",
	Whole: "whole", Casual: "Certified copy for use in another case", Secret: "The case that it comes from is still secret.", NotSecret: "The case that it comes from is not secret any more.",
}

// omissionText says an omission in words.
func omissionText(o Omission) string {
	switch o.What {
	case OmitRecordings:
		return count(o.Count, "more recording") + " of the same weeks, notes and transcripts included"
	case OmitSeconds:
		var kept []string
		for _, s := range o.Kept {
			kept = append(kept, fmt.Sprintf("%s to %s", clock(s.From), clock(s.Until)))
		}
		return fmt.Sprintf("of recording %s everything but %s", o.Recording, strings.Join(kept, ", "))
	case OmitTranscripts:
		return "transcripts of " + count(o.Count, "recording")
	case OmitCustody:
		return "the keyholders' journals of the case"
	case OmitReceipts:
		return "both keyholders' signed receipts for " + count(o.Count, "batch")
	case OmitTimestamps:
		if o.Count > 0 {
			return "timestamps by authorities (RFC 3161) of " + count(o.Count, "recording")
		}
		return "timestamps by authorities (RFC 3161)"
	case OmitWeeks:
		return "more recordings of the weeks " + strings.Join(o.Weeks, ", ")
	}
	return o.What
}

func clock(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }

// verifyText is data/VERIFY.txt.
func verifyText(x *Index) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `HOW TO CHECK THIS BUNDLE

You need no network and no trust in whoever gave it to you. You need:

1. arca-verify, a program of its own (its source is small; build it yourself: go build ./cmd/arca-verify);
2. the fingerprint of the installation's trust file, which court and custodian read out or publish.
   Ask both. This bundle claims:  %s

Then, on the bundle as you received it (the ZIP file, not the unpacked folder):

    arca-verify --fingerprint FINGERPRINT BUNDLE
`, x.Audience)
	if x.Mode == Encrypted {
		b.WriteString(`    arca-verify --fingerprint FINGERPRINT --identity YOUR-AGE-KEY BUNDLE

The second line also opens what is encrypted to you. Without your key the program checks everything but that the encrypted
files are the recordings that were sealed, and says so.
`)
	}
	b.WriteString(`
It prints one line: what is proven, or why not. Exit code 0: proven. 10: altered. 11: incomplete. 12: not yet witnessed.
13: the trust roots are not those that you named.

WITHOUT ARCA

- Any ZIP program unpacks the file. It is a BagIt 1.0 bag (RFC 8493): manifest-sha256.txt and manifest-sha512.txt list the hash of every
  file under data/, the two tagmanifest files those of the manifests. sha256sum -c manifest-sha256.txt checks them.
- bundle.jws is a JWS (RFC 7515) by the key of the maker, over the hashes of the tag manifests; data/people.json holds the enrolments
  of all who signed, data/trust.json the keys of court and custodian.
- Proofs are C2SP tlog-proofs, checkpoints are signed notes with witnesses' cosignatures; data/witness-policy.json names log and witnesses.
- data/index.json says what is in the bundle, and what is not, with reasons. docs/formats.md of Arca describes every file byte for byte.
`)
	if x.Mode == Encrypted {
		b.WriteString("- age -d -i YOUR-AGE-KEY -o OUT FILE.age opens a file (https://age-encryption.org).\n")
	}
	return []byte(b.String())
}
