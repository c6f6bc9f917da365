package keyholder

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// The shred ring is the only place where unit seeds and find secrets exist at rest. Pages of up to 256 secrets
// are encrypted under a page key, the page key under the ring's root of the generation;
// destroying that root destroys every page of the generation in every copy there is.
//
// A secret is never in another row, a cache or an idempotency record: each use unwraps its page again.
//
// Every page write requires the head at the version that was read, so no page of an old
// generation is written after the head has moved on.

// ringHead says where secrets go.
type ringHead struct {
	Generation int    `json:"generation"`
	Pages      int    `json:"pages"`
	Root       string `json:"root"`
	State      string `json:"state"` // open; closing and written belong to destruction
}

// ringPage is a row: the page key wrapped by the root, and the secrets sealed by it.
type ringPage struct {
	Generation int    `json:"generation"`
	Sealed     []byte `json:"sealed"` // 12-byte nonce, AES-256-GCM
	Wrapped    []byte `json:"wrapped"`
}

// secret is one entry of a page.
type secret struct {
	Name  record.Digest `json:"name"`
	Value []byte        `json:"value"` // 32 bytes
}

// pageSize is how many secrets a page holds.
const pageSize = 256

const ringOpen = "open"

func pageName(n int) string { return fmt.Sprintf("ring/page/%d", n) }

// pageAAD binds a page to its place and generation.
func (k *Keyholder) pageAAD(generation, page int) []byte {
	return fmt.Appendf(nil, "arca/v1/ring/%s/%d/%d", k.cfg.Party, generation, page)
}

// keep puts secrets on one page of the ring within the change and says which page.
func (c *change) keep(list ...secret) (int, error) {
	head := ringHead{Generation: 1, Root: ringRoot, State: ringOpen}
	found, err := c.load("ring/head", &head)
	if err != nil {
		return 0, err
	}
	if head.State != ringOpen {
		return 0, problem.New(problem.Unavailable, "a destruction is under way; new units are made when it is finished, try again in a minute")
	}
	page, kept := max(head.Pages, 1), []secret(nil)
	if !found {
		if here, err := c.load(pageName(page), &ringPage{}); err != nil || here {
			return 0, lost(err, "the ring has a page and no head")
		}
		// Only a ring that never was gets a root: a root that was destroyed must not come back under its name.
		if _, err := keys.OpenOrCreate(c.ctx, c.k.cfg.Roots, head.Root); err != nil {
			return 0, err
		}
	} else {
		if kept, err = c.openPage(head, page); err != nil {
			return 0, err
		}
	}
	for _, s := range list {
		if slices.ContainsFunc(kept, func(k secret) bool { return k.Name == s.Name }) {
			return 0, lost(nil, "a secret is made twice")
		}
	}
	if len(kept)+len(list) > pageSize {
		page, kept = page+1, nil
	}
	if head.Pages != page {
		head.Pages = page
		if err := c.put("ring/head", head); err != nil {
			return 0, err
		}
	} else {
		c.require("ring/head")
	}
	return page, c.sealPage(head, page, append(kept, list...))
}

func (c *change) openPage(head ringHead, page int) ([]secret, error) {
	var row ringPage
	found, err := c.load(pageName(page), &row)
	if err != nil || !found {
		return nil, lost(err, "the ring's last page is missing")
	}
	return c.k.unsealPage(c.ctx, head, page, row)
}

// errLost marks what lost says, for update.
var errLost = errors.New("rows contradict each other")

// lost refuses to write where a row must be that is not there: its storage took it away, and may put it back. Writing anew
// would destroy for good what that row still holds.
func lost(cause error, what string) error {
	return problem.Wrap(problem.Internal, errors.Join(errLost, errors.New(what), cause), "a record of this keyholder's keys is missing, and nothing is written in its place; tell the operator: the rows need to be restored")
}

