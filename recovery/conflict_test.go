package recovery_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/recovery"
)

// refuses sees that a merge finds the conflicts and changes nothing.
func (d damage) refuses(
	t *testing.T, s *recovery.Salvage, kind recovery.ConflictKind, table, what string,
) recovery.Conflict {
	t.Helper()
	before := rows(t, d.live.Super)
	plan, err := s.Merge(t.Context())
	require.ErrorIs(t, err, recovery.ErrConflicts)
	require.Equal(t, before, rows(t, d.live.Super))
	for _, c := range plan.Conflicts {
		if c.Kind == kind && c.Table == table {
			require.Contains(t, c.What, what)
			return c
		}
	}
	require.Failf(t, "no such conflict", "%s %s in %+v", kind, table, plan.Conflicts)
	return recovery.Conflict{}
}

func TestReusedUniqueKeyIsAConflict(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 2)
	d := lose(t, db, all...)
	other := testdb.Loan(t, d.live.App, func(p *queries.InsertLoanParams) { p.LoanNumber = all[0].LoanNumber })
	s := d.open(t, "")
	c := d.refuses(t, s, recovery.ConflictUnique, "loans", "loans_loan_number_key")
	require.EqualValues(t, 1, c.Count)
	require.Len(t, c.Keys, 1)
	require.NotEqual(t, other.ID, all[0].ID)

	// The other loan is not touched by it.
	list := all[1].LoanNumber
	d.choose(t, s, list)
	require.Len(t, d.merge(t, s).Loans, 1)
}

func TestReusedKeyIsAConflict(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 1)
	d := lose(t, db, all...)
	exec(t, d.live.Super, `
INSERT INTO borrowers OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::borrowers, $1::text::jsonb)).*`,
		one[string](t, db.Super, `SELECT jsonb_set(to_jsonb(b), '{full_name}', '"Another"')::text FROM borrowers b`))
	d.refuses(t, d.open(t, ""), recovery.ConflictAlive, "borrowers", "the same key")
}

// TestMissingReferenceIsAConflict drops the foreign key as well: what it demands holds
// all the same.
func TestMissingReferenceIsAConflict(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 1)
	run := testdb.Run(t, db.App)
	exec(t, db.Super, `UPDATE escrow_analyses SET run_id = $1`, run.ID)
	d := lose(t, db, all...)
	exec(t, d.live.Super, `ALTER TABLE escrow_analyses DROP CONSTRAINT escrow_analyses_run_id_fkey`)
	exec(t, d.live.Super, `DELETE FROM runs`)
	d.refuses(t, d.open(t, ""), recovery.ConflictReference, "escrow_analyses", "escrow_analyses_run_id_fkey")
}

// TestChangedRows has the transaction change rows as well: they become what they were
// unless somebody has changed them since, which is for a person to decide.
func TestChangedRows(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 3)
	d := damage{before: db, live: db.Copy(t)}
	testdb.LoseLoans(t, d.live.Super, all[0].ID)
	exec(t, d.live.Super, `UPDATE loans SET name = 'Robbed'`) // As if by the same transaction: images are all that counts.
	d.after = d.live.Copy(t)

	// Who names loans gets back what was changed of them, and of no other.
	s := d.open(t, all[0].LoanNumber)
	require.Zero(t, planned(t, mustPlan(t, s), "loans").SetBack)
	d.choose(t, s, all[1].LoanNumber)
	require.EqualValues(t, 1, planned(t, mustPlan(t, s), "loans").SetBack)
	require.Equal(t, []string{"name"}, planned(t, mustPlan(t, s), "loans").Columns)

	exec(t, d.live.Super, `UPDATE loans SET name = 'Someone' WHERE id = $1`, all[2].ID)
	s = d.open(t, "")
	c := d.refuses(t, s, recovery.ConflictChanged, "loans", `"name"`)
	require.EqualValues(t, 1, c.Count)

	// To leave changed rows alone is a decision that the operator can take.
	s.DeletedOnly = true
	d.merge(t, s)
	require.Equal(t, []string{all[0].Name, "Robbed", "Someone"},
		column[string](t, d.live.Super, `SELECT name FROM loans ORDER BY id`))
}

