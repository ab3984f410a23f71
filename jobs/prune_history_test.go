package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
)

// oldMonth makes a month of the history with so many rows.
func oldMonth(t *testing.T, db *testdb.DB, month string, rows int) {
	t.Helper()
	_, err := db.Owner.Exec(t.Context(), `
SET timezone = 'UTC';
DO $$ BEGIN EXECUTE format(
  'CREATE TABLE history_parts.history_p%1$s PARTITION OF history FOR VALUES FROM (%2$L) TO (%3$L)',
  to_char(date '`+month+`', 'YYYY_MM'), date '`+month+`', date '`+month+`' + interval '1 month'); END $$`)
	require.NoError(t, err)
	_, err = db.Owner.Exec(t.Context(), `
INSERT INTO history (changed_at, relation, operation, primary_key, old_row)
SELECT $1::date + interval '20 days', 'loans', 'DELETE', '{}', '{}' FROM generate_series(1, $2)`, month, rows)
	require.NoError(t, err)
}

func TestPruneHistory(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	oldMonth(t, db, "2020-01-01", 3)
	oldMonth(t, db, "2020-02-01", 4)
	testdb.Loan(t, db.App) // Its boarding is this month's.
	kept := count(t, db, `SELECT count(*) FROM history`) - 7
	require.Positive(t, kept)
	_, err := db.Owner.Exec(t.Context(), `
DO $$
DECLARE
  last text := (SELECT max(oid::regclass::text) FROM pg_class WHERE relname ~ '^history_p[0-9]{4}_[0-9]{2}$');
BEGIN
  PERFORM set_config('loanserve.allow_drop', last, true);
  EXECUTE 'DROP TABLE ' || last;
END $$`)
	require.NoError(t, err)
	worker := p.start(t, db)
	defer func() { require.NoError(t, worker.Stop(t.Context())) }()
	parts := func() int64 {
		return count(t, db, `SELECT count(*) FROM pg_class WHERE relname ~ '^history_p[0-9]{4}_[0-9]{2}$'`)
	}
	work := func(age time.Duration, dry bool) queries.Run {
		run := ask(t, db, queries.RunKindPruneHistory, age, dry)
		_, err := p.inserter.Insert(t.Context(), jobs.PruneHistoryArgs{RunID: run.ID}, nil)
		require.NoError(t, err)
		untilOver(t, db, run)
		return run
	}
	const years = 3 * 365 * aDay
	require.EqualValues(t, 14, parts())
	requireRun(t, db, work(years, true).ID, queries.RunStatusFinished, [3]int64{7, 0, 0})
	require.EqualValues(t, 14, parts(), "it only counts")

	requireRun(t, db, work(years, false).ID, queries.RunStatusFinished, [3]int64{7, 7, 0})
	require.EqualValues(t, 13, parts(), "this month and a year ahead")
	require.Equal(t, kept, count(t, db, `SELECT count(*) FROM history`))
	requireRun(t, db, work(years, false).ID, queries.RunStatusFinished, [3]int64{0, 0, 0})

	run := work(89*aDay, false)
	failed := requireRun(t, db, run.ID, queries.RunStatusFailed, [3]int64{0, 0, 0})
	require.Contains(t, string(failed.Findings), "still needed")

	_, err = queries.New(db.App).DeleteOldHistoryBatch(t.Context(), time.Now().Add(100*365*aDay))
	require.NoError(t, err)
	require.EqualValues(t, 13, parts(), "whoever calls it, the last months stay")
}
