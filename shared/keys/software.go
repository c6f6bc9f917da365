package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

const (
	wrapVersion  = 1
	wrapOverhead = 1 + 12 + 16
)

// softRoot is an AES-256-GCM root in this process's memory.
type softRoot struct {
	id string

	mu  sync.RWMutex
	key []byte // nil once destroyed
}

func newSoftRoot(id string, key []byte) *softRoot { return &softRoot{id: id, key: key} }

func (r *softRoot) ID() string { return r.id }

func (r *softRoot) Wrap(ctx context.Context, aad, plaintext []byte) ([]byte, error) {
	if err := CheckWrap(aad, plaintext); err != nil {
		return nil, err
	}
	aead, err := r.aead()
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{wrapVersion}, nil, plaintext, BoundAAD(aad)), nil
}

func (r *softRoot) Unwrap(ctx context.Context, aad, wrapped []byte) ([]byte, error) {
	if len(wrapped) <= wrapOverhead || len(wrapped) > MaxPlaintext+wrapOverhead || len(aad) > MaxAAD || wrapped[0] != wrapVersion {
		return nil, ErrNotOurs(errors.New("size or version"))
	}
	aead, err := r.aead()
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, wrapped[1:], BoundAAD(aad))
	if err != nil {
		return nil, ErrNotOurs(err)
	}
	return plaintext, nil
}

func (r *softRoot) aead() (cipher.AEAD, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.key == nil {
		return nil, ErrDestroyed()
	}
	block, err := aes.NewCipher(r.key)
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// forget overwrites the key. Copies that the runtime or a running Wrap made are
// beyond reach; the process's end removes them.
func (r *softRoot) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.key)
	r.key = nil
}

// Format redacts under every verb; the ID is not secret.
func (r *softRoot) Format(f fmt.State, _ rune) { io.WriteString(f, "root "+r.id+" "+redacted) }

// LogValue redacts in logs.
func (r *softRoot) LogValue() slog.Value { return slog.StringValue("root " + r.id + " " + redacted) }

// MarshalText redacts in every encoding.
func (r *softRoot) MarshalText() ([]byte, error) { return []byte("root " + r.id + " " + redacted), nil }
