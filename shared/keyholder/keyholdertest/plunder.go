// Package keyholdertest is for tests. It plunders keyholders: given copies of a keyholder's rows from whatever times, and the roots
// that still exist, it opens all that can be opened, knowing every format (docs/formats.md) and sharing no code with what wrote them.
//
// It tries more than the keyholder does: each secret that it finds is tried as a unit's seed, as a batch's secret and as a half, of every recording,
// so that a secret which should not have been kept is found wherever it was put.
package keyholdertest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sealed"
)

// Loot is what somebody got hold of.
type Loot struct {
	Party seal.Role
	Rows  []store.Rows // dumps of one keyholder's rows, of any time
	Roots keys.Roots   // those that still exist
}

// Half names a half of a recording.
type Half struct {
	Batch     seal.BatchID
	Recording seal.RecordingID
	Class     seal.Class
}

// Spoils is what was opened.
type Spoils struct {
	Halves map[Half]bool
	Seeds  int // secrets that open a batch
	Pages  int // pages that opened, by dump
	Closed int // pages that did not
}

type head struct {
	Generation int
	Key        []byte
	Root       string
	Next       struct {
		Generation int
		Key        []byte
		Root       string
	}
}

type plunderer struct {
	loot    Loot
	heads   []head
	pages   map[string][][]byte // by name
	notes   []*seal.Note
	secrets map[[32]byte]bool
	out     Spoils
}

// Plunder opens what can be opened.
func Plunder(ctx context.Context, loot Loot) (Spoils, error) {
	p := &plunderer{loot: loot, pages: map[string][][]byte{}, secrets: map[[32]byte]bool{}, out: Spoils{Halves: map[Half]bool{}}}
	for _, rows := range loot.Rows {
		if err := p.read(ctx, rows); err != nil {
			return p.out, err
		}
	}
	ringKeys, err := p.ringKeys(ctx)
	if err != nil {
		return p.out, err
	}
	p.openPages(ringKeys)
	return p.out, p.tryAll()
}

// read takes every row that bears on keys. The row key stays in use for ever, so all rows are readable.
func (p *plunderer) read(ctx context.Context, rows store.Rows) error {
	found, err := rows.Get(ctx, "row-key")
	if err != nil {
		return err
	}
	base, err := p.loot.Roots.Open(ctx, "base")
	if err != nil {
		return err
	}
	rowKey, err := base.Unwrap(ctx, []byte("arca/v1/row-key/"+string(p.loot.Party)), found["row-key"].Value)
	if err != nil {
		return err
	}
	only := without{rows, "row-key"}
	return sealed.New(only, [32]byte(rowKey)).Scan(ctx, 0, 1, func(row store.Row) error {
		switch kind, _, _ := strings.Cut(row.Key, "/"); kind {
		case "ring":
			if row.Key != "ring/head" {
				p.pages[row.Key] = append(p.pages[row.Key], row.Value)
				return nil
			}
			var h head
			p.heads = append(p.heads, h)
			return json.Unmarshal(row.Value, &p.heads[len(p.heads)-1])
		case "batch":
			note, err := seal.ParseNote(row.Value)
			p.notes = append(p.notes, note)
			return err
		}
		return nil
	})
}

// without is rows without the one that is not sealed by the row key.
type without struct {
	store.Rows
	key string
}

func (w without) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	return w.Rows.Scan(ctx, segment, segments, func(row store.Row) error {
		if row.Key == w.key {
			return nil
		}
		return yield(row)
	})
}

// ringKeys tries every wrapped ring key with every root there is, whatever its name.
func (p *plunderer) ringKeys(ctx context.Context) ([][]byte, error) {
	names, err := p.loot.Roots.Names(ctx)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	try := func(generation int, wrapped []byte) error {
		for _, name := range names {
			root, err := p.loot.Roots.Open(ctx, name)
			if err != nil {
				return err
			}
			key, err := root.Unwrap(ctx, fmt.Appendf(nil, "arca/v1/ring/%s/%d", p.loot.Party, generation), wrapped)
			if err == nil {
				found = append(found, key)
			} else if problem.KindOf(err) != problem.Invalid {
				return err
			}
		}
		return nil
	}
	for _, h := range p.heads {
		if err := try(h.Generation, h.Key); err != nil {
			return nil, err
		}
		if h.Next.Generation > 0 {
			if err := try(h.Next.Generation, h.Next.Key); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

var pageNumber = regexp.MustCompile(`^ring/(?:page|copy)/[01]/([0-9]+)$`)

func (p *plunderer) openPages(ringKeys [][]byte) {
	for name, raws := range p.pages {
		number := pageNumber.FindStringSubmatch(name)
		for _, raw := range raws {
			if number != nil && p.openPage(number[1], raw, ringKeys) {
				p.out.Pages++
			} else {
				p.out.Closed++
			}
		}
	}
}

// openPage tries a page with every ring key, whatever generation the key is of.
func (p *plunderer) openPage(number string, raw []byte, ringKeys [][]byte) bool {
	if len(raw) < 37 {
		return false
	}
	info := fmt.Sprintf("arca/v1/ring/%s/%d/%s", p.loot.Party, binary.BigEndian.Uint32(raw[1:]), number)
	for _, ringKey := range ringKeys {
		key, err := hkdf.Key(sha256.New, ringKey, raw[5:37], info, 32)
		if err != nil {
			return false
		}
		block, _ := aes.NewCipher(key) // 32 bytes are a key
		gcm, _ := cipher.NewGCM(block)
		plain, err := gcm.Open(nil, make([]byte, 12), raw[37:], []byte(info))
		if err != nil {
			continue
		}
		for ; len(plain) >= 48; plain = plain[48:] {
			p.secrets[[32]byte(plain[16:48])] = true
		}
		return true
	}
	return false
}

// tryAll tries every secret as everything that it could be.
func (p *plunderer) tryAll() error {
	commitments := map[[32]byte]Half{}
	for _, n := range p.notes {
		for _, m := range n.Members {
			for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
				commitments[m.Commitments.Of(p.loot.Party, class)] = Half{n.Statement.Batch, m.Recording, class}
			}
		}
	}
	hit := func(half [32]byte) {
		if of, ok := commitments[sha256.Sum256(half[:])]; ok {
			p.out.Halves[of] = true
		}
	}
	derive := func(n *seal.Note, shared seal.BatchSecret) {
		for _, m := range n.Members {
			c := seal.ContextOf(m.Recording, n.Statement.Batch, n.Statement.Unit)
			for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
				hit(seal.DeriveHalf(shared, p.loot.Party, class, c))
			}
		}
	}
	for value := range p.secrets {
		hit(value)
		key, err := seal.NewUnitKey(seal.Seed(value))
		if err != nil {
			return err
		}
		for _, n := range p.notes {
			derive(n, seal.BatchSecret(value))
			shared, err := seal.OpenBatch(p.loot.Party, key, n.Statement.Batch, n.Statement.Unit, n.Sealed)
			if err == nil {
				p.out.Seeds++
				derive(n, shared)
			}
		}
	}
	return nil
}
