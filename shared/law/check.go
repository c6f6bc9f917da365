package law

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"arca.example/arca/shared/record"
)

// marks say how well an article was confirmed. Only S needs no note.
var marks = []string{"S", "S2", "G", "I"}

var profileName = regexp.MustCompile(`^[A-Z]{2}-[A-Za-z0-9-]{1,24}$`)

// checker keeps the first fault of a profile, by the name of the member where it stands.
type checker struct {
	p   *Profile
	err error
}

func (c *checker) fault(where, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...))
	}
}

func (c *checker) article(where, key string) {
	if key == "" {
		c.fault(where, "names no article")
	} else if _, known := c.p.Articles[key]; !known {
		c.fault(where, "names the article %q, which is not among the articles", key)
	}
}

func (c *checker) text(where string, texts ...string) {
	for _, t := range texts {
		if strings.TrimSpace(t) == "" || record.CheckText(t) != nil {
			c.fault(where, "lacks a text, or has one that cannot be shown")
		}
	}
}

// term demands exactly one unit. Without may, none and immediately are refused.
func (c *checker) term(where string, t Term, may ...string) {
	units := 0
	for _, n := range []int{t.Years, t.Months, t.Days, t.Hours, t.WorkingDays} {
		if n < 0 || n > 1000 {
			c.fault(where, "a number of %d", n)
		}
		if n > 0 {
			units++
		}
	}
	for name, said := range map[string]bool{"none": t.None, "immediately": t.Immediately} {
		if said {
			units++
			if !slices.Contains(may, name) {
				c.fault(where, "cannot be %s", name)
			}
		}
	}
	if units != 1 {
		c.fault(where, "has %d lengths instead of one", units)
	}
	if t.WorkingDays > 0 && len(c.p.WorkingDays.Holidays) == 0 {
		c.fault(where, "counts working days, and there is no table of holidays")
	}
	c.article(where, t.Article)
}

// maybe is term for one that may be absent.
func (c *checker) maybe(where string, t Term, may ...string) {
	if t != (Term{}) {
		c.term(where, t, may...)
	}
}

// event demands something that can happen under this profile.
func (c *checker) event(where, name string, others ...string) {
	if _, known := c.p.milestone(name); !known && !slices.Contains(others, name) {
		c.fault(where, "waits for %q, which is no milestone of this profile", name)
	}
}

// check refuses a profile with a gap. The order is that of the file.
func (p *Profile) check() error {
	c := &checker{p: p}
	if p.Schema != Schema {
		c.fault("schema", "is %d; this program reads %d", p.Schema, Schema)
	}
	if !profileName.MatchString(p.Name) || p.Name[:2] != p.Country {
		c.fault("name", "is not the country's two letters, a hyphen and letters or digits")
	}
	c.text("title", p.Title)
	c.articles()
	c.text("authoriser", p.Authoriser.Who)
	c.article("authoriser", p.Authoriser.Article)
	c.maybe("authoriser.decide", p.Authoriser.Decide)
	c.items()
	c.terms()
	c.urgent()
	c.duties()
	c.destruction()
	c.lists()
	return c.err
}

func (c *checker) articles() {
	if len(c.p.Articles) == 0 {
		c.fault("articles", "there are none")
	}
	for key, a := range c.p.Articles {
		where := "articles." + key
		c.text(where, a.Cite, a.Source)
		if !slices.Contains(marks, a.Mark) {
			c.fault(where, "the mark is one of %s", strings.Join(marks, ", "))
		}
		if a.Mark != "S" && a.Note == "" {
			c.fault(where, "has the mark %s and no note that says why this reading", a.Mark)
		}
		if strings.ContainsAny(a.Cite, "\n") || record.CheckText(a.Note) != nil {
			c.fault(where, "a citation is one line")
		}
	}
}

func (c *checker) items() {
	seen := map[string]bool{}
	for _, i := range c.p.Items {
		where := "items." + i.Field
		if present[i.Field] == nil || seen[i.Field] {
			c.fault(where, "is no field of an order, or stands twice")
		}
		seen[i.Field] = true
		c.text(where, i.Name)
		c.article(where, i.Article)
	}
	for _, field := range needed {
		if !seen[field] {
			c.fault("items", "%s is missing, without which no order can be kept", field)
		}
	}
	if len(c.p.Request) == 0 {
		c.fault("request", "is empty")
	}
	for _, i := range c.p.Request {
		if i.Field != "" {
			c.fault("request", "%q: a request is no artefact of Arca, so it has no fields", i.Field)
		}
		c.text("request", i.Name)
		c.article("request", i.Article)
	}
}

func (c *checker) terms() {
	p := c.p
	c.article("start", p.Start.Article)
	switch p.Start.Rule {
	case "decision":
		if p.Start.Latest != (Term{}) {
			c.fault("start.latest", "has no meaning when the decision starts the term")
		}
	case FirstInterception:
		c.term("start.latest", p.Start.Latest)
		c.event("start", FirstInterception)
	default:
		c.fault("start", "is decision or %s", FirstInterception)
	}
	c.term("firstTerm", p.FirstTerm)
	c.term("extensionTerm", p.ExtensionTerm, "none")
	c.term("cap", p.Cap, "none")
	if p.Renewals < 0 || p.Renewals > 100 || p.Renewals > 0 && p.ExtensionTerm.None {
		c.fault("renewals", "contradicts the extension term, or is no number of extensions")
	}
	if e := p.CapException; e.Field != "" || e.Name != "" || e.Article != "" {
		if present[e.Field] == nil || p.Cap.None {
			c.fault("capException", "names no field of an order, or there is no cap")
		}
		c.text("capException", e.Name)
		c.article("capException", e.Article)
	}
	if p.LastDay.Rule != "excluded" && p.LastDay.Rule != "included" {
		c.fault("lastDay", "is excluded or included")
	}
	c.article("lastDay", p.LastDay.Article)
	c.article("lapse", p.Lapse.Article)
	c.article("extensionReason", p.ExtensionReason.Article)
	c.working()
}

