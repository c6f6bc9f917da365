package mirror

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Area says where a finding lies.
type Area string

// The areas of a pack and what surrounds it.
const (
	AreaRow   Area = "row"       // the mirror's own row: event, random value, proof
	AreaSlots Area = "slot area" //
	AreaBody  Area = "body"      // segments, descriptors and filler alike
	AreaSize  Area = "size"      // shorter or longer than every pack
	AreaGap   Area = "gap"       // no pack, or no row, where one must be
)

// Finding is one pack that is not the witnessed one.
type Finding struct {
	Number uint64
	Area   Area
	Reason string
}

// Audited is what an Audit read.
type Audited struct {
	Packs    int
	Bytes    int64
	Findings []Finding // in order of number
}

// Audit reads every mirrored pack again, whole, and holds slot area and body against the witnessed log. progress may be
// nil. Findings are no error; an error means that the audit could not be finished.
func (m *Mirror) Audit(ctx context.Context, progress func(done, total int)) (Audited, error) {
	numbers, err := m.everyNumber()
	if err != nil {
		return Audited{}, err
	}
	var (
		mu   sync.Mutex
		out  Audited
		work = make(chan uint64)
		all  sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), 4, len(numbers)) {
		all.Go(func() {
			buf := make([]byte, pourSize)
			for n := range work {
				read, found := m.auditPack(n, buf)
				mu.Lock()
				out.Packs, out.Bytes = out.Packs+1, out.Bytes+read
				if found != nil {
					out.Findings = append(out.Findings, *found)
				}
				if progress != nil {
					progress(out.Packs, len(numbers))
				}
				mu.Unlock()
			}
		})
	}
	for _, n := range numbers {
		if ctx.Err() != nil {
			break
		}
		work <- n
	}
	close(work)
	all.Wait()
	slices.SortFunc(out.Findings, func(a, b Finding) int { return int(a.Number) - int(b.Number) })
	return out, ctx.Err()
}

// everyNumber is 1 to the highest number of which anything is here.
func (m *Mirror) everyNumber() ([]uint64, error) {
	var highest uint64
	for _, folder := range []string{"packs", "index"} {
		entries, err := os.ReadDir(m.path(folder))
		if err != nil && !os.IsNotExist(err) {
			return nil, failed(err, "read the mirror's folder")
		}
		for _, e := range entries {
			n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".json"), 10, 64)
			if err == nil && n <= seal.MaxPackNumber && packName(n) == strings.TrimSuffix(e.Name(), ".json") {
				highest = max(highest, n)
			}
		}
	}
	if _, err := os.Stat(m.rowPath(highest)); os.IsNotExist(err) && highest > 0 {
		highest-- // a pack whose row was not written yet: an interrupted Sync, which fetches it again
	}
	numbers := make([]uint64, 0, highest)
	for n := uint64(1); n <= highest; n++ {
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func (m *Mirror) auditPack(n uint64, buf []byte) (read int64, found *Finding) {
	event, _, err := m.readRow(n)
	switch {
	case problem.KindOf(err) == problem.NotFound && err != nil:
		return 0, &Finding{n, AreaGap, problem.MessageOf(err)}
	case err != nil:
		return 0, &Finding{n, AreaRow, problem.MessageOf(err)}
	}
	f, err := os.Open(m.packPath(n))
	if err != nil {
		return 0, &Finding{n, AreaGap, "the pack's file cannot be opened"}
	}
	defer f.Close()
	digest := seal.NewDigest(m.geometry)
	for {
		k, err := f.Read(buf)
		digest.Write(buf[:k])
		if err != nil || digest.Length() > int64(m.geometry.Size) {
			break // what could not be read shows as a wrong length
		}
	}
	slots, sum := digest.Sums()
	err = m.judge.whole(event, digest.Length(), slots, sum)
	if err == nil {
		return digest.Length(), nil
	}
	return digest.Length(), &Finding{n, m.where(event, digest.Length(), slots), problem.MessageOf(err)}
}

// where names the area that differs. A length that is wrong makes both digests worthless, so it comes first.
func (m *Mirror) where(event record.PackEvent, length int64, slots [32]byte) Area {
	switch {
	case length != int64(m.geometry.Size):
		return AreaSize
	case m.judge.slots(event, slots) != nil:
		return AreaSlots
	}
	return AreaBody
}
