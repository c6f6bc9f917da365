package seal

import (
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"

	"arca.example/arca/shared/problem"
)

// batchInfo binds c_role to its role, batch and unit.
func batchInfo(role Role, batch BatchID, unit Unit) []byte {
	return bind("arca/v1/batch", []byte(role), batch[:], unit.Bytes())
}

// releaseInfo binds a sealed half to keyholder, request, recording and class.
func releaseInfo(role Role, request [32]byte, ctx Context, class Class) []byte {
	return bind("arca/v1/release", []byte(role), request[:], ctx[:], []byte(class))
}

// releaseFindInfo binds a sealed find secret to keyholder, request and unit. It
// cannot equal a releaseInfo: "find" is no class, and a unit is longer than a ctx.
func releaseFindInfo(role Role, request [32]byte, unit Unit) []byte {
	return bind("arca/v1/release", []byte(role), request[:], unit.Bytes(), []byte("find"))
}

// findInfo binds the find secret that the court hands to the custodian to its unit.
func findInfo(unit Unit) []byte { return bind("arca/v1/find", unit.Bytes()) }

// OpenBatch opens c_role with a keyholder's unit key. It is refused unless role,
// batch and unit are those that the collector sealed it for.
func OpenBatch(role Role, unitKey hpke.PrivateKey, batch BatchID, unit Unit, sealed []byte) (BatchSecret, error) {
	if err := checkRole(role, unit); err != nil {
		return BatchSecret{}, err
	}
	b, err := openSecret(unitKey, batchInfo(role, batch, unit), sealed, "sealed batch secret")
	return BatchSecret(b), err
}

// DeriveHalf gives half_role(class) = HKDF(b_role, salt ctx, "arca/v1/half/"‖role‖"/"‖class).
func DeriveHalf(secret BatchSecret, role Role, class Class, ctx Context) Half {
	return derive(secret[:], ctx, halfInfo(role, class))
}

func halfInfo(role Role, class Class) string {
	return "arca/v1/half/" + string(role) + "/" + string(class)
}

// deriveHalves gives both of a role's halves of a recording. They share HKDF's extraction: secret and salt are the same.
func deriveHalves(secret BatchSecret, role Role, ctx Context) (index, content Half) {
	prk, err := hkdf.Extract(sha256.New, secret[:], ctx[:])
	if err != nil {
		panic("seal: HKDF refused to extract: " + err.Error())
	}
	defer clear(prk)
	return expandHalf(prk, role, IndexClass), expandHalf(prk, role, ContentClass)
}

func expandHalf(prk []byte, role Role, class Class) (half Half) {
	b, err := hkdf.Expand(sha256.New, prk, halfInfo(role, class), len(half))
	if err != nil {
		panic("seal: HKDF refused 32 bytes: " + err.Error())
	}
	copy(half[:], b)
	clear(b)
	return half
}

// Commitment is SHA-256 of a half. A half is 32 bytes of HKDF output, so its
// hash tells nothing about it and no second half has the same.
func Commitment(half Half) [32]byte { return sha256.Sum256(half[:]) }

// Commitments are the four that a descriptor and a note carry for a recording.
type Commitments struct {
	CourtIndex, CourtContent, CustodianIndex, CustodianContent [32]byte
}

// Of gives the commitment to half_role(class); zero for an unknown role or class,
// which no half has.
func (c Commitments) Of(role Role, class Class) [32]byte {
	switch {
	case role == Court && class == IndexClass:
		return c.CourtIndex
	case role == Court && class == ContentClass:
		return c.CourtContent
	case role == Custodian && class == IndexClass:
		return c.CustodianIndex
	case role == Custodian && class == ContentClass:
		return c.CustodianContent
	}
	return [32]byte{}
}

// Check refuses a half that is not the one the collector committed to.
func (c Commitments) Check(role Role, class Class, half Half) error {
	if !role.Valid() || !class.Valid() || !equal32(Commitment(half), c.Of(role, class)) {
		return problem.New(problem.Denied, "a half does not match the collector's commitment; tell the keyholder that released it")
	}
	return nil
}

func (c Commitments) append(dst []byte) []byte {
	dst = append(dst, c.CourtIndex[:]...)
	dst = append(dst, c.CourtContent[:]...)
	dst = append(dst, c.CustodianIndex[:]...)
	return append(dst, c.CustodianContent[:]...)
}

