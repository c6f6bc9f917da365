package main

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func (a *app) lawCommand() *cobra.Command {
	return a.group("law", "Show what the statutes say, and work out an order's clocks offline",
		a.lawShowCommand(), a.lawCheckCommand(), a.lawExplainCommand(), a.lawClocksCommand())
}

func (a *app) lawShowCommand() *cobra.Command {
	return a.command(spec{
		use: "show [PROFILE]", short: "Show the statute profiles, or all of one",
		long: "Without PROFILE: the statutes that this program knows. With PROFILE: who may order, what a request and an order say, terms, duties,\n" +
			"milestones, and each article with its source and how well it was confirmed: S seen in the official text, S2 in a secondary\n" +
			"source, G general knowledge, I a setting of the installation. With --json the profile as it stands in the program.",
		example: "arca law show\narca law show ES-588ter",
		args:    cobra.MaximumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listProfiles()
			}
			p, err := law.ProfileOf(args[0])
			if err != nil {
				return err
			}
			return a.show(p, func(out *page) { writeProfile(out, p) })
		},
	})
}

func (a *app) listProfiles() error {
	type line struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	}
	var out struct {
		Profiles []line `json:"profiles"`
	}
	var rows [][]string
	for _, name := range law.Profiles() {
		p, err := law.ProfileOf(name)
		if err != nil {
			return err
		}
		out.Profiles = append(out.Profiles, line{name, p.Title})
		rows = append(rows, []string{name, p.FirstTerm.String(), p.ExtensionTerm.String(), p.Cap.String(), p.Title})
	}
	return a.show(out, func(p *page) { p.table([]string{"PROFILE", "FIRST TERM", "EXTENSION", "CAP", "STATUTE"}, rows) })
}

// writeProfile writes a profile for people, each line with its article.
func writeProfile(out *page, p *law.Profile) {
	out.pairs("profile", p.Name, "statute", p.Title, "country", p.Country, "days of", p.Zone)
	out.line("")
	rows := [][]string{
		{"who orders", p.Authoriser.Who, p.Cite(p.Authoriser.Article)},
		{"first term", p.FirstTerm.String(), p.Cite(p.FirstTerm.Article)},
		{"runs from", p.Start.Rule, p.Cite(p.Start.Article)},
		{"extension", p.ExtensionTerm.String(), p.Cite(p.ExtensionTerm.Article)},
		{"all together", p.Cap.String(), p.Cite(p.Cap.Article)},
		{"last day", p.LastDay.Rule, p.Cite(p.LastDay.Article)},
	}
	if u := p.Urgent; u.None {
		rows = append(rows, []string{"urgent", "none", p.Cite(u.Article)})
	} else {
		rows = append(rows, []string{"urgent", u.Who + " (" + string(u.By) + "): " + u.When, p.Cite(u.Article)},
			[]string{"  tell the judge", u.Tell.String(), p.Cite(u.Tell.Article)}, []string{"  confirm", u.Confirm.String(), p.Cite(u.Confirm.Article)})
	}
	rows = append(rows,
		[]string{"reports", p.Reports.Cadence + "; final " + p.Reports.Final.String(), p.Cite(p.Reports.Article)},
		[]string{"sealing", p.Sealing.String(), p.Cite(p.Sealing.Article)})
	if n := p.Notification; n.None {
		rows = append(rows, []string{"notification", "none", p.Cite(n.Article)})
	} else {
		rows = append(rows, []string{"notification", n.Within.String() + " from " + n.From, p.Cite(n.Article)})
	}
	for _, s := range p.Destruction.Steps {
		rows = append(rows, []string{"destruction " + strconv.Itoa(s.Step), s.What, p.Cite(s.Article)})
		for _, t := range s.Triggers {
			rows = append(rows, []string{"  after", t.String() + map[bool]string{true: ": an order is due", false: ": it may be ordered"}[t.Demands], p.Cite(t.Article)})
		}
	}
	rows = append(rows, []string{"taken back for", p.Destruction.Undo.String(), p.Cite(p.Destruction.Undo.Article)},
		[]string{"hold", "nothing is destroyed", p.Cite(p.Hold.Article)}, []string{"review", p.Review.String(), p.Cite(p.Review.Article)})
	out.table([]string{"RULE", "WHAT", "ARTICLE"}, rows)
	writeLists(out, p)
}

