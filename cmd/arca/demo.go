package main

import (
	"os"

	"github.com/spf13/cobra"

	"arca.example/arca/cmd/arca/internal/demo"
	"arca.example/arca/shared/problem"
)

// demoCommand tells the main job as a story that checks itself; make demo calls it.
func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on the sample recordings, step by step, checking every result",
		Long: "Sets up an installation in a scratch folder, runs this program as judge, collector, investigators, supervisor and auditor,\n" +
			"and ends with exit 0 only if everything went as it must. The folder is removed unless --keep names one.",
		Example: "arca demo --samples samples/recordings",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			o.Program, o.JSON, o.Out = program, a.json, cmd.OutOrStdout()
			if err := demo.Run(cmd.Context(), o); err != nil {
				return problem.Wrap(problem.Internal, err, "the demonstration met a surprise: %s", err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.Samples, "samples", "samples/recordings", "folder of the sample recordings")
	c.Flags().StringVar(&o.Keep, "keep", "", "keep the installation in this folder")
	return c
}
