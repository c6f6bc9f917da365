package main

// scrub measures the reading again of stored packs against the rate at which one core hashes.
func (r *run) scrub() error {
	_, found, err := r.goBench("./shared/vault", "^BenchmarkScrub$", "-benchtime", "5x")
	if err != nil {
		return err
	}
	var rates [4]float64
	for i, unit := range []string{"scrub-MB/s", "sha256-MB/s", "scrub-processor-MB/s", "sha256-processor-MB/s"} {
		if rates[i], err = need(found, "Scrub", unit); err != nil {
			return err
		}
	}
	r.table.atLeast("scrub of stored packs", rates[0]*1e6, "SHA-256", rates[1]*1e6, 0.8)
	r.table.perSecond("scrub", rates[2]*1e6, rates[3]*1e6)
	return nil
}
