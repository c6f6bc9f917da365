package record

import (
	"crypto/rand"
	"crypto/sha256"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
)

// Receipt is a keyholder's word that it holds batch notes. Statement of TypeReceipt.
//
// The notes of one call have one statement, over the root of a tree with a leaf for each. What is given out for a note is that statement and
// the way from its leaf to the root, so that it stands alone:
//
//	<statement> "." base64url(place (1 byte) ‖ 5 neighbours (32 bytes each), from the leaf up)
//
//	leaf = SHA-256(0 ‖ hash of the batch's signed statement)
//	node = SHA-256(1 ‖ left ‖ right)
//
// Receipts go to courts and parties and must not tell how busy the collector was: the tree always has MaxReceipts leaves, places are drawn at random,
// and leaves that stand for no note are random too.
type Receipt struct {
	Audience Digest    `json:"aud"`
	Issued   time.Time `json:"iat"`
	Notes    Digest    `json:"notes"` // root of the tree
	Party    string    `json:"party"`
}

const receiptLevels = 5

// MaxReceipts is how many notes one statement is for.
const MaxReceipts = 1 << receiptLevels

// SignReceipts gives a receipt for each of up to MaxReceipts batches, by the hash of its statement. Notes is filled in.
func SignReceipts(s *Signer, now time.Time, r Receipt, statements ...Digest) ([]string, error) {
	if len(statements) > MaxReceipts {
		return nil, problem.New(problem.Internal, "more receipts than one statement is for")
	}
	var seed [32]byte
	rand.Read(seed[:]) // never fails (crypto/rand)
	places := mathrand.New(mathrand.NewChaCha8(seed)).Perm(MaxReceipts)
	tree := make([]Digest, 2*MaxReceipts) // node n is above 2n and 2n+1; 1 is the root
	for i, place := range places {
		if leaf := &tree[MaxReceipts+place]; i < len(statements) {
			*leaf = receiptLeaf(statements[i])
		} else {
			rand.Read(leaf[:])
		}
	}
	for n := MaxReceipts - 1; n > 0; n-- {
		tree[n] = receiptNode(tree[2*n], tree[2*n+1])
	}
	r.Notes = tree[1]
	statement, err := Sign(s, TypeReceipt, now, r)
	if err != nil {
		return nil, err
	}
	var receipts []string
	for i := range statements {
		way := []byte{byte(places[i])}
		for n := MaxReceipts + places[i]; n > 1; n /= 2 {
			way = append(way, tree[n^1][:]...)
		}
		receipts = append(receipts, statement+"."+strict64.EncodeToString(way))
	}
	return receipts, nil
}

func receiptLeaf(statement Digest) Digest { return sha256.Sum256(append([]byte{0}, statement[:]...)) }

func receiptNode(left, right Digest) Digest {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// SplitReceipt separates a receipt into the signed statement, which several may share, and the way from the note to it. Errors: problem.Invalid.
func SplitReceipt(raw string) (statement string, way []byte, err error) {
	cut := strings.LastIndexByte(raw, '.')
	way, err = strict64.DecodeString(raw[cut+1:])
	if cut < 0 || err != nil || len(way) != 1+32*receiptLevels || way[0] >= MaxReceipts || strict64.EncodeToString(way) != raw[cut+1:] {
		return "", nil, problem.Wrap(problem.Invalid, err, "this is not a receipt (a signed statement and the way to it, strict base64url)")
	}
	return raw[:cut], way, nil
}

// Holds reports whether a verified receipt is for the batch whose statement has the hash, by the way that SplitReceipt gave.
func (r Receipt) Holds(statement Digest, way []byte) bool {
	at := receiptLeaf(statement)
	for level := range receiptLevels {
		neighbour := Digest(way[1+32*level:])
		if way[0]>>level&1 == 0 {
			at = receiptNode(at, neighbour)
		} else {
			at = receiptNode(neighbour, at)
		}
	}
	return at == r.Notes
}
