package jobs_test

import (
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/stretchr/testify/require"

	"loanserve/internal/statement"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

var prairie = statement.Servicer{
	Name: "Prairie Mortgage Servicing", Address: "100 Capitol Avenue, Springfield, IL 62701", Phone: "1-800-555-0100",
}

// makeStatement works the job that makes the analysis's statement.
func makeStatement(t *testing.T, tx pgx.Tx, analysis uuid.UUID) error {
	t.Helper()
	worker := rivertest.NewWorker(t, riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema},
		&jobs.MakeEscrowStatement{DB: tx, Servicer: prairie})
	_, err := worker.Work(t.Context(), t, tx, jobs.MakeEscrowStatementArgs{AnalysisID: analysis}, nil)
	return err
}

// statementOf returns the stored statement of an analysis as data.
func statementOf(t *testing.T, db queries.DBTX, analysis uuid.UUID) statement.Disclosure {
	t.Helper()
	doc, err := queries.New(db).GetEscrowStatementDocument(t.Context(), "json", analysis)
	require.NoError(t, err)
	var d statement.Disclosure
	require.NoError(t, json.Unmarshal(doc.Content, &d))
	return d
}

// appendixELoan boards the loan of appendix E a year before the year that is
// analyzed, with 1,000.00 in escrow and 125.00 a month.
func appendixELoan(t *testing.T, tx pgx.Tx) queries.Loan {
	t.Helper()
	loan := testdb.Loan(t, tx, regZ, func(p *queries.InsertLoanParams) {
		p.BoardedAt = time.Date(2025, time.June, 15, 12, 0, 0, 0, time.UTC)
		p.EscrowPaymentCents, p.EscrowCents, p.NextDueOn = 125_00, 1_000_00, testdb.Date("2025-07-01")
	})
	testdb.Borrower(t, tx, loan, queries.BorrowerRolePrimary)
	return loan
}

// payYear posts the periodic payments of the year, of which October's is late.
func payYear(t *testing.T, tx pgx.Tx, loan queries.Loan, months int) {
	t.Helper()
	for i := range months {
		on, err := testdb.Date("2025-07-01").AddMonths(i, 1)
		require.NoError(t, err)
		if i == 3 {
			on += 31
		}
		payment := testdb.Payment(t, tx, loan, received(966_96, on.String()))
		require.NoError(t, work(t, tx, payment.ID))
	}
}

func pays(amount mortgage.Cents, on string) mortgage.Disbursement {
	return mortgage.Disbursement{
		Ref: on, Amount: amount, PaidOn: testdb.Date(on), Kind: mortgage.KindEscrowDisbursement,
		Rule: mortgage.RuleEscrowDisbursement,
	}
}

// disbursed records what a disbursement was for.
func disbursed(t *testing.T, tx pgx.Tx, loan queries.Loan, line int64, amount mortgage.Cents, on, payee string) {
	t.Helper()
	bill, err := uuid.NewV7()
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
INSERT INTO escrow_bills (id, line_id, loan_id, status, due_on, cycle_on, amount_cents, expected, requested_by)
VALUES ($1, $2, $3, 'paid', $4, $4, $5, false, 'testdb')`, bill, line, loan.ID, testdb.Date(on), amount)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
INSERT INTO escrow_disbursements (id, loan_id, kind, bill_id, payee, amount_cents, rule, due_on, paid_on, caused_by,
  posted_at)
VALUES ($1, $2, 'bill', $3, $4, $5, 'x', $6, $6, 'testdb', now())`,
		uuid.Must(uuid.NewV7()), loan.ID, bill, payee, amount, testdb.Date(on))
	require.NoError(t, err)
}

func documentsOf(t *testing.T, tx pgx.Tx, loan queries.Loan) (documents int) {
	t.Helper()
	err := tx.QueryRow(t.Context(), "SELECT count(*) FROM documents WHERE loan_id = $1", loan.ID).Scan(&documents)
	require.NoError(t, err)
	return documents
}

// firstYear is the analysis at the end of June 2025, which projects the year that
// then happens.
func firstYear(r mortgage.EscrowRequest) mortgage.EscrowRequest {
	bill := func(on string, cents mortgage.Cents) mortgage.EscrowBill {
		return mortgage.EscrowBill{DueOn: testdb.Date(on), Known: &cents}
	}
	r.AsOf, r.StartOn, r.NextDueOn = testdb.Date("2025-06-30"), testdb.Date("2025-07-01"), testdb.Date("2025-07-01")
	r.Account = mortgage.EscrowAccount{On: r.AsOf, Balance: 1_000_00, NextDueOn: r.NextDueOn}
	county, school := r.Items[0], r.Items[1]
	county.Bills = []mortgage.EscrowBill{bill("2025-07-25", 500_00), bill("2025-12-10", 640_00)}
	school.Bills = []mortgage.EscrowBill{bill("2025-09-20", 360_00)}
	r.Items = []mortgage.EscrowItem{county, school}
	return r
}

