package jobs_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// analyze works the job of an analysis, and returns its row after it.
func analyze(t *testing.T, db jobs.DB, id uuid.UUID) queries.EscrowAnalysis {
	t.Helper()
	worker := &jobs.AnalyzeEscrow{DB: db, Jobs: inserter(), Metrics: newMetrics()}
	job := &river.Job[jobs.AnalyzeEscrowArgs]{Args: jobs.AnalyzeEscrowArgs{AnalysisID: id}}
	require.NoError(t, worker.Work(t.Context(), job))
	return analysisRow(t, db, id)
}

func analysisRow(t *testing.T, db jobs.DB, id uuid.UUID) (row queries.EscrowAnalysis) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) (err error) {
		row, err = queries.New(tx).GetEscrowAnalysis(t.Context(), id)
		return err
	})
	require.NoError(t, err)
	return row
}

// escrowedLoan is a sample loan of which the year from 2027-02-01 on needs 400.00 a
// month and 1,800.00 when it begins: 1,800.00 of county tax in June and December, and
// 1,200.00 of insurance in March. All that is due is paid until 2027-02-01.
func escrowedLoan(t *testing.T, db testdb.Beginner, escrow mortgage.Cents) queries.Loan {
	t.Helper()
	return escrowedLoanWith(t, db, func(p *queries.InsertLoanParams) { p.EscrowCents = escrow })
}

func escrowedLoanWith(t *testing.T, db testdb.Beginner, edits ...func(*queries.InsertLoanParams)) queries.Loan {
	t.Helper()
	loan := testdb.Loan(t, db, append([]func(*queries.InsertLoanParams){func(p *queries.InsertLoanParams) {
		p.NextDueOn = testdb.Date("2027-02-01")
	}}, edits...)...)
	err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
		testdb.EscrowLine(t, tx, loan, func(p *queries.InsertEscrowLineParams) { p.NextDueOn = testdb.Date("2027-06-01") })
		testdb.EscrowLine(t, tx, loan, func(p *queries.InsertEscrowLineParams) {
			p.Kind, p.Payee, p.AmountCents, p.EveryMonths = queries.EscrowLineKindHazardInsurance, "Acme Mutual", 1_200_00, 12
			p.NextDueOn = testdb.Date("2027-03-10")
		})
		// The year that ends was the one from the month after the boarding on.
		_, err := tx.Exec(t.Context(), "UPDATE loans SET escrow_year_starts_on = '2026-02-01' WHERE id = $1", loan.ID)
		return err
	})
	require.NoError(t, err)
	return loan
}

func getLoan(t *testing.T, db queries.DBTX, id int64) queries.Loan {
	t.Helper()
	loan, err := queries.New(db).GetLoan(t.Context(), id)
	require.NoError(t, err)
	return loan
}

// escrowPayments returns what the loan's installments deposit, on the due dates.
func escrowPayments(loan queries.Loan, dueOn ...string) (cents []mortgage.Cents) {
	terms := mortgage.Terms{EscrowPayment: loan.EscrowPaymentCents, Changes: loan.TermsChanges}
	for _, on := range dueOn {
		cents = append(cents, terms.EscrowPaymentFor(testdb.Date(on)))
	}
	return cents
}

// A shortage of 120.00 is asked for over a year, and then the payment is the base
// again.
func TestAnalyzeEscrowAppliesTheNewPayment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 1_680_00)
	wish := testdb.AnalysisWish(t, tx, loan)
	got := analyze(t, tx, wish.ID)
	require.Equal(t, queries.EscrowAnalysisStatusFinished, got.Status)
	require.Equal(t, testdb.Date("2027-02-01"), got.StartOn)
	require.EqualValues(t, 400_00, *got.BasePaymentCents)
	require.EqualValues(t, 800_00, *got.CushionCents)
	require.EqualValues(t, 1_800_00, *got.RequiredStartCents)
	require.EqualValues(t, 120_00, *got.ShortageCents)
	require.EqualValues(t, 410_00, *got.NewEscrowPaymentCents)
	require.Equal(t, testdb.Date("2027-02-01"), got.EffectiveOn)
	require.Equal(t, testdb.Date("2027-03-02"), got.StatementDueOn)
	require.Zero(t, got.RefundCents)

	after := getLoan(t, tx, loan.ID)
	require.Equal(t, []mortgage.Cents{450_00, 410_00, 410_00, 400_00},
		escrowPayments(after, "2027-01-01", "2027-02-01", "2028-01-01", "2028-02-01"))
	require.Equal(t, testdb.Date("2027-02-01"), after.EscrowYearStartsOn)
	changes, err := queries.New(tx).ListLoanChanges(t.Context(), queries.ListLoanChangesParams{
		LoanID: loan.ID, BeforeID: uuid.Max, RowLimit: 10,
	})
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.Equal(t, "escrow_analysis:"+wish.ID.String(), changes[0].RequestedBy)
	require.Equal(t, queries.LoanChangeStatusPosted, changes[0].Status)
	require.Equal(t, 12, countRows(t, tx, "SELECT count(*) FROM escrow_analysis_months WHERE analysis_id = $1", wish.ID))
	requireSoundBooks(t, tx, loan.ID)

	again := analyze(t, tx, wish.ID)
	require.Equal(t, got, again, "the second time does nothing")
	require.Equal(t, after, getLoan(t, tx, loan.ID))
}

