package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// AddCheckpoint asks the witness at url (its submission prefix) to cosign and
// gives its signature lines, one for each of vkeys that it holds; lines by other
// keys are ignored. Errors: *ledger.SizeConflict, ledger.ErrFork, and problem.Unavailable,
// problem.Denied or problem.Invalid for the rest. The client's timeout bounds
// the call besides ctx.
func AddCheckpoint(ctx context.Context, client *http.Client, url string, vkeys []string, r ledger.Request) (string, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/add-checkpoint", bytes.NewReader(r.Marshal()))
	if err != nil {
		return "", problem.Wrap(problem.Invalid, err, "the witness's address is malformed")
	}
	post.Header.Set("Content-Type", "application/octet-stream")
	once := *client
	// A witness does not move: following a redirect would let whoever answers
	// in its place send the log elsewhere.
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := once.Do(post)
	if err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the witness cannot be reached; it will be asked again")
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, ledger.MaxResponse+1))
	if err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the witness's answer was cut off; it will be asked again")
	}
	if len(body) > ledger.MaxResponse {
		return "", problem.New(problem.Invalid, "the witness's answer is longer than %d bytes", ledger.MaxResponse)
	}
	if answer.StatusCode != http.StatusOK {
		return "", witnessRefusal(answer, body)
	}
	return ledger.ParseCosignatures(r.Checkpoint, body, vkeys)
}

func witnessRefusal(answer *http.Response, body []byte) error {
	switch code := answer.StatusCode; {
	case code == http.StatusConflict && answer.Header.Get("Content-Type") == ledger.SizeType:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if err != nil || size < 0 || fmt.Sprintf("%d\n", size) != string(body) {
			return problem.New(problem.Invalid, "the witness's answer does not follow the protocol")
		}
		return &ledger.SizeConflict{Size: size}
	case code == http.StatusConflict:
		return problem.Wrap(problem.Conflict, ledger.ErrFork, "the witness has cosigned another history of this log; tell the operator")
	case code == http.StatusForbidden:
		return problem.New(problem.Denied, "the witness does not accept the log's key")
	case code == http.StatusNotFound:
		return problem.New(problem.NotFound, "the witness does not know this log's origin")
	case code == http.StatusUnprocessableEntity:
		return problem.New(problem.Invalid, "the witness found the consistency proof wrong")
	case code == http.StatusBadRequest:
		return problem.New(problem.Invalid, "the witness found the request malformed")
	default:
		return problem.New(problem.Unavailable, "the witness answered with HTTP status %d; it will be asked again", code)
	}
}
