package law

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"arca.example/arca/shared/record"
)

// yearOfOrders makes chains as an installation holds them after a year: every profile, extended, reported on, some ended, resolved, held.
func yearOfOrders(tb testing.TB, count int) [][]Member {
	var all [][]Member
	names := Profiles()
	for i := range count {
		o := lawfulFor(names[i%len(names)])
		o.Decided = decided.Add(time.Duration(i%365) * 24 * time.Hour)
		o.Capture = record.Window{From: o.Decided, Until: o.Decided.AddDate(0, 0, 7)}
		o.AccessEnd = o.Decided.AddDate(3, 0, 0)
		p, err := ProfileOf(o.Profile)
		if err != nil {
			tb.Fatal(err)
		}
		o.Capture.Until = p.End(o.Decided, p.FirstTerm)
		chain := []Member{member(o, fmt.Sprint(i))}
		add := func(kind record.OrderKind, change func(*record.Order)) {
			s, err := Read(chain)
			if err != nil {
				tb.Fatal(err)
			}
			m := later(s, kind, func(o *record.Order) { o.Reason = fmt.Sprint(i, len(chain)); change(o) })
			if _, err := Admit(chain, m, at("2040-01-01T00:00:00Z")); err != nil {
				tb.Fatalf("%s: %s: %v", o.Profile, kind, err)
			}
			chain = append(chain, m)
		}
		milestone := func(name string, after time.Duration) {
			if _, known := p.milestone(name); known {
				add(record.Milestone, func(m *record.Order) {
					m.Milestone = record.Fact{Name: name, At: o.Decided.Add(after)}
					m.Decided = m.Milestone.At
				})
			}
		}
		milestone(FirstInterception, time.Hour)
		milestone(Report, 15*24*time.Hour)
		if i%3 > 0 && !p.ExtensionTerm.None {
			s, err := Read(chain)
			if err != nil {
				tb.Fatal(err)
			}
			add(record.Extension, func(m *record.Order) {
				m.Decided = s.Capture.Until.Add(-time.Hour)
				m.Capture = record.Window{From: s.Capture.Until, Until: s.Capture.Until.AddDate(0, 0, 14)}
			})
		}
		if i%4 == 0 {
			milestone("final-resolution", 700*24*time.Hour)
		}
		if i%50 == 0 {
			add(record.Hold, func(m *record.Order) { m.Decided = o.Decided.AddDate(2, 0, 0) })
		}
		all = append(all, chain)
	}
	return all
}

// BenchmarkClocks decides all clocks of 100,000 orders on one core; the target is one second.
func BenchmarkClocks(b *testing.B) {
	const orders = 100_000
	chains := yearOfOrders(b, 1000)
	when, clocks := at("2028-03-01T00:00:00Z"), 0
	b.ResetTimer()
	before := processorTime(b)
	for b.Loop() {
		for i := range orders {
			list, err := Clocks(chains[i%len(chains)], when)
			if err != nil {
				b.Fatal(err)
			}
			clocks += len(list)
		}
	}
	perRun := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(perRun*1000, "ms/100000-orders")
	b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/100000-orders")
	b.ReportMetric(orders/perRun, "orders/s")
	b.ReportMetric(float64(clocks)/float64(b.N)/orders, "clocks/order")
}

// processorTime is what this process has used of all cores, the garbage collector included.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
