package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/postingrate"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// escrowChunk is how many loans the raw limit reads and writes in one transaction:
	// as many as the engine does.
	escrowChunk = 500
	// escrowClients is how many of them it works at the same time: as many as the
	// engine has workers.
	escrowClients = 2
)

// escrowSet is a range of loans whose escrow accounts are analyzed once.
type escrowSet struct{ first, last int64 }

// boardEscrow stores loans set-based for one measurement: each with two taxes in
// one line twice a year, insurance and mortgage insurance, paid up to 2026-02-01,
// whose computation year ends with January, and which lacks a little.
func (b *bench) boardEscrow(ctx context.Context) (escrowSet, error) {
	b.escrowSets++
	prefix := fmt.Sprintf("ESCROW-%d-", b.escrowSets)
	err := b.each(ctx, fmt.Sprintf(`
WITH property AS (
  INSERT INTO properties (street, city, state, postal_code)
  VALUES ('1 Bench Street', 'Springfield', 'IL', '62701') RETURNING id
), boarded AS (
  INSERT INTO loans (loan_number, name, property_id, original_principal_cents, rate_ppm,
    principal_and_interest_cents, escrow_payment_cents, originated_on, maturity_on, due_day, interest_method,
    application_order, excess_policy, rounding, late_charge_grace_days, late_charge_rate_ppm,
    late_charge_minimum_cents, boarded_next_due_on, boarded_at, boarded_by, request_hash, principal_cents,
    escrow_cents, suspense_cents, late_charges_due_cents, next_due_on, as_of_on, last_seq, last_hash, updated_at,
    escrow_year_starts_on)
  SELECT '%[1]s' || n, 'Bench loan ' || n, property.id, 18750000, 35000, 84196,
    60000, '2025-01-01', '2055-01-01', 1, 'scheduled_30_360', 'conventional', 'principal', 'half_up',
    15, 50000, 0, '2026-02-01', '2026-01-01 12:00+00', 'bench:board',
    sha256(''), 18750000, 180000 + n, 0, 0, '2026-02-01', '2026-01-01', 0, decode(repeat('00', 32), 'hex'), now(),
    '2025-02-01'
  FROM generate_series(1, %[2]d) n, property
  RETURNING *
), opening AS (
  SELECT ROW(id, 1, 'boarding', '2026-01-01', boarded_at, NULL, NULL, NULL,
    0, principal_cents, 0, -escrow_cents, 0, 0, 0, 0, 0, 0, escrow_cents - principal_cents, 'boarding', boarded_by,
    last_hash)::transactions AS t
  FROM boarded
)
INSERT INTO transactions
SELECT (jsonb_populate_record(t, jsonb_build_object('hash', sha256((t).hash || transaction_text(t))))).*
FROM opening`, prefix, b.analyses), fmt.Sprintf(`
UPDATE loans l SET last_seq = 1, last_hash = t.hash FROM transactions t
WHERE t.loan_id = l.id AND l.loan_number LIKE '%s%%'`, prefix), fmt.Sprintf(`
INSERT INTO escrow_lines (loan_id, kind, payee, amount_cents, every_months, next_due_on)
SELECT l.id, v.kind::escrow_line_kind, v.payee, v.amount_cents, v.every_months, v.next_due_on::date
FROM loans l, (VALUES ('county_tax', 'County', 180000, 6, '2026-06-01'),
  ('hazard_insurance', 'Acme Mutual', 145000, 12, '2026-03-10'),
  ('mortgage_insurance', 'Guaranty', 6567, 1, '2026-02-10')) v (kind, payee, amount_cents, every_months, next_due_on)
WHERE l.loan_number LIKE '%s%%'`, prefix),
		`VACUUM ANALYZE loans`, `VACUUM ANALYZE transactions`, `VACUUM ANALYZE escrow_lines`, `CHECKPOINT`)
	if err != nil {
		return escrowSet{}, err
	}
	var set escrowSet
	err = b.pool.QueryRow(ctx, `SELECT min(id), max(id) FROM loans WHERE loan_number LIKE $1 || '%'`,
		prefix).Scan(&set.first, &set.last)
	if err != nil {
		return escrowSet{}, fmt.Errorf("find the set: %w", err)
	}
	return set, nil
}

