package main

// scrub measures the reading again of stored packs against the rate at which one core hashes.
func (r *run) scrub() error {
	_, found, err := r.goBench("./shared/vault", "^BenchmarkScrub$", "-benchtime", "5x")
	if err != nil {
		return err
	}
	rate, err := need(found, "Scrub", "scrub-MB/s")
	if err != nil {
		return err
	}
	reference, err := need(found, "Scrub", "sha256-MB/s")
	if err != nil {
		return err
	}
	r.table.atLeast("scrub of stored packs", rate*1e6, "SHA-256", reference*1e6, 0.8)
	return nil
}