func (c *checker) working() {
	w := c.p.WorkingDays
	if len(w.Holidays) == 0 && w.Article == "" && !w.Saturday {
		return
	}
	c.article("workingDays", w.Article)
	if len(w.Holidays) == 0 {
		c.fault("workingDays", "has no holidays")
	}
	for _, h := range w.Holidays {
		if !h.valid() {
			c.fault("workingDays", "the holiday %q is neither a date, nor days from Easter, nor a weekday of a month", h.Name)
		}
	}
}

func (c *checker) urgent() {
	u := c.p.Urgent
	c.article("urgent", u.Article)
	if u.None {
		if u != (Urgent{None: true, Article: u.Article}) {
			c.fault("urgent", "says that there is none, and more")
		}
		return
	}
	if !slices.Contains([]record.Role{record.Minister, record.Prosecutor, record.Supervisor}, u.By) {
		c.fault("urgent.by", "is minister, prosecutor or supervisor")
	}
	c.text("urgent", u.Who, u.When)
	c.term("urgent.tell", u.Tell, "none")
	c.term("urgent.confirm", u.Confirm)
	c.maybe("urgent.term", u.Term)
	if !u.Tell.None {
		c.event("urgent.tell", Told)
	}
}

func (c *checker) duties() {
	p := c.p
	c.article("reports", p.Reports.Article)
	switch p.Reports.Cadence {
	case "order":
		c.event("reports", Report)
	case "none":
	default:
		c.fault("reports.cadence", "is order or none")
	}
	c.term("reports.final", p.Reports.Final, "none", "immediately")
	if !p.Reports.Final.None {
		c.event("reports.final", FinalReport)
	}
	c.term("sealing", p.Sealing, "none", "immediately")
	if !p.Sealing.None {
		c.event("sealing", Sealed)
	}
	n := p.Notification
	c.article("notification", n.Article)
	if n.None {
		if n != (Notification{None: true, Article: n.Article}) {
			c.fault("notification", "says that there is none, and more")
		}
		return
	}
	c.event("notification.from", n.From, eventEnd)
	c.term("notification.within", n.Within, "immediately")
}

func (c *checker) destruction() {
	d := c.p.Destruction
	if len(d.Steps) == 0 || len(d.Steps) > record.ClerksCopies {
		c.fault("destruction.steps", "there are one or two")
	}
	for i, s := range d.Steps {
		where := fmt.Sprintf("destruction.steps[%d]", i)
		if s.Step != i+1 || len(s.Triggers) == 0 {
			c.fault(where, "steps are numbered from 1 and have triggers")
		}
		c.text(where, s.What)
		c.article(where, s.Article)
		for _, t := range s.Triggers {
			c.event(where, t.Event, eventEnd, eventRejection)
			c.maybe(where+"."+t.Event, t.After)
			c.article(where+"."+t.Event, t.Article)
		}
		c.event(where, fmt.Sprintf("destroyed-%d", i+1))
		c.keeps(where+".keeps", s)
	}
	if d.Named.Rule != "any-time" && d.Named.Rule != "as-step-1" {
		c.fault("destruction.named", "is any-time or as-step-1")
	}
	c.article("destruction.named", d.Named.Article)
	c.term("destruction.undo", d.Undo)
	c.article("hold", c.p.Hold.Article)
	c.term("review", c.p.Review, "none")
	if !c.p.Review.None {
		c.event("review", Reviewed)
	}
}

// keeps demands that what stays is out of the step's own reach, and that a later one takes it.
func (c *checker) keeps(where string, s Step) {
	if s.Keeps == (Rule{}) {
		return
	}
	if s.Keeps.Rule != record.ClerkCompartment || s.Step != record.OperationalCopies || len(c.p.Destruction.Steps) < record.ClerksCopies {
		c.fault(where, "is %s, in a step 1 that a step 2 follows", record.ClerkCompartment)
	}
	c.article(where, s.Keeps.Article)
}

func (c *checker) lists() {
	seen := map[string]bool{}
	for _, k := range c.p.Privileged {
		where := "privileged." + k.Name
		if seen[k.Name] || k.Name == "" || record.CheckName(k.Name) != nil {
			c.fault(where, "has no name, or stands twice")
		}
		seen[k.Name] = true
		c.text(where, k.Meaning)
		c.article(where, k.Article)
	}
	if len(c.p.Privileged) == 0 {
		c.fault("privileged", "is empty")
	}
	for where, rule := range map[string]struct {
		has  Rule
		only string
	}{"casual": {c.p.Casual, "requests-and-orders"}, "minimisation": {c.p.Minimisation, "refuse"}} {
		if rule.has == (Rule{}) {
			continue
		}
		if rule.has.Rule != rule.only {
			c.fault(where, "is %s, or absent", rule.only)
		}
		c.article(where, rule.has.Article)
	}
	for _, m := range c.p.Milestones {
		where := "milestones." + m.Name
		if seen[m.Name] || m.Name == "" || m.Name == eventEnd || m.Name == eventRejection || record.CheckName(m.Name) != nil {
			c.fault(where, "has no name of its own, or stands twice")
		}
		seen[m.Name] = true
		c.text(where, m.Meaning)
		c.article(where, m.Article)
	}
	c.term("warn.long", c.p.Warn.Long)
	c.term("warn.days", c.p.Warn.Days)
	c.term("warn.short", c.p.Warn.Short)
}
