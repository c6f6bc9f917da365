package bag

import (
	"encoding/binary"
)

// Signatures and fixed fields of the ZIP format (APPNOTE 6.3.10).
const (
	localSignature   = 0x04034b50
	centralSignature = 0x02014b50
	end64Signature   = 0x06064b50
	locatorSignature = 0x07064b50
	endSignature     = 0x06054b50

	localSize   = 30
	centralSize = 46
	end64Size   = 56
	locatorSize = 20
	endSize     = 22
	crcOffset   = 14 // of the checksum in a local header

	versionPlain = 20
	version64    = 45
	madeByUnix   = 3 << 8
	dosDate      = 1<<5 | 1 // 1980-01-01
	fileMode     = 0o100644 << 16
	extra64      = 1
	full16       = 1<<16 - 1
)

// full32 is where 32-bit fields end and zip64 begins. Tests lower it.
var full32 uint64 = 1<<32 - 1

// file is a file as the ZIP's records tell of it.
type file struct {
	path   string
	size   uint64
	crc    uint32
	offset uint64 // of its local header
}

func le16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func le32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func le64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// clip gives a 32-bit field: the value, or all ones where a zip64 field has it.
func clip(v uint64) uint32 {
	if v >= full32 {
		return 1<<32 - 1
	}
	return uint32(v)
}

// large64 gives the zip64 extra field with what does not fit; the offset only in the central record.
func (f file) large64(central bool) []byte {
	var body []byte
	if f.size >= full32 {
		body = le64(le64(body, f.size), f.size)
	}
	if central && f.offset >= full32 {
		body = le64(body, f.offset)
	}
	if body == nil {
		return nil
	}
	return append(le16(le16(nil, extra64), uint16(len(body))), body...)
}

// common is what local header and central record share, from the version needed to the extra field's length.
func (f file) common(b, extra []byte) []byte {
	version := uint16(versionPlain)
	if extra != nil {
		version = version64
	}
	b = le16(le16(le16(b, version), 0), 0) // no flags, method 0: stored
	b = le16(le16(b, 0), dosDate)
	b = le32(b, f.crc)
	b = le32(le32(b, clip(f.size)), clip(f.size))
	return le16(le16(b, uint16(len(f.path))), uint16(len(extra)))
}

// local gives the local header.
func (f file) local() []byte {
	extra := f.large64(false)
	b := f.common(le32(nil, localSignature), extra)
	return append(append(b, f.path...), extra...)
}

// central gives the record of the central directory.
func (f file) central() []byte {
	extra := f.large64(true)
	version := uint16(versionPlain)
	if extra != nil {
		version = version64
	}
	b := f.common(le16(le32(nil, centralSignature), madeByUnix|version), extra)
	b = le16(le16(le16(b, 0), 0), 0) // comment, disk, internal attributes
	b = le32(le32(b, fileMode), clip(f.offset))
	return append(append(b, f.path...), extra...)
}

// end gives the end records of a directory of count records in size bytes at offset.
func end(count, size, offset uint64) (b []byte) {
	if count >= full16 || size >= full32 || offset >= full32 {
		b = le64(le32(b, end64Signature), end64Size-12)
		b = le16(le16(b, madeByUnix|version64), version64)
		b = le32(le32(b, 0), 0)
		b = le64(le64(le64(le64(b, count), count), size), offset)
		b = le32(le32(b, locatorSignature), 0)
		b = le32(le64(b, offset+size), 1)
	}
	few := uint16(min(count, full16))
	b = le16(le16(le32(b, endSignature), 0), 0)
	b = le16(le16(b, few), few)
	return le16(le32(le32(b, clip(size)), clip(offset)), 0)
}