// A statement at the end of a year: last year's projection, the history from the
// books, what was paid for what, and each form kept with its hash. Its totals are
// those of the ledger. Made twice, it is made once.
func TestMakeEscrowStatement(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	q := queries.New(tx)
	loan := appendixELoan(t, tx)
	payYear(t, tx, loan, 12)
	county := testdb.EscrowLine(t, tx, loan)
	school := testdb.EscrowLine(t, tx, loan, func(p *queries.InsertEscrowLineParams) {
		p.Kind, p.Payee = queries.EscrowLineKindSchoolTax, "School District 186"
	})
	for _, b := range []struct {
		line   int64
		amount mortgage.Cents
		on     string
		payee  string
	}{
		{county, 500_00, "2025-07-24", "Sangamon County"},
		{school, 360_00, "2025-09-18", "School District 186"},
		{county, 590_00, "2026-01-04", "Sangamon County"},
	} {
		testdb.Disburse(t, tx, loan.ID, pays(b.amount, b.on))
		disbursed(t, tx, loan, b.line, b.amount, b.on, b.payee)
	}
	testdb.AnalyzedEscrow(t, tx, loan, firstYear(testdb.EscrowRequest(0)))
	analysis := testdb.AnalyzedEscrow(t, tx, loan, testdb.EscrowRequest(1_050_00))
	require.NoError(t, makeStatement(t, tx, analysis.ID))

	d := statementOf(t, tx, analysis.ID)
	past := d.Past
	require.True(t, past.Projected)
	require.Equal(t, testdb.Date("2025-07-01"), past.FromOn)
	require.Equal(t, testdb.Date("2026-06-30"), past.ToOn)
	require.Equal(t, []statement.DisclosureCategory{
		{Kind: mortgage.EscrowCountyTax, Payee: "Sangamon County", ProjectedCents: 1_140_00, ActualCents: 1_090_00},
		{Kind: mortgage.EscrowSchoolTax, Payee: "School District 186", ProjectedCents: 360_00, ActualCents: 360_00},
	}, past.Categories)
	require.False(t, past.LowReached)
	require.Equal(t, mortgage.Cents(841_96+130_00-83), d.Payment.TotalCents, "a surplus of 10.00 is credited")
	require.Equal(t, statement.DisclosurePayment{
		PrincipalAndInterestCents: 841_96, EscrowCents: 125_00, DiscretionaryCents: 0, TotalCents: 966_96,
	}, *d.PastPayment)
	require.Equal(t, []string{"Pat Sample"}, d.Borrowers)
	require.Equal(t, "1 Main Street, Springfield, IL 62701", d.Property)

	var in, out, balance mortgage.Cents
	require.NoError(t, tx.QueryRow(t.Context(), `
SELECT -sum(escrow_cents + escrow_advance_cents) FILTER (WHERE kind = 'installment'),
  sum(escrow_cents + escrow_advance_cents) FILTER (WHERE kind = 'escrow_disbursement'),
  -sum(escrow_cents + escrow_advance_cents)
FROM transactions WHERE loan_id = $1`, loan.ID).Scan(&in, &out, &balance))
	require.Equal(t, []mortgage.Cents{in, out, balance},
		[]mortgage.Cents{past.PaidInCents, past.PaidOutCents, past.EndingCents})

	require.NoError(t, makeStatement(t, tx, analysis.ID))
	require.Equal(t, 3, documentsOf(t, tx, loan))
	for _, form := range []string{"html", "pdf", "json"} {
		doc, err := q.GetEscrowStatementDocument(t.Context(), form, analysis.ID)
		require.NoError(t, err)
		hash := sha256.Sum256(doc.Content)
		require.Equal(t, hash[:], doc.Sha256)
	}
}

