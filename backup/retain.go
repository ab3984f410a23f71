package backup

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"loanserve/backup/store"
)

// Retention says how many backups of each generation are kept: of so many days,
// weeks, months and years that have any, the last one of each. Only verified ones
// count. Each kind is kept by itself.
type Retention struct {
	Daily, Weekly, Monthly, Yearly int
	// MaxAge is how old the newest verified backup may be for anything to be
	// deleted: where backups or their verification have stopped, everything stays.
	MaxAge time.Duration
	// WAL is how far back every moment can be reached, where WAL is archived.
	WAL time.Duration
}

// DefaultRetention keeps two weeks, two months, a year and seven years.
func DefaultRetention() Retention {
	const maxAge = 50 * time.Hour      // One night may be missed.
	const window = 14 * 24 * time.Hour // As long as there is a backup of every day.
	return Retention{Daily: 14, Weekly: 8, Monthly: 12, Yearly: 7, MaxAge: maxAge, WAL: window}
}

// Fate is what becomes of a backup, and why.
type Fate struct {
	ID     string `json:"id"`
	Kind   Kind   `json:"kind"`
	Delete bool   `json:"delete"`
	Why    string `json:"why"`
}

// Plan says what becomes of each backup, in their order. It deletes none that is
// not older than the newest verified one of its kind, and none of a kind whose
// newest is not verified or whose newest verified one is too old.
func (r Retention) Plan(entries []Entry, now time.Time) []Fate {
	fates := make([]Fate, len(entries))
	for _, kind := range Kinds() {
		var indexes []int // Newest first.
		for i, e := range slices.Backward(entries) {
			if e.Manifest.Kind == kind {
				indexes = append(indexes, i)
			}
		}
		slices.SortStableFunc(indexes, func(a, b int) int {
			return entries[b].Manifest.StartedAt.Compare(entries[a].Manifest.StartedAt)
		})
		r.planKind(entries, indexes, now, fates)
	}
	return fates
}

func (r Retention) planKind(entries []Entry, newestFirst []int, now time.Time, fates []Fate) {
	why := r.refusal(entries, newestFirst, now)
	slots := r.slots()
	for n, i := range newestFirst {
		e := &entries[i]
		fate := &fates[i]
		fate.ID, fate.Kind, fate.Why = e.Manifest.ID, e.Manifest.Kind, why
		if n == 0 && why == "" {
			fate.Why = "the newest"
		}
		if e.Verified() {
			// Every slot is asked, so that each generation has its own.
			for _, s := range slots {
				if s.take(e.Manifest.StartedAt) && fate.Why == "" {
					fate.Why = s.name
				}
			}
		} else if fate.Why == "" && now.Sub(e.Manifest.StartedAt) < time.Duration(r.Daily)*24*time.Hour {
			fate.Why = "not verified, and of the last days"
		}
		if fate.Why == "" {
			fate.Delete = true
			fate.Why = "of no generation"
			if !e.Verified() {
				fate.Why = "not verified, and older ones and newer ones are"
			}
		}
	}
}

// refusal is why nothing of a kind is deleted, or "".
func (r Retention) refusal(entries []Entry, newestFirst []int, now time.Time) string {
	if len(newestFirst) == 0 {
		return ""
	}
	newest := &entries[newestFirst[0]]
	switch {
	case !newest.Verified():
		return "nothing is deleted: the newest is not verified"
	case now.Sub(newest.Manifest.StartedAt) > r.MaxAge:
		return fmt.Sprintf("nothing is deleted: the newest is older than %s", r.MaxAge)
	default:
		return ""
	}
}

// slot keeps the last backup of each of so many periods.
type slot struct {
	name   string
	left   int
	period func(time.Time) string
	last   string
}

func (s *slot) take(at time.Time) bool {
	period := s.period(at.UTC())
	if s.left == 0 || period == s.last {
		return false
	}
	s.left--
	s.last = period
	return true
}

func (r Retention) slots() []*slot {
	return []*slot{
		{name: "daily", left: r.Daily, period: func(t time.Time) string { return t.Format(time.DateOnly) }},
		{name: "weekly", left: r.Weekly, period: func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprint(year, week)
		}},
		{name: "monthly", left: r.Monthly, period: func(t time.Time) string { return t.Format("2006-01") }},
		{name: "yearly", left: r.Yearly, period: func(t time.Time) string { return t.Format("2006") }},
	}
}

// Prune deletes what the plan says. It returns the plan also when it could not be
// carried out to the end.
func Prune(ctx context.Context, s store.Store, r Retention, now time.Time, dryRun bool) ([]Fate, error) {
	entries, err := List(ctx, s)
	if err != nil {
		return nil, stageError(StageStore, err)
	}
	fates := r.Plan(entries, now)
	if dryRun {
		return fates, nil
	}
	for _, fate := range fates {
		if !fate.Delete {
			continue
		}
		if err := remove(ctx, s, fate.ID); err != nil {
			return fates, stageError(StageStore, fmt.Errorf("delete backup %s: %w", fate.ID, err))
		}
	}
	return fates, nil
}

// remove deletes a backup, its manifest first: what is left when it is interrupted
// is no backup any more, and is swept.
func remove(ctx context.Context, s store.Store, id string) error {
	objects, err := s.List(ctx, id+"/")
	if err != nil {
		return err
	}
	first := func(o store.Object) int {
		if path.Base(o.Name) == manifestName {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(objects, func(a, b store.Object) int { return cmp.Compare(first(a), first(b)) })
	for _, o := range objects {
		if err := s.Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}
