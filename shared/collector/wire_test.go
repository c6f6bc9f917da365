package collector

import "arca.example/arca/shared/wire"

// The clients that a collector is really given.
var (
	_ Vault     = (*wire.Vault)(nil)
	_ Keyholder = (*wire.Keyholder)(nil)
)
