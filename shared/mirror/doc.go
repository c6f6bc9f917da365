// Package mirror keeps a reader's site supplied with packs: it fetches every new
// pack of the vault, whole and in number order, so that the vault never learns
// which pack a reader needs.
//
// # Promises
//
// A pack stands in the mirror only if its event, number, size and both digests
// were checked against the log under a checkpoint that the quorum of witnesses
// has cosigned. Numbers have no gap. What was fetched survives a kill at any
// point: a pack exists from the moment its row of the index exists, and the row
// is written last. The log's own story is followed too: every checkpoint seen
// must continue the one before, and one that does not is kept as evidence.
// SlotArea gives a slot area only after it was held against the witnessed event in
// this run of the process, so that absence is never concluded from a slot area
// that somebody altered on this machine's disk either.
//
// # Trust
//
// The pinned trust file, SHA-256, and that fewer witnesses than the quorum lie.
// Not trusted: the vault, its object store, the network, and the mirror's own
// disk. ReadPack reads without checking, because whoever uses it authenticates
// every byte (package seal).
//
// # Folder
//
//	packs/%012d         a pack, as the vault stores it
//	index/%012d.json    its row: what shows that it is the witnessed one
//	checkpoint          the newest checkpoint that was verified
//	evidence/<time>     two checkpoints of the log that contradict each other: a ledger.Evidence where one can be made
//	incoming/           what is being fetched; emptied at the next Sync
//
// A row is canonical JSON of at most 128 KiB:
//
//	{"event":"<base64>","number":17,"proof":"<base64>","random":"<base64>"}
//
// event is record.Event with record.PackEvent, which names number and digests;
// random opens its log entry; proof is a C2SP tlog-proof.
package mirror
