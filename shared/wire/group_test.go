package wire

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
)

func TestNotesTravelTogether(t *testing.T) {
	notes := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{7}, 300_000)}
	got, err := SplitNotes(JoinNotes(notes...))
	if err != nil || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	for i := range notes {
		if !bytes.Equal(got[i], notes[i]) {
			t.Errorf("note %d came as %d bytes", i, len(got[i]))
		}
	}
	whole := JoinNotes(notes[0], notes[1])
	for name, body := range map[string][]byte{
		"nothing": nil, "half a length": whole[:2], "a cut note": whole[:6], "something behind": append(bytes.Clone(whole), 0),
		"a length beyond the end": {0xff, 0xff, 0xff, 0xff, 1}, "more than a call takes": JoinNotes(make([][]byte, MaxNotes+1)...),
	} {
		if _, err := SplitNotes(body); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A body that is taken is the one that its notes make.
func FuzzSplitNotes(f *testing.F) {
	f.Add(JoinNotes([]byte("one"), []byte("two")))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 2, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		notes, err := SplitNotes(body)
		if err == nil && !bytes.Equal(JoinNotes(notes...), body) {
			t.Error("another body has the same notes")
		}
	})
}

// A party that says of its refusals what cannot be is not understood: nothing is taken for filed.
func TestAPartysRefusalsMustFitTheCall(t *testing.T) {
	for name, body := range map[string]string{
		"a place outside":   `{"receipts":["a",""],"refused":[{"index":2,"kind":"denied","detail":"no"}]}`,
		"a negative place":  `{"receipts":["a",""],"refused":[{"index":-1,"kind":"denied","detail":"no"}]}`,
		"one place twice":   `{"receipts":["a",""],"refused":[{"index":1,"kind":"denied","detail":"no"},{"index":1,"kind":"gone","detail":"no"}]}`,
		"a kind of its own": `{"receipts":["a",""],"refused":[{"index":1,"kind":"granted","detail":"all is well"}]}`,
		"terminal control":  `{"receipts":["a",""],"refused":[{"index":1,"kind":"denied","detail":"\u001b[2J"}]}`,
		"too few receipts":  `{"receipts":["a"]}`,
		"too many":          `{"receipts":["a","b","c"]}`,
	} {
		party := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
		k := &Keyholder{Client{Base: party.URL, HTTP: http.DefaultClient, Now: time.Now}}
		if _, _, err := k.FileNotes(t.Context(), []byte("a"), []byte("b")); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		party.Close()
	}
}
