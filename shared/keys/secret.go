package keys

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	"arca.example/arca/shared/problem"
)

// Work factors are log2 of scrypt's N (r=8, p=1).
//
// A human passphrase has perhaps 40 to 60 bits, so each guess must cost the
// attacker memory and time: 2^18 takes 256 MiB and most of a second. A random
// secret of 256 bits cannot be guessed at any speed; stretching it adds nothing
// and costs every cold start of a function its time, so 2^10 (1 MiB, a few
// milliseconds) is enough and scrypt is there only because age asks for it.
//
// Reading accepts two more than writing would use and no more: the factor
// stands unauthenticated in the file's header, and 2^30 there would make the
// process allocate a terabyte.
const (
	humanWork   = 18
	machineWork = 10
	slackWork   = 2
	minHuman    = 12 // characters of a passphrase
	machineSize = 32 // bytes of a machine secret
)

// Secret opens a key file. It prints as "[secret]".
type Secret struct {
	text string
	work int
}

// Passphrase is a secret that a person chose, of at least 12 characters.
func Passphrase(text string) (Secret, error) {
	if len(text) < minHuman {
		return Secret{}, problem.New(problem.Invalid, "a passphrase has at least %d characters", minHuman)
	}
	return Secret{text: text, work: humanWork}, nil
}

// MachineSecret is a secret of 256 random bits, as NewMachineSecret prints it:
// 43 characters of unpadded base64url. Anything else is refused, because the
// low work factor is safe only for a secret that nobody can guess.
func MachineSecret(text string) (Secret, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != machineSize {
		return Secret{}, problem.New(problem.Invalid, "a machine secret is 43 characters of base64url, made by Arca; use a passphrase for anything else")
	}
	return Secret{text: text, work: machineWork}, nil
}

// NewMachineSecret draws the text of a MachineSecret.
func NewMachineSecret() string {
	b := make([]byte, machineSize)
	rand.Read(b) // never fails: the runtime stops the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// WithWorkFactor returns s with another work factor, 10 to 22. A lower one than
// a passphrase's 18 is for tests.
func (s Secret) WithWorkFactor(work int) (Secret, error) {
	if work < machineWork || work > 22 {
		return Secret{}, problem.New(problem.Invalid, "the work factor of a key file lies between %d and 22", machineWork)
	}
	s.work = work
	return s, nil
}

const redacted = "[secret]"

// Format redacts under every verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue redacts in logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts in every encoding.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