// escrowRun analyzes a portfolio by its run and its jobs, in a worker as it ships,
// from the request to the end of the run.
func (b *bench) escrowRun(ctx context.Context) (float64, error) {
	if _, err := b.boardEscrow(ctx); err != nil {
		return 0, err
	}
	metrics := jobs.NewMetrics(prometheus.NewRegistry(), b.log)
	inserter, err := jobs.NewInserter(b.pool, metrics, b.log)
	if err != nil {
		return 0, err
	}
	worker, err := jobs.NewWorker(b.pool, jobs.Config{PaymentWorkers: workers, Metrics: metrics, Log: b.log})
	if err != nil {
		return 0, err
	}
	if err := worker.Start(ctx); err != nil {
		return 0, err
	}
	id := uuid.Must(uuid.NewV7())
	start := time.Now()
	err = pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		_, err := queries.New(tx).InsertEscrowRun(ctx, queries.InsertEscrowRunParams{
			ID: id, AsOfOn: escrowAsOf(), DueMonthOn: 0,
			RequestedBy: "bench:run", IdempotencyKey: id.String(), RequestHash: make([]byte, 32),
		})
		if err != nil {
			return fmt.Errorf("insert run: %w", err)
		}
		_, err = inserter.InsertTx(ctx, tx, jobs.AnalyzePortfolioArgs{RunID: id}, nil)
		return err
	})
	if err == nil {
		err = b.untilOver(ctx, id)
	}
	took := time.Since(start)
	if stopErr := worker.Stop(ctx); err == nil {
		err = stopErr
	}
	return float64(b.analyses) / took.Seconds(), err
}

