package keyholder

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// The shred ring is the only place where unit seeds, find secrets and kept halves exist at rest. Pages of up to 256 secrets are
// encrypted under the ring key of their generation, and the ring key stands in the head, wrapped by the generation's root; destroying that root
// destroys every page of the generation in every copy there is. How a generation follows another stands in shred.go.
//
// A secret is never in another row, a cache or an idempotency record: each use unwraps the ring key and opens its page again.
//
// Every page write requires the head at the version that was read, so no page of an old
// generation is written after the head has moved on.
//
// A page is a row twice, under ring/page/ and ring/copy/, so that a damaged or lost row loses nothing. Generations take turns in two slots: what is
// written for the next one overwrites the one before last, whose root is gone. The bytes of both rows:
//
//	1 byte    0x01
//	4 bytes   generation
//	32 bytes  salt, fresh at every write
//	n·48      AES-256-GCM of n secrets: name[16] ‖ value[32]
//	16 bytes  tag
//
// with key = HKDF-SHA-256(ring key, salt, info) and AAD = info = "arca/v1/ring/<party>/<generation>/<page>". A key encrypts one page once, so its
// nonce is 12 zero bytes.

// ringHead says where secrets go.
type ringHead struct {
	Generation int             `json:"generation"`
	Jobs       []record.Digest `json:"jobs,omitempty"` // decisions that are being carried out; in an open ring, whose certificates are to be posted
	Key        []byte          `json:"key"`            // ring key, wrapped by Root
	Last       int             `json:"last"`           // highest generation that was ever begun: a root's name is used once
	Next       ringNext        `json:"next,omitzero"`  // closing, written: the generation that is being written
	Old        string          `json:"old,omitzero"`   // root that is to be destroyed: switched, or open after it was undone
	OldID      string          `json:"oldID,omitzero"` // its id, for the certificate
	Pages      int             `json:"pages"`
	Root       string          `json:"root"`
	Slot       int             `json:"slot"` // 0 or 1
	State      string          `json:"state"`
}

// ringNext is a generation that does not count yet.
type ringNext struct {
	Generation int    `json:"generation"`
	Key        []byte `json:"key"`
	Pages      int    `json:"pages"`
	Root       string `json:"root"`
}

// States of the ring. Only an open ring takes new secrets.
const (
	ringOpen     = "open"
	ringClosing  = "closing"  // the next generation is being written; can be undone
	ringWritten  = "written"  // it was read back whole; can be undone
	ringSwitched = "switched" // it counts; the old root is being destroyed. The point of no return lies before this
)

// place tells pages of one generation from those of another.
type ringPlace struct {
	generation, slot int
}

func (h ringHead) place() ringPlace     { return ringPlace{h.Generation, h.Slot} }
func (h ringHead) nextPlace() ringPlace { return ringPlace{h.Next.Generation, 1 - h.Slot} }

// secretName is the name of a secret in its page: 16 bytes of a hash.
type secretName [16]byte

func nameSecret(kind string, of ...[]byte) secretName {
	sum := sha256.Sum256(append([]byte(kind+" "), bytes.Join(of, nil)...))
	return secretName(sum[:16])
}

// secret is one entry of a page.
type secret struct {
	name  secretName
	value [32]byte
}

const (
	pageSize    = 256 // secrets in a page
	secretBytes = 16 + 32
	pageVersion = 1
	pageHead    = 1 + 4 + 32
	ringHeadRow = "ring/head"
)

func (p ringPlace) pageName(n int) string { return fmt.Sprintf("ring/page/%d/%d", p.slot, n) }
func (p ringPlace) copyName(n int) string { return fmt.Sprintf("ring/copy/%d/%d", p.slot, n) }

// pageAAD binds a page to its place and generation.
func (k *Keyholder) pageAAD(generation, page int) []byte {
	return fmt.Appendf(nil, "arca/v1/ring/%s/%d/%d", k.cfg.Party, generation, page)
}

// ringKeyAAD binds a ring key to its generation.
func (k *Keyholder) ringKeyAAD(generation int) []byte {
	return fmt.Appendf(nil, "arca/v1/ring/%s/%d", k.cfg.Party, generation)
}

func rootName(generation int) string { return fmt.Sprintf("ring-%d", generation) }

// keep puts secrets on one page of the ring within the change and says which page.
func (c *change) keep(list ...secret) (int, error) {
	head, err := c.openHead()
	if err != nil {
		return 0, err
	}
	key, err := c.k.ringKey(c.ctx, head.Generation, head.Root, head.Key)
	if err != nil {
		return 0, err
	}
	defer clear(key)
	page, kept := max(head.Pages, 1), []secret(nil)
	if head.Pages > 0 {
		if kept, err = c.openPage(head, key, page); err != nil {
			return 0, err
		}
	}
	for _, s := range list {
		if slices.ContainsFunc(kept, func(k secret) bool { return k.name == s.name }) {
			return 0, lost(nil, "a secret is made twice")
		}
	}
	if len(kept)+len(list) > pageSize {
		page, kept = page+1, nil
	}
	if head.Pages != page {
		head.Pages = page
		if err := c.put(ringHeadRow, head); err != nil {
			return 0, err
		}
	} else {
		c.require(ringHeadRow)
	}
	return page, c.sealPage(head.place(), key, page, append(kept, list...))
}