// What is stored is what was computed, and computing it again gives the same.
func TestAnalysisIsStoredWhole(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 1_680_00)
	got := analyze(t, tx, testdb.AnalysisWish(t, tx, loan).ID)
	want, err := mortgage.AnalyzeEscrow(*got.Request)
	require.NoError(t, err)
	require.Equal(t, want, *got.Result)
	require.Len(t, got.Request.Items, 2)
	require.EqualValues(t, 1_680_00, got.Request.Account.Balance)
}

// A surplus at its boundary is refunded, and a cent less credited.
func TestAnalyzeEscrowRefundsASurplus(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	refunded := analyze(t, tx, testdb.AnalysisWish(t, tx, escrowedLoan(t, tx, 1_850_00)).ID)
	require.EqualValues(t, 50_00, *refunded.SurplusCents)
	require.EqualValues(t, 50_00, refunded.RefundCents)
	require.Equal(t, testdb.Date("2027-03-02"), refunded.RefundDueOn, "thirty days after the analysis")
	require.EqualValues(t, 400_00, *refunded.NewEscrowPaymentCents)

	loan := escrowedLoan(t, tx, 1_849_99)
	credited := analyze(t, tx, testdb.AnalysisWish(t, tx, loan).ID)
	require.EqualValues(t, 49_99, *credited.SurplusCents)
	require.Zero(t, credited.RefundCents)
	require.Equal(t, []mortgage.Cents{395_83, 395_88, 400_00},
		escrowPayments(getLoan(t, tx, loan.ID), "2027-02-01", "2028-01-01", "2028-02-01"))
}

// A dry run changes nothing, and nothing is refunded because of it.
func TestAnalyzeEscrowDryRun(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 2_200_00)
	before := getLoan(t, tx, loan.ID)
	dry := func(p *queries.InsertEscrowAnalysisParams) { p.DryRun = true }
	got := analyze(t, tx, testdb.AnalysisWish(t, tx, loan, dry).ID)
	require.Equal(t, queries.EscrowAnalysisStatusFinished, got.Status)
	require.EqualValues(t, 400_00, *got.SurplusCents)
	require.Equal(t, mortgage.EscrowRefund, got.Result.SurplusHandling.Action)
	require.Zero(t, got.RefundCents)
	require.Equal(t, before, getLoan(t, tx, loan.ID))
}

// An analysis in the middle of a year overtakes what the one before had planned for
// later.
func TestLaterAnalysisOvertakesAnEarlierOne(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 1_680_00)
	analyze(t, tx, testdb.AnalysisWish(t, tx, loan).ID) // 410.00, and 400.00 from 2028-02-01 on
	onDemand := testdb.AnalysisWish(t, tx, loan, func(p *queries.InsertEscrowAnalysisParams) {
		p.Kind, p.AsOfOn = queries.EscrowAnalysisKindOnDemand, testdb.Date("2027-02-20")
	})
	got := analyze(t, tx, onDemand.ID)
	require.Equal(t, queries.EscrowAnalysisStatusFinished, got.Status, got.Refusal)
	require.Equal(t, testdb.Date("2027-03-01"), got.StartOn)
	after := getLoan(t, tx, loan.ID)
	require.Equal(t, testdb.Date("2027-03-01"), after.EscrowYearStartsOn)
	for _, p := range got.Result.Payments {
		require.Equal(t, []mortgage.Cents{p.Total()}, escrowPayments(after, p.FromOn.String()))
	}
	last := got.Result.Payments[len(got.Result.Payments)-1]
	require.Equal(t, []mortgage.Cents{410_00, last.Total()}, escrowPayments(after, "2027-02-01", "2029-01-01"))
	requireSoundBooks(t, tx, loan.ID)
}