// untilOver returns once the run is over and all of its loans were analyzed.
func (b *bench) untilOver(ctx context.Context, id uuid.UUID) error {
	ctx, cancel := context.WithTimeoutCause(ctx, postingrate.Patience, postingrate.ErrSlow)
	defer cancel()
	for {
		run, err := queries.New(b.pool).GetRun(ctx, id)
		if err != nil {
			return fmt.Errorf("look at the run: %w", err)
		}
		if run.FinishedAt != nil {
			if run.Changed != int64(b.analyses) {
				return fmt.Errorf("%d of %d loans were analyzed", run.Changed, b.analyses)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func escrowAsOf() mortgage.Date {
	on, err := mortgage.ParseDate("2026-01-31")
	if err != nil {
		panic(err)
	}
	return on
}

// escrowRaw is the limit: what the database alone does when as many loans are read
// and as much is written by the same statements, in sets as large, with no
// arithmetic, no run and no queue. All loans get the same result, made beforehand.
func (b *bench) escrowRaw(ctx context.Context) (float64, error) {
	set, err := b.boardEscrow(ctx)
	if err != nil {
		return 0, err
	}
	made, err := rawAnalysis()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(escrowClients)
	for first := set.first; first <= set.last; first += escrowChunk {
		group.Go(func() error {
			return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
				return made.write(ctx, queries.New(tx), first, min(first+escrowChunk-1, set.last))
			})
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(b.analyses) / time.Since(start).Seconds(), nil
}

// rawResult is what the raw limit writes for every loan.
type rawResult struct {
	analysis        mortgage.EscrowAnalysis
	request, result []byte
}

func rawAnalysis() (*rawResult, error) {
	r := typicalEscrow()
	a, err := mortgage.AnalyzeEscrow(r)
	if err != nil {
		return nil, err
	}
	made := &rawResult{analysis: a}
	if made.request, err = json.Marshal(&r); err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	made.result, err = json.Marshal(&a)
	return made, err
}

// write reads and writes a chunk by the engine's own statements.
func (r *rawResult) write(ctx context.Context, q *queries.Queries, first, last int64) error {
	upTo := int32(mortgage.LastEscrowMonth(escrowAsOf(), 0))
	rows, err := q.LockLoansToAnalyze(ctx, queries.LockLoansToAnalyzeParams{
		FirstLoanID: first, LastLoanID: last, UpToMonth: upTo, OnlyMonth: 0,
	})
	if err != nil {
		return fmt.Errorf("lock loans: %w", err)
	}
	var ids []int64
	var days []mortgage.Date
	for i := range rows {
		ids, days = append(ids, rows[i].ID), append(days, escrowAsOf())
	}
	_, err = q.ListEscrowBooks(ctx, queries.ListEscrowBooksParams{LoanIds: ids, AccountOn: days, AsOfOn: days})
	if err != nil {
		return fmt.Errorf("list books: %w", err)
	}
	if _, err := q.ListEscrowLinesOf(ctx, ids); err != nil {
		return fmt.Errorf("list lines: %w", err)
	}
	if _, err := q.ListEscrowBillsApart(ctx, ids, days); err != nil {
		return fmt.Errorf("list bills: %w", err)
	}
	return r.store(ctx, q, ids)
}

func (r *rawResult) store(ctx context.Context, q *queries.Queries, ids []int64) error {
	var made queries.WriteEscrowAnalysesParams
	now := time.Now()
	var payments queries.PostEscrowPaymentsParams
	payments.PostedAt = &now
	var terms queries.WriteEscrowTermsParams
	terms.PostedAt = now
	a := &r.analysis
	for _, loan := range ids {
		id := uuid.Must(uuid.NewV7())
		made.ID, made.LoanID = append(made.ID, id), append(made.LoanID, loan)
		made.Kind, made.DryRun = append(made.Kind, "annual"), append(made.DryRun, false)
		made.AsOfOn, made.StartOn = append(made.AsOfOn, a.AsOf), append(made.StartOn, a.StartOn)
		made.RequestedBy = append(made.RequestedBy, "bench:raw")
		made.IdempotencyKey = append(made.IdempotencyKey, id.String())
		made.RequestHash = append(made.RequestHash, make([]byte, 32))
		made.Request, made.Result = append(made.Request, r.request), append(made.Result, r.result)
		made.BasePayment = append(made.BasePayment, int64(a.BasePayment))
		made.Cushion = append(made.Cushion, int64(a.Cushion))
		made.RequiredStart = append(made.RequiredStart, int64(a.RequiredStart))
		made.StartBalance = append(made.StartBalance, int64(a.StartBalance))
		made.Surplus, made.Shortage = append(made.Surplus, 0), append(made.Shortage, int64(a.Shortage))
		made.Deficiency = append(made.Deficiency, 0)
		made.NewEscrowPayment = append(made.NewEscrowPayment, int64(a.NewPayment))
		made.EffectiveOn, made.Refund = append(made.EffectiveOn, a.EffectiveOn), append(made.Refund, 0)
		made.RefundDueOn = append(made.RefundDueOn, 0)
		made.StatementDueOn = append(made.StatementDueOn, a.StatementDueOn)
		for _, m := range a.Months {
			made.MonthAnalysisID, made.MonthOn = append(made.MonthAnalysisID, id), append(made.MonthOn, m.MonthOn)
			made.MonthDeposit = append(made.MonthDeposit, int64(m.Deposit))
			made.MonthDisbursement = append(made.MonthDisbursement, int64(m.Disbursement))
			made.MonthTarget = append(made.MonthTarget, int64(m.Target))
			made.MonthProjected = append(made.MonthProjected, int64(m.Projected))
			made.MonthPayment = append(made.MonthPayment, int64(m.Payment))
			made.MonthExpected = append(made.MonthExpected, int64(m.Expected))
		}
		for i := range a.Payments {
			p := &a.Payments[i]
			payments.ID, payments.LoanID = append(payments.ID, uuid.Must(uuid.NewV7())), append(payments.LoanID, loan)
			payments.DueOn = append(payments.DueOn, p.FromOn)
			payments.EscrowPayment = append(payments.EscrowPayment, int64(p.Total()))
			payments.RequestedBy = append(payments.RequestedBy, "bench:"+id.String())
		}
		terms.LoanID, terms.StartOn = append(terms.LoanID, loan), append(terms.StartOn, a.StartOn)
		terms.Changed = append(terms.Changed, true)
	}
	if err := jobs.AllowRows(ctx, q, len(made.ID)); err != nil {
		return err
	}
	if _, err := q.WriteEscrowAnalyses(ctx, made); err != nil {
		return fmt.Errorf("write analyses: %w", err)
	}
	if _, err := q.PostEscrowPayments(ctx, payments); err != nil {
		return fmt.Errorf("post payments: %w", err)
	}
	if _, err := q.WriteEscrowTerms(ctx, terms); err != nil {
		return fmt.Errorf("write terms: %w", err)
	}
	return nil
}

// escrowPure is the arithmetic alone, on one core.
func (b *bench) escrowPure(context.Context) (float64, error) {
	r := typicalEscrow()
	start := time.Now()
	const times = 10
	for range times * b.analyses {
		if _, err := mortgage.AnalyzeEscrow(r); err != nil {
			return 0, err
		}
	}
	return float64(times*b.analyses) / time.Since(start).Seconds(), nil
}

// typicalEscrow is the account that boardEscrow boards, as its analysis asks.
func typicalEscrow() mortgage.EscrowRequest {
	day := func(text string) mortgage.Date {
		on, err := mortgage.ParseDate(text)
		if err != nil {
			panic(err)
		}
		return on
	}
	item := func(kind mortgage.EscrowItemKind, every int, dueOn string, last mortgage.Cents) mortgage.EscrowItem {
		return mortgage.EscrowItem{
			Kind: kind, Payee: string(kind), EveryMonths: every,
			Bills: []mortgage.EscrowBill{{DueOn: day(dueOn), Last: last}},
		}
	}
	return mortgage.EscrowRequest{
		Kind: mortgage.EscrowAnnual, AsOf: escrowAsOf(), Policy: mortgage.DefaultEscrowPolicy(),
		Items: []mortgage.EscrowItem{
			item(mortgage.EscrowCountyTax, 6, "2026-06-01", 1800_00),
			item(mortgage.EscrowHazardInsurance, 12, "2026-03-10", 1450_00),
			item(mortgage.EscrowMortgageInsurance, 1, "2026-02-10", 65_67),
		},
		StartOn: day("2026-02-01"), DueDay: 1, NextDueOn: day("2026-02-01"), Payment: 600_00,
		Account: mortgage.EscrowAccount{On: escrowAsOf(), Balance: 1800_00, NextDueOn: day("2026-02-01")},
	}
}