// TestChangedLedgerIsNotMended has the transaction rewrite what is only ever added to.
// The guards do not let it be rewritten again, and what was deleted comes without.
func TestChangedLedgerIsNotMended(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 2)
	d := damage{before: db, live: db.Copy(t), xid: "1"}
	testdb.LoseLoans(t, d.live.Super, all[0].ID)
	exec(t, d.live.Super, `UPDATE transactions SET rule = 'forged'`)
	exec(t, d.live.Super, testdb.SetGuards("ENABLE ALWAYS"))
	d.after = d.live.Copy(t)
	s := d.open(t, "")
	_, err := s.Merge(t.Context())
	require.ErrorContains(t, err, "the ledger is only ever added to")
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM loans`))
	s.DeletedOnly = true
	require.Len(t, d.merge(t, s).Loans, 1)
}

func mustPlan(t *testing.T, s *recovery.Salvage) *recovery.Plan {
	t.Helper()
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	return p
}

// TestDroppedTableIsAConflict: there is nothing to insert into.
func TestDroppedTableIsAConflict(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 1)
	d := damage{before: db, live: db.Copy(t), xid: "1"}
	testdb.LoseLoans(t, d.live.Super, ids(all...)...)
	exec(t, d.live.Super, `DROP TABLE arm_terms CASCADE`)
	d.after = d.live.Copy(t)
	d.refuses(t, d.open(t, ""), recovery.ConflictSchema, "arm_terms", "not there any more")
}

// TestBrokenSealOfTheImage has a seal that was broken before the loss already. The loan
// comes back with it: it is better there than gone, and checks tell of the seal. One
// that breaks on the way takes everything back.
func TestBrokenSealOfTheImage(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	all := loans(t, db, 1)
	sound := db.Copy(t)
	db.Tamper(t, `ALTER TABLE transactions DISABLE TRIGGER refuse_rewriting;
UPDATE transactions SET cash_cents = cash_cents + 1, boarding_clearing_cents = boarding_clearing_cents - 1;
ALTER TABLE transactions ENABLE ALWAYS TRIGGER refuse_rewriting`)
	d := lose(t, db, all...)

	s, err := recovery.Open(t.Context(), d.live.URL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	s.Origin = recovery.Origin{Actor: "operator", ActorName: "the test", XIDs: []string{d.xid}}
	require.NoError(t, s.Collect(t.Context(), d.before.URL, d.after.URL, nil))
	d.choose(t, s, "")
	recovery.SwapImage(s, sound.URL)
	_, err = s.Merge(t.Context())
	require.ErrorIs(t, err, recovery.ErrUnproven)
	require.Zero(t, one[int](t, d.live.Super, `SELECT count(*) FROM loans`))

	recovery.SwapImage(s, d.before.URL)
	require.Len(t, d.merge(t, s).Loans, 1)
	require.Equal(t, 1, one[int](t, d.live.Super, `SELECT count(*) FROM broken_seals`))
}

func TestParseLoans(t *testing.T) {
	t.Parallel()
	l, err := recovery.ParseLoans("1-16,19, LS-1004")
	require.NoError(t, err)
	require.Equal(t, recovery.Loans{
		IDs: []recovery.Range{{First: 1, Last: 16}, {First: 19, Last: 19}}, Numbers: []string{"LS-1004"},
	}, l)
	require.Equal(t, "1-16,19,LS-1004", l.String())
	for _, wrong := range []string{"", "1,,2", "0", "5-3", "1-", "-", "99999999999999999999"} {
		_, err := recovery.ParseLoans(wrong)
		require.Error(t, err, wrong)
	}
}
