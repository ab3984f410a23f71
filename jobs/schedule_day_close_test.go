package jobs_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"loanserve/internal/localday"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// closesAt is the schedule of a deployment in New York.
func closesAt(t *testing.T, text string) *jobs.DayCloseSchedule {
	t.Helper()
	zone, err := localday.ParseZone("America/New_York")
	require.NoError(t, err)
	hour, err := localday.ParseHour(text)
	require.NoError(t, err)
	return &jobs.DayCloseSchedule{Zone: zone, At: hour}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

func TestLastDue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ hour, at, want string }{
		"before the hour":                         {"00:30", "2026-01-16T05:29:59Z", "2026-01-14"},
		"at the hour":                             {"00:30", "2026-01-16T05:30:00Z", "2026-01-15"},
		"for the rest of the day":                 {"00:30", "2026-01-17T04:59:59Z", "2026-01-15"},
		"in the evening it is tomorrow in UTC":    {"00:30", "2026-01-17T01:00:00Z", "2026-01-15"},
		"at midnight":                             {"00:00", "2026-01-16T05:00:00Z", "2026-01-15"},
		"late at night":                           {"23:59", "2026-01-17T04:58:59Z", "2026-01-14"},
		"the turn of the year":                    {"00:30", "2027-01-01T05:30:00Z", "2026-12-31"},
		"an hour that is skipped, before":         {"02:30", "2026-03-08T06:59:59Z", "2026-03-06"},
		"an hour that is skipped, after":          {"02:30", "2026-03-08T07:00:00Z", "2026-03-07"},
		"the day after the clock is put forward":  {"00:30", "2026-03-09T04:30:00Z", "2026-03-08"},
		"an hour that comes twice, first":         {"01:30", "2026-11-01T05:30:00Z", "2026-10-31"},
		"between them, which was asked for":       {"01:30", "2026-11-01T06:00:00Z", "2026-10-30"},
		"an hour that comes twice, second":        {"01:30", "2026-11-01T06:30:00Z", "2026-10-31"},
		"the day after the clock is put back":     {"00:30", "2026-11-02T05:30:00Z", "2026-11-01"},
		"the minute before, on that day":          {"00:30", "2026-11-02T05:29:00Z", "2026-10-31"},
		"a leap day is closed like any other day": {"00:30", "2028-03-01T05:30:00Z", "2028-02-29"},
	} {
		got := closesAt(t, tt.hour).LastDue(moment(t, tt.at))
		if got.String() != tt.want {
			t.Errorf("%s: LastDue(%s) at %s = %v, want %s", name, tt.at, tt.hour, got, tt.want)
		}
	}
}

// ask lets the schedule be looked at, as a tick at the moment would.
func (p process) ask(t *testing.T, db jobs.DB, schedule *jobs.DayCloseSchedule, at string) error {
	t.Helper()
	worker := &jobs.ScheduleDayClose{DB: db, Jobs: p.inserter, Schedule: schedule}
	return worker.Work(t.Context(), &river.Job[jobs.ScheduleDayCloseArgs]{
		JobRow: &rivertype.JobRow{ScheduledAt: moment(t, at)},
	})
}

// scheduled returns the days that the schedule has asked for, in order, and
// checks that each was asked for once and has a job.
func scheduled(t *testing.T, db *testdb.DB) (days []string) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), `SELECT coalesce(array_agg(as_of_on::text ORDER BY as_of_on), '{}')
		FROM runs WHERE requested_by = 'schedule'`).Scan(&days)
	require.NoError(t, err)
	var jobs int
	err = db.Super.QueryRow(t.Context(), `SELECT count(*) FROM runs r JOIN river.river_job j
		ON j.kind = 'close_day' AND j.args->>'run_id' = r.id::text WHERE r.requested_by = 'schedule'`).Scan(&jobs)
	require.NoError(t, err)
	require.Len(t, days, jobs)
	return days
}

func TestEachDayIsAskedForOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	schedule := closesAt(t, "00:30")
	for _, at := range []string{
		"2026-10-31T04:30:00Z", "2026-10-31T04:31:00Z", "2026-11-01T04:29:00Z", // of the 30th
		"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", // of the 31st, half past one twice
		"2026-11-05T20:00:00Z", "2026-11-05T20:01:00Z", // four nights later
		"2026-11-05T19:59:00Z", // a clock that is behind
	} {
		require.NoError(t, p.ask(t, db.App, schedule, at))
	}
	require.Equal(t, []string{"2026-10-30", "2026-10-31", "2026-11-04"}, scheduled(t, db))

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := p.ask(t, db.App, schedule, "2026-11-06T05:30:00Z"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, []string{"2026-10-30", "2026-10-31", "2026-11-04", "2026-11-05"}, scheduled(t, db))
}

// Off, nothing is asked for; and a run that gets no job is none.
func TestNothingIsAskedFor(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	require.NoError(t, p.ask(t, db.App, nil, "2026-10-31T04:30:00Z"))

	_, err := db.Super.Exec(t.Context(), `REVOKE INSERT ON river.river_job FROM loanserve_app`)
	require.NoError(t, err)
	require.Error(t, p.ask(t, db.App, closesAt(t, "00:30"), "2026-10-31T04:30:00Z"))
	require.Empty(t, scheduled(t, db))
}

func (p process) startClosing(t *testing.T, db *testdb.DB, schedule *jobs.DayCloseSchedule) *jobs.Worker {
	t.Helper()
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		PaymentWorkers: 8, DayCloses: schedule, Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	return worker
}

// ticks counts the looks at the schedule that are over.
func ticks(t *testing.T, db *testdb.DB) (n int) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job
		WHERE kind = 'schedule_day_close' AND state = 'completed'`).Scan(&n)
	require.NoError(t, err)
	return n
}

// Two workers close yesterday by themselves, once, with all the nights before it
// on which nobody did; and not again when they are started again.
func TestDaysAreClosedByThemselves(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	schedule := closesAt(t, "00:00")
	yesterday := func() string { return schedule.LastDue(time.Now()).String() }
	began := yesterday()

	for round := range 3 {
		worker, other := p.startClosing(t, db, schedule), p.startClosing(t, db, schedule)
		require.Eventually(t, func() bool { return ticks(t, db) > round }, patience, 10*time.Millisecond)
		require.Eventually(t, func() bool {
			return unfinished(t, db) == 0 && waitingRuns(t, db) == 0
		}, patience, 10*time.Millisecond)
		require.NoError(t, worker.Stop(t.Context()))
		require.NoError(t, other.Stop(t.Context()))
	}
	days := scheduled(t, db)
	if ended := yesterday(); ended == began { // Else midnight has passed meanwhile.
		require.Equal(t, []string{began}, days)
	}

	got, err := queries.New(db.App).GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, days[len(days)-1], got.AsOfOn.String())
	require.Equal(t, chargesUntil(got.AsOfOn), lateCharges(t, db), "every month since it was boarded")
	requireSoundBooks(t, db.App, loan.ID)
}

// chargesUntil counts the 17ths since February 2026: a sample loan that is never
// paid is charged on each.
func chargesUntil(day mortgage.Date) int {
	year, month, dayOfMonth := day.Civil()
	n := (year-2026)*12 + month - 2
	if dayOfMonth >= 17 {
		n++
	}
	return n
}

func waitingRuns(t *testing.T, db *testdb.DB) (n int) {
	t.Helper()
	err := db.Super.QueryRow(t.Context(), `SELECT count(*) FROM runs WHERE finished_at IS NULL`).Scan(&n)
	require.NoError(t, err)
	return n
}

// A worker that is not to close days leads, and does not tick.
func TestDaysAreNotClosedWhereThatIsOff(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	p := newProcess(t, db)
	worker := p.startClosing(t, db, nil)
	require.Eventually(t, func() bool {
		var leads bool
		err := db.Super.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM river.river_leader)`).Scan(&leads)
		return err == nil && leads
	}, patience, 10*time.Millisecond)
	untilPosted(t, db, p.enqueue(t, db, loan))
	require.NoError(t, worker.Stop(t.Context()))
	require.Empty(t, scheduled(t, db))
	require.Zero(t, ticks(t, db))
}