func writeLists(out *page, p *law.Profile) {
	section := func(rows [][]string, heads ...string) {
		out.line("")
		out.table(heads, rows)
	}
	var request, order, marks, privileged, articles [][]string
	for _, i := range p.Request {
		request = append(request, []string{i.Name, p.Cite(i.Article)})
	}
	for _, i := range p.Items {
		order = append(order, []string{i.Field, i.Name, p.Cite(i.Article)})
	}
	for _, m := range p.Milestones {
		marks = append(marks, []string{m.Name, m.Meaning, p.Cite(m.Article)})
	}
	for _, c := range p.Privileged {
		privileged = append(privileged, []string{c.Name, c.Meaning, p.Cite(c.Article)})
	}
	section(request, "A REQUEST SAYS", "ARTICLE")
	section(order, "AN ORDER SAYS", "WHAT", "ARTICLE")
	section(marks, "MILESTONE", "WHAT", "ARTICLE")
	section(privileged, "PRIVILEGED", "WHAT", "ARTICLE")
	for _, a := range p.Articles {
		articles = append(articles, []string{a.Cite, a.Mark, a.Source, a.Note})
	}
	slices.SortFunc(articles, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	section(articles, "ARTICLE", "MARK", "SOURCE", "NOTE")
}

// lawFile is one member of a chain in a file, signed or a draft.
type lawFile struct {
	name   string
	signed bool
	member law.Member
}

// readLawFile reads a draft, comments and all, or what order sign wrote. Signatures are not looked at: no key is needed offline.
func (a *app) readLawFile(name string) (lawFile, error) {
	out := lawFile{name: name}
	raw, err := a.readInput(name, record.MaxBytes)
	if err != nil {
		return out, err
	}
	raw = bytes.TrimSpace(raw)
	if bytes.HasPrefix(raw, []byte("{")) || bytes.HasPrefix(raw, []byte("/")) || len(raw) == 0 {
		if out.member.Order, err = parseDraft(raw); err != nil {
			return out, err
		}
		canonical, err := record.Marshal(out.member.Order)
		if err != nil {
			return out, err
		}
		out.member.Hash = record.HashBytes(canonical) // stands for the hash that signing gives it
	} else {
		st, err := record.Peek(string(raw))
		if err != nil {
			return out, err
		}
		if st.Type != record.TypeOrder {
			return out, problem.New(problem.Invalid, "this is a signed statement, and no order: %s", name)
		}
		if err := record.Unmarshal(st.Payload, &out.member.Order); err != nil {
			return out, err
		}
		out.signed, out.member.Hash = true, st.Hash
	}
	return out, out.member.Order.Validate()
}

// lawChain is a chain as files give it.
type lawChain struct {
	files   []lawFile
	members []law.Member
	state   law.State
}

// join puts a file's member on its chain: the one that it names, or, for a draft that names none, the last one. The fault is of the law.
func join(chains []*lawChain, f lawFile, now time.Time) ([]*lawChain, error) {
	o := &f.member.Order
	if o.Kind == record.Authorisation {
		state, err := law.Admit(nil, f.member, now)
		return append(chains, &lawChain{files: []lawFile{f}, members: []law.Member{f.member}, state: state}), err
	}
	i := slices.IndexFunc(chains, func(c *lawChain) bool { return c.state.Chain == o.Chain })
	if o.Chain.IsZero() && !f.signed {
		i = len(chains) - 1
	}
	if i < 0 {
		return chains, problem.New(problem.Conflict, "the authorisation that this continues is not among the files before it; give it first: %s", f.name)
	}
	c := chains[i]
	if !f.signed { // what order sign adds
		o.Chain, o.Audience, o.Court, o.Profile = c.state.Chain, c.state.Audience, cmp.Or(o.Court, c.state.Court), cmp.Or(o.Profile, c.state.Profile)
		if !o.Kind.NamesChain() && o.Previous.IsZero() {
			o.Previous, o.Sequence = c.state.Head, c.state.Sequence+1
		}
	}
	state, err := law.Admit(c.members, f.member, now)
	if err != nil {
		return chains, err
	}
	c.files, c.members, c.state = append(c.files, f), append(c.members, f.member), state
	return chains, nil
}

// instantOf reads --at; empty is now.
func (a *app) instantOf(text string) (time.Time, error) {
	if text == "" {
		return record.Second(a.now()), nil
	}
	return parseTime(text, a.now())
}

// checkedFile is what law check says of one file.
type checkedFile struct {
	File    string           `json:"file"`
	Kind    record.OrderKind `json:"kind,omitempty"`
	Profile string           `json:"profile,omitempty"`
	Signed  bool             `json:"signed"`
	Items   []law.Checked    `json:"items,omitempty"`
	Error   *failure         `json:"error,omitempty"`
}

func (a *app) lawCheckCommand() *cobra.Command {
	return a.command(spec{
		use: "check FILE…", short: "Hold drafts or signed orders against their statute, item by item",
		long: "Offline, for whoever prepares an order before a judge signs it. Goes through what the statute asks an order to say, item by item with\n" +
			"its article, and then through terms, extensions and the rest as the keyholders will. Members of one chain are given in their\n" +
			"order, the authorisation first. Signatures are not checked: that, the keyholders do.",
		example: "arca law check draft.json",
		args:    cobra.MinimumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			var out struct {
				Files []checkedFile `json:"files"`
				Error *failure      `json:"error,omitempty"`
			}
			var chains []*lawChain
			var first error
			for _, name := range args {
				f, err := a.readLawFile(name)
				one := checkedFile{File: name, Kind: f.member.Order.Kind, Profile: f.member.Order.Profile, Signed: f.signed}
				if err == nil {
					if p, known := law.ProfileOf(one.Profile); known == nil && one.Kind == record.Authorisation {
						one.Items = p.Check(&f.member.Order)
					}
					chains, err = join(chains, f, a.now())
				}
				one.Error = failed(err)
				out.Files = append(out.Files, one)
				first = cmp.Or(first, err)
			}
			out.Error = failed(first)
			return a.report(out, first, func(p *page) {
				for _, one := range out.Files {
					one.write(p)
				}
			})
		},
	})
}