func (c *Commitments) read(from *cursor) {
	from.copyTo(c.CourtIndex[:])
	from.copyTo(c.CourtContent[:])
	from.copyTo(c.CustodianIndex[:])
	from.copyTo(c.CustodianContent[:])
}

// SealHalf seals a half to a request's key: version ‖ suite ‖ HPKE, ReleasedSize
// bytes. Nothing in it authenticates the keyholder: the release is signed.
func SealHalf(requestKey hpke.PublicKey, role Role, request [32]byte, ctx Context, class Class, half Half) ([]byte, error) {
	if !role.Valid() || !class.Valid() {
		return nil, unknownRole()
	}
	return sealReleased(requestKey, releaseInfo(role, request, ctx, class), half)
}

// OpenHalf opens what SealHalf sealed. Combine checks it against the commitments.
func OpenHalf(requestKey hpke.PrivateKey, role Role, request [32]byte, ctx Context, class Class, sealed []byte) (Half, error) {
	if !role.Valid() || !class.Valid() {
		return Half{}, unknownRole()
	}
	b, err := openReleased(requestKey, releaseInfo(role, request, ctx, class), sealed, "sealed half")
	return Half(b), err
}

// SealFind seals a unit's find secret to a request's key.
func SealFind(requestKey hpke.PublicKey, role Role, request [32]byte, unit Unit, find Seed) ([]byte, error) {
	if err := checkRole(role, unit); err != nil {
		return nil, err
	}
	return sealReleased(requestKey, releaseFindInfo(role, request, unit), find)
}

// OpenFind opens what SealFind sealed.
func OpenFind(requestKey hpke.PrivateKey, role Role, request [32]byte, unit Unit, sealed []byte) (Seed, error) {
	if err := checkRole(role, unit); err != nil {
		return Seed{}, err
	}
	b, err := openReleased(requestKey, releaseFindInfo(role, request, unit), sealed, "sealed find secret")
	return Seed(b), err
}

// HandFind seals a unit's find secret from the court to the custodian's unit key.
// Nothing in it authenticates the court: the statement that carries it is signed.
func HandFind(custodianKey hpke.PublicKey, unit Unit, find Seed) ([]byte, error) {
	if err := unit.Check(); err != nil {
		return nil, err
	}
	return sealReleased(custodianKey, findInfo(unit), find)
}

// TakeFind opens what HandFind sealed.
func TakeFind(custodianKey hpke.PrivateKey, unit Unit, sealed []byte) (Seed, error) {
	if err := unit.Check(); err != nil {
		return Seed{}, err
	}
	b, err := openReleased(custodianKey, findInfo(unit), sealed, "sealed find secret")
	return Seed(b), err
}

// Combine gives K(class) from the two halves, after checking both against the
// commitments: HKDF(half_court‖half_custodian, salt ctx, "arca/v1/key/"‖class).
func Combine(class Class, ctx Context, commitments Commitments, court, custodian Half) (RecordingKey, error) {
	if err := commitments.Check(Court, class, court); err != nil {
		return RecordingKey{}, err
	}
	if err := commitments.Check(Custodian, class, custodian); err != nil {
		return RecordingKey{}, err
	}
	return combine(class, ctx, court, custodian), nil
}

func combine(class Class, ctx Context, court, custodian Half) RecordingKey {
	var both [64]byte
	copy(both[:32], court[:])
	copy(both[32:], custodian[:])
	defer clear(both[:])
	return derive(both[:], ctx, "arca/v1/key/"+string(class))
}

func sealReleased(key hpke.PublicKey, info []byte, secret [32]byte) ([]byte, error) {
	sealed, err := hpkeSeal(key, info, secret[:])
	if err != nil {
		return nil, err
	}
	return append([]byte{Version, Suite}, sealed...), nil
}

func openReleased(key hpke.PrivateKey, info, sealed []byte, what string) ([32]byte, error) {
	if len(sealed) != ReleasedSize || sealed[0] != Version || sealed[1] != Suite {
		return [32]byte{}, malformed(what)
	}
	return openSecret(key, info, sealed[2:], what)
}

func checkRole(role Role, unit Unit) error {
	if !role.Valid() {
		return unknownRole()
	}
	return unit.Check()
}

func unknownRole() error {
	return problem.New(problem.Invalid, "the role is court or custodian, the class index or content")
}
