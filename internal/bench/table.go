package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// table gathers the rates of each measurement by name.
type table struct {
	pairs []pair
	rates map[string][]float64
}

// pair is a path of the engine and the limit it is held against.
type pair struct {
	path, limit string
}

// The names of what is measured.
const (
	rawPosting  = "one posting per transaction, raw"
	jobPath     = "payments posted by jobs"
	rawInsert   = "one INSERT per request"
	httpIntake  = "payments accepted over HTTP"
	httpToBooks = "HTTP to ledger, workers beside"
	rawCopy     = "COPY of payments and items, raw"
	rawSets     = "one statement of 1,000, raw"
	fileStored  = "items of a file stored over HTTP"
	filePosted  = "items of a file, stored to posted"
	fileToBooks = "items of a file, HTTP to posted"
	escrowRaw   = "the same rows read and written, raw"
	escrowPure  = "the arithmetic alone, one core"
	escrowRun   = "escrow analyses, portfolio run"
)

// pairs returns those whose path has the text in its name.
func pairs(only string) []pair {
	all := []pair{
		{path: jobPath, limit: rawPosting},
		{path: httpIntake, limit: rawInsert},
		{path: httpToBooks, limit: rawInsert},
		{path: fileStored, limit: rawCopy},
		{path: filePosted, limit: rawSets},
		{path: fileToBooks, limit: rawSets},
		{path: escrowRun, limit: escrowRaw},
		{path: escrowRun, limit: escrowPure},
	}
	return slices.DeleteFunc(all, func(p pair) bool { return !strings.Contains(p.path, only) })
}

func newTable(pairs []pair, rounds int) *table {
	return &table{pairs: pairs, rates: make(map[string][]float64, rounds)}
}

// shows says whether what is measured is in the table.
func (t *table) shows(name string) bool {
	return slices.ContainsFunc(t.pairs, func(p pair) bool { return p.path == name || p.limit == name })
}

func (t *table) add(name string, rate float64) { t.rates[name] = append(t.rates[name], rate) }

// print writes each path beside its limit: the median of the rounds with the
// least and the greatest, and the median of the ratios round by round, which
// holds when the machine's speed drifts.
func (t *table) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "path\tper second\tlimit in the same run\tper second\tratio")
	for _, p := range t.pairs {
		path, limit := t.rates[p.path], t.rates[p.limit]
		ratios := make([]float64, len(path))
		for i := range path {
			ratios[i] = path[i] / limit[i]
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%.2f (%.2f to %.2f)\n", p.path, spread(path), p.limit, spread(limit),
			median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	_ = out.Flush()
}

func spread(rates []float64) string {
	return fmt.Sprintf("%.0f (%.0f to %.0f)", median(rates), slices.Min(rates), slices.Max(rates))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
