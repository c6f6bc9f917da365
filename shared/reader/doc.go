// Package reader is what an investigator, judge, clerk or auditor runs on their own
// machine: it asks, decides on others' requests, lists what an order holds, and
// opens recordings from the mirror.
//
// # Promises
//
// Nothing is shown that was not checked: slot areas against the witnessed log
// (package mirror), batches against their enrolled collector's signature, halves
// against the collector's commitments, content against the digest in its
// description. Absence is never concluded from what could not be checked: it is
// named in Listing.Warnings, and Complete is false. A file appears under
// its name only whole and verified. What the reader asks of whom, and which pack it needs,
// shows nowhere: packs are read from the mirror, which has all of them.
//
// # Acts
//
// What the reader does with what was released is written down before it is shown: an act is signed and durable in the folder before the
// first byte leaves, its end after. FileActs files acts at both keyholders; while one cannot be reached they wait. A reader who
// takes the queue away suppresses the report, not the release, which the keyholders have journalled before.
//
// # What a reader seals
//
// Make prepares a note, a transcript, or a recording to be sealed again, for a spool of the reader's own (package collector, in spool/): signed
// by the reader, and with an act that both keyholders want before its note. What is shown of a recording that a person sealed says so.
//
// # Trust
//
// The pinned trust file, this machine, and that court and custodian are not one.
// Not trusted: the vault, the mirror's disk, either keyholder alone, and what a
// description says, which is cleaned of control characters before it is shown.
//
// # Folder
//
// All local state is in the reader's folder, files 0600:
//
//	requests/<hash>.json     a request as signed, and the seed of its X-Wing key
//	decisions/<hash>.json    an approval or denial as signed, before it is sent; hash of the request
//	acts/<n>-<hash>.jws      an act (found, opened, copied, disclosed) as signed, until both keyholders have it; acts/refused holds
//	                         those that a keyholder refused for good
//	cache/listing-<hash>     what List decrypted for a request, sealed under a key derived from the request's seed
//	cache/orders.json        hashes of the order chains that were listed before
//	cache/unit-<hash>.json   where a unit's slots were found, authenticated by a key derived from its find secret
//
// The seed lies in the clear, protected by the file mode and the disk's encryption
// only, like the identity key beside it. Expire erases seeds whose request has ended, and with the
// seed the listing becomes noise. Overwriting is best effort on disks that move blocks.
//
//	listing    nonce[12] ‖ AES-256-GCM(HKDF(seed, salt = request hash, "arca/v1/listing"), nonce, AAD = request hash, canonical JSON)
//	unit file  {"mac":…,"positions":…}, mac = HMAC-SHA-256(HKDF(find secret, salt = SHA-256(unit), "arca/v1/positions"), canonical JSON of positions)
//
// A damaged or foreign cache file is dropped, and its content found again.
package reader