// openHead gives the head of a ring that takes secrets, the first one's included.
func (c *change) openHead() (ringHead, error) {
	var head ringHead
	found, err := c.load(ringHeadRow, &head)
	if err != nil {
		return head, err
	}
	if found && head.State != ringOpen {
		return head, problem.New(problem.Unavailable, "a destruction is under way; new units are made when it is finished, try again in a minute")
	}
	if found {
		return head, nil
	}
	head = ringHead{Generation: 1, Last: 1, Root: rootName(1), State: ringOpen}
	if here, err := c.loadBytes(head.place().pageName(1)); err != nil || here != nil {
		return head, lost(err, "the ring has a page and no head")
	}
	// Only a ring that never was gets a root: a root that was destroyed must not come back under its name.
	root, err := keys.OpenOrCreate(c.ctx, c.k.cfg.Roots, head.Root)
	if err != nil {
		return head, err
	}
	key := random(32)
	defer clear(key)
	head.Key, err = root.Wrap(c.ctx, c.k.ringKeyAAD(head.Generation), key)
	return head, err
}

// ringKey unwraps a generation's ring key.
func (k *Keyholder) ringKey(ctx context.Context, generation int, rootName string, wrapped []byte) ([]byte, error) {
	root, err := k.cfg.Roots.Open(ctx, rootName)
	if err != nil {
		if problem.KindOf(err) == problem.NotFound {
			err = problem.Wrap(problem.Unavailable, err, "the root key of these rows is not here: either a destruction replaces it just now, then try again; or it was destroyed and the rows are older than that, then restore newer rows")
		}
		return nil, err
	}
	key, err := root.Unwrap(ctx, k.ringKeyAAD(generation), wrapped)
	if err != nil {
		return nil, fmt.Errorf("ring key: %w", err)
	}
	if len(key) != 32 {
		return nil, damagedPage(errors.New("ring key of another size"))
	}
	return key, nil
}

func (c *change) openPage(head ringHead, key []byte, page int) ([]secret, error) {
	place := head.place()
	if err := c.look(place.pageName(page), place.copyName(page)); err != nil {
		return nil, err
	}
	rows := map[string]store.Row{}
	for _, name := range []string{place.pageName(page), place.copyName(page)} {
		if c.seen[name].Version > 0 {
			rows[name] = c.seen[name]
		}
	}
	list, err := c.k.readPage(place, key, page, rows)
	if err != nil {
		return nil, lost(err, "the ring's last page is missing")
	}
	return list, nil
}

// errLost marks what lost says, for update.
var errLost = errors.New("rows contradict each other")

// lost refuses to write where a row must be that is not there: its storage took it away, and may put it back. Writing anew
// would destroy for good what that row still holds.
func lost(cause error, what string) error {
	return problem.Wrap(problem.Internal, errors.Join(errLost, errors.New(what), cause), "a record of this keyholder's keys is missing, and nothing is written in its place; tell the operator: the rows need to be restored")
}

// sealPage writes a page and its copy.
func (c *change) sealPage(place ringPlace, key []byte, page int, list []secret) error {
	if err := c.look(place.pageName(page), place.copyName(page)); err != nil {
		return err
	}
	raw, err := c.k.encryptPage(place, key, page, list)
	if err != nil {
		return err
	}
	c.putBytes(place.pageName(page), raw)
	c.putBytes(place.copyName(page), raw)
	return nil
}

// encryptPage encrypts a page under a key of its own, which is never used again.
func (k *Keyholder) encryptPage(place ringPlace, key []byte, page int, list []secret) ([]byte, error) {
	raw := make([]byte, 0, pageHead+len(list)*secretBytes+16)
	raw = append(raw, pageVersion)
	raw = binary.BigEndian.AppendUint32(raw, uint32(place.generation))
	raw = append(raw, random(32)...)
	gcm, aad, err := k.pageCipher(place.generation, key, page, raw)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, len(list)*secretBytes)
	for _, s := range list {
		plain = append(append(plain, s.name[:]...), s.value[:]...)
	}
	defer clear(plain)
	return gcm.Seal(raw, make([]byte, gcm.NonceSize()), plain, aad), nil
}

func (k *Keyholder) pageCipher(generation int, key []byte, page int, raw []byte) (cipher.AEAD, []byte, error) {
	aad := k.pageAAD(generation, page)
	own, err := hkdf.Key(sha256.New, key, raw[5:pageHead], string(aad), 32)
	if err != nil {
		return nil, nil, err
	}
	defer clear(own)
	gcm, err := newGCM(own)
	return gcm, aad, err
}

func damagedPage(cause error) error {
	return problem.Wrap(problem.Internal, cause, "a page of the shred ring does not open; tell the operator: rows and root do not belong together")
}