// Books as they stood: what came in and went out after the day does not count, and
// payments that satisfied installments with another escrow part are posted again.
func TestAnalysisOfThePastCorrectsTheBooks(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoanWith(t, tx, func(p *queries.InsertLoanParams) {
		p.EscrowCents, p.ExcessPolicy = 1_680_00, mortgage.ExcessToSuspense
	})
	post(t, tx, loan, 2_346_20, "2027-02-01") // 450.00 of it for escrow
	post(t, tx, loan, 2_346_20, "2027-03-01")
	got := analyze(t, tx, testdb.AnalysisWish(t, tx, loan).ID)
	require.EqualValues(t, 1_680_00, got.Request.Account.Balance)
	require.Equal(t, testdb.Date("2027-02-01"), got.Request.NextDueOn)
	require.EqualValues(t, 410_00, *got.NewEscrowPaymentCents)
	after := getLoan(t, tx, loan.ID)
	require.EqualValues(t, 1_680_00+2*410_00, after.EscrowCents)
	require.EqualValues(t, 2*40_00, after.SuspenseCents)
	require.Equal(t, testdb.Date("2027-04-01"), after.NextDueOn)
	requireSoundBooks(t, tx, loan.ID)
}

// Money that did not suffice for the old payment and does for the new one satisfies
// the installment.
func TestLowerPaymentSatisfiesHeldInstallment(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoanWith(t, tx, func(p *queries.InsertLoanParams) {
		p.EscrowCents, p.ExcessPolicy = 1_680_00, mortgage.ExcessToSuspense
	})
	post(t, tx, loan, 2_306_20, "2027-01-20") // 40.00 too little, before the day
	require.EqualValues(t, 2_306_20, state(t, tx, loan.ID).Suspense)
	analyze(t, tx, testdb.AnalysisWish(t, tx, loan).ID)
	after := getLoan(t, tx, loan.ID)
	require.Zero(t, after.SuspenseCents)
	require.Equal(t, testdb.Date("2027-03-01"), after.NextDueOn)
	requireSoundBooks(t, tx, loan.ID)
}

// Each rule refuses with its code, and the loan stays as it is.
func TestAnalyzeEscrowRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		board func(*queries.InsertLoanParams)
		set   string
		wish  func(*queries.InsertEscrowAnalysisParams)
	}{
		"loan_paid_off": {set: "status = 'paid_off', principal_cents = 0, paid_off_on = '2027-01-01'"},
		"loan_archived": {set: "status = 'archived'"},
		"not_paid_off":  {wish: ofKind(queries.EscrowAnalysisKindPayoff)},
		"not_due":       {wish: asOfDay("2026-10-31")},
		"year_analyzed": {set: "escrow_year_starts_on = '2027-02-01'", wish: startOn("2027-02-01")},
		"past_maturity": {board: func(p *queries.InsertLoanParams) { p.MaturityOn = testdb.Date("2027-01-01") }},
		"before_boarding": {wish: func(p *queries.InsertEscrowAnalysisParams) {
			p.AsOfOn, p.StartOn, p.DryRun = testdb.Date("2026-01-14"), testdb.Date("2026-02-01"), true
		}},
		"escrow_invalid": {wish: startOn("2027-08-01")},
	}
	for want, tt := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			loan := escrowedLoanWith(t, tx, func(p *queries.InsertLoanParams) {
				p.EscrowCents = 1_680_00
				if tt.board != nil {
					tt.board(p)
				}
			})
			if tt.set != "" {
				_, err := tx.Exec(t.Context(), "UPDATE loans SET "+tt.set+" WHERE id = $1", loan.ID)
				require.NoError(t, err)
			}
			before := getLoan(t, tx, loan.ID)
			wish := testdb.AnalysisWish(t, tx, loan, func(p *queries.InsertEscrowAnalysisParams) {
				if tt.wish != nil {
					tt.wish(p)
				}
			})
			got := analyze(t, tx, wish.ID)
			require.Equal(t, queries.EscrowAnalysisStatusRejected, got.Status)
			require.Equal(t, want, *got.Refusal)
			require.Equal(t, want == "escrow_invalid", got.RefusedField != nil)
			require.Equal(t, before, getLoan(t, tx, loan.ID))
		})
	}
}

func asOfDay(on string) func(*queries.InsertEscrowAnalysisParams) {
	return func(p *queries.InsertEscrowAnalysisParams) { p.AsOfOn = testdb.Date(on) }
}

func ofKind(kind queries.EscrowAnalysisKind) func(*queries.InsertEscrowAnalysisParams) {
	return func(p *queries.InsertEscrowAnalysisParams) { p.Kind = kind }
}

func startOn(on string) func(*queries.InsertEscrowAnalysisParams) {
	return func(p *queries.InsertEscrowAnalysisParams) { p.StartOn = testdb.Date(on) }
}

