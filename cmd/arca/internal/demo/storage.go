package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"arca.example/arca/shared/local/canary"
	"arca.example/arca/shared/store/sqlite"
)

// storage looks at the vault as its operator could: every row, object and log line.
func (s *story) storage(ctx context.Context) error {
	s.begin("A look into the vault's storage shows nothing but uniform blocks")
	if err := s.stop(); err != nil {
		return err
	}
	s.serve = nil
	packs, err := filepath.Glob(filepath.Join(s.dir, "vault", "objects", "pack", "*"))
	if err != nil || len(packs) == 0 {
		return fmt.Errorf("the vault holds no packs: %v", err)
	}
	var size int64
	for _, p := range packs {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if size != 0 && info.Size() != size {
			return fmt.Errorf("packs differ in size")
		}
		size = info.Size()
	}
	s.saw("%d packs of exactly %d bytes each", len(packs), size)
	if err := s.access(); err != nil {
		return err
	}
	return s.canaries(ctx)
}

// canaries searches everything below vault/ for every name, number, tag and piece of audio in every common form,
// and then shows that the same search finds a planted leak.
func (s *story) canaries(ctx context.Context) error {
	needles := map[string][]byte{
		"court": []byte(court), "police unit": []byte(unitA), "other unit": []byte(unitB), "case": []byte(caseTag), "target": []byte(target),
		"second target": []byte(target2), "other party": []byte(other), "purpose": []byte(purpose), "suspect": []byte(suspect), "order": []byte(s.chain),
		"request": []byte(s.request), "refused number": []byte(stranger), "transcript": []byte(transcript),
	}
	for _, name := range []string{judge, one, two, boss, audit} {
		needles[name] = []byte(name)
	}
	for _, it := range s.samples {
		needles["name of "+it.File] = []byte(it.File)
		needles["digest of "+it.File] = []byte(it.SHA256)
		for i := 1; i < 4; i++ { // pieces from the middle, where there is sound
			needles[fmt.Sprintf("piece %d of %s", i, it.File)] = canary.Piece(it.content, i*len(it.content)/4)
		}
	}
	for i, r := range s.rows {
		needles[fmt.Sprintf("recording %d", i)] = []byte(r.Recording)
	}
	search, err := canary.New(needles)
	if err != nil {
		return err
	}
	hits, read, err := search.Folder(filepath.Join(s.dir, "vault"))
	if err != nil {
		return err
	}
	db, err := sqlite.Open(filepath.Join(s.dir, "vault", "rows.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	more, rows, err := search.Rows(ctx, db)
	if err != nil {
		return err
	}
	if hits = append(hits, more...); len(hits) > 0 {
		return fmt.Errorf("the vault knows %q (%s, in %s)", hits[0].Needle, hits[0].Form, hits[0].File)
	}
	s.saw("%d bytes of objects, rows and logs searched for %d names, numbers, tags and pieces of sound in 90 forms: no hit", read+rows, len(needles))
	return s.planted(search)
}

// planted shows that the search can find: a search that cannot fail proves nothing.
func (s *story) planted(search *canary.Searcher) error {
	leak := filepath.Join(s.work, "leak")
	if err := os.MkdirAll(leak, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(leak, "access.log"), []byte(`{"url":"/v1/packs?from=1&for=`+target+`"}`), 0o600); err != nil {
		return err
	}
	hits, _, err := search.Folder(leak)
	if err != nil {
		return err
	}
	if len(hits) == 0 {
		return fmt.Errorf("the search does not find a planted leak")
	}
	s.saw("the same search finds a planted leak")
	return nil
}
