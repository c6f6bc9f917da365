package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/witness"
)

// witnessFlags say what an independent witness runs on.
type witnessFlags struct {
	key, state, origin, listen string
	logKeys                    []string
}

func (a *app) witnessCommand() *cobra.Command {
	var w witnessFlags
	c := a.command(spec{
		use: "witness", short: "Run an independent witness of a log",
		long: "Cosigns the checkpoints of a log (C2SP tlog-witness), with Ed25519 and ML-DSA-44, and refuses any that does not continue the last one\n" +
			"that it cosigned. Run it at a body that is neither the vault's provider, the court nor the custodian. Its state folder\n" +
			"must survive, or it will refuse to start; nothing that it holds but its key is secret.",
		example: "arca witness --key witness.json --state witness-state --log-origin $ORIGIN --log-key $LOGKEY --listen 127.0.0.1:0",
		args:    cobra.NoArgs,
		run:     func(cmd *cobra.Command, _ []string) error { return a.runWitness(cmd.Context(), w) },
	})
	c.Flags().StringVar(&w.key, "key", "", "file of the witness's key, made by arca witness new")
	c.Flags().StringVar(&w.state, "state", "", "folder of its state; made if absent")
	c.Flags().StringVar(&w.origin, "log-origin", "", "origin line of the log")
	c.Flags().StringArrayVar(&w.logKeys, "log-key", nil, "verifier key of the log; again for a second one while the log's key changes")
	c.Flags().StringVar(&w.listen, "listen", "127.0.0.1:7000", "address to answer on")
	for _, name := range []string{"key", "state", "log-origin", "log-key"} {
		_ = c.MarkFlagRequired(name)
	}
	c.AddCommand(a.witnessNewCommand())
	return c
}

func (a *app) witnessNewCommand() *cobra.Command {
	var key string
	c := a.command(spec{
		use: "new NAME", short: "Make a witness's key and print its verifier keys for the trust file",
		long: "NAME stands in every cosignature; use a host name of the witness's body. One key file makes two keys: Ed25519, printed first,\n" +
			"and ML-DSA-44, which a quantum computer does not break. The trust file names either or both; a witness counts once.\n" +
			"Who names only the ML-DSA-44 key asks for it; with both named, either is enough.",
		example: "arca witness new witness.example --key witness.json",
		args:    cobra.ExactArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			if err := installation.CheckName(args[0]); err != nil {
				return err
			}
			signer, err := installation.CreateIdentity(key, args[0])
			if err != nil {
				return err
			}
			cosigners, err := ledger.NewCosigners(args[0], signer.Ed25519())
			if err != nil {
				return err
			}
			out := struct {
				Key       string   `json:"key"`
				Verifiers []string `json:"verifiers"` // Ed25519, ML-DSA-44
			}{Key: key}
			for _, c := range cosigners {
				out.Verifiers = append(out.Verifiers, c.VerifierKey())
			}
			return a.show(out, func(p *page) {
				for _, key := range out.Verifiers {
					p.line("%s", key)
				}
			})
		},
	})
	c.Flags().StringVar(&key, "key", "", "file to write the key to")
	_ = c.MarkFlagRequired("key")
	return c
}

func (a *app) runWitness(ctx context.Context, o witnessFlags) error {
	signer, name, err := installation.ReadIdentity(o.key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the state folder cannot be made")
	}
	w, err := witness.New(witness.Options{
		Name: name, Key: signer.Ed25519(), Folder: o.state, Now: a.now, Report: edge.Log(a.err),
		Logs: []witness.Log{{Origin: o.origin, Keys: o.logKeys}},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return errors.Join(problem.Wrap(problem.Unavailable, err, "the address cannot be listened on; is it in use?"), w.Close())
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}
	out := struct {
		Address string `json:"address"`
	}{"http://" + listener.Addr().String()}
	if err := a.show(out, func(p *page) { p.line("The witness %s answers at %s", name, out.Address) }); err != nil {
		return errors.Join(err, listener.Close(), w.Close())
	}
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		_ = server.Shutdown(end)
	})
	if err = server.Serve(listener); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, w.Close())
}
