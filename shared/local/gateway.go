package local

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"arca.example/arca/shared/edge"
	"github.com/aws/aws-lambda-go/events"
)

// gateway routes requests to mounts and functions. What no route takes is
// answered as API Gateway answers it.
func (h *Host) gateway() (http.Handler, error) {
	routes, mounts := http.NewServeMux(), http.NewServeMux()
	for _, f := range h.o.Plan.Functions {
		for _, r := range f.Routes {
			names := wildcards(r.Pattern)
			routes.HandleFunc(r.Pattern, func(w http.ResponseWriter, req *http.Request) { h.forward(w, req, f.Name, r, names) })
		}
	}
	for prefix, handler := range h.o.Mounts {
		if !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/") {
			return nil, fmt.Errorf("the mount %q must begin and end with a slash", prefix)
		}
		mounts.Handle(prefix, handler)
	}
	return h.logged(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// ServeMux would redirect these and name the path in its answer.
		if r.URL.Path == "" || path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") && r.URL.Path != "/" {
			plainAnswer(w, http.StatusNotFound)
			return
		}
		if _, pattern := mounts.Handler(r); pattern != "" {
			mounts.ServeHTTP(w, r)
			return
		}
		if _, pattern := routes.Handler(r); !strings.HasPrefix(pattern, r.Method+" ") {
			plainAnswer(w, http.StatusNotFound)
			return
		}
		routes.ServeHTTP(w, r)
	})), nil
}

func plainAnswer(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, http.StatusText(status))
}

var wildcard = regexp.MustCompile(`\{([^}.]+)(?:\.\.\.)?\}`)

func wildcards(pattern string) (names []string) {
	for _, m := range wildcard.FindAllStringSubmatch(pattern, -1) {
		names = append(names, m[1])
	}
	return names
}

// forward makes the payload, calls the function and writes its answer.
func (h *Host) forward(w http.ResponseWriter, r *http.Request, function string, route Route, names []string) {
	// One byte above the limit lets the function refuse the body in its own
	// words; no more than that is ever read.
	body, err := io.ReadAll(io.LimitReader(r.Body, edge.MaxBody+1))
	if err != nil {
		plainAnswer(w, http.StatusBadRequest)
		return
	}
	payload, err := json.Marshal(toPayload(r, route, names, body))
	if err != nil {
		plainAnswer(w, http.StatusBadRequest)
		return
	}
	// A function runs to its end even if the client hangs up, as on Lambda.
	out, err := h.call(context.WithoutCancel(r.Context()), function, payload)
	var answer events.APIGatewayV2HTTPResponse
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil || answer.StatusCode < 100 || answer.StatusCode > 999 {
		h.o.Log.Error("no answer from the function", "function", function, "route", route.Pattern)
		plainAnswer(w, http.StatusInternalServerError)
		return
	}
	writeAnswer(w, &answer)
}

// toPayload is what API Gateway sends for the request (HTTP API, payload 2.0).
func toPayload(r *http.Request, route Route, names []string, body []byte) *events.APIGatewayV2HTTPRequest {
	in := &events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: route.Method + " " + route.Path, RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host}, QueryStringParameters: map[string]string{}, PathParameters: map[string]string{},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			for _, line := range values {
				in.Cookies = append(in.Cookies, strings.Split(line, "; ")...)
			}
			continue
		}
		in.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		in.QueryStringParameters[name] = strings.Join(values, ",")
	}
	for _, name := range names {
		in.PathParameters[name] = r.PathValue(name)
	}
	now := time.Now().UTC()
	c := &in.RequestContext
	c.RouteKey, c.Stage, c.DomainName, c.TimeEpoch = in.RouteKey, "$default", r.Host, now.UnixMilli()
	c.Time = now.Format("02/Jan/2006:15:04:05 -0700")
	c.HTTP.Method, c.HTTP.Path, c.HTTP.Protocol, c.HTTP.UserAgent = r.Method, r.URL.Path, r.Proto, r.UserAgent()
	c.HTTP.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	if text(r.Header.Get("Content-Type")) && utf8.Valid(body) {
		in.Body = string(body)
	} else {
		in.Body, in.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), len(body) > 0
	}
	return in
}

// text tells which bodies API Gateway passes on as they are.
func text(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" || kind == "application/javascript")
}

func writeAnswer(w http.ResponseWriter, answer *events.APIGatewayV2HTTPResponse) {
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			plainAnswer(w, http.StatusInternalServerError)
			return
		}
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range answer.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(answer.StatusCode)
	// A client that went away gets no answer; there is nobody left to tell.
	w.Write(body)
}

// accessLine is one line of the access log: all that who stores it learns.
type accessLine struct {
	Time     time.Time   `json:"time"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Headers  http.Header `json:"headers"` // Host included
	Status   int         `json:"status"`
	Response http.Header `json:"response"` // headers of the answer
	Sent     int64       `json:"sent"`     // bytes of the answer's body
	Took     int64       `json:"took"`     // microseconds
}

// logged writes the access line of every request, also of one whose handler panics.
func (h *Host) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		// Taken before the handler runs: a mount may change the request.
		line := accessLine{Time: start.UTC(), Method: r.Method, URL: "http://" + r.Host + r.URL.RequestURI(), Headers: r.Header.Clone()}
		line.Headers.Set("Host", r.Host)
		counted := &counter{ResponseWriter: w}
		defer func() {
			line.Status, line.Sent, line.Response, line.Took = counted.status, counted.sent, w.Header().Clone(), time.Since(start).Microseconds()
			if line.Status == 0 {
				line.Status = http.StatusOK
			}
			p := recover()
			if p != nil {
				line.Status = http.StatusInternalServerError
			}
			h.writeAccess(&line)
			if p != nil {
				// net/http closes the connection; the panic's value stays out of the log.
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(counted, r)
	})
}

// writeAccess appends one line. Lines are whole: one Write per line, one at a time.
func (h *Host) writeAccess(line *accessLine) {
	b, err := json.Marshal(line)
	if err == nil {
		h.accessMu.Lock()
		_, err = h.o.AccessLog.Write(append(b, '\n'))
		h.accessMu.Unlock()
	}
	if err != nil {
		h.o.Log.Error("the access log cannot be written", "cause", err.Error())
	}
}

// counter remembers status and size of an answer.
type counter struct {
	http.ResponseWriter
	status int
	sent   int64
}

func (c *counter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.sent += int64(n)
	return n, err
}

// ReadFrom keeps net/http's path from a file to the socket.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := io.Copy(c.ResponseWriter, r)
	c.sent += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
