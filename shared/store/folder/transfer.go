package folder

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// The headers of an upload are those of S3, so that a client need not know
// which engine it talks to.
const checksumHeader = "X-Amz-Checksum-Sha256"

// SetBase sets the URL under which Handler is reachable; it ends in '/'.
func (d *Dir) SetBase(base string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base = base
}

// PresignPut allows one upload of exactly these bytes to a key that is new.
func (d *Dir) PresignPut(ctx context.Context, key string, size int64, sum [32]byte, expires time.Time) (store.Transfer, error) {
	if err := store.CheckPut(key, size); err != nil {
		return store.Transfer{}, err
	}
	t, err := d.presign(http.MethodPut, key, strconv.FormatInt(size, 10), base64.StdEncoding.EncodeToString(sum[:]), expires)
	t.Header = http.Header{
		"Content-Length": {strconv.FormatInt(size, 10)},
		checksumHeader:   {base64.StdEncoding.EncodeToString(sum[:])},
		"If-None-Match":  {"*"},
	}
	return t, err
}

// PresignGet allows to download one whole object.
func (d *Dir) PresignGet(ctx context.Context, key string, expires time.Time) (store.Transfer, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return store.Transfer{}, err
	}
	return d.presign(http.MethodGet, key, "", "", expires)
}

func (d *Dir) presign(method, key, size, sum string, expires time.Time) (store.Transfer, error) {
	d.mu.Lock()
	base := d.base
	d.mu.Unlock()
	if base == "" {
		return store.Transfer{}, problem.New(problem.Internal, "the folder's own address is not set, so it cannot sign URLs")
	}
	until := strconv.FormatInt(expires.Unix(), 10)
	url := base + key + "?expires=" + until + "&signature=" + d.sign(method, key, size, sum, until)
	return store.Transfer{Method: method, URL: url, Expires: time.Unix(expires.Unix(), 0).UTC()}, nil
}

// sign binds all that a transfer may do. No part can hold a newline: keys and
// numbers were checked, and header values come without one from net/http.
func (d *Dir) sign(method, key, size, sum, expires string) string {
	mac := hmac.New(sha256.New, d.options.Secret)
	fmt.Fprintf(mac, "arca/v1/transfer\n%s\n%s\n%s\n%s\n%s", method, key, size, sum, expires)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Handler serves presigned transfers. It expects the key as the whole path:
// mount it with http.StripPrefix("/objects/", …) or let it strip that itself.
func (d *Dir) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/objects/"), "/")
		var err error
		switch r.Method {
		case http.MethodPut:
			err = d.upload(r, key)
		case http.MethodGet:
			err = d.download(w, r, key)
		default:
			w.Header().Set("Allow", "GET, PUT")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if err != nil {
			refuse(w, err)
		}
	})
}

// upload stores the request's body. The signature is computed over what the
// request really carries, so nothing that it announces needs to be believed.
func (d *Dir) upload(r *http.Request, key string) error {
	sum := r.Header.Get(checksumHeader)
	if err := d.admit(r, key, strconv.FormatInt(r.ContentLength, 10), sum); err != nil {
		return err
	}
	// Under a valid signature these two hold, because PresignPut signed nothing else.
	decoded, err := base64.StdEncoding.DecodeString(sum)
	if err != nil || len(decoded) != sha256.Size {
		return problem.New(problem.Invalid, "the checksum header is not a SHA-256 in base64")
	}
	if r.Header.Get("If-None-Match") != "*" {
		return problem.New(problem.Invalid, "send the header If-None-Match: * as it was given")
	}
	return d.Put(r.Context(), key, r.ContentLength, [32]byte(decoded), r.Body)
}

func (d *Dir) download(w http.ResponseWriter, r *http.Request, key string) error {
	if err := d.admit(r, key, "", ""); err != nil {
		return err
	}
	f, size, err := d.open(key)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	// After the first byte a failure can only show as a body that is too short.
	io.Copy(w, f)
	return nil
}

func (d *Dir) admit(r *http.Request, key, size, sum string) error {
	refused := problem.New(problem.Denied, "this URL is not valid or has expired; ask for a new one")
	q := r.URL.Query()
	want := d.sign(r.Method, key, size, sum, q.Get("expires"))
	if !hmac.Equal([]byte(want), []byte(q.Get("signature"))) {
		return refused
	}
	until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || d.options.Now().Unix() >= until {
		return refused
	}
	return store.CheckBlobKey(key)
}

// refuse answers with the status codes that S3 uses.
func refuse(w http.ResponseWriter, err error) {
	status := map[problem.Kind]int{
		problem.Invalid:     http.StatusBadRequest,
		problem.Denied:      http.StatusForbidden,
		problem.NotFound:    http.StatusNotFound,
		problem.Conflict:    http.StatusPreconditionFailed,
		problem.Unavailable: http.StatusServiceUnavailable,
	}[problem.KindOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Connection", "close") // the rest of a refused body is not read
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"kind": problem.KindOf(err), "detail": problem.MessageOf(err), "status": status})
}
