package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/store"
)

// How often each authority is asked, a little less than the schedule's hour, so that a run that starts early counts; and how long one may take.
const (
	stampEvery   = 50 * time.Minute
	stampTimeout = 10 * time.Second
)

const stampsRow = "stamps"

func stampRowName(n uint64) string { return fmt.Sprintf("stamp/%d", n) }

// stampsState is the row "stamps".
type stampsState struct {
	Last    map[string]lastStamp `json:"last,omitempty"` // by authority
	Next    uint64               `json:"next"`           // the next number
	version int64
}

type lastStamp struct {
	At     time.Time `json:"at"`
	Number uint64    `json:"number"`
}

// due tells whether an authority is to be asked now.
func (s stampsState) due(authority string, now time.Time) bool {
	return now.Sub(s.Last[authority].At) >= stampEvery
}

// stampRow is the row stamp/<number>, written once.
type stampRow struct {
	Checkpoint []byte `json:"checkpoint"`
	Event      []byte `json:"event"`
	Random     []byte `json:"random"`
	Token      []byte `json:"token"`
}

func (v *Vault) stamps(ctx context.Context) (stampsState, error) {
	rows, err := v.cfg.Rows.Get(ctx, stampsRow)
	if err != nil {
		return stampsState{}, err
	}
	row, ok := rows[stampsRow]
	if !ok {
		return stampsState{Next: 1}, nil
	}
	s := stampsState{version: row.Version}
	if err := record.UnmarshalStored(row.Value, &s); err != nil || s.Next == 0 {
		return s, problem.Wrap(problem.Internal, err, "the record of timestamps cannot be read; tell the operator")
	}
	return s, nil
}

// Stamp has the newest cosigned checkpoint stamped by every authority that the
// trust file names and that has not stamped within the hour. list has their
// addresses: see addresses. One that fails does not stop the
// others; the error names them all, and running again asks only those. After
// an outage one run catches up, since a checkpoint covers all before it.
func (v *Vault) Stamp(ctx context.Context, client *http.Client, list []string) error {
	t, err := v.Trust(ctx)
	if err != nil && len(list) == 0 && problem.KindOf(err) == problem.Unavailable {
		return nil // a vault before its trust file, and nobody to ask
	}
	if err != nil {
		return err
	}
	var names []string
	for _, a := range t.Authorities {
		names = append(names, a.Name)
	}
	urls, ok := addresses(names, list)
	if !ok {
		return problem.New(problem.Unavailable, "AUTHORITIES must list one address per time-stamping authority of the trust file, in its order or each as name=address, or be none if it names none; set it and start again")
	}
	if len(urls) == 0 {
		return nil
	}
	log, err := v.Ledger(ctx)
	if err != nil {
		return err
	}
	verifier, err := stamp.New(t.Authorities, log.verifier)
	if err != nil {
		return err
	}
	state, err := v.stamps(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	failures := make([]error, len(urls))
	for place, a := range t.Authorities {
		if state.due(a.Name, v.cfg.Now()) {
			group.Go(func() error {
				failures[place] = v.stampBy(ctx, log, verifier, client, urls[place], place, a.Name)
				return nil
			})
		}
	}
	_ = group.Wait() // failures holds what went wrong
	return failedStamps(failures)
}

// failedStamps joins the authorities' failures under the kind that a schedule repeats.
func failedStamps(failures []error) error {
	all := errors.Join(failures...)
	if all == nil {
		return nil
	}
	for place, err := range failures {
		if err != nil {
			return problem.Wrap(problem.Unavailable, all, "time-stamping authority %d of %d gave no timestamp: %s", place+1, len(failures), problem.MessageOf(err))
		}
	}
	return all
}

// stampBy asks one authority and keeps what it answers.
func (v *Vault) stampBy(ctx context.Context, log *Ledger, verifier *stamp.Verifier, client *http.Client, url string, place int, name string) error {
	checkpoint, c, err := log.newest(ctx)
	if err != nil {
		return err
	}
	if err := c.Fresh(v.cfg.Now(), ledger.MaxSkew); err != nil {
		return err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand does not fail
	query, err := verifier.Ask(place, checkpoint, random)
	if err != nil {
		return err
	}
	reply, err := postQuery(ctx, client, url, query.DER)
	if err != nil {
		return err
	}
	token, _, err := verifier.Answer(query, reply, v.cfg.Now())
	if err != nil {
		return err
	}
	return v.keepStamp(ctx, log, name, token, checkpoint)
}

// postQuery makes the HTTP call of RFC 3161, section 3.4. What the authority learns is a hash of a public checkpoint.
func postQuery(ctx context.Context, client *http.Client, url string, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stampTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the authority's address is not a URL")
	}
	req.Header.Set("Content-Type", stamp.MediaQuery)
	once := *client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := once.Do(req)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "it cannot be reached")
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, stamp.MaxReply+1))
	if err != nil || res.StatusCode != http.StatusOK || len(reply) > stamp.MaxReply {
		return nil, problem.Wrap(problem.Unavailable, err, "it answered with status %d, too much, or not to the end", res.StatusCode)
	}
	return reply, nil
}

