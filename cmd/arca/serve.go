package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
)

func (a *app) serveCommand() *cobra.Command {
	var sequence, clocks string
	var alone bool
	c := a.command(spec{
		use: "serve", short: "Run the local parties: vault, court, custodian, witness, collector and mirror",
		long: "Runs every function of the three parties behind a gateway and a scheduler, both read from the\n" +
			"template, beside a witness; and, unless --no-collector is given, the local collector's sending of one pack at\n" +
			"each tick and the local mirror's fetching.\n\n" +
			"It runs until it is interrupted. Access and process logs are in each party's folder.",
		example: "arca serve --sequence 1s",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			var o installation.ServeOptions
			for every, text := range map[*time.Duration]string{&o.Sequence: sequence, &o.Clocks: clocks} {
				if text == "" {
					continue
				}
				var err error
				if *every, err = parseSpan(text); err != nil {
					return err
				}
			}
			return a.serve(cmd.Context(), o, !alone)
		},
	})
	c.Flags().StringVar(&sequence, "sequence", "", "how often the log asks for fresh cosignatures (else as the template says)")
	c.Flags().StringVar(&clocks, "clocks", "", "how often the keyholders go over the orders' clocks (else as the template says)")
	c.Flags().BoolVar(&alone, "no-collector", false, "leave sending and fetching packs to arca spool and arca mirror")
	return c
}

// complete names a party whose folder is not there.
func complete(f *installation.Folder) error {
	for _, party := range []string{"vault", "court", "custodian"} {
		if _, err := os.Stat(f.Dir(party, rowsEntry)); errors.Is(err, fs.ErrNotExist) {
			return problem.Wrap(problem.NotFound, err, "the %s has no rows here; put its folder back, or: arca restore %s FILE --identity FILE", party, party)
		}
	}
	return nil
}

// closeTime is how long what runs may take to end.
const closeTime = 15 * time.Second

func (a *app) serve(ctx context.Context, o installation.ServeOptions, machines bool) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	out, err := describe(f)
	if err != nil {
		return err
	}
	if err := complete(f); err != nil {
		return err
	}
	running, err := f.Serve(ctx, o)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if machines {
			a.runMachines(ctx, f)
		}
	}()
	err = a.show(out, func(p *page) {
		var rows [][]string
		for _, party := range []string{"vault", "court", "custodian", "witness"} {
			rows = append(rows, []string{party, f.URL(party)})
		}
		p.table([]string{"PARTY", "ADDRESS"}, rows)
		p.line("")
		p.line("Everything runs. Stop it with Ctrl-C.")
	})
	if err == nil {
		<-ctx.Done()
	}
	<-ended
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if closing := running.Close(end); err == nil {
		err = closing
	}
	return err
}
