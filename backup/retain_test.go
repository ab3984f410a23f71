package backup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"loanserve/backup"
)

var firstNight = time.Date(2023, 3, 1, 2, 0, 0, 0, time.UTC)

// nightly is the backup of a night.
func nightly(night int, kind backup.Kind, verified bool) backup.Entry {
	at := firstNight.AddDate(0, 0, night)
	e := backup.Entry{Manifest: &backup.Manifest{ID: fmt.Sprint(kind, " ", night), Kind: kind, StartedAt: at}}
	if verified {
		e.Verification = &backup.Verification{Verified: true}
	}
	return e
}

// keep runs the nights, prunes after each, and returns what is left.
func keep(nights int, r backup.Retention, kind backup.Kind, verified func(night int) bool) []backup.Entry {
	var held []backup.Entry
	for night := range nights {
		held = append(held, nightly(night, kind, verified(night)))
		now := firstNight.AddDate(0, 0, night).Add(time.Hour)
		held = pruned(held, r.Plan(held, now))
	}
	return held
}

func pruned(held []backup.Entry, fates []backup.Fate) (left []backup.Entry) {
	for i, e := range held {
		if !fates[i].Delete {
			left = append(left, e)
		}
	}
	return left
}

func always(int) bool { return true }

func TestRetentionOfAThousandNights(t *testing.T) {
	t.Parallel()
	r := backup.DefaultRetention()
	held := keep(1000, r, backup.Logical, always)
	// Fourteen days, eight weeks of which the last two end within those, twelve
	// months of which the last two end within the weeks, and 2023 and 2024.
	require.Len(t, held, 14+6+10+1)
	newest := firstNight.AddDate(0, 0, 999)
	for back := range 14 {
		require.True(t, slices.ContainsFunc(held, func(e backup.Entry) bool {
			return e.Manifest.StartedAt.Equal(newest.AddDate(0, 0, -back))
		}))
	}
	require.Equal(t, 2023, held[0].Manifest.StartedAt.Year(), "the last of the first year")
}

// When verification is broken for a month, everything since then stays, and what
// was there before as well.
func TestRetentionWhileNothingIsVerified(t *testing.T) {
	t.Parallel()
	r := backup.DefaultRetention()
	before := keep(500, r, backup.Physical, always)
	after := keep(530, r, backup.Physical, func(night int) bool { return night < 500 })
	require.Len(t, after, len(before)+30)
}

func TestRetentionWhenBackupsHaveStopped(t *testing.T) {
	t.Parallel()
	r := backup.DefaultRetention()
	var held []backup.Entry
	for night := range 100 {
		held = append(held, nightly(night, backup.Logical, true))
	}
	late := firstNight.AddDate(0, 0, 99).Add(r.MaxAge + time.Minute)
	require.Len(t, pruned(held, r.Plan(held, late)), 100)
	require.Less(t, len(pruned(held, r.Plan(held, late.Add(-time.Hour)))), 100)
}

// Not even who wants to keep nothing loses the newest.
func TestRetentionOfNothing(t *testing.T) {
	t.Parallel()
	held := keep(30, backup.Retention{MaxAge: time.Hour * 50}, backup.Logical, always)
	require.Len(t, held, 1)
	require.Equal(t, "logical 29", held[0].Manifest.ID)
}

// Whatever was verified and whatever was not, and whichever kinds there are: what
// the rules protect is there after every night.
func TestRetentionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := backup.Retention{
			Daily: rapid.IntRange(0, 20).Draw(t, "daily"), Weekly: rapid.IntRange(0, 10).Draw(t, "weekly"),
			Monthly: rapid.IntRange(0, 12).Draw(t, "monthly"), Yearly: rapid.IntRange(0, 7).Draw(t, "yearly"),
			MaxAge: time.Duration(rapid.IntRange(1, 100).Draw(t, "hours")) * time.Hour,
		}
		good := rapid.SliceOfN(rapid.Bool(), 1000, 1000).Draw(t, "verified")
		var held []backup.Entry
		for night := range rapid.IntRange(1, 1000).Draw(t, "nights") {
			kind := backup.Kinds()[rapid.IntRange(0, 1).Draw(t, "kind")]
			held = append(held, nightly(night, kind, good[night]))
			now := firstNight.AddDate(0, 0, night).Add(time.Hour)
			left := pruned(held, r.Plan(held, now))
			for _, kind := range backup.Kinds() {
				checkKept(t, ofKind(held, kind), ofKind(left, kind), r, now)
			}
			require.Equal(t, left, pruned(left, r.Plan(left, now)), "pruning again changes nothing")
			held = left
		}
	})
}

func ofKind(entries []backup.Entry, kind backup.Kind) (of []backup.Entry) {
	for _, e := range entries {
		if e.Manifest.Kind == kind {
			of = append(of, e)
		}
	}
	return of
}

func checkKept(t *rapid.T, held, left []backup.Entry, r backup.Retention, now time.Time) {
	if len(held) == 0 {
		return
	}
	newest := held[len(held)-1]
	if !newest.Verified() || now.Sub(newest.Manifest.StartedAt) > r.MaxAge {
		require.Equal(t, held, left, "nothing goes when the newest proves nothing")
		return
	}
	verified := 0
	for _, e := range left {
		if e.Verified() {
			verified++
		}
	}
	total := 0
	for _, e := range held {
		if e.Verified() {
			total++
		}
	}
	require.LessOrEqual(t, verified, max(1, r.Daily+r.Weekly+r.Monthly+r.Yearly))
	require.GreaterOrEqual(t, verified, min(total, max(1, r.Daily)))
	require.Equal(t, newest, left[len(left)-1], "the newest verified one stays")
}
