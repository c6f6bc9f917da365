package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

func (a *app) orderCommand() *cobra.Command {
	members := []*cobra.Command{a.orderNewCommand(), a.orderSignCommand(), a.orderAdmitCommand(), a.orderExtendCommand(), a.orderNarrowCommand()}
	for _, w := range stopCommands {
		members = append(members, a.orderStopCommand(w))
	}
	return a.group("order", "Draft, sign, admit, change and show orders", append(members, a.orderShowCommand())...)
}

func (a *app) orderNewCommand() *cobra.Command {
	var d draftFlags
	c := a.command(spec{
		use: "new", short: "Print a commented draft of an order",
		long: "Prints an authorisation as JSON with comments that name the article behind each item. Decision and window begin now; what\n" +
			"only the judge can say is left empty, and order sign refuses it empty. --example fills in a fictional case.",
		example: "arca order new --example\narca order new --court 'Court One' --case case-7 --police-unit 'Unit A' --target msisdn:+12025550111 --kinds call,message",
		args:    cobra.NoArgs,
		run: func(*cobra.Command, []string) error {
			text, err := d.draft(a.now())
			if err != nil {
				return err
			}
			if !a.json {
				_, err = io.WriteString(a.out, text)
				return err
			}
			o, err := parseDraft([]byte(text))
			if err != nil {
				return err
			}
			return a.writeJSON(a.out, o)
		},
	})
	c.Flags().StringVar(&d.profile, "profile", "ES-588ter", "statute")
	c.Flags().StringVar(&d.court, "court", "", "court")
	c.Flags().StringVar(&d.caseTag, "case", "", "the court's tag of the case")
	c.Flags().StringVar(&d.unit, "police-unit", "", "unit of police in charge")
	c.Flags().StringVar(&d.classification, "classification", "", "restricted, confidential or secret (default restricted)")
	c.Flags().StringArrayVar(&d.targets, "target", nil, "identifier as kind:value; may be repeated")
	c.Flags().StringSliceVar(&d.kinds, "kinds", nil, "kinds of communication: call, message, session")
	c.Flags().IntVar(&d.days, "days", 30, "length of the measure")
	c.Flags().IntVar(&d.access, "access-days", 90, "how long after the measure recordings may be opened")
	c.Flags().StringArrayVar(&d.privileged, "privileged", nil, "privileged communications, as counsel=msisdn:+12025550177; may be repeated")
	c.Flags().BoolVar(&d.urgent, "urgent", false, "a measure without a judge's decision beforehand, which whom the statute names signs and a judge confirms")
	c.Flags().BoolVar(&d.example, "example", false, "fill in a fictional case, for trying out")
	return c
}

func (a *app) orderSignCommand() *cobra.Command {
	var from, out string
	c := a.command(spec{
		use: "sign --from DRAFT", short: "Sign a draft order, as a judge or as whom the statute lets order an urgent measure",
		long: "Takes the comments away, checks form and statute, signs, and writes the order (a JWS) to -o or to standard output.\n" +
			"A draft with a chain and no predecessor is put on the chain's head.",
		example: "arca order sign --from draft.json -o order.jws --as judge",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			raw, err := a.readInput(from, record.MaxBytes)
			if err != nil {
				return err
			}
			return a.signDraft(cmd.Context(), raw, out)
		},
	})
	c.Flags().StringVar(&from, "from", "", "draft; - is standard input")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the order to")
	_ = c.MarkFlagRequired("from")
	return c
}

// readInput reads a small file, or standard input for "-".
func (a *app) readInput(path string, limit int64) ([]byte, error) {
	from := a.in
	if path != "-" {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, problem.Wrap(problem.NotFound, err, "there is no such file: %s", path)
		}
		if err != nil {
			return nil, problem.Wrap(problem.Unavailable, err, "this file cannot be read: %s", path)
		}
		defer file.Close()
		from = file
	}
	raw, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "this file cannot be read: %s", path)
	}
	if int64(len(raw)) > limit {
		return nil, problem.New(problem.Invalid, "the file has more than %d bytes, which nothing of this kind has", limit)
	}
	return raw, nil
}

// createFile makes a file that must not exist yet.
func createFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, problem.New(problem.Conflict, "the file to write exists already; nothing was changed: %s", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "the folder to write to does not exist; make it first: %s", filepath.Dir(path))
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file cannot be written; check the rights and the room of its folder: %s", path)
	}
	return file, nil
}

func writeFile(path string, raw []byte) error {
	file, err := createFile(path)
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	if err = errors.Join(err, file.Close()); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be written: %s", path)
	}
	return nil
}

