package functionstest

import (
	"net/http"
	"strconv"
	"unicode/utf8"
)

// What AWS carries, in bytes (service quotas of Lambda and of API Gateway's HTTP APIs).
const (
	maxEvent   = 6 << 20   // payload of a synchronous invocation
	maxAnswer  = 6 << 20   // answer of one
	maxAsync   = 256 << 10 // payload of an asynchronous invocation
	maxHeaders = 10240     // request line and header values together
)

func (w *World) checkEvent(what string, payload []byte) {
	if len(payload) > maxEvent {
		w.T.Errorf("%s: the event has %d bytes; Lambda takes %d", what, len(payload), maxEvent)
	}
}

func (w *World) checkAnswer(what string, answer []byte) {
	if len(answer) > maxAnswer {
		w.T.Errorf("%s: the answer has %d bytes; Lambda hands on %d", what, len(answer), maxAnswer)
	}
	if !utf8.Valid(answer) {
		w.T.Errorf("%s: the answer is not UTF-8", what)
	}
}

func (w *World) checkHeaders(r *http.Request) {
	n := len(r.Method) + len(r.URL.RequestURI())
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	if n > maxHeaders {
		w.T.Errorf("%s: request line and headers have %s bytes; API Gateway takes %d", r.Method, strconv.Itoa(n), maxHeaders)
	}
}
