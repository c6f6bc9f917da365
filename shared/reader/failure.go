package reader

import (
	"context"
	"errors"
	"strings"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// Reason says how a keyholder failed.
type Reason string

// The reasons.
const (
	Refused     Reason = "refused"     // order, policy, approval or person: no, with the reason given
	Pending     Reason = "pending"     // the log does not show the request under a witnessed checkpoint yet
	Unknown     Reason = "unknown"     // it has no such order, request or unit
	Unreachable Reason = "unreachable" // no answer, or one that says to try again
	Altered     Reason = "altered"     // an answer that is not its own, not for this, or does not fit the commitments
)

// Failure is one keyholder's. errors.As finds it, for both keyholders at once too.
type Failure struct {
	Party  seal.Role
	Reason Reason
	cause  error // a *problem.Error whose message names the party
}

// Error says which keyholder and why.
func (f *Failure) Error() string { return f.cause.Error() }

// Unwrap gives the problem.
func (f *Failure) Unwrap() error { return f.cause }

// fail names the party in an error of its call.
func fail(role seal.Role, err error) *Failure {
	kind := problem.KindOf(err)
	reason, verb := Unreachable, "could not answer"
	switch kind {
	case problem.Denied, problem.Gone, problem.Invalid:
		reason, verb = Refused, "refuses"
	case problem.Conflict:
		reason, verb = Pending, "waits"
	case problem.NotFound:
		reason, verb = Unknown, "does not know this"
	}
	return &Failure{role, reason, problem.Wrap(kind, err, "the %s %s: %s", role, verb, problem.MessageOf(err))}
}

// altered is a failure of an answer's content: the party, or somebody between, made it wrong.
func altered(role seal.Role, cause error, what string) *Failure {
	return &Failure{role, Altered, problem.Wrap(problem.Denied, cause, "the %s's answer is not used: %s; keep this message and tell its operator and the auditor", role, what)}
}

// both calls the two keyholders at once and names whoever failed. When both did, the error says both.
func (r *Reader) both(ctx context.Context, call func(ctx context.Context, role seal.Role, k Keyholder) error) error {
	var (
		all    sync.WaitGroup
		errs   [2]error
		causes []error
		texts  []string
	)
	for i, role := range parties {
		all.Go(func() {
			err := call(ctx, role, r.keyholder(role))
			if _, named := errors.AsType[*Failure](err); err != nil && !named {
				err = fail(role, err)
			}
			errs[i] = err
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			causes, texts = append(causes, err), append(texts, problem.MessageOf(err))
		}
	}
	switch len(causes) {
	case 0:
		return nil
	case 1:
		return causes[0]
	}
	court, custodian := strings.TrimPrefix(texts[0], "the court "), strings.TrimPrefix(texts[1], "the custodian ")
	if court == custodian {
		for _, verb := range []string{"refuses: ", "does not know this: ", "could not answer: "} { // of one of them
			court = strings.TrimPrefix(court, verb)
		}
		return problem.Wrap(problem.KindOf(causes[0]), errors.Join(causes...), "court and custodian alike: %s", court)
	}
	return problem.Wrap(problem.KindOf(causes[0]), errors.Join(causes...), "%s; %s", texts[0], strings.TrimSuffix(texts[1], "."))
}
