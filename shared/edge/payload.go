package edge

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"arca.example/arca/shared/problem"
	"github.com/aws/aws-lambda-go/events"
)

// plainPath tells whether a path is absolute, clean and free of anything that
// an escape could hide. API Gateway decodes the path before it fills rawPath,
// so "%2F" and "/" arrive alike: refusing all but these characters keeps the
// path that was routed and the path that was signed one and the same.
func plainPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for _, element := range strings.Split(path[1:], "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	for i := range len(path) {
		c := path[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0) {
			return false
		}
	}
	return true
}

// toRequest makes an http.Request of a payload. The payload joins a header's
// several values with commas and keeps cookies apart; both are undone as far
// as HTTP lets them be: a joined value stays joined, which is equivalent.
func toRequest(ctx context.Context, in *events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(in.Body)
	if in.IsBase64Encoded {
		// Checked before decoding, so that an oversized body costs nothing.
		if base64.StdEncoding.DecodedLen(len(in.Body)) > MaxBody+2 {
			return nil, problem.New(problem.Invalid, tooLarge)
		}
		var err error
		if body, err = base64.StdEncoding.Strict().DecodeString(in.Body); err != nil {
			return nil, problem.New(problem.Invalid, "send the body as it is; its transport encoding is broken")
		}
	}
	if len(body) > MaxBody {
		return nil, problem.New(problem.Invalid, tooLarge)
	}
	target := in.RawPath
	if in.RawQueryString != "" {
		target += "?" + in.RawQueryString
	}
	r, err := http.NewRequestWithContext(ctx, in.RequestContext.HTTP.Method, target, bytes.NewReader(body))
	// A fragment never travels; one in the query would be cut off unseen, and
	// so would a parameter that does not parse.
	if err != nil || r.URL.Fragment != "" {
		return nil, problem.New(problem.Invalid, "send a method and a query that HTTP allows")
	}
	if _, err := url.ParseQuery(in.RawQueryString); err != nil {
		return nil, problem.New(problem.Invalid, "send a query whose parameters are escaped")
	}
	for name, value := range in.Headers {
		r.Header.Set(name, value)
	}
	for _, cookie := range in.Cookies {
		r.Header.Add("Cookie", cookie)
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	r.RequestURI = target
	r.RemoteAddr = in.RequestContext.HTTP.SourceIP
	return r, nil
}

// recorder collects what an operation writes.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

var _ io.Writer = (*recorder)(nil)

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) reset() { *w = *newRecorder() }

// response gives the payload to API Gateway. Payload 2.0 has no multi-value
// headers: several values are joined, cookies go to their own field.
func (w *recorder) response() *events.APIGatewayV2HTTPResponse {
	w.WriteHeader(http.StatusOK)
	out := &events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: map[string]string{}}
	// Nothing that Arca answers may stay in a cache that it does not control,
	// and nothing may be taken for another type than the one it says.
	if w.header.Get("Cache-Control") == "" {
		w.header.Set("Cache-Control", "no-store")
	}
	w.header.Set("X-Content-Type-Options", "nosniff")
	for name, values := range w.header {
		if name == "Set-Cookie" {
			out.Cookies = values
			continue
		}
		out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if textual(w.header.Get("Content-Type")) && utf8.Valid(w.body.Bytes()) {
		out.Body = w.body.String()
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
	}
	return out
}

// textual tells whether a body of this type may travel as a JSON string.
func textual(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return kind == "application/json" || kind == "application/problem+json" || kind == "application/jose" || strings.HasPrefix(kind, "text/")
}
