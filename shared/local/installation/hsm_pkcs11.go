//go:build pkcs11

package installation

import (
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/pkcs11"
)

func init() {
	openToken = func(t Token, pin string) (keys.Roots, error) {
		return pkcs11.Open(pkcs11.Config{Module: t.Module, Token: t.Token, PIN: pin})
	}
}