func (one checkedFile) write(p *page) {
	p.line("%s: %s under %s", one.File, cmp.Or(string(one.Kind), "not read"), cmp.Or(one.Profile, "the statute of its chain"))
	var rows [][]string
	for _, i := range one.Items {
		rows = append(rows, []string{map[bool]string{true: "yes", false: "MISSING"}[i.Present], i.Field, i.Name, i.Article})
	}
	if len(rows) > 0 {
		p.table([]string{"THERE", "FIELD", "WHAT", "ARTICLE"}, rows)
	}
	if one.Error != nil {
		p.line("It would be refused: %s", one.Error.Message)
	} else {
		p.line("It may be signed and admitted, as far as the statute goes.")
	}
	p.line("")
}

// clockedOrder is an order with its clocks.
type clockedOrder struct {
	Chain   string      `json:"chain"` // of an unsigned authorisation: not yet its own
	Files   []string    `json:"files"`
	Signed  bool        `json:"signed"` // all of it
	Profile string      `json:"profile"`
	Case    string      `json:"case"`
	State   string      `json:"state"`
	Clocks  []law.Clock `json:"clocks"`
	unnamed bool        // the authorisation is a draft
}

// clockFiles reads files into orders and works out the clocks of each.
func (a *app) clockFiles(names []string, at time.Time) ([]clockedOrder, []*lawChain, error) {
	var chains []*lawChain
	for _, name := range names {
		f, err := a.readLawFile(name)
		if err == nil {
			chains, err = join(chains, f, latestOf(at, a.now()))
		}
		if err != nil {
			return nil, nil, problem.Wrap(problem.KindOf(err), err, "%s: %s", name, problem.MessageOf(err))
		}
	}
	var out []clockedOrder
	for _, c := range chains {
		clocks, err := law.Clocks(c.members, at)
		if err != nil {
			return nil, nil, err
		}
		one := clockedOrder{Chain: c.state.Chain.String(), Signed: true, Profile: c.state.Profile, Case: c.state.Case, State: c.state.Word(at), Clocks: clocks}
		one.unnamed = !c.files[0].signed
		for _, f := range c.files {
			one.Files, one.Signed = append(one.Files, f.name), one.Signed && f.signed
		}
		out = append(out, one)
	}
	return out, chains, nil
}

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (a *app) lawClocksCommand() *cobra.Command {
	var at string
	c := a.command(spec{
		use: "clocks FILE…", short: "Work out all clocks of orders, signed or drafts",
		long: "Offline. Every term and duty of each order: when it is due, where it stands, its article, whom it concerns. Members of one chain are\n" +
			"given in their order, the authorisation first; an unsigned one goes on the chain before it.",
		example: "arca law clocks --json draft.json\narca law clocks order.jws --at +60d",
		args:    cobra.MinimumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			when, err := a.instantOf(at)
			if err != nil {
				return err
			}
			orders, _, err := a.clockFiles(args, when)
			if err != nil {
				return err
			}
			out := struct {
				At     time.Time      `json:"at"`
				Orders []clockedOrder `json:"orders"`
			}{when, orders}
			return a.show(out, func(p *page) {
				for _, o := range orders {
					o.write(p, when)
				}
			})
		},
	})
	c.Flags().StringVar(&at, "at", "", "instant to decide at: a time, or +60d (default now)")
	return c
}