func (k *Keyholder) decryptPage(place ringPlace, key []byte, page int, raw []byte) ([]secret, error) {
	if len(raw) < pageHead+16 || raw[0] != pageVersion || binary.BigEndian.Uint32(raw[1:]) != uint32(place.generation) {
		return nil, damagedPage(errors.New("page of another generation or version"))
	}
	gcm, aad, err := k.pageCipher(place.generation, key, page, raw)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), raw[pageHead:], aad)
	if err != nil || len(plain)%secretBytes != 0 || len(plain) > pageSize*secretBytes {
		return nil, damagedPage(err)
	}
	defer clear(plain)
	list := make([]secret, len(plain)/secretBytes)
	for i := range list {
		entry := plain[i*secretBytes:]
		list[i] = secret{secretName(entry[:16]), [32]byte(entry[16:secretBytes])}
	}
	return list, nil
}

// readPage opens a page from whichever of its two rows opens.
func (k *Keyholder) readPage(place ringPlace, key []byte, page int, rows map[string]store.Row) ([]secret, error) {
	err := error(nil)
	for _, name := range []string{place.pageName(page), place.copyName(page)} {
		row, ok := rows[name]
		if !ok {
			err = errors.Join(err, errors.New("missing row "+name))
			continue
		}
		list, cause := k.decryptPage(place, key, page, row.Value)
		if cause == nil {
			return list, nil
		}
		err = errors.Join(err, cause)
	}
	return nil, damagedPage(err)
}

// opened is the secrets of some pages while one job needs them.
type opened map[int][]secret

// find gives a secret of one of the pages.
func (o opened) find(page int, name secretName) ([32]byte, bool) {
	i := slices.IndexFunc(o[page], func(s secret) bool { return s.name == name })
	if i < 0 {
		return [32]byte{}, false
	}
	return o[page][i].value, true
}

// take is find for a secret without which nothing goes on.
func (o opened) take(page int, name secretName) ([32]byte, error) {
	value, ok := o.find(page, name)
	if !ok {
		return value, destroyed()
	}
	return value, nil
}

// destroyed is the answer to what would need a secret that no longer exists.
func destroyed() error {
	return problem.New(problem.Gone, "the key of this unit or recording no longer exists: it was destroyed on a judge's order, for good")
}

// forget wipes them.
func (o opened) forget() {
	for _, list := range o {
		clear(list)
	}
}

// pages opens pages of the ring, each once. The caller forgets what it gets.
func (k *Keyholder) pages(ctx context.Context, numbers []int) (opened, error) {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	kept := opened{}
	for some := range slices.Chunk(numbers, pagesAtOnce) {
		// The head is read once more with each group: a page read beside it is of its generation or does not open.
		var head ringHead
		if found, err := k.read(ctx, ringHeadRow, &head); err != nil || !found {
			return kept, noHead(err)
		}
		key, err := k.ringKey(ctx, head.Generation, head.Root, head.Key)
		if err != nil {
			return kept, err
		}
		err = k.eachPage(ctx, head.place(), key, some, func(n int, list []secret) error {
			kept[n] = list
			return nil
		})
		clear(key)
		if err != nil {
			return kept, err
		}
	}
	return kept, nil
}

func noHead(err error) error {
	if err != nil {
		return err
	}
	return problem.Wrap(problem.Internal, errors.New("missing row "+ringHeadRow), "a record that must exist is missing; tell the operator: the rows need to be restored")
}

// pagesAtOnce is how many pages one read fetches, with their copies.
const pagesAtOnce = 40

// eachPage opens pages of one generation, pagesAtOnce of them or fewer.
func (k *Keyholder) eachPage(ctx context.Context, place ringPlace, key []byte, numbers []int, yield func(n int, list []secret) error) error {
	var names []string
	for _, n := range numbers {
		names = append(names, place.pageName(n))
	}
	rows, err := k.rows.Get(ctx, names...)
	if err != nil && problem.KindOf(err) != problem.Internal {
		return err
	}
	for _, n := range numbers {
		list, err := k.readPage(place, key, n, rows)
		if err != nil {
			if list, err = k.rescuePage(ctx, place, key, n); err != nil {
				return err
			}
		}
		if err := yield(n, list); err != nil {
			return err
		}
	}
	return nil
}

// rescuePage reads a page row by row, for one that is damaged or missing: each may have been altered from outside.
func (k *Keyholder) rescuePage(ctx context.Context, place ringPlace, key []byte, n int) ([]secret, error) {
	rows := map[string]store.Row{}
	var all error
	for _, name := range []string{place.pageName(n), place.copyName(n)} {
		found, err := k.rows.Get(ctx, name)
		if err != nil && problem.KindOf(err) != problem.Internal {
			return nil, err
		}
		all = errors.Join(all, err)
		if row, ok := found[name]; ok {
			rows[name] = row
		}
	}
	list, err := k.readPage(place, key, n, rows)
	if err != nil {
		return nil, damagedPage(errors.Join(err, all))
	}
	return list, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