// keepStamp gives a token its number and pins it in the log, in one transaction. If another run was faster, its token stands
// and this one is dropped.
func (v *Vault) keepStamp(ctx context.Context, log *Ledger, authority string, token, checkpoint []byte) error {
	for range 20 {
		state, err := v.stamps(ctx)
		if err != nil || !state.due(authority, v.cfg.Now()) {
			return err
		}
		writes, err := v.stampWrites(ctx, log, state, authority, token, checkpoint)
		if err != nil {
			return err
		}
		// Commit point: after this write the stamp exists and the log will pin it.
		err = v.cfg.Rows.Commit(ctx, writes...)
		if err == nil && v.cfg.Sequence != nil {
			_ = v.cfg.Sequence(ctx) // the schedule does it within a minute in any case
		}
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return err
		}
	}
	return problem.New(problem.Unavailable, "others write to the log at this moment; try again")
}

func (v *Vault) stampWrites(ctx context.Context, log *Ledger, state stampsState, authority string, token, checkpoint []byte) ([]store.Write, error) {
	number := state.Next
	event, err := stamp.Pinned(number, authority, token, checkpoint)
	if err != nil {
		return nil, err
	}
	s := stamp.Stamp{Number: number, Checkpoint: checkpoint, Token: token, Event: event}
	_, _ = rand.Read(s.Random[:]) // crypto/rand does not fail
	row, err := record.Marshal(stampRow{Checkpoint: checkpoint, Event: event, Random: s.Random[:], Token: token})
	if err != nil {
		return nil, err
	}
	next := stampsState{Last: map[string]lastStamp{}, Next: number + 1}
	for name, last := range state.Last {
		next.Last[name] = last
	}
	next.Last[authority] = lastStamp{At: record.Second(v.cfg.Now()), Number: number}
	counter, err := record.Marshal(next)
	if err != nil {
		return nil, err
	}
	writes, err := log.Append(ctx, s.Entry())
	return append(writes,
		store.Write{Op: store.Put, Key: stampsRow, Version: state.version, Value: counter},
		store.Write{Op: store.Put, Key: stampRowName(number), Value: row}), err
}

// MaxStamps is how many stamps one listing holds.
const MaxStamps = 16

// Stamps lists stamps from a number on. next is the lowest number that was never given out.
func (v *Vault) Stamps(ctx context.Context, from uint64) (list []stamp.Stamp, next uint64, err error) {
	state, err := v.stamps(ctx)
	if err != nil {
		return nil, 0, err
	}
	from = max(from, 1)
	var names []string
	for n := from; n < min(from+MaxStamps, state.Next); n++ {
		names = append(names, stampRowName(n))
	}
	if len(names) == 0 {
		return nil, state.Next, nil
	}
	rows, err := v.cfg.Rows.Get(ctx, names...)
	if err != nil {
		return nil, 0, err
	}
	for i, name := range names {
		var row stampRow
		if err := record.UnmarshalStored(rows[name].Value, &row); err != nil || len(row.Random) != 32 {
			return nil, 0, problem.Wrap(problem.Internal, err, "a stored timestamp is missing or cannot be read; tell the operator")
		}
		list = append(list, stamp.Stamp{Number: from + uint64(i), Checkpoint: row.Checkpoint, Token: row.Token, Event: row.Event, Random: [32]byte(row.Random)})
	}
	return list, state.Next, nil
}