// The account is looked at two months before the year ends: what is scheduled is
// assumed, and leads to the balance that the analysis begins with.
func TestStatementAssumesWhatIsScheduled(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := appendixELoan(t, tx)
	payYear(t, tx, loan, 10)
	testdb.AnalyzedEscrow(t, tx, loan, firstYear(testdb.EscrowRequest(0)))
	r := testdb.EscrowRequest(2_250_00)
	r.AsOf, r.Account.On = testdb.Date("2026-05-02"), testdb.Date("2026-04-30")
	r.Account.NextDueOn, r.NextDueOn = testdb.Date("2026-05-01"), testdb.Date("2026-05-01")
	analysis := testdb.AnalyzedEscrow(t, tx, loan, r)
	require.NoError(t, makeStatement(t, tx, analysis.ID))

	past := statementOf(t, tx, analysis.ID).Past
	require.Len(t, past.Months, 12)
	require.Equal(t, []bool{false, true, true},
		[]bool{past.Months[9].Assumed, past.Months[10].Assumed, past.Months[11].Assumed})
	require.Equal(t, analysis.Result.StartBalance, past.EndingCents)
	require.Equal(t, mortgage.Cents(2_500_00), past.EndingCents)
}

// The first statement of a loan that was boarded in the middle of the year shows
// what happened since, and compares with nothing.
func TestStatementWithoutAnAnalysisBefore(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := testdb.Loan(t, tx, regZ, func(p *queries.InsertLoanParams) {
		p.EscrowPaymentCents, p.EscrowCents, p.NextDueOn = 125_00, 1_000_00, testdb.Date("2026-07-01")
	})
	testdb.Disburse(t, tx, loan.ID, pays(1_300_00, "2026-03-10"))
	analysis := testdb.AnalyzedEscrow(t, tx, loan, testdb.EscrowRequest(-300_00))
	require.NoError(t, makeStatement(t, tx, analysis.ID))

	d := statementOf(t, tx, analysis.ID)
	require.False(t, d.Past.Projected)
	require.Equal(t, testdb.Date("2026-01-01"), d.Past.FromOn)
	require.Equal(t, mortgage.Cents(1_000_00), d.Past.OpeningCents)
	require.Equal(t, mortgage.Cents(-300_00), d.Past.EndingCents, "what was advanced is below zero")
	require.Equal(t, []statement.DisclosureCategory{
		{Kind: mortgage.EscrowOther, ActualCents: 1_300_00},
	}, d.Past.Categories)
	require.Equal(t, mortgage.Cents(300_00), d.Deficiency.AmountCents)
}

// An initial statement needs no history, and a payoff has no coming year.
func TestStatementsOfOtherKinds(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := appendixELoan(t, tx)
	r := testdb.EscrowRequest(0)
	r.Kind, r.AsOf, r.EstablishedOn = mortgage.EscrowInitial, testdb.Date("2026-05-15"), testdb.Date("2026-05-15")
	r.Account.On = r.AsOf
	initial := testdb.AnalyzedEscrow(t, tx, loan, r)
	require.NoError(t, makeStatement(t, tx, initial.ID))
	d := statementOf(t, tx, initial.ID)
	require.Equal(t, mortgage.Cents(1_040_00), d.Deposit.AmountCents)
	require.Nil(t, d.Past)
	require.Equal(t, mortgage.Cents(971_96), d.Payment.TotalCents)

	r = testdb.EscrowRequest(1_000_00)
	r.Kind, r.AsOf, r.StartOn = mortgage.EscrowPayoff, testdb.Date("2025-11-10"), 0
	r.Account.On = r.AsOf
	payoff := testdb.AnalyzedEscrow(t, tx, loan, r)
	require.NoError(t, makeStatement(t, tx, payoff.ID))
	d = statementOf(t, tx, payoff.ID)
	require.Nil(t, d.Coming)
	require.Equal(t, mortgage.EscrowRefund, d.Surplus.Action)
	require.Equal(t, mortgage.Cents(1_000_00), d.Past.EndingCents)
}

// No statement is made of what owes none.
func TestNoStatementIsOwed(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := appendixELoan(t, tx)
	dryRun := func(a *queries.EscrowAnalysis) { a.DryRun = true }
	tried := testdb.AnalyzedEscrow(t, tx, loan, testdb.EscrowRequest(1_000_00), dryRun)
	r := testdb.EscrowRequest(1_000_00)
	r.Bankruptcy = true
	exempt := testdb.AnalyzedEscrow(t, tx, loan, r)
	for _, id := range []uuid.UUID{tried.ID, exempt.ID, uuid.Must(uuid.NewV7())} {
		require.NoError(t, makeStatement(t, tx, id))
		_, err := queries.New(tx).GetEscrowStatement(t.Context(), id)
		require.ErrorIs(t, err, pgx.ErrNoRows)
	}
}

