package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/wire"
)

// stampsOld is when an hourly timestamp is missing, and not only late.
const stampsOld = 3 * time.Hour

// stampState is a verified timestamp. Number is 0 for an authority that has stamped nothing yet.
type stampState struct {
	Authority string    `json:"authority"`
	Number    uint64    `json:"number"`
	Time      time.Time `json:"time,omitzero"`
	Accuracy  string    `json:"accuracy,omitempty"`
	Size      int64     `json:"size"` // of the log that it covers
	Serial    string    `json:"serial,omitempty"`
	Ends      time.Time `json:"certificateEnds,omitzero"`
	Age       int64     `json:"ageSeconds"`
	Pinned    bool      `json:"pinned"` // the witnessed log holds the token's hash
	Verdict   string    `json:"verdict"`
	File      string    `json:"file,omitempty"`
}

func (s stampState) write(p *page) {
	if s.Number == 0 {
		p.line("timestamps: %s has stamped nothing yet", s.Authority)
		return
	}
	p.line("timestamps: %s stamped %d entries %s ago", s.Authority, s.Size, span(time.Duration(s.Age)*time.Second))
}

// stampVerifier is the trust file's authorities and log, ready to verify.
func stampVerifier(f *installation.Folder) (*record.Trust, *ledger.Verifier, *stamp.Verifier, error) {
	trust, err := f.Trust()
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := ledger.VerifierOf(trust)
	if err != nil {
		return nil, nil, nil, err
	}
	verifier, err := stamp.New(trust.Authorities, log)
	return trust, log, verifier, err
}

// fetchStamps gives what the vault lists from a number on, one answer's worth, and the next number that it will give.
func (a *app) fetchStamps(ctx context.Context, f *installation.Folder, from uint64) (list []stamp.Stamp, next uint64, err error) {
	mirror, err := f.Identity("mirror")
	if err != nil {
		return nil, 0, err
	}
	return stampsOf{f.Vault(mirror)}.Stamps(ctx, from)
}

// stampsOf is a vault as package bundle asks it.
type stampsOf struct{ *wire.Vault }

// Stamps implements bundle.StampSource.
func (v stampsOf) Stamps(ctx context.Context, from uint64) (list []stamp.Stamp, next uint64, err error) {
	answer, err := v.Vault.Stamps(ctx, from)
	for _, s := range answer.Stamps {
		if len(s.Random) != 32 || s.Number != from+uint64(len(list)) {
			return nil, 0, problem.New(problem.Invalid, "the vault's list of timestamps is not whole; tell its operator")
		}
		list = append(list, stamp.Stamp{Number: s.Number, Checkpoint: s.Checkpoint, Token: s.Token, Event: s.Event, Random: [32]byte(s.Random)})
	}
	return list, answer.Next, err
}

// addTimestamps puts into a bundle what authorities stamped, where the installation names any.
func (a *app) addTimestamps(ctx context.Context, f *installation.Folder, in *bundle.Source) error {
	trust, err := f.Trust()
	if err != nil || len(trust.Authorities) == 0 {
		return err
	}
	mirror, err := f.Identity("mirror")
	if err != nil {
		return err
	}
	return in.AddTimestamps(ctx, trust, stampsOf{f.Vault(mirror)}, a.now())
}

// stamps gives the last timestamp of each authority, looking back as far as one answer of the vault goes.
func (a *app) stamps(ctx context.Context, f *installation.Folder) ([]stampState, error) {
	trust, _, verifier, err := stampVerifier(f)
	if err != nil || len(trust.Authorities) == 0 {
		return nil, err
	}
	_, next, err := a.fetchStamps(ctx, f, 1<<62)
	if err != nil {
		return nil, err
	}
	list, _, err := a.fetchStamps(ctx, f, max(1, next-min(next, 16)))
	if err != nil {
		return nil, err
	}
	last := map[string]stampState{}
	for _, s := range list {
		facts, err := verifier.Check(s, a.now())
		if err != nil {
			return nil, err
		}
		last[facts.Authority] = a.stampState(s.Number, facts)
	}
	var out []stampState
	for _, authority := range trust.Authorities {
		s := last[authority.Name]
		s.Authority = authority.Name
		if s.Number == 0 && next > 1 {
			s.Age = int64(a.now().Sub(trust.Issued).Seconds())
		}
		out = append(out, s)
	}
	return out, nil
}

