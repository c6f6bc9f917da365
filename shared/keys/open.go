package keys

import (
	"context"

	"arca.example/arca/shared/problem"
)

// OpenOrCreate opens a root and makes it on the very first start. Of two first starts at once one creates and both open the same.
func OpenOrCreate(ctx context.Context, roots Roots, name string) (Root, error) {
	root, err := roots.Open(ctx, name)
	if err == nil || problem.KindOf(err) != problem.NotFound {
		return root, err
	}
	root, err = roots.Create(ctx, name)
	if err != nil && problem.KindOf(err) == problem.Conflict {
		return roots.Open(ctx, name)
	}
	return root, err
}
