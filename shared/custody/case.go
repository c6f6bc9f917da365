package custody

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"arca.example/arca/shared/record"
)

// The namespaces of CASE 1.3.0 and UCO 1.3.0, which CASE 1.3.0 imports.
var caseContext = map[string]string{
	"case-investigation": "https://ontology.caseontology.org/case/investigation/",
	"kb":                 "urn:uuid:",
	"uco-action":         "https://ontology.unifiedcyberontology.org/uco/action/",
	"uco-core":           "https://ontology.unifiedcyberontology.org/uco/core/",
	"uco-identity":       "https://ontology.unifiedcyberontology.org/uco/identity/",
	"uco-observable":     "https://ontology.unifiedcyberontology.org/uco/observable/",
	"uco-types":          "https://ontology.unifiedcyberontology.org/uco/types/",
	"uco-vocabulary":     "https://ontology.unifiedcyberontology.org/uco/vocabulary/",
	"xsd":                "http://www.w3.org/2001/XMLSchema#",
}

// node is an object of the graph.
type node map[string]any

// graph is an export under way.
type graph struct {
	t     *Timeline
	nodes []node
	made  map[string]bool // ids
}

// id names an object by what it is: the same timeline gives the same graph. UCO advises that names end with a UUID of versions 0 to 5; this
// one is over SHA-256 in the form of version 5, which is over SHA-1 (RFC 9562).
func (g *graph) id(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "arca/v1/case %s %s %v", g.t.Chain, g.t.Recording, parts))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	s := hex.EncodeToString(sum[:16])
	return "kb:" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// add puts an object in the graph once and gives a reference to it.
func (g *graph) add(id, class, name string, more node) node {
	if !g.made[id] {
		g.made[id] = true
		n := node{"@id": id, "@type": class}
		if name != "" {
			n["uco-core:name"] = inert(name)
		}
		for k, v := range more {
			n[k] = inertAll(v)
		}
		g.nodes = append(g.nodes, n)
	}
	return node{"@id": id}
}

// inertAll is inert for the texts that a property can have.
func inertAll(v any) any {
	switch v := v.(type) {
	case string:
		return inert(v)
	case []string:
		list := make([]string, len(v))
		for i, s := range v {
			list[i] = inert(s)
		}
		return list
	}
	return v
}

// CASE gives the timeline in CASE/UCO as JSON-LD: the order is an Authorization, each act an InvestigativeAction by an identity on the recording,
// informed by the act before it, with a ProvenanceRecord of what it made or touched. The bytes are canonical JSON (RFC 8785).
func (t *Timeline) CASE() ([]byte, error) {
	g := &graph{t: t, made: map[string]bool{}}
	recording := g.add(g.id("recording"), "uco-observable:ObservableObject", "recording "+t.Recording.String(), node{
		"uco-core:description": "sealed recording of batch " + t.Batch.String() + ", week " + t.Week + ", compartment " + t.Compartment + ", classification " + t.Classification,
	})
	authorisation := g.authorisation()
	var actions []node
	for i := range t.Entries {
		var before node
		if i > 0 {
			before = actions[i-1]
		}
		actions = append(actions, g.action(i, recording, before, authorisation))
	}
	g.add(g.id("investigation"), "case-investigation:Investigation", "order "+t.Chain.String(), node{
		"case-investigation:relevantAuthorization": authorisation,
		"uco-core:object":                          append([]node{recording}, actions...),
		"uco-core:description":                     t.Verdict(),
	})
	return record.Marshal(node{"@context": caseContext, "@graph": g.nodes})
}

// authorisation is the order under which the recording was made and opened.
func (g *graph) authorisation() node {
	more := node{"case-investigation:authorizationIdentifier": g.t.Chain.String(), "case-investigation:authorizationType": "court order for interception"}
	name := "order " + g.t.Chain.String()
	if o := g.t.Order; o != nil {
		name += " of " + o.Court
		more["uco-core:startTime"], more["uco-core:endTime"] = dateTime(o.Capture.From), dateTime(o.AccessEnd)
		more["uco-core:description"] = "statute profile " + o.Profile + ", case " + o.Case
	}
	return g.add(g.id("authorisation"), "case-investigation:Authorization", name, more)
}

// action is one act. Its times are the witnesses' bounds, where there are any.
func (g *graph) action(i int, recording, before, authorisation node) node {
	e := &g.t.Entries[i]
	more := node{
		"uco-action:actionStatus": node{"@type": "uco-vocabulary:ActionStatusTypeVocab", "@value": e.status()},
		"uco-action:object":       []node{recording, authorisation},
		"uco-core:description":    describe(e),
	}
	if performer := g.performer(e); performer != nil {
		more["uco-action:performer"] = performer
	}
	if before != nil {
		more["case-investigation:wasInformedBy"] = before
	}
	if !e.NotBefore.IsZero() {
		more["uco-action:startTime"] = dateTime(e.NotBefore)
	}
	if !e.NotAfter.IsZero() {
		more["uco-action:endTime"] = dateTime(e.NotAfter)
	}
	more["uco-action:result"] = g.provenance(i, recording)
	return g.add(g.id("act", i, e.Seen), "case-investigation:InvestigativeAction", e.Words(), more)
}

// status is one of the ontology's ActionStatusTypeVocab.
func (e *Entry) status() string {
	switch {
	case e.Act == actRefused || e.Result == record.Failed:
		return "Fail"
	case e.Result == record.Begun:
		return "Ongoing"
	case e.index() < 0:
		return "Pending"
	}
	return "Success"
}

func describe(e *Entry) []string {
	list := []string{e.Words()}
	if on := e.On.Words(); on != "" {
		list = append(list, "on: "+on)
	}
	if e.Why != "" {
		list = append(list, "why: "+e.Why)
	}
	if !e.Request.IsZero() {
		list = append(list, "request: "+e.Request.String())
	}
	return list
}

// performer is who acted: a person, or an organisation for the vault and for machines.
func (g *graph) performer(e *Entry) node {
	if e.By.Key.IsZero() && e.By.Name == "" {
		return nil
	}
	class := "uco-identity:Person"
	if e.By.Role == string(record.Collector) || e.By.Key.IsZero() {
		class = "uco-identity:Organization"
	}
	more := node{"uco-core:description": "key " + e.By.Key.String() + ", enrolment " + e.By.Enrolment.String()}
	return g.add(g.id("identity", e.By.Key, e.By.Name), class, e.Who(), more)
}

// provenance ties an act to the recording and to where it is written down: journals and log.
func (g *graph) provenance(i int, recording node) node {
	e := &g.t.Entries[i]
	var where []string
	for _, s := range e.Seen {
		where = append(where, fmt.Sprintf("event %d of the %s, SHA-256 %s, log entry %s at index %d", s.Number, s.Party, s.Event, s.Entry, s.Index))
	}
	return g.add(g.id("provenance", i, e.Seen), "case-investigation:ProvenanceRecord", e.Words(), node{
		"case-investigation:exhibitNumber": g.t.Recording.String(),
		"uco-core:description":             where,
		"uco-core:object":                  []node{recording},
	})
}

func dateTime(t time.Time) node {
	return node{"@type": "xsd:dateTime", "@value": t.UTC().Format(time.RFC3339)}
}