func (a *app) stampState(number uint64, facts stamp.Facts) stampState {
	return stampState{Authority: facts.Authority, Number: number, Time: facts.Time, Accuracy: facts.Accuracy.String(), Size: facts.Size, Serial: facts.Serial,
		Ends: facts.Ends, Age: int64(a.now().Sub(facts.Time).Seconds()), Verdict: "good"}
}

type stampsAnswer struct {
	Stamps []stampState `json:"stamps"`
	Error  *failure     `json:"error,omitempty"`
}

func (a *app) stampsCommand() *cobra.Command {
	var from uint64
	var dir string
	c := a.command(spec{
		use: "stamps", short: "Fetch and verify the timestamps on the log's checkpoints",
		long: "Lists RFC 3161 timestamps from a number on. Each is verified here: signature, certificates up to a root that the trust file names, the\n" +
			"checkpoint under the pinned witnesses, and that the witnessed log holds the token's hash. A timestamp whose certificate has ended\n" +
			"is shown as ended; later ones cover it.\n\n" +
			"--out DIR writes each token and its checkpoint, as other tools read them:\n" +
			"openssl ts -verify -data 000001.checkpoint -in 000001.tst -token_in -CAfile ROOT",
		example: "arca stamps\narca stamps --from 100 --out stamps",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, err := a.folder()
			if err != nil {
				return err
			}
			out, err := a.listStamps(cmd.Context(), f, max(from, 1), dir)
			out.Error = failed(err)
			return a.report(out, err, out.write)
		},
	})
	c.Flags().Uint64Var(&from, "from", 1, "first number")
	c.Flags().StringVarP(&dir, "out", "o", "", "folder to write tokens and checkpoints to")
	return c
}

func (s stampsAnswer) write(p *page) {
	var rows [][]string
	for _, t := range s.Stamps {
		pinned := "pending"
		if t.Pinned {
			pinned = "pinned"
		}
		rows = append(rows, []string{fmt.Sprint(t.Number), t.Authority, when(t.Time), t.Accuracy, fmt.Sprint(t.Size), when(t.Ends), t.Verdict, pinned})
	}
	p.table([]string{"NUMBER", "AUTHORITY", "TIME", "ACCURACY", "ENTRIES", "CERTIFICATE ENDS", "VERDICT", "LOG"}, rows)
}

func (a *app) listStamps(ctx context.Context, f *installation.Folder, from uint64, dir string) (out stampsAnswer, err error) {
	_, log, verifier, err := stampVerifier(f)
	if err != nil {
		return out, err
	}
	out.Stamps = []stampState{}
	for {
		list, next, err := a.fetchStamps(ctx, f, from)
		if err != nil {
			return out, err
		}
		for _, s := range list {
			state, err := a.judgeStamp(ctx, f, log, verifier, s)
			if err != nil {
				return out, err
			}
			if dir != "" {
				if state.File, err = writeStamp(dir, s); err != nil {
					return out, err
				}
			}
			out.Stamps = append(out.Stamps, state)
		}
		from += uint64(len(list))
		if len(list) == 0 || from >= next {
			return out, nil
		}
	}
}

// judgeStamp verifies one timestamp. Only one that is wrong is an error; one whose certificate has ended is a verdict.
func (a *app) judgeStamp(ctx context.Context, f *installation.Folder, log *ledger.Verifier, verifier *stamp.Verifier, s stamp.Stamp) (stampState, error) {
	facts, err := verifier.VerifyRenewed(s, nil, a.now())
	state := a.stampState(s.Number, facts)
	switch {
	case errors.Is(err, stamp.ErrEnded):
		state.Verdict = "ended"
	case err != nil:
		return state, err
	}
	mirror, err := f.Identity("mirror")
	if err != nil {
		return state, err
	}
	proof, err := f.Vault(mirror).Proof(ctx, s.Entry())
	if problem.KindOf(err) == problem.Conflict && err != nil {
		return state, nil // the entry is on its way
	}
	if err != nil {
		return state, err
	}
	_, _, err = log.VerifyInclusion(s.Entry(), proof)
	state.Pinned = err == nil
	return state, err
}

func writeStamp(dir string, s stamp.Stamp) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the folder for the timestamps cannot be made")
	}
	name := filepath.Join(dir, fmt.Sprintf("%06d", s.Number))
	for end, content := range map[string][]byte{".tst": s.Token, ".checkpoint": s.Checkpoint} {
		if err := os.WriteFile(name+end, content, 0o644); err != nil {
			return "", problem.Wrap(problem.Unavailable, err, "a timestamp cannot be written")
		}
	}
	return name + ".tst", nil
}