// A history that does not lead to the balance that was analyzed is not sent: the
// job fails, and nothing of it is kept.
func TestAStatementThatDoesNotTie(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := appendixELoan(t, tx)
	analysis := testdb.AnalyzedEscrow(t, tx, loan, testdb.EscrowRequest(1_000_01))
	require.Error(t, makeStatement(t, tx, analysis.ID))
	require.Zero(t, documentsOf(t, tx, loan))
}

// What becomes known after the analysis does not change its statement.
func TestStatementSaysWhatWasKnown(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := appendixELoan(t, tx)
	analysis := testdb.AnalyzedEscrow(t, tx, loan, testdb.EscrowRequest(1_000_00))
	testdb.Disburse(t, tx, loan.ID, pays(77_00, "2026-06-01"))
	require.NoError(t, makeStatement(t, tx, analysis.ID))
	require.Zero(t, statementOf(t, tx, analysis.ID).Past.PaidOutCents)
}

// Eight workers that make the same statement at the same moment make one.
func TestMakeEscrowStatementRace(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	var analysis queries.EscrowAnalysis
	require.NoError(t, pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		analysis = testdb.AnalyzedEscrow(t, tx, appendixELoan(t, tx), testdb.EscrowRequest(1_000_00))
		return nil
	}))
	worker := &jobs.MakeEscrowStatement{DB: db.App, Servicer: prairie}
	var racers sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		racers.Go(func() {
			errs[i] = worker.Work(t.Context(), &river.Job[jobs.MakeEscrowStatementArgs]{
				Args: jobs.MakeEscrowStatementArgs{AnalysisID: analysis.ID},
			})
		})
	}
	racers.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	var documents, statements int
	require.NoError(t, db.App.QueryRow(t.Context(), "SELECT count(*) FROM documents").Scan(&documents))
	require.NoError(t, db.App.QueryRow(t.Context(), "SELECT count(*) FROM escrow_statements").Scan(&statements))
	require.Equal(t, []int{3, 1}, []int{documents, statements})
}

// The close of a day asks for statements that are owed and missing, and a process
// that knows the servicer makes them.
func TestOwedStatementsAreMade(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	var analysis queries.EscrowAnalysis
	require.NoError(t, pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
		analysis = testdb.AnalyzedEscrow(t, tx, appendixELoan(t, tx), testdb.EscrowRequest(1_000_00))
		return nil
	}))
	collector := jobs.NewStatementCollector(db.App, slog.New(slog.DiscardHandler))
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	require.Equal(t, 5, testutil.CollectAndCount(collector))

	p := newProcess(t, db)
	p.requestClose(t, db)
	p.requestClose(t, db) // The second asks for nothing more.
	worker, err := jobs.NewWorker(db.App, jobs.Config{
		ID: "", PaymentWorkers: 1, Servicer: prairie, Metrics: p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	require.Eventually(t, func() bool {
		_, err := queries.New(db.App).GetEscrowStatement(t.Context(), analysis.ID)
		return err == nil
	}, patience, 10*time.Millisecond)
	require.NoError(t, worker.Stop(t.Context()))

	_, err = queries.New(db.App).MarkEscrowStatementDelivered(t.Context(), queries.MarkEscrowStatementDeliveredParams{
		AnalysisID: analysis.ID, DeliveredOn: testdb.Date("2026-07-10"), DeliveredBy: new("testdb"),
	})
	require.NoError(t, err)
	counts, err := queries.New(db.App).CountOwedEscrowStatements(t.Context())
	require.NoError(t, err)
	require.Empty(t, counts)
}

// A process that was not told who the servicer is works other jobs, and leaves
// statements to those that were.
func TestWithoutAServicerStatementsWait(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	p := newProcess(t, db)
	_, err := p.inserter.Insert(t.Context(), jobs.MakeEscrowStatementArgs{AnalysisID: uuid.Must(uuid.NewV7())}, nil)
	require.NoError(t, err)
	worker := p.start(t, db)
	untilPosted(t, db, p.enqueue(t, db, testdb.Loan(t, db.App)))
	require.NoError(t, worker.Stop(t.Context()))
	var state string
	const query = "SELECT state FROM river.river_job WHERE kind = 'make_escrow_statement'"
	err = db.App.QueryRow(t.Context(), query).Scan(&state)
	require.NoError(t, err)
	require.Equal(t, "available", state)
}
