package recovery_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
)

// TestWhatWasTakenComesBack loses loans with everything that can hang on one, and has
// all of it back to the byte, through guards that are on again. Later writes stay.
func TestWhatWasTakenComesBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 3)
	d := lose(t, db, all[0], all[1])
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM loans`))
	exec(t, d.live.Super, testdb.SetGuards("ENABLE ALWAYS"))

	later := testdb.Payment(t, d.live.App, all[2])
	kept := one[string](t, d.live.Super, `SELECT p::text FROM payments p WHERE id = $1`, later.ID)
	s := d.open(t, "")
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Empty(t, plan.Conflicts)
	require.Len(t, plan.Loans, 2)
	require.EqualValues(t, 2, planned(t, plan, "borrowers").Insert)
	require.EqualValues(t, 2, planned(t, plan, "properties").Insert)
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM loans`), "a plan writes nothing")

	done := d.merge(t, s)
	require.Equal(t, plan, done)
	require.Zero(t, done.JobsAgain)
	require.Equal(t, kept, one[string](t, d.live.Super, `SELECT p::text FROM payments p WHERE id = $1`, later.ID))
	want, got := rows(t, db.Super), rows(t, d.live.Super)
	want["payments"] = append(want["payments"], kept)
	for table := range want {
		require.ElementsMatch(t, want[table], got[table], table)
	}
	require.Equal(t, fmt.Sprintf(`%s  [%d, %d]`, d.xid, all[0].ID, all[1].ID), one[string](t, d.live.Super, `
SELECT format('%s %s %s', details -> 'xids' ->> 0, details ->> 'loans', details -> 'loan_ids') FROM auth_events
WHERE kind = 'rows_recovered' AND actor_name = 'the test'`))

	// Once more, by a new session: there is nothing to do, and nothing is done.
	again := d.open(t, "")
	plan, err = again.Plan(t.Context())
	require.NoError(t, err)
	require.True(t, plan.Empty())
	require.Empty(t, plan.Conflicts)
	require.True(t, d.merge(t, again).Empty())
	require.Equal(t, got, rows(t, d.live.Super))
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM auth_events WHERE kind = 'rows_recovered'`))
	require.NotNil(t, plan.RecoveredAt)

	// Nor when a loan that is back has gone on since.
	exec(t, d.live.App, `UPDATE loans SET status = 'archived' WHERE id = $1`, all[0].ID)
	plan, err = d.open(t, "").Plan(t.Context())
	require.NoError(t, err)
	require.Empty(t, plan.Conflicts)
	require.NotNil(t, plan.RecoveredAt)
}

// TestNamedLoansComeAlone brings one of three lost loans back by its number, then
// another one by its id: each with what hangs on it, and nothing of the rest.
func TestNamedLoansComeAlone(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 3)
	// The first two have a borrower in common, and their payments one file.
	exec(t, db.Super, `INSERT INTO loan_borrowers (loan_id, borrower_id, role)
SELECT $1, borrower_id, 'co_borrower' FROM loan_borrowers WHERE loan_id = $2`, all[1].ID, all[0].ID)
	testdb.PaymentBatch(t, db.App, testdb.Payment(t, db.App, all[0]), testdb.Payment(t, db.App, all[1]))
	d := lose(t, db, all...)

	d.merge(t, d.open(t, all[0].LoanNumber))
	require.Equal(t, ids(all[0]), column[int64](t, d.live.Super, `SELECT id FROM loans`))
	require.Equal(t, 2, one[int](t, d.live.Super, `SELECT count(*) FROM payments`))
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM borrowers`))

	d.merge(t, d.open(t, fmt.Sprint(all[1].ID)))
	require.Equal(t, ids(all[:2]...), column[int64](t, d.live.Super, `SELECT id FROM loans ORDER BY id`))
	require.Equal(t, 2, one[int](t, d.live.Super, `SELECT count(*) FROM borrowers`))
	d.merge(t, d.open(t, ""))
	require.Equal(t, rows(t, db.Super), rows(t, d.live.Super))
}

// TestDeletedByRightStaysDeleted deletes a session by right after the loss, and does not
// get it back: the difference of the images is what the transaction took, not what is
// missing.
func TestDeletedByRightStaysDeleted(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 1)
	exec(t, db.Super, addUser, "ann")
	exec(t, db.Super, addUser, "ben")
	d := lose(t, db, all...)
	exec(t, d.live.App, `DELETE FROM users WHERE name = 'ben'`)
	exec(t, d.live.App, `UPDATE users SET full_name = 'Ann' WHERE name = 'ann'`)
	d.merge(t, d.open(t, ""))
	require.Equal(t, []string{"ann Ann"}, column[string](t, d.live.Super, `SELECT name || ' ' || full_name FROM users`))
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM loans`))
}

const addUser = `
INSERT INTO users (name, full_name, password_hash) VALUES ($1, 'x', '$argon2id$v=19$m=1,t=1,p=1$a$a')`

// TestReferencesAreSetAgain deletes a user to whom others refer: references that the
// deletion set to null are as they were, but for one that somebody has set since.
func TestReferencesAreSetAgain(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	for _, name := range []string{"ann", "ben", "cid"} {
		exec(t, db.Super, addUser, name)
	}
	exec(t, db.Super, `
