package installation

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
)

// Token says which PKCS#11 token holds a keyholder's roots. PINFile is a file of mode 0600 with the user PIN.
type Token struct {
	Module  string `json:"module"`
	Token   string `json:"token"`
	PINFile string `json:"pinFile"`
}

// hsmName is the file that puts a party's roots into a token instead of a key file.
const hsmName = "hsm.json"

// openToken opens a token; nil in a program that was built without PKCS#11 (go build -tags pkcs11, which needs gcc).
var openToken func(t Token, pin string) (keys.Roots, error)

// token reads which token holds a party's roots, nil if a key file does.
func (f *Folder) token(party string) (*Token, error) {
	raw, err := os.ReadFile(f.Dir(party, hsmName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the party's hsm.json cannot be read")
	}
	var t Token
	if err := json.Unmarshal(raw, &t); err != nil || t.Module == "" || t.Token == "" || t.PINFile == "" {
		return nil, problem.Wrap(problem.Invalid, err, "the party's hsm.json names module, token and pinFile")
	}
	return &t, nil
}

func (t Token) open() (keys.Roots, error) {
	if openToken == nil {
		return nil, problem.New(problem.Unavailable, "this arca was built without PKCS#11; build it with: CGO_ENABLED=1 go build -tags pkcs11 ./cmd/arca")
	}
	info, err := os.Stat(t.PINFile)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file with the token's PIN cannot be read")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, problem.New(problem.Denied, "the file with the token's PIN is readable by others; set its mode to 0600")
	}
	pin, err := os.ReadFile(t.PINFile)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file with the token's PIN cannot be read")
	}
	return openToken(t, firstLine(pin))
}

func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' || c == '\r' {
			return string(b[:i])
		}
	}
	return string(b)
}

// makeRoots gives a new party its roots: a token if the options name one, else a key file under a machine secret.
func (f *Folder) makeRoots(party string, tokens map[string]Token) error {
	if t, ok := tokens[party]; ok {
		raw, err := json.MarshalIndent(t, "", "  ")
		if err != nil {
			return err
		}
		if err := writeNew(f.Dir(party, hsmName), append(raw, '\n')); err != nil {
			return err
		}
		_, err = t.open()
		return err
	}
	text := keys.NewMachineSecret()
	secret, err := keys.MachineSecret(text)
	if err != nil {
		return err
	}
	if err := writeNew(f.Dir(party, secretName), []byte(text+"\n")); err != nil {
		return err
	}
	_, err = keys.CreateFile(f.Dir(party, rootsName), secret)
	return err
}

// ReadTokens reads the file that arca init takes with --hsm: tokens by party, court and custodian.
func ReadTokens(path string) (map[string]Token, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the file with the tokens cannot be read")
	}
	var tokens map[string]Token
	if err := json.Unmarshal(raw, &tokens); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, `the file with the tokens reads {"court": {"module": …, "token": …, "pinFile": …}, "custodian": …}`)
	}
	for party := range tokens {
		if party != "court" && party != "custodian" {
			return nil, problem.New(problem.Invalid, "tokens are for court and custodian; the vault holds no secret but the log's key")
		}
	}
	return tokens, nil
}
