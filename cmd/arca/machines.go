package main

import (
	"context"

	"arca.example/arca/shared/local/installation"
)

// runMachines runs the local collector and mirror until ctx ends.
func (a *app) runMachines(ctx context.Context, f *installation.Folder) {
	<-ctx.Done()
}
