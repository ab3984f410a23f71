package jobs

import (
	"maps"
	"slices"
)

// Kinds lists every kind of job, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds())) }

// Queues lists every queue that has a kind of job, in order.
func Queues() []string { return slices.Compact(slices.Sorted(maps.Values(kinds()))) }
