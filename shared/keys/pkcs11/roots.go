//go:build pkcs11

package pkcs11

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	p11 "github.com/miekg/pkcs11"
)

const (
	idBytes  = 8
	ivBytes  = 12
	tagBytes = 16
	version  = 1
	overhead = 1 + ivBytes + tagBytes
)

var _ keys.Roots = (*Token)(nil)

// rootClass is what every object of ours has; it keeps other objects of the token out of sight.
func rootClass(more ...*p11.Attribute) []*p11.Attribute {
	return append([]*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_TOKEN, true),
	}, more...)
}

// Open finds the key and checks that the token made it and keeps it.
func (t *Token) Open(ctx context.Context, name string) (keys.Root, error) {
	if err := keys.CheckName(name); err != nil {
		return nil, err
	}
	var r *root
	err := t.with(func(s p11.SessionHandle) error {
		objects, err := t.find(s, rootClass(p11.NewAttribute(p11.CKA_LABEL, name)))
		if err != nil {
			return err
		}
		switch len(objects) {
		case 0:
			return keys.ErrAbsent()
		case 1:
			id, err := t.checkGuarded(s, objects[0])
			r = &root{token: t, name: name, id: id}
			return err
		}
		return problem.New(problem.Conflict, "the token holds two keys of this name; remove the one that nothing was wrapped under")
	})
	if err != nil {
		return nil, finish(err)
	}
	return r, nil
}

// checkGuarded refuses a key that could leave the token or ever could, and returns its CKA_ID.
func (t *Token) checkGuarded(s p11.SessionHandle, o p11.ObjectHandle) ([]byte, error) {
	got, err := t.library.GetAttributeValue(s, o, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_ID, nil),
		p11.NewAttribute(p11.CKA_SENSITIVE, nil),
		p11.NewAttribute(p11.CKA_ALWAYS_SENSITIVE, nil),
		p11.NewAttribute(p11.CKA_NEVER_EXTRACTABLE, nil),
		p11.NewAttribute(p11.CKA_LOCAL, nil),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, nil),
		p11.NewAttribute(p11.CKA_VALUE_LEN, nil),
	})
	if err != nil {
		return nil, err
	}
	isTrue := func(a *p11.Attribute) bool { return len(a.Value) == 1 && a.Value[0] == 1 }
	isFalse := func(a *p11.Attribute) bool { return len(a.Value) == 1 && a.Value[0] == 0 }
	length := p11.NewAttribute(p11.CKA_VALUE_LEN, 32).Value
	if !isTrue(got[1]) || !isTrue(got[2]) || !isTrue(got[3]) || !isTrue(got[4]) || !isFalse(got[5]) ||
		!slices.Equal(got[6].Value, length) || len(got[0].Value) != idBytes {
		return nil, problem.New(problem.Denied, "the token's key of this name was not made by Arca in the token, or it can leave it; create a fresh one under another name")
	}
	return got[0].Value, nil
}

// Create generates the key inside the token. PKCS#11 has no unique labels: a
// process that finds two after generating removes its own and answers Conflict,
// so two that race may both fail but never both succeed with different keys.
func (t *Token) Create(ctx context.Context, name string) (keys.Root, error) {
	if err := keys.CheckName(name); err != nil {
		return nil, err
	}
	t.create.Lock()
	defer t.create.Unlock()
	id := make([]byte, idBytes)
	rand.Read(id) // never fails: the runtime stops the process instead
	err := t.with(func(s p11.SessionHandle) error { return t.generate(s, name, id) })
	if err != nil {
		return nil, finish(err)
	}
	return t.Open(ctx, name)
}

func (t *Token) generate(s p11.SessionHandle, name string, id []byte) error {
	labelled := rootClass(p11.NewAttribute(p11.CKA_LABEL, name))
	before, err := t.find(s, labelled)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		if own, err := t.find(s, rootClass(p11.NewAttribute(p11.CKA_LABEL, name), p11.NewAttribute(p11.CKA_ID, id))); err == nil && len(own) == len(before) {
			return nil // a try before the session was lost had landed
		}
		return keys.ErrTaken()
	}
	o, err := t.library.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, rootClass(
		p11.NewAttribute(p11.CKA_LABEL, name),
		p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
		p11.NewAttribute(p11.CKA_MODIFIABLE, false),
		p11.NewAttribute(p11.CKA_ENCRYPT, true),
		p11.NewAttribute(p11.CKA_DECRYPT, true),
		p11.NewAttribute(p11.CKA_WRAP, false),
		p11.NewAttribute(p11.CKA_UNWRAP, false),
		p11.NewAttribute(p11.CKA_SIGN, false),
		p11.NewAttribute(p11.CKA_VERIFY, false),
	))
	if err != nil {
		return err
	}
	after, err := t.find(s, labelled)
	if err != nil {
		return err
	}
	if len(after) != 1 {
		return errors.Join(keys.ErrTaken(), t.library.DestroyObject(s, o))
	}
	return nil
}

// Destroy removes the key object and looks whether it is gone.
func (t *Token) Destroy(ctx context.Context, name string) error {
	if err := keys.CheckName(name); err != nil {
		return err
	}
	t.create.Lock()
	defer t.create.Unlock()
	return finish(t.with(func(s p11.SessionHandle) error {
		template := rootClass(p11.NewAttribute(p11.CKA_LABEL, name))
		objects, err := t.find(s, template)
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			return keys.ErrAbsent()
		}
		for _, o := range objects {
			if err := t.library.DestroyObject(s, o); err != nil {
				return err
			}
		}
		if objects, err = t.find(s, template); err == nil && len(objects) > 0 {
			return problem.New(problem.Unavailable, "the token still shows the key after its destruction; look at the token")
		}
		return err
	}))
}

