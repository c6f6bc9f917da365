// Package seal makes and opens everything that hides a recording: units,
// batches, halves, content, descriptors, batch notes, header slots and packs.
// It does no I/O and keeps no state but what its values hold.
//
// # Promises
//
// What is sealed for one recording, batch, unit, keyholder, request, pack or slot
// opens nowhere else. A reader needs both halves of a class to open that class of
// that recording, and gets nothing else by them. Content that was cut, extended or
// reordered is refused. A parser accepts exactly one encoding of each value: it
// parses, encodes again and compares. Nothing of a batch is believed before its
// collector's signature was checked over all of it. The collector's side cannot
// seal twice under one key: encryptors and descriptions are given out once.
//
// # Trust
//
// The process's memory and randomness, and the collector while it seals. Not
// trusted: packs and whoever stores them, holders of the find key (they could
// write slots and areas, not signatures), notes and sealed secrets on their way.
//
// Nobody signs here but the collector. HPKE names no sender: that a half comes
// from the court, or a find secret, is for the signed statement that carries it.
// A header slot that was altered looks like one for somebody else; only a slot
// area that matches the witnessed log shows that nothing is there for a unit.
// Erasing overwrites what the package holds; the runtime may have copied it.
// GODEBUG=fips140=only refuses AES-GCM under nonces that are not drawn by the
// module, and with it this package.
//
// # Notation
//
// Integers are big-endian. lp(x) is uint32 length ‖ x. Numbers in bound strings
// are 8 bytes. H is SHA-256, HKDF is HKDF-SHA-256 with 32 bytes of output, GCM is
// AES-256-GCM with a 12-byte nonce and 16-byte tag. HPKE is single-shot
// crypto/hpke with X-Wing (ML-KEM-768 and X25519), HKDF-SHA-256 and AES-256-GCM:
// 1,120 bytes of encapsulation, then GCM. Version and suite are one byte each, 1
// and 1; where they do not appear, the label "arca/v1/…" or an enclosing slot or
// descriptor carries them.
//
// # Unit and context
//
//	unit    lp(order[32]) lp(week) lp(compartment) lp(classification)
//	ctx     H(lp("arca/v1/ctx") lp(recordingID[16]) lp(batchID[16]) lp(unit))
//
// week is "2026-W47" in ISO 8601, UTC. compartment and classification are 1 to 64
// of A-Z a-z 0-9 . _ -
//
// # Keys
//
//	c_role       HPKE(unit key of role, info = lp("arca/v1/batch") lp(role) lp(batchID) lp(unit), b_role[32])    1,168 bytes
//	half         HKDF(b_role, salt = ctx, info = "arca/v1/half/" role "/" class)
//	commitment   H(half)
//	K(class)     HKDF(half_court ‖ half_custodian, salt = ctx, info = "arca/v1/key/" class)
//	digest       HMAC-SHA-256(HKDF(K(content), salt = ctx, info = "arca/v1/digest"), H(content))
//
// role is "court" or "custodian", class "index" or "content". A secret on its way
// is version ‖ suite ‖ HPKE, 1,170 bytes, with info
//
//	half to a request          lp("arca/v1/release") lp(role) lp(requestHash) lp(ctx) lp(class)
//	find secret to a request   lp("arca/v1/release") lp(role) lp(requestHash) lp(unit) lp("find")
//	find secret to custodian   lp("arca/v1/find") lp(unit)
//
// # Content
//
// Segments of 65,536 bytes, the last of 1 to 65,536, or one of 0 when the
// recording is empty. Each is GCM(K(content), nonce, AAD = ctx), 16 bytes longer
// than its plaintext; nothing stands between them.
//
//	nonce   11-byte counter from 0 ‖ 0, or 1 for the last segment
//
// The key belongs to one recording that is sealed once, which is why a counter is
// safe. The ciphertext's length in the descriptor tells which segment is last.
//
// # Descriptor
//
//	version suite recordingID[16]
//	commitments: court/index[32] court/content[32] custodian/index[32] custodian/content[32]
//	uint32 runs, each: uint64 pack  uint32 offset  uint32 length
//	lp(GCM(K(index), nonce = 0, AAD = ctx, lp(description) ‖ zeros to a multiple of 64))
//
// Offsets count from the pack's start. Runs ascend, do not overlap and are joined
// where they touch. K(index) seals one description, once, so the zero nonce is
// safe; the padding keeps the length of a name from holders of the find key.
//
// # Area
//
// The descriptors of a batch, each GCM(descriptor key, nonce, AAD = batchID), one
// after another, and the trailer likewise, in one piece of the slot's own pack.
//
//	nonce     domain (0 descriptor, 1 trailer) ‖ 7 zero bytes ‖ uint32 index (0 for the trailer)
//	trailer   version suite  uint32 n  n × uint32 ciphertext length  lp(statement) signature[64]
//
// # Statement and note
//
//	statement   version suite batchID[16] lp(unit) uint64 number previous[32]
//	            H(c_court)[32] H(c_custodian)[32] descriptors[32] members[32] uint32 count collector[32]
//	signed      lp("arca/v1/statement") lp(statement)      Ed25519; its H is the next statement's previous
//	descriptors H(lp("arca/v1/descriptors") uint32 count ‖ H(descriptor) …)   over the plaintext descriptors
//	members     H(lp("arca/v1/members") uint32 count ‖ member …)
//	member      recordingID[16] ‖ the four commitments           144 bytes
//	collector   H(Ed25519 public key)
//	note        version suite role (1 court, 2 custodian) lp(statement) signature[64]
//	            uint32 count, count × member, c_role[1168]
//
// number counts this collector's batches of this unit from 1, and previous chains
// them (zeros in the first), so a missing batch shows to the unit's readers and
// keyholders, and nothing shows of other units. A batch has 1 to 2,048 members.
//
// # Header slot
//
//	HPKE(find key, info = lp("arca/v1/slot") lp(pack number) lp(slot index), plaintext)   1,120 + 2,960 + 16 = 4,096 bytes
//	plaintext   version suite batchID[16] lp(unit) c_court[1168] c_custodian[1168]
//	            uint32 area offset  uint32 area length  uint32 trailer length  descriptor key[32]  zeros to 2,960
//
// An empty slot is a real encapsulation to a key that nobody has, followed by 2,976
// bytes of AES-CTR output.
//
// # Pack
//
// Object "pack/%012d": slots, then body, then AES-CTR output up to the fixed size.
// Its log event commits to H of the slots and H of the whole.
//
// # Example
//
// From testdata/vectors/keys.json. The unit of the order
// 3eeb7e96e59ce40f9cb1a089daba079fd699f6867a30f6634af8570967b2375a, week 2026-W47,
// compartment main, classification reservado:
//
//	00000020 3eeb7e96e59ce40f9cb1a089daba079fd699f6867a30f6634af8570967b2375a
//	00000008 323032362d573437
//	00000004 6d61696e
//	00000009 72657365727661646f
//
// Recording d8fae3c83278c0b4ef9dd60334dc47bc of batch 6ae6783f4fbde91b6eb88b73a48ed247:
//
//	ctx                    76000384949a7fa5413a24f00693650e4320af80d0987ecbae898a3b1a1a984b
//	b_court                dbe5882e2579683432c1bfc525454add0cd87274d67084caaf0e0d36c8496db7
//	half_court(index)      09e7c34143eede543ad956051a9282aa1f79e0855754ce8bd65dbd91cfa3fd89
//	its commitment         7c273b8d0295cfcdebb97c8eec1bf56c4227aeb41a9bdcf4800f3db476f97c2c
//	half_custodian(index)  6bdb433bda11a6ab2bb20636378dcfc7bc3471f2a89b7fa9e291747a5ee11366
//	K(index)               9b8d1b19f351b7c9c03931662d67df7ef057b9bca62aab03673829f110e6a332
package seal
