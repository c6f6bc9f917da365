package oversight

import "slices"

// suppress says which counts of a table with a published total are hidden. Counts of 1 to small-1 are; so that none of them follows from the
// total, so is the count behind the last of them, whatever it is, and further ones round the table until they come to twice small together:
// with less, one that is not small leaves the others little room. Which others are hidden must not depend on their size: were it the
// smallest, say, its size would be known to lie under all that are shown, and that can leave one possibility for the small one. A total
// that is small itself hides everything.
func suppress(counts []int, small int) (hidden []bool, total bool) {
	hidden = make([]bool, len(counts))
	sum, last, together := 0, -1, 0
	for i, count := range counts {
		sum += count
		if isSmall(count, small) {
			hidden[i], last, together = true, i, together+count
		}
	}
	if isSmall(sum, small) {
		for i := range hidden {
			hidden[i] = true
		}
		return hidden, true
	}
	if last < 0 {
		return hidden, false
	}
	for step := 1; step < len(counts) && (step == 1 || together < 2*small); step++ {
		if i := (last + step) % len(counts); !hidden[i] {
			hidden[i], together = true, together+counts[i]
		}
	}
	return hidden, false
}

func isSmall(count, small int) bool { return count > 0 && count < small }

// gather puts the rows with small counts into one without their names, and at least one further row from the end until they come to twice small
// together: what is known of each that lost its name is then not more than suppress leaves.
func gather(rows map[string]int, small int) (names []string, counts []int) {
	rest := 0
	for _, name := range sortedKeys(rows) {
		if isSmall(rows[name], small) || name == others {
			rest += rows[name]
			continue
		}
		names, counts = append(names, name), append(counts, rows[name])
	}
	for more := rest > 0; more && len(names) > 0; more = rest < 2*small {
		last := len(names) - 1
		rest += counts[last]
		names, counts = names[:last], counts[:last]
	}
	if rest > 0 {
		names, counts = append(names, others), append(counts, rest)
	}
	return names, counts
}

func sortedKeys(rows map[string]int) []string {
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