// Names lists the labels of AES keys on the token that have the form of a root's name.
func (t *Token) Names(ctx context.Context) ([]string, error) {
	var names []string
	err := t.with(func(s p11.SessionHandle) error {
		names = nil // with may run this twice
		objects, err := t.find(s, rootClass())
		for _, o := range objects {
			got, err := t.library.GetAttributeValue(s, o, []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, nil)})
			if err != nil {
				return err
			}
			if name := string(got[0].Value); keys.CheckName(name) == nil {
				names = append(names, name)
			}
		}
		return err
	})
	slices.Sort(names)
	return slices.Compact(names), finish(err)
}

// DestroyLimits says what rests on the device.
func (t *Token) DestroyLimits() string {
	return "The token destroyed the key object and no longer shows it. That its memory holds no remainder, and that no backup of the token exists, is the word of the device and of whoever administers it; " +
		"SoftHSM keeps objects in files, with the limits of a file system."
}

// find lists the objects that match, at most 1,000. To a session whose login
// was lost a token shows no private objects and no error; absence is therefore
// believed only of a session that is still the user's.
func (t *Token) find(s p11.SessionHandle, template []*p11.Attribute) ([]p11.ObjectHandle, error) {
	objects, err := t.list(s, template)
	if err != nil {
		return nil, err
	}
	info, err := t.library.GetSessionInfo(s)
	if err != nil {
		return nil, err
	}
	if info.State != p11.CKS_RW_USER_FUNCTIONS {
		return nil, p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
	}
	return objects, nil
}

func (t *Token) list(s p11.SessionHandle, template []*p11.Attribute) (objects []p11.ObjectHandle, err error) {
	if err := t.library.FindObjectsInit(s, template); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.library.FindObjectsFinal(s)) }()
	for len(objects) < 1000 {
		more, _, err := t.library.FindObjects(s, 100)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			break
		}
		objects = append(objects, more...)
	}
	return objects, nil
}

// root is one key object, recognised by its label and its CKA_ID.
type root struct {
	token *Token
	name  string
	id    []byte
}

func (r *root) ID() string { return r.name + "@" + hex.EncodeToString(r.id) }

func (r *root) Wrap(ctx context.Context, aad, plaintext []byte) ([]byte, error) {
	if err := keys.CheckWrap(aad, plaintext); err != nil {
		return nil, err
	}
	var wrapped []byte
	err := r.token.with(func(s p11.SessionHandle) error {
		o, err := r.object(s)
		if err != nil {
			return err
		}
		iv := make([]byte, ivBytes)
		rand.Read(iv)
		params := p11.NewGCMParams(iv, keys.BoundAAD(aad), tagBytes*8)
		defer params.Free()
		if err := r.token.library.EncryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, o); err != nil {
			return err
		}
		ciphertext, err := r.token.library.Encrypt(s, plaintext)
		if err != nil {
			return err
		}
		used := params.IV() // some devices draw their own
		if len(used) != ivBytes || len(ciphertext) != len(plaintext)+tagBytes {
			return problem.Wrap(problem.Unavailable, errors.New("IV or ciphertext of another size"), "this token's AES-GCM differs from the standard's; Arca cannot use it")
		}
		wrapped = slices.Concat([]byte{version}, used, ciphertext)
		return nil
	})
	return wrapped, finish(err)
}

func (r *root) Unwrap(ctx context.Context, aad, wrapped []byte) ([]byte, error) {
	if len(wrapped) <= overhead || len(wrapped) > keys.MaxPlaintext+overhead || len(aad) > keys.MaxAAD || wrapped[0] != version {
		return nil, keys.ErrNotOurs(errors.New("size or version"))
	}
	var plaintext []byte
	err := r.token.with(func(s p11.SessionHandle) error {
		o, err := r.object(s)
		if err != nil {
			return err
		}
		params := p11.NewGCMParams(wrapped[1:1+ivBytes], keys.BoundAAD(aad), tagBytes*8)
		defer params.Free()
		if err := r.token.library.DecryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, o); err != nil {
			return err
		}
		plaintext, err = r.token.library.Decrypt(s, wrapped[1+ivBytes:])
		// A failed tag is ENCRYPTED_DATA_INVALID by the standard, GENERAL_ERROR in SoftHSM.
		if is(err, p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_GENERAL_ERROR, p11.CKR_ENCRYPTED_DATA_LEN_RANGE) {
			return keys.ErrNotOurs(err)
		}
		return err
	})
	if err != nil {
		return nil, finish(err)
	}
	return plaintext, nil
}

func (r *root) object(s p11.SessionHandle) (p11.ObjectHandle, error) {
	objects, err := r.token.find(s, rootClass(p11.NewAttribute(p11.CKA_LABEL, r.name), p11.NewAttribute(p11.CKA_ID, r.id)))
	if err != nil {
		return 0, err
	}
	if len(objects) != 1 {
		return 0, keys.ErrDestroyed()
	}
	return objects[0], nil
}

// finish gives every error of the library a kind.
func finish(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

// Format redacts under every verb.
func (r *root) Format(f fmt.State, _ rune) { io.WriteString(f, "root "+r.ID()+" "+redacted) }

// LogValue redacts in logs.
func (r *root) LogValue() slog.Value { return slog.StringValue("root " + r.ID() + " " + redacted) }

// MarshalText redacts in every encoding.
func (r *root) MarshalText() ([]byte, error) { return []byte("root " + r.ID() + " " + redacted), nil }