// An account whose loan is paid off closes: all of it goes back, but not because of
// the analysis.
func TestPayoffAnalysis(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 1_680_00)
	_, err := tx.Exec(t.Context(), `
UPDATE loans SET status = 'paid_off', principal_cents = 0, paid_off_on = '2027-01-20' WHERE id = $1`, loan.ID)
	require.NoError(t, err)
	testdb.WebhookSubscription(t, tx, "https://example.com/", jobs.EventEscrowAnalysisCompleted)
	got := analyze(t, tx, testdb.AnalysisWish(t, tx, loan, func(p *queries.InsertEscrowAnalysisParams) {
		p.Kind, p.AsOfOn = queries.EscrowAnalysisKindPayoff, testdb.Date("2027-01-20")
	}).ID)
	require.Equal(t, 1, rowsIn(t, tx, `SELECT count(*) FROM webhook_messages
		WHERE data->>'kind' = 'payoff' AND data->>'surplus_cents' = '168000' AND NOT data ? 'start_on'`))
	require.Equal(t, queries.EscrowAnalysisStatusFinished, got.Status, got.Refusal)
	require.EqualValues(t, 1_680_00, *got.SurplusCents)
	require.Zero(t, got.RefundCents, "the payoff refunds it")
	require.Equal(t, testdb.Date("2027-03-21"), got.StatementDueOn)
}

// When the last statement fails nothing has happened.
func TestAnalyzeEscrowRollsBack(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loan := escrowedLoan(t, db.App, 1_680_00)
	before := getLoan(t, db.App, loan.ID)
	wish := testdb.AnalysisWish(t, db.App, loan)
	_, err := db.Super.Exec(t.Context(),
		"ALTER TABLE loans ADD CONSTRAINT bad CHECK (escrow_year_starts_on < '2027-01-01') NOT VALID")
	require.NoError(t, err)
	worker := &jobs.AnalyzeEscrow{DB: db.App, Jobs: inserter(), Metrics: newMetrics()}
	job := &river.Job[jobs.AnalyzeEscrowArgs]{Args: jobs.AnalyzeEscrowArgs{AnalysisID: wish.ID}}
	require.Error(t, worker.Work(t.Context(), job))
	require.Equal(t, before, getLoan(t, db.App, loan.ID))
	require.Equal(t, wish, analysisRow(t, db.App, wish.ID))
	db.SwitchOffDDLGuards(t)
	_, err = db.Super.Exec(t.Context(), "ALTER TABLE loans DROP CONSTRAINT bad")
	require.NoError(t, err)
	require.Equal(t, queries.EscrowAnalysisStatusFinished, analyze(t, db.App, wish.ID).Status)
}

// A bill that was paid after the day of the balance waits to be paid as of that day,
// for what it came to: the year that is analyzed late needs what it would have.
func TestBillsPaidSinceAreStillToCome(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	inTime, late := escrowedLoan(t, tx, 1_680_00), escrowedLoan(t, tx, 1_680_00)
	want := analyze(t, tx, testdb.AnalysisWish(t, tx, inTime, asOfDay("2027-03-20")).ID)
	require.Equal(t, want.StartOn, testdb.Date("2027-02-01"))

	var line queries.EscrowLine
	lines, err := queries.New(tx).ListEscrowLines(t.Context(), late.ID)
	require.NoError(t, err)
	line = lines[1] // The insurance, which is due on 2027-03-10.
	_, err = tx.Exec(t.Context(), `
INSERT INTO escrow_bills SELECT * FROM jsonb_populate_record(NULL::escrow_bills, jsonb_build_object(
  'id', gen_random_uuid(), 'line_id', $1::bigint, 'loan_id', $2::bigint, 'status', 'paid', 'due_on', '2027-03-12',
  'cycle_on', '2027-03-10', 'amount_cents', 120000, 'discount_cents', 0, 'expected', false,
  'insurance_canceled', false, 'requested_by', 'testdb', 'created_at', now()))`, line.ID, late.ID)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
INSERT INTO escrow_disbursements (id, loan_id, kind, bill_id, status, payee, amount_cents, rule, due_on, paid_on,
  caused_by, posted_at)
SELECT gen_random_uuid(), loan_id, 'bill', id, 'scheduled', 'Acme Mutual', amount_cents, 'test', due_on, due_on,
  'testdb', now()
FROM escrow_bills WHERE loan_id = $1`, late.ID)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
UPDATE escrow_lines SET next_due_on = '2028-03-10', last_paid_on = '2027-03-12', known_cents = 1
WHERE id = $1`, line.ID)
	require.NoError(t, err)
	got := analyze(t, tx, testdb.AnalysisWish(t, tx, late, asOfDay("2027-03-20")).ID)
	require.Equal(t, want.Result.RequiredStart, got.Result.RequiredStart)
	require.Equal(t, want.Result.Months, got.Result.Months)
	require.Equal(t, mortgage.EstimateKnown, got.Result.Bills[2].Basis)
}
