package main

import (
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// installationAnswer is what init and serve say of an installation.
type installationAnswer struct {
	Addresses map[string]string `json:"addresses"`
	Folder    string            `json:"folder"`
	LogKey    string            `json:"logKey"`
	LogOrigin string            `json:"logOrigin"`
	PackBytes int               `json:"packBytes"`
	PackSlots int               `json:"packSlots"`
	Tick      string            `json:"tick"`
	Trust     string            `json:"trust"`
}

func describe(f *installation.Folder) (installationAnswer, error) {
	trust, err := f.Trust()
	if err != nil {
		return installationAnswer{}, err
	}
	return installationAnswer{
		Addresses: f.Addresses, Folder: f.Path, LogKey: trust.LogKey, LogOrigin: f.LogOrigin,
		PackBytes: f.Pack.Size, PackSlots: f.Pack.Slots, Tick: f.Tick, Trust: f.Config.Trust.String(),
	}, nil
}

func (a *app) initCommand() *cobra.Command {
	var tick, pack, hsm, authorities string
	var slots int
	var tiny bool
	c := a.command(spec{
		use: "init DIR", short: "Make a local installation: parties, keys, trust file, folders",
		long: "Makes an installation in an empty or absent folder: a vault, a court and a custodian with their keys,\n" +
			"a witness, a collector and a mirror, and the trust file that court and custodian sign.\n\n" +
			"The trust file's fingerprint is printed: it is what everybody pins and compares. Pack size and slots\n" +
			"are fixed for the vault's life; all packs of one vault look alike.",
		example: "arca init box\narca init small --tiny --tick 1s",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			every, err := parseSpan(tick)
			if err != nil {
				return err
			}
			bytes, err := parseSize(pack)
			if err != nil {
				return err
			}
			shape := record.PackShape{Size: bytes, Slots: slots}
			if tiny {
				shape = record.PackShape{Size: seal.TinyGeometry.Size, Slots: seal.TinyGeometry.Slots}
			}
			o := installation.Options{Pack: shape, Tick: every}
			if hsm != "" {
				if o.Tokens, err = installation.ReadTokens(hsm); err != nil {
					return err
				}
			}
			if authorities != "" {
				if o.Authorities, err = installation.ReadAuthorities(authorities); err != nil {
					return err
				}
			}
			return a.makeInstallation(cmd, args[0], o)
		},
	})
	c.Flags().StringVar(&tick, "tick", (5 * time.Minute).String(), "how often the collector sends a pack")
	c.Flags().StringVar(&pack, "pack-size", "16MiB", "size of every pack")
	c.Flags().IntVar(&slots, "slots", seal.DefaultGeometry.Slots, "header slots of every pack")
	c.Flags().BoolVar(&tiny, "tiny", false, "packs of 1 MiB with 8 slots, for trying out")
	c.Flags().StringVar(&hsm, "hsm", "", "JSON file naming PKCS#11 tokens for the roots of court and custodian")
	c.Flags().StringVar(&authorities, "authorities", "", "JSON file naming time-stamping authorities (RFC 3161); without it nobody outside is called")
	c.MarkFlagsMutuallyExclusive("tiny", "pack-size")
	c.MarkFlagsMutuallyExclusive("tiny", "slots")
	return c
}

func (a *app) makeInstallation(cmd *cobra.Command, dir string, o installation.Options) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	f, err := installation.Init(cmd.Context(), path, o)
	if err != nil {
		return err
	}
	out, err := describe(f)
	if err != nil {
		return err
	}
	return a.show(out, func(p *page) {
		p.line("An installation is ready in %s", f.Path)
		p.line("")
		p.pairs("trust file", f.Config.Trust.String(), "log", f.LogOrigin, "packs", size(int64(f.Pack.Size))+", one every "+f.Tick)
		p.line("")
		p.line("Start it with: arca serve --dir %s", f.Path)
	})
}
