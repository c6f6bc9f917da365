// Package collector is the party that seals. It checks that a delivered
// communication lies within its order, seals it into packs, queues the packs in a
// spool folder, sends them, and lets go of a pack only against proof.
//
// # Promises
//
// Nothing outside the order's identifiers, kinds and window, and nothing under an
// order that either keyholder does not hold in force, is sealed; it is refused,
// counted and written to refusals.jsonl. What Seal reports as done is durable in the
// spool. A pack file is removed only after the collector itself verified, under the
// pinned trust file, that the pack's event stands in the witnessed log and that both
// keyholders signed for every batch in it. Batches of a unit are numbered without gap
// or reuse whatever happens between two writes. No plaintext and no secret of a
// batch is ever written down.
//
// # Trust
//
// The trust file's keys, the folder, and this process. Not the vault, the network or
// the object store; a keyholder only together with the other: both must sign, over a fresh nonce, the same
// status. The collector cannot see the judge's enrolment, so it does not check the judge's signature
// itself; it recomputes the chain from its members' bytes and demands that head
// and stops are the ones that both statuses name, which hashes bind to every member.
//
// # Folder
//
//	LOCK                      held while a collector works here
//	numbers.json              whose spool it is; reserved pack numbers; a reservation under way
//	heads.json                of each unit: the last batch of the archived packs
//	refusals.jsonl            one line for each refusal
//	pack/000000000012.pack    the pack, fixed size, written once
//	pack/000000000012.json    its sidecar: digests, batch notes, recordings; once it exists the pack is final
//	pack/000000000012.state   how far it has come: evidence of every step so far
//	proven/000000000012.json  sidecar and state of a proven pack, after the pack file is gone
//	proven/000000000012.state
//	*.new                     unfinished, removed at start
//
// # Kill -9
//
// The sidecar's rename is the commit point of a pack: before it the pack's number
// counts as unused and its content as not sealed; after it the pack, its batches and
// their numbers exist. Where a unit stands is computed from the sidecars (and
// heads.json, which is written before sidecars move to proven/), so there is no second
// place that could disagree. Packs become final in the order in which they were
// filled. Every later step is repeatable: the vault takes one object per number, a
// keyholder takes one note per batch and answers with a receipt again.
package collector
