package mirror

import (
	"crypto/sha256"
	"io"
	"os"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

var _ seal.Source = (*Mirror)(nil)

// ReadPack implements seal.Source. What it reads is not verified here: its user authenticates every byte.
func (m *Mirror) ReadPack(number uint64, offset uint32, dst []byte) error {
	if uint64(offset)+uint64(len(dst)) > uint64(m.geometry.Size) {
		return problem.New(problem.Invalid, "a place lies outside of pack %d", number)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil || m.fileOf != number {
		if err := m.openFile(number); err != nil {
			return err
		}
	}
	if _, err := m.file.ReadAt(dst, int64(offset)); err != nil {
		m.closeFile()
		return problem.Wrap(problem.Unavailable, err, "pack %d cannot be read from the mirror; run arca audit packs", number)
	}
	return nil
}

// openFile makes a pack the open one: recordings are read in the order of packs.
func (m *Mirror) openFile(number uint64) error {
	m.closeFile()
	f, err := os.Open(m.packPath(number))
	if os.IsNotExist(err) {
		return problem.New(problem.NotFound, "pack %d is not in this mirror; run arca mirror, and arca mirror --repair if that does not bring it", number)
	}
	if err != nil {
		return failed(err, "read a mirrored pack")
	}
	m.file, m.fileOf = f, number
	return nil
}

// Opening gives a pack's event with what opens and proves its log entry, verified here.
func (m *Mirror) Opening(number uint64) (event, random, proof []byte, err error) {
	_, r, err := m.readRow(number)
	return r.Event, r.Random, r.Proof, err
}

// SlotArea gives a pack's slot area, held in this process against the event that the log witnesses: row, proof and
// digest at the first use, the digest again at every other.
func (m *Mirror) SlotArea(number uint64) ([]byte, error) {
	want, err := m.witnessed(number)
	if err != nil {
		return nil, err
	}
	area, err := m.readArea(number)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(area) == want {
		return area, nil
	}
	m.mu.Lock()
	delete(m.verified, number)
	m.mu.Unlock()
	return nil, problem.New(problem.Invalid, "pack %d: its slot area on this machine is not the one that the log witnesses; run arca audit packs", number)
}

// witnessed gives the digest that a slot area must have.
func (m *Mirror) witnessed(number uint64) ([32]byte, error) {
	m.mu.Lock()
	want, ok := m.verified[number]
	m.mu.Unlock()
	if ok {
		return want, nil
	}
	event, _, err := m.readRow(number)
	if err != nil {
		return want, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verified[number] = event.Slots
	return event.Slots, nil
}

// readArea has a file of its own: scanning goes through all packs and must not take the open one from a reader.
func (m *Mirror) readArea(number uint64) ([]byte, error) {
	f, err := os.Open(m.packPath(number))
	if os.IsNotExist(err) {
		return nil, problem.New(problem.NotFound, "pack %d is not in this mirror; run arca mirror, and arca mirror --repair if that does not bring it", number)
	}
	if err != nil {
		return nil, failed(err, "read a mirrored pack")
	}
	defer f.Close()
	area := make([]byte, m.geometry.Slots*seal.SlotSize)
	if _, err := io.ReadFull(f, area); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "pack %d is cut short on this machine; run arca audit packs", number)
	}
	return area, nil
}
