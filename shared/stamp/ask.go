package stamp

import (
	"crypto/sha256"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"arca.example/arca/shared/problem"
)

// MediaQuery and MediaReply are the types of RFC 3161, section 3.4.
const (
	MediaQuery = "application/timestamp-query"
	MediaReply = "application/timestamp-reply"
)

// MaxReply is the longest answer of an authority that anyone reads, in bytes.
const MaxReply = MaxToken + 4096

// Query is a question to one authority.
type Query struct {
	DER []byte // to be posted as MediaQuery

	authority  authority
	checkpoint []byte
	nonce      *big.Int
}

// Ask makes the query for a checkpoint to the authority at a place in the
// trust file. random is fresh: with it an old answer cannot be given again.
func (v *Verifier) Ask(place int, checkpoint []byte, random [16]byte) (Query, error) {
	if place < 0 || place >= len(v.authorities) {
		return Query{}, problem.New(problem.Invalid, "the trust file names no such time-stamping authority")
	}
	q := Query{authority: v.authorities[place], checkpoint: checkpoint, nonce: new(big.Int).SetBytes(random[:])}
	imprint := sha256.Sum256(checkpoint)
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidSHA256)
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(imprint[:])
		})
		if q.authority.Policy != "" {
			b.AddASN1(casn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(q.authority.policy) })
		}
		b.AddASN1BigInt(q.nonce)
		b.AddASN1Boolean(true) // send the certificates too: nobody must look for them in ten years
	})
	var err error
	q.DER, err = b.Bytes()
	return q, err
}

// Answer takes an authority's reply and gives the token, verified, if it
// answers just this query.
func (v *Verifier) Answer(q Query, reply []byte, now time.Time) (token []byte, facts Facts, err error) {
	if token, err = openReply(reply); err != nil {
		return nil, Facts{}, err
	}
	t, err := parse(token)
	if err != nil {
		return nil, Facts{}, err
	}
	if t.info.nonce == nil || t.info.nonce.Cmp(q.nonce) != 0 {
		return nil, Facts{}, refusal(ErrOther, "the authority answered another query: the nonce is not ours")
	}
	if facts, err = v.Verify(token, q.checkpoint, now); err != nil {
		return nil, Facts{}, err
	}
	if facts.Authority != q.authority.Name {
		return nil, Facts{}, refusal(ErrOther, "another authority answered than was asked; check the order of the addresses")
	}
	return token, facts, nil
}

// openReply reads a TimeStampResp: granted (0) or granted with modifications (1), and the token.
func openReply(reply []byte) ([]byte, error) {
	if len(reply) > MaxReply {
		return nil, problem.New(problem.Unavailable, "the authority's answer has more than %d bytes", MaxReply)
	}
	var outer, status, rest cryptobyte.String
	var tag casn1.Tag
	var code int
	in := cryptobyte.String(reply)
	if !in.ReadASN1(&outer, casn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&status, casn1.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, problem.New(problem.Unavailable, "the authority's answer is not a reply of RFC 3161; check its address")
	}
	if code != 0 && code != 1 {
		return nil, problem.New(problem.Unavailable, "the authority refused to stamp (status %d of RFC 3161)", code)
	}
	if !outer.ReadAnyASN1Element(&rest, &tag) || !outer.Empty() {
		return nil, problem.New(problem.Unavailable, "the authority granted and sent no timestamp")
	}
	return rest, nil
}
