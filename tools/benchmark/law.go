package main

import "time"

// law measures the processor time of one core that all clocks of 100,000 orders take.
func (r *run) law() error {
	_, found, err := r.goBench("./shared/law", "^BenchmarkClocks$", "-cpu", "1", "-benchtime", "5x")
	if err != nil {
		return err
	}
	spent, err := millis(found, "Clocks", "cpu-ms/100000-orders")
	if err != nil {
		return err
	}
	r.table.within("all clocks of 100,000 orders, processor time", spent, time.Second)
	return nil
}
