package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	apiTitle       = "Arca"
	apiVersion     = "1"
	apiDescription = "The vault's and the keyholders' operations. A deployment serves those of its party. " +
		"Signed artefacts travel as bytes and are checked by their own formats; see docs/formats.md. " +
		"Errors are problem details (RFC 9457) with a kind. Bodies are at most 1 MiB."
)

// OpenAPI gives one OpenAPI 3.1 document, indented JSON with a final newline,
// of all operations of the functions. The same functions give the same bytes.
// No server offers it at run time; the committed copy is the description.
func OpenAPI(functions ...*Function) ([]byte, error) {
	api := newAPI(http.NewServeMux())
	for _, fn := range functions {
		if fn.Routes != nil {
			fn.Routes(api)
		}
	}
	doc := api.OpenAPI()
	for path, item := range doc.Paths {
		// ServeMux's wildcard for the rest of a path is not OpenAPI's.
		if plain := strings.ReplaceAll(path, "...}", "}"); plain != path {
			doc.Paths[plain] = item
			delete(doc.Paths, path)
		}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Routes gives the function's routes as ServeMux patterns, in order of
// registration: "GET /v1/tile/{path...}". The template says the same.
func Routes(fn *Function) []string {
	m := &patterns{}
	if fn.Routes != nil {
		fn.Routes(newAPI(m))
	}
	return m.all
}

// patterns is a mux that only remembers what was registered.
type patterns struct{ all []string }

func (m *patterns) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	m.all = append(m.all, pattern)
}

func (m *patterns) ServeHTTP(http.ResponseWriter, *http.Request) {}

var _ huma.StatusError = (*Problem)(nil)