func (o clockedOrder) write(p *page, now time.Time) {
	order, state := o.Chain, o.State
	if o.unnamed {
		order = "none yet: signing names it"
	}
	if !o.Signed {
		state += ", once signed as it stands"
	}
	p.pairs("order", order, "statute", o.Profile, "case", o.Case, "state", state)
	p.line("")
	p.table(clockHeads, clockRows(o.Clocks, now))
	p.line("")
}

var clockHeads = []string{"CLOCK", "DUE", "LEFT", "STATE", "WHAT", "ARTICLE"}

func clockRows(clocks []law.Clock, now time.Time) [][]string {
	var rows [][]string
	for _, c := range clocks {
		due, says := when(c.Due), c.Says
		if c.Due.IsZero() && c.Awaits != "" {
			due, says = "", says+"; waits for "+c.Awaits
		}
		rows = append(rows, []string{c.Name, due, left(c.Due, now), string(c.State), says, c.Article})
	}
	return rows
}

func (a *app) lawExplainCommand() *cobra.Command {
	var at, svg string
	c := a.command(spec{
		use: "explain FILE…", short: "Explain an order: its clocks as a table and as a picture",
		long: "Offline. One order, from its authorisation and whatever follows it: state, what decided it, every clock with its article, and with\n" +
			"--svg a timeline as a picture.",
		example: "arca law explain order.jws --svg clocks.svg",
		args:    cobra.MinimumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			instant, err := a.instantOf(at)
			if err != nil {
				return err
			}
			orders, chains, err := a.clockFiles(args, instant)
			if err != nil {
				return err
			}
			if len(orders) != 1 {
				return problem.New(problem.Invalid, "these are %d orders; explain one at a time", len(orders))
			}
			if svg != "" {
				if err := writeFile(svg, timeline(chains[0], orders[0].Clocks, instant)); err != nil {
					return err
				}
			}
			return a.show(orders[0], func(p *page) {
				orders[0].write(p, instant)
				p.table([]string{"MEMBER", "KIND", "DECIDED", "SAYS"}, memberRows(chains[0].members))
				if svg != "" {
					p.line("")
					p.line("The picture is %s", svg)
				}
			})
		},
	})
	c.Flags().StringVar(&at, "at", "", "instant to explain it at: a time, or +60d (default now)")
	c.Flags().StringVar(&svg, "svg", "", "file to write the picture to")
	return c
}

// memberRows says of each member what it does.
func memberRows(members []law.Member) [][]string {
	var rows [][]string
	for _, m := range members {
		rows = append(rows, []string{short(m.Hash.String()), string(m.Order.Kind), when(m.Order.Decided), says(&m.Order)})
	}
	return rows
}

// says is what a member does, in words.
func says(o *record.Order) string {
	var words []string
	add := func(word, value string) {
		if value != "" {
			words = append(words, strings.TrimSpace(word+" "+value))
		}
	}
	add("until", when(o.Capture.Until))
	add("", o.Milestone.Name)
	add("at", when(o.Milestone.At))
	if o.Step > 0 {
		add("step", strconv.Itoa(o.Step))
	}
	for _, one := range o.Privileged {
		add("privileged", privilegeText(one))
	}
	add("", o.Verdict)
	if len(o.Recordings) > 0 {
		add("", plural(len(o.Recordings), "recording"))
	}
	if !o.Lifts.IsZero() {
		add("of", short(o.Lifts.String()))
	}
	add("until", when(o.Until))
	add("", o.Reason)
	return strings.Join(words, ", ")
}