func (a *app) signDraft(ctx context.Context, raw []byte, out string) error {
	o, err := parseDraft(raw)
	if err != nil {
		return err
	}
	f, me, err := a.who()
	if err != nil {
		return err
	}
	var before chain
	if !o.Chain.IsZero() {
		if before, err = a.anyChain(ctx, f, me.signer, o.Chain); err != nil {
			return err
		}
		if !o.Kind.NamesChain() && o.Previous.IsZero() {
			o.Previous, o.Sequence = before.Head, before.Sequence+1
		}
	}
	if err := effective(o); err != nil {
		return err
	}
	statement, state, err := a.signOrder(f, me, before, o)
	if err != nil {
		return err
	}
	a.remindOfCourt(f, me, o)
	answer := struct {
		Chain     string `json:"chain"`
		File      string `json:"file,omitempty"`
		Member    string `json:"member"`
		Statement string `json:"statement,omitempty"`
	}{Chain: state.Chain.String(), Member: record.HashStatement(statement).String(), File: out}
	if out == "" {
		answer.Statement = statement
		return a.show(answer, func(p *page) { p.line("%s", statement) })
	}
	if err := writeFile(out, []byte(statement+"\n")); err != nil {
		return err
	}
	return a.show(answer, func(p *page) {
		p.line("Signed. The order chain is %s", answer.Chain)
		p.line("Send it to both keyholders with: arca order admit %s", out)
	})
}

// remindOfCourt tells somebody who signs an order that they are not enrolled as who may sign it. Who may, the keyholders decide; that they
// will refuse is better known now.
func (a *app) remindOfCourt(f *installation.Folder, me actor, o record.Order) {
	e, err := f.Enrolment("people", me.name)
	if err != nil || a.json {
		return
	}
	if err := law.MaySign(&o, &e); err != nil {
		fmt.Fprintf(a.err, "arca: the keyholders will refuse this from %s: %s\n", me.name, problem.MessageOf(err))
	}
}

// signOrder fills in what the judge's machine adds, holds the member against statute and chain, and signs it.
func (a *app) signOrder(f *installation.Folder, me actor, before chain, o record.Order) (string, law.State, error) {
	o.Audience = f.Config.Trust
	rand.Read(o.Nonce[:]) // never fails: the runtime stops the process instead
	if err := o.Validate(); err != nil {
		return "", law.State{}, err
	}
	statement, err := record.Sign(me.signer, record.TypeOrder, a.now(), o)
	if err != nil {
		return "", law.State{}, err
	}
	state, err := law.Admit(before.members, law.Member{Hash: record.HashStatement(statement), Order: o}, a.now())
	return statement, state, err
}

func (a *app) orderAdmitCommand() *cobra.Command {
	return a.command(spec{
		use: "admit FILE", short: "Hand a signed order to both keyholders",
		long:    "Sends the order to court and custodian and says what each answered. Sending it again changes nothing, so repeat it when one of them\nwas not there: while only one holds it, nothing is released under it.",
		example: "arca order admit order.jws",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, err := a.folder()
			if err != nil {
				return err
			}
			raw, err := a.readInput(args[0], record.MaxBytes)
			if err != nil {
				return err
			}
			statement := strings.TrimSuffix(string(raw), "\n")
			if statement == "" {
				return problem.New(problem.Invalid, "the file is empty; give what arca order sign wrote")
			}
			if strings.HasPrefix(statement, "{") || strings.HasPrefix(statement, "//") {
				return problem.New(problem.Invalid, "this is a draft and nobody has signed it; sign it first: arca order sign --from DRAFT -o order.jws")
			}
			return a.admit(cmd.Context(), f, statement, "")
		},
	})
}

// admitted is the answer of everything that sends a member to both keyholders.
type admitted struct {
	Chain      string        `json:"chain"`
	File       string        `json:"file,omitempty"`
	Keyholders []partyAnswer `json:"keyholders"`
	Member     string        `json:"member"`
	Error      *failure      `json:"error,omitempty"`
}

func (a *app) admit(ctx context.Context, f *installation.Folder, statement, file string) error {
	out := admitted{Member: record.HashStatement(statement).String(), File: file}
	var err error
	out.Keyholders, err = atBoth(f, nil, func(k *wire.Keyholder) (string, error) {
		o, err := k.Admit(ctx, statement)
		if err == nil {
			out.Chain = o.Chain
		}
		return o.State, err
	})
	out.Error = failed(err)
	return a.report(out, err, func(p *page) {
		if out.Chain != "" {
			p.line("order chain  %s", out.Chain)
			p.line("")
		}
		p.answers(out.Keyholders)
	})
}

