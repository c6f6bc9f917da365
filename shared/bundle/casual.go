package bundle

import (
	"crypto/sha256"
	"io"
	"slices"
	"strings"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Casual makes a bundle a copy for use in another case, of what was found by chance (LECrim 588 bis i, 579 bis): it carries the request for the
// measure, the order, and the request for and the order of every extension. The orders are members of the chain, of which a bundle has all that both
// keyholders know. The requests are documents of the court's file; that they are those on which the judge decided is the maker's word.
type Casual struct {
	Article   string     `json:"article"` // of the order's statute, as its profile names it
	Case      string     `json:"case"`    // for which it is made
	Court     string     `json:"court"`
	Petitions []Petition `json:"petitions"` // in the order of the members
	Secret    bool       `json:"secret"`    // the case that it comes from is still secret
}

// Petition is a request to the judge: a file of the bundle, by the member that decided on it.
type Petition struct {
	Bytes  int64         `json:"bytes"`
	Member record.Digest `json:"member"`
	SHA256 record.Digest `json:"sha256"` // of the file in clear
}

// MaxPetition bounds a petition.
const MaxPetition = 16 << 20

func petitionPath(member record.Digest) string { return "data/petitions/" + member.String() + ".bin" }

func (c *Casual) validate() error {
	for _, s := range []string{c.Case, c.Court, c.Article} {
		if err := record.CheckName(s); err != nil {
			return err
		}
		if strings.TrimSpace(s) == "" {
			return problem.New(problem.Invalid, "a copy for use in another case names the case, its court and the article")
		}
	}
	for _, p := range c.Petitions {
		if p.Bytes < 1 || p.Bytes > MaxPetition || p.Member.IsZero() {
			return problem.New(problem.Invalid, "a request to the judge is a file of 1 byte to 16 MiB, for a member of the order")
		}
	}
	return nil
}

// asked lists the members on which a judge decided at a request: the order and every extension, whether or not it still stands.
func asked(members []law.Member) (list []law.Member) {
	for _, m := range members {
		if m.Order.Kind == record.Authorisation || m.Order.Kind == record.Extension {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b law.Member) int {
		if c := a.Order.Decided.Compare(b.Order.Decided); c != 0 {
			return c
		}
		return slices.Compare(a.Hash[:], b.Hash[:])
	})
	return list
}

// lacking says which request is missing.
func lacking(m law.Member, article string) error {
	what := "the initial request, for the order"
	if m.Order.Kind == record.Extension {
		what = "the request for the extension"
	}
	return problem.New(problem.Invalid, "%s decided on %s (%s) is missing, and without it nothing of the order is used in another case (%s): --petition %s=FILE",
		what, m.Order.Decided.UTC().Format("2 January 2006"), m.Hash.Short(), article, m.Hash.Short())
}

// casual completes what a copy for another case says, and refuses one that lacks a request.
func (in *Source) casual() (*Casual, error) {
	var members []law.Member
	for _, raw := range in.Order.Members {
		st, err := record.Peek(raw)
		if err != nil {
			return nil, err
		}
		m := law.Member{Hash: st.Hash}
		if err := record.Unmarshal(st.Payload, &m.Order); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	state, err := law.Read(members)
	if err != nil {
		return nil, err
	}
	profile, err := law.ProfileOf(state.Profile)
	if err != nil {
		return nil, err
	}
	if profile.Casual == (law.Rule{}) {
		return nil, problem.New(problem.Invalid, "the statute profile %s has no rule for the use in another case; make an ordinary bundle, as the court orders", profile.Name)
	}
	out := *in.Casual
	out.Article, out.Petitions = profile.Cite(profile.Casual.Article), nil
	for _, m := range asked(members) {
		content, ok := in.Petitions[m.Hash]
		if !ok {
			return nil, lacking(m, out.Article)
		}
		out.Petitions = append(out.Petitions, Petition{Bytes: int64(len(content)), Member: m.Hash, SHA256: sha256.Sum256(content)})
	}
	if len(in.Petitions) != len(out.Petitions) {
		return nil, problem.New(problem.Invalid, "a request is for no order and no extension of this chain; see arca order show")
	}
	return &out, nil
}

// petitions adds the files of the requests.
func (in *Source) petitions(x *Index, files map[string][]byte) error {
	for _, p := range x.Casual.Petitions {
		files[petitionPath(p.Member)] = in.Petitions[p.Member]
		if x.Mode == Encrypted {
			if err := in.encryptFile(files, petitionPath(p.Member)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readCasual holds a copy for another case against the order: a request for each decision that had one, and each file the one that the index names.
func (v *opened) readCasual() error {
	c := v.x.Casual
	if c == nil {
		return nil
	}
	want := asked(v.order)
	for i, m := range want {
		if i >= len(c.Petitions) || c.Petitions[i].Member != m.Hash {
			err := lacking(m, c.Article)
			return incomplete("%s", problem.MessageOf(err))
		}
	}
	if len(c.Petitions) != len(want) {
		return denied("the bundle holds a request for no decision of the order")
	}
	v.report.Casual = c
	if v.x.Mode == Encrypted && len(v.options.Identities) == 0 {
		return nil // concluded so
	}
	for _, p := range c.Petitions {
		from, err := v.secretReader(petitionPath(p.Member))
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(from, MaxPetition+1))
		if err != nil {
			return problem.Wrap(problem.Invalid, err, "an encrypted file was altered, or the bundle cannot be read")
		}
		if n != p.Bytes || record.Digest(h.Sum(nil)) != p.SHA256 {
			return denied("a request to the judge is another file than the index says")
		}
	}
	return nil
}

// concludeCasual says what is proven of a copy for another case.
func (v *opened) concludeCasual(add func(list *[]string, format string, args ...any)) {
	r, c := &v.report, v.report.Casual
	secrecy := "is not secret any more"
	if c.Secret {
		secrecy = "is still secret"
	}
	add(&r.Shown, "a copy for %q of %q (%s): the order, every extension that both keyholders knew, and a request for each, %s; the case that it comes from, its maker says, %s",
		c.Case, c.Court, c.Article, count(len(c.Petitions), "document"), secrecy)
	add(&r.NotShown, "that the requests are those on which the judge decided: for that there is the maker's signature")
	if v.x.Mode == Encrypted && len(v.options.Identities) == 0 {
		add(&r.NotShown, "what the requests say: only a recipient can see that, with --identity")
	}
}
