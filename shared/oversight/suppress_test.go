package oversight

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// rule hides counts of a table.
type rule func(counts []int, small int) ([]bool, bool)

// published is what a reader sees of a table.
func published(counts []int, hide rule, small int) string {
	hidden, total := hide(counts, small)
	out, sum := "", 0
	for i, n := range counts {
		sum += n
		if hidden[i] {
			out += " s"
		} else {
			out += fmt.Sprintf(" %d", n)
		}
	}
	if total {
		return out + " = s"
	}
	return out + fmt.Sprintf(" = %d", sum)
}

// determined plays a reader who knows the rule and tries every table of up to so many in all that would look the same: it gives one in which
// a small count is the same in all of them.
func determined(rows, most, small int, publish func([]int) string) (found string) {
	seen := map[string][]map[int]bool{} // what is published → values that each count can have
	each := func(f func(counts []int, looks string)) {
		counts := make([]int, rows)
		var next func(at, left int)
		next = func(at, left int) {
			if at == rows {
				f(counts, publish(counts))
				return
			}
			for counts[at] = 0; counts[at] <= left; counts[at]++ {
				next(at+1, left-counts[at])
			}
		}
		next(0, most)
	}
	each(func(counts []int, looks string) {
		if seen[looks] == nil {
			for range rows {
				seen[looks] = append(seen[looks], map[int]bool{})
			}
		}
		for i, n := range counts {
			seen[looks][i][n] = true
		}
	})
	each(func(counts []int, looks string) {
		for i, n := range counts {
			if isSmall(n, small) && len(seen[looks][i]) < 2 && found == "" {
				found = fmt.Sprintf("%v is published as%s, and row %d can only be %d", counts, looks, i, n)
			}
		}
	})
	return found
}

// TestNoSmallCountCanBeWorkedOut lets a reader who knows the rule try all tables of one to four rows.
func TestNoSmallCountCanBeWorkedOut(t *testing.T) {
	for _, size := range []struct{ rows, most int }{{1, 40}, {2, 40}, {3, 30}, {4, 18}} {
		for small := 3; small <= 5; small++ {
			fixed := func(counts []int) string { return published(counts, suppress, small) }
			named := func(counts []int) string { // rows that are there only when something was counted
				rows := map[string]int{}
				for i, n := range counts {
					if n > 0 {
						rows[string(rune('a'+i))] = n
					}
				}
				names, gathered := gather(rows, small)
				return fmt.Sprint(names) + published(gathered, suppress, small)
			}
			for name, publish := range map[string]func([]int) string{"rows of the table": fixed, "rows of the data": named} {
				if found := determined(size.rows, size.most, small, publish); found != "" {
					t.Errorf("%s, small %d: %s", name, small, found)
				}
			}
		}
	}
}

// TestWeakerRulesAreFound holds the attack against rules that do not protect.
func TestWeakerRulesAreFound(t *testing.T) {
	primary := func(counts []int, small int) ([]bool, bool) { // small ones alone
		hidden := make([]bool, len(counts))
		for i, n := range counts {
			hidden[i] = isSmall(n, small)
		}
		return hidden, false
	}
	smallest := func(counts []int, small int) ([]bool, bool) { // and the smallest of the others
		hidden, _ := primary(counts, small)
		n, best := 0, -1
		for i := range counts {
			if hidden[i] {
				n++
			} else if counts[i] > 0 && (best < 0 || counts[i] < counts[best]) {
				best = i
			}
		}
		if n == 1 && best >= 0 {
			hidden[best] = true
		}
		return hidden, false
	}
	for name, weak := range map[string]rule{"small ones alone": primary, "with the smallest other": smallest} {
		if determined(3, 32, 4, func(counts []int) string { return published(counts, weak, 4) }) == "" {
			t.Errorf("%s: the attack finds nothing", name)
		}
	}
}

// TestSuppressedTables holds every table against what the rule promises.
func TestSuppressedTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.IntRange(3, 20).Draw(t, "small")
		counts := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 12).Draw(t, "counts")
		hidden, total := suppress(counts, small)
		n, sum, all := 0, 0, 0
		for i, count := range counts {
			all += count
			if isSmall(count, small) && !hidden[i] {
				t.Fatalf("%d of %v is shown", count, counts)
			}
			if hidden[i] {
				n, sum = n+1, sum+count
			}
		}
		if isSmall(all, small) != total {
			t.Fatalf("the total %d is shown: %v", all, !total)
		}
		if n > 0 && !total && n < len(counts) && (n < 2 || sum < 2*small) {
			t.Fatalf("%v: %d hidden, %d together", counts, n, sum)
		}
	})
}