// sealPage writes a page under a fresh page key, so that a nonce is never used twice under one key.
func (c *change) sealPage(head ringHead, page int, list []secret) error {
	if _, err := c.load(pageName(page), &ringPage{}); err != nil {
		return err
	}
	root, err := c.k.cfg.Roots.Open(c.ctx, head.Root)
	if err != nil {
		return err
	}
	aad, key := c.k.pageAAD(head.Generation, page), random(32)
	wrapped, err := root.Wrap(c.ctx, aad, key)
	if err != nil {
		return err
	}
	plain, err := record.Marshal(list)
	if err != nil {
		return err
	}
	gcm, err := newGCM(key)
	if err != nil {
		return err
	}
	nonce := random(gcm.NonceSize())
	return c.put(pageName(page), ringPage{
		Generation: head.Generation, Sealed: gcm.Seal(nonce, nonce, plain, aad), Wrapped: wrapped,
	})
}

func (k *Keyholder) unsealPage(ctx context.Context, head ringHead, page int, row ringPage) ([]secret, error) {
	damaged := func(cause error) ([]secret, error) {
		return nil, problem.Wrap(problem.Internal, cause, "a page of the shred ring does not open; tell the operator: rows and root do not belong together")
	}
	if row.Generation != head.Generation {
		return damaged(errors.New("page of another generation"))
	}
	root, err := k.cfg.Roots.Open(ctx, head.Root)
	if err != nil {
		return nil, err
	}
	aad := k.pageAAD(head.Generation, page)
	key, err := root.Unwrap(ctx, aad, row.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("ring page: %w", err)
	}
	defer clear(key)
	gcm, err := newGCM(key)
	if err != nil || len(row.Sealed) < gcm.NonceSize() {
		return damaged(err)
	}
	plain, err := gcm.Open(nil, row.Sealed[:gcm.NonceSize()], row.Sealed[gcm.NonceSize():], aad)
	if err != nil {
		return damaged(err)
	}
	defer clear(plain)
	var list []secret
	if err := unmarshalRow(plain, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// opened is the secrets of some pages while one job needs them.
type opened map[int][]secret

// take gives a secret of one of the pages.
func (o opened) take(page int, name record.Digest) ([]byte, error) {
	i := slices.IndexFunc(o[page], func(s secret) bool { return s.Name == name })
	if i < 0 || len(o[page][i].Value) != 32 {
		return nil, problem.New(problem.Gone, "the key of this unit no longer exists")
	}
	return o[page][i].Value, nil
}

// forget wipes them.
func (o opened) forget() {
	for _, list := range o {
		for _, s := range list {
			clear(s.Value)
		}
	}
}

// pages unwraps pages of the ring, each once. The caller forgets what it gets.
func (k *Keyholder) pages(ctx context.Context, numbers []int) (opened, error) {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	kept := opened{}
	for some := range slices.Chunk(numbers, pagesAtOnce) {
		names := []string{"ring/head"}
		for _, n := range some {
			names = append(names, pageName(n))
		}
		rows, err := k.rows.Get(ctx, names...)
		if err != nil {
			return kept, err
		}
		var head ringHead
		list := make([]ringPage, len(some))
		into := map[string]any{"ring/head": &head}
		for i, n := range some {
			into[pageName(n)] = &list[i]
		}
		if err := unmarshalRows(rows, into); err != nil {
			return kept, err
		}
		for i, n := range some {
			if kept[n], err = k.unsealPage(ctx, head, n, list[i]); err != nil {
				return kept, err
			}
		}
	}
	return kept, nil
}

// pagesAtOnce is how many pages one read fetches.
const pagesAtOnce = 20

// secrets fetches named secrets of one page.
func (k *Keyholder) secrets(ctx context.Context, page int, names ...record.Digest) ([][]byte, error) {
	kept, err := k.pages(ctx, []int{page})
	defer kept.forget()
	if err != nil {
		return nil, err
	}
	var values [][]byte
	for _, name := range names {
		value, err := kept.take(page, name)
		if err != nil {
			return nil, err
		}
		values = append(values, slices.Clone(value))
	}
	return values, nil
}

// unmarshalRows reads rows that must all be there.
func unmarshalRows(rows map[string]store.Row, into map[string]any) error {
	for name, v := range into {
		row, ok := rows[name]
		if !ok {
			return problem.Wrap(problem.Internal, errors.New("missing row "+name), "a record that must exist is missing; tell the operator: the rows need to be restored")
		}
		if err := unmarshalRow(row.Value, v); err != nil {
			return err
		}
	}
	return nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