func (a *app) orderExtendCommand() *cobra.Command {
	var until, access, reason, out string
	c := a.command(spec{
		use: "extend CHAIN", short: "Extend an order from its earlier expiry",
		long: "Signs an extension on the chain's head and sends it to both keyholders. --until counts from the earlier expiry if it begins with +.\n" +
			"The end of access moves by as much, unless --access-end says otherwise.",
		example: "arca order extend $CHAIN --until +30d --reason 'the supplier is not yet identified' --as judge",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			c, err := a.readChain(cmd.Context(), f, me.signer, hash)
			if err != nil {
				return err
			}
			o, err := a.extension(c, until, access, reason)
			if err != nil {
				return err
			}
			return a.signAndAdmit(cmd.Context(), f, me, c, o, out)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&until, "until", "", "new end of the measure: a time, or +30d from the earlier expiry")
	c.Flags().StringVar(&access, "access-end", "", "new end of access: a time, or +30d from the earlier one")
	c.Flags().StringVar(&reason, "reason", "", "the reasons of the extension")
	c.Flags().StringVarP(&out, "output", "o", "", "also write the signed extension to this file")
	_ = c.MarkFlagRequired("until")
	_ = c.MarkFlagRequired("reason")
	return c
}

func (a *app) extension(c chain, until, access, reason string) (record.Order, error) {
	end, err := parseTime(until, c.Capture.Until)
	if err != nil {
		return record.Order{}, err
	}
	accessEnd := c.AccessEnd
	if end.After(c.Capture.Until) {
		accessEnd = c.AccessEnd.Add(end.Sub(c.Capture.Until))
	}
	if access != "" {
		if accessEnd, err = parseTime(access, c.AccessEnd); err != nil {
			return record.Order{}, err
		}
	}
	return record.Order{
		Kind: record.Extension, Chain: c.Chain, Previous: c.Head, Sequence: c.Sequence + 1, Court: c.Court, Profile: c.Profile,
		Decided: record.Second(a.now()), Capture: record.Window{From: c.Capture.Until, Until: end}, AccessEnd: accessEnd, Reason: reason,
	}, nil
}

func (a *app) signAndAdmit(ctx context.Context, f *installation.Folder, me actor, before chain, o record.Order, file string) error {
	statement, _, err := a.signOrder(f, me, before, o)
	if err != nil {
		return err
	}
	if file != "" {
		if err := writeFile(file, []byte(statement+"\n")); err != nil {
			return err
		}
	}
	if err := a.admit(ctx, f, statement, file); err != nil || o.Kind != record.Resumption || a.json {
		return err
	}
	after := before
	after.members = append(slices.Clone(before.members), law.Member{Hash: record.HashStatement(statement), Order: o})
	if _, err := after.standing("suspension", record.Resumption, record.Suspension); err == nil {
		_, err = fmt.Fprintln(a.out, "\nAn earlier suspension still stands, so the order stays suspended; each is lifted by a resumption of its own: repeat this line.")
		return err
	}
	return nil
}

func (a *app) orderShowCommand() *cobra.Command {
	c := a.command(spec{
		use: "show [CHAIN]", short: "Show an order's state, window, scope, members and clocks, or list all",
		long: "Without CHAIN: the orders that concern you, as each keyholder states them. With CHAIN: everything about one, worked out on this\n" +
			"machine from its members, which both keyholders must hold alike.",
		example: "arca order show --as judge\narca order show $CHAIN --as judge",
		args:    cobra.MaximumNArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.listOrders(cmd.Context(), f, me)
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			return a.showOrder(cmd.Context(), f, me, hash)
		},
	})
	c.ValidArgsFunction = a.completeChains
	return c
}

// listedOrder is a line of order show.
type listedOrder struct {
	Chain      string            `json:"chain"`
	State      map[string]string `json:"state"` // what each keyholder states
	Case       string            `json:"case"`
	PoliceUnit string            `json:"policeUnit"`
	Capture    record.Window     `json:"capture"`
	AccessEnd  time.Time         `json:"accessEnd"`

	units []string
}

// ordersOf lists the chains that both keyholders show to a person.
func (a *app) ordersOf(ctx context.Context, f *installation.Folder, signer *record.Signer) ([]listedOrder, error) {
	var list []listedOrder
	place := map[string]int{}
	for _, party := range installation.Keyholders {
		shown, err := f.Keyholder(party, signer).Orders(ctx)
		if err != nil {
			return nil, fmt.Errorf("orders at the %s: %w", party, err)
		}
		for _, o := range shown.Orders {
			i, known := place[o.Chain]
			if !known {
				c, err := openMembers(f.Config.Trust, o.Members)
				if err != nil {
					return nil, err
				}
				i, place[o.Chain] = len(list), len(list)
				list = append(list, listedOrder{Chain: o.Chain, State: map[string]string{}, Case: c.Case, PoliceUnit: c.PoliceUnit, Capture: c.Capture, AccessEnd: c.AccessEnd, units: o.Units})
			}
			list[i].State[party] = o.State
		}
	}
	return list, nil
}

// word gives what the keyholders state, in one word where they agree.
func (o listedOrder) word() string {
	court, custodian := o.State["court"], o.State["custodian"]
	if court == custodian {
		return court
	}
	return fmt.Sprintf("court %s, custodian %s", cmp.Or(court, "unknown"), cmp.Or(custodian, "unknown"))
}

func (a *app) listOrders(ctx context.Context, f *installation.Folder, me actor) error {
	list, err := a.ordersOf(ctx, f, me.signer)
	if err != nil {
		return err
	}
	out := struct {
		Orders []listedOrder `json:"orders"`
	}{list}
	return a.show(out, func(p *page) {
		if len(list) == 0 {
			p.line("No order concerns you.")
			return
		}
		var rows [][]string
		for _, o := range list {
			rows = append(rows, []string{short(o.Chain), o.word(), o.Case, o.PoliceUnit, when(o.Capture.Until), when(o.AccessEnd)})
		}
		p.table([]string{"ORDER", "STATE", "CASE", "UNIT", "MEASURE ENDS", "ACCESS ENDS"}, rows)
	})
}