INSERT INTO user_roles (user_id, role_id, assigned_by, assigned_by_name)
  SELECT u.id, role_id, (SELECT id FROM users WHERE name = 'ann'), 'ann'
  FROM (VALUES ('ben', 1), ('ben', 4), ('ann', 5)) r (name, role_id) JOIN users u USING (name)`)
	d := damage{before: db, live: db.Copy(t)}
	d.xid = one[string](t, d.live.App, `
WITH gone AS (DELETE FROM users WHERE name = 'ann' RETURNING id) SELECT pg_current_xact_id()::text FROM gone`)
	d.after = d.live.Copy(t)
	exec(t, d.live.Super,
		`UPDATE user_roles SET assigned_by = (SELECT id FROM users WHERE name = 'cid') WHERE role_id = 4`)

	done := d.merge(t, d.open(t, ""))
	roles := planned(t, done, "user_roles")
	require.EqualValues(t, 1, roles.Insert)
	require.EqualValues(t, 1, roles.SetBack)
	require.EqualValues(t, 1, roles.Kept)
	require.Equal(t, []string{"ann 5 ann", "ben 1 ann", "ben 4 cid"}, column[string](t, d.live.Super, `
SELECT format('%s %s %s', u.name, role_id, a.name) FROM user_roles r
JOIN users u ON u.id = r.user_id JOIN users a ON a.id = assigned_by ORDER BY 1`))
	require.True(t, d.merge(t, d.open(t, "")).Empty())
}

// TestTruncatedTablesComeBack empties tables by TRUNCATE, which leaves no deletions, and
// sets their numbers back.
func TestTruncatedTablesComeBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 2)
	d := damage{before: db, live: db.Copy(t), xid: "1"}
	d.live.SwitchOffDDLGuards(t)
	exec(t, d.live.Super, testdb.SetGuards("DISABLE"))
	exec(t, d.live.Super, `TRUNCATE loans, borrowers, properties RESTART IDENTITY CASCADE`)
	d.after = d.live.Copy(t)

	done := d.merge(t, d.open(t, ""))
	require.Len(t, done.Loans, 2)
	require.Equal(t, rows(t, db.Super), rows(t, d.live.Super))
	require.Greater(t, testdb.Loan(t, d.live.App).ID, all[1].ID, "a number is not given twice")
}

// TestEntriesOfTheRegisterComeBack takes the register's entries too: they are as they
// were, and a loan has one.
func TestEntriesOfTheRegisterComeBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 2)
	d := damage{before: db, live: db.Copy(t), xid: "1"}
	testdb.LoseLoans(t, d.live.Super, ids(all...)...)
	exec(t, d.live.Super, `DELETE FROM loan_register`)
	d.after = d.live.Copy(t)
	d.merge(t, d.open(t, fmt.Sprint(all[0].ID)))
	require.Equal(t, one[string](t, db.Super, `SELECT string_agg(r::text, '|' ORDER BY loan_id) FROM loan_register r`),
		one[string](t, d.live.Super, `SELECT string_agg(r::text, '|' ORDER BY loan_id) FROM loan_register r`))
}

// TestJobsOfWhatComesBackAreAskedAgain takes a payment while its job waits. A worker
// finds nothing to post, and the job is done; with the payment comes another one.
func TestJobsOfWhatComesBackAreAskedAgain(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 2)
	waits := testdb.Payment(t, db.App, all[0])
	queue, err := jobs.NewInserter(db.App, jobs.NewMetrics(prometheus.NewRegistry(), slog.New(slog.DiscardHandler)),
		slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for _, args := range []river.JobArgs{
		jobs.PostPaymentArgs{PaymentID: waits.ID}, jobs.PostPaymentArgs{PaymentID: testdb.Payment(t, db.App, all[1]).ID},
	} {
		_, err := queue.Insert(t.Context(), args, nil)
		require.NoError(t, err)
	}
	d := lose(t, db, all[0])
	const waiting = `SELECT count(*) FROM river.river_job WHERE state = 'available' AND args ->> 'payment_id' = $1::text`
	exec(t, d.live.Super, `
UPDATE river.river_job SET state = 'completed', finalized_at = now() WHERE args ->> 'payment_id' = $1::text`, waits.ID)
	require.Zero(t, one[int](t, d.live.Super, waiting, waits.ID))
	require.Equal(t, 1, d.merge(t, d.open(t, "")).JobsAgain)
	require.Equal(t, 1, one[int](t, d.live.Super, waiting, waits.ID))
	require.Equal(t, []string{"post_payment payments 50"}, column[string](t, d.live.Super, `
SELECT concat_ws(' ', kind, queue, max_attempts) FROM river.river_job
WHERE state = 'available' AND args ->> 'payment_id' = $1::text`, waits.ID))
}
