package custody

import (
	"slices"

	"arca.example/arca/shared/record"
)

// descent gathers what the recording was made from, step by step: it goes with each of these.
func (r *reading) descent(c *concern) {
	made := map[record.Reference]record.Reference{}
	for _, party := range Parties {
		for _, e := range r.journals[party].events {
			var b record.StatementEvent
			if e.Kind != record.EventAnnotated && e.Kind != record.EventMoved || e.body(&b) != nil {
				continue
			}
			var a record.Act
			st, err := record.Peek(b.Statement)
			if err == nil && record.Unmarshal(st.Payload, &a) == nil && len(a.Recordings) == 1 {
				made[record.Reference{Batch: a.Made.Batch, Recording: a.Made.Recording}] = a.Recordings[0]
			}
		}
	}
	next, known := record.Reference{Batch: c.batch, Recording: r.in.Recording}, true
	for known && !slices.Contains(c.roots, next) {
		c.roots = append(c.roots, next)
		next, known = made[next]
	}
}

// destroyed is a keyholder's certificate that the recording is gone there. A later decision that reaches it too destroys nothing of it.
func (r *reading) destroyed(c *concern, e event, out Entry) (Entry, string, bool) {
	var b record.DestroyedEvent
	if e.body(&b) != nil || c.gone[e.Author] {
		return out, "", false
	}
	certificate, err := r.certificate(e.Author, b)
	if err != nil || !c.goes(&certificate.Losses) {
		return out, "", false
	}
	c.gone[e.Author] = true
	out.By, out.Party, out.Result, out.Statement = Actor{Name: e.Author}, e.Author, record.Completed, record.HashStatement(b.Certificate)
	out.On = Extent{Batch: c.batch, Recordings: certificate.Losses.Recordings, Whole: true}
	out.Why = "by the decision " + b.Decision.Short()
	if o, known := c.orders[b.Decision]; known {
		out.Why += ": " + o.Reason
	}
	return out, "", true
}

// goes tells whether a destruction took the recording: its unit lost all that it had, or the decision names the recording or what it was made from.
func (c *concern) goes(losses *record.Losses) bool {
	i := slices.IndexFunc(losses.Units, func(l record.UnitLoss) bool {
		return l.Week == c.unit.Week && l.Compartment == c.unit.Compartment && l.Classification == c.unit.Classification
	})
	if i < 0 || losses.Units[i].Goes == 0 {
		return false
	}
	named := c.orders[losses.Decision].Recordings
	return losses.Units[i].Kept == 0 || slices.ContainsFunc(c.roots, func(ref record.Reference) bool { return slices.Contains(named, ref) })
}
