package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is one invocation of the command line.
type app struct {
	streams
	now func() time.Time

	dir, as string
	json    bool
	verbose bool

	begun bool // a command's own work has begun: what fails before is misuse
	piped bool // standard output carries content, so an error goes elsewhere
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.begun {
		a.json = a.json || slices.Contains(args, "--json") // a line that did not parse still gets its answer in the form it asked for
		err = misuse{unclear(cmd, err)}
	}
	return a.finish(err)
}

// spec is what a command needs beside its flags.
type spec struct {
	use, short, long string
	example          string // one line each, run literally by a test script
	args             cobra.PositionalArgs
	run              func(cmd *cobra.Command, args []string) error
}

// command makes a cobra command that knows when its own work begins.
func (a *app) command(s spec) *cobra.Command {
	c := &cobra.Command{Use: s.use, Short: s.short, Long: s.long, Example: s.example, Args: s.args}
	if s.run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			a.begun = true
			return s.run(cmd, args)
		}
	}
	return c
}

// group makes a command that only has commands of its own.
func (a *app) group(use, short string, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return errors.New("say what to do; see " + cmd.CommandPath() + " --help")
	}}
	c.AddCommand(members...)
	return c
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "arca",
		Short:         "A vault for recordings made under a court order that opens only when three keys meet",
		Long:          rootText,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.dir, "dir", os.Getenv("ARCA_DIR"), "folder of the installation (ARCA_DIR; else this folder)")
	root.PersistentFlags().StringVar(&a.as, "as", os.Getenv("ARCA_AS"), "who acts: a name in people/ (ARCA_AS; else the only one)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document")
	root.PersistentFlags().BoolVar(&a.verbose, "verbose", false, "with an error, print its cause too")
	root.SetVersionTemplate("arca {{.Version}}\n")
	root.SetHelpTemplate("{{if and .HasParent .Runnable .Long}}{{.Short}}.\n\n{{end}}" + root.HelpTemplate()) // a long text goes on from the short one
	a.hideEnvironment(root)
	_ = root.RegisterFlagCompletionFunc("as", a.completePeople)
	root.AddCommand(
		a.initCommand(), a.serveCommand(), a.witnessCommand(), a.statusCommand(), a.stampsCommand(), a.scrubCommand(), a.trustCommand(),
		a.enrolCommand(), a.whoamiCommand(), a.suspendCommand(), a.orderCommand(), a.lawCommand(),
		a.sealCommand(), a.spoolCommand(), a.mirrorCommand(), a.auditCommand(),
		a.lsCommand(), a.askCommand(), a.inboxCommand(),
		a.decideCommand("approve", "Approve another person's request", "arca approve $REQUEST --reason 'needed for the report' --as sofia", true),
		a.decideCommand("deny", "Deny another person's request", "arca deny $REQUEST2 --reason 'not needed' --as sofia", false),
		a.noticeCommand(), a.reportCommand(), a.openCommand(), a.noteCommand(), a.transcriptCommand(), a.resealCommand(), a.compartmentCommand(), a.logCommand(), a.custodyCommand(),
		a.oversightCommand(), a.backupCommand(), a.restoreCommand(), a.recoveryCommand(), a.bundleCommand(), a.verifyCommand(), a.demoCommand(),
		a.destroyCommand(), a.destroyedCommand(),
		exitCodesTopic(),
	)
	return root
}

// version is the source that this program was built from, as the toolchain recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version + " " + info.GoVersion
	}
	return "of unknown source"
}

// hideEnvironment keeps what this process's environment holds out of help texts and docs.
func (a *app) hideEnvironment(root *cobra.Command) {
	for _, name := range []string{"dir", "as"} {
		root.PersistentFlags().Lookup(name).DefValue = ""
	}
}

const rootText = `Arca keeps recordings made under a court order so that nobody has to trust whoever runs the storage.
Two keyholders, the court and the custodian, each hold half of every key, and the third key is
the reader's. Everything is asked for, logged under independent witnesses, and checked by all.

A first installation of your own:

    arca init box
    arca serve --dir box

Examples write $CHAIN, $ID, $REQUEST for ids that earlier commands print.`

// folder opens the installation that --dir, ARCA_DIR or the current folder names.
func (a *app) folder() (*installation.Folder, error) {
	dir := a.dir
	if dir == "" {
		dir = "."
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the current folder cannot be found")
	}
	f, err := installation.OpenFolder(dir)
	if problem.KindOf(err) == problem.NotFound {
		return nil, problem.Wrap(problem.NotFound, err, "there is no installation in this folder; name one with --dir DIR, or make one with: arca init DIR")
	}
	return f, err
}

// actor is the person who acts.
type actor struct {
	name   string
	signer *record.Signer
}

// who opens the installation and finds the identity that acts.
func (a *app) who() (*installation.Folder, actor, error) {
	f, err := a.folder()
	if err != nil {
		return nil, actor{}, err
	}
	name := a.as
	if name == "" {
		if name, err = onlyPerson(f); err != nil {
			return nil, actor{}, err
		}
	}
	signer, err := f.Person(name)
	return f, actor{name, signer}, err
}

func onlyPerson(f *installation.Folder) (string, error) {
	names, err := f.People()
	switch {
	case err != nil:
		return "", problem.Wrap(problem.Unavailable, err, "the folder people/ cannot be read")
	case len(names) == 0:
		return "", problem.New(problem.NotFound, "nobody has an identity here yet; make one with: arca enrol NAME --role ROLE")
	case len(names) > 1:
		return "", problem.New(problem.Invalid, "several people have identities here; say who acts with --as NAME or ARCA_AS")
	}
	return names[0], nil
}

// isTerminal tells whether a stream is one that a person looks at.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
