package postingrate

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

// Board stores the portfolio set-based: loans of 187,500.00 at 3.5 % whose
// periodic payment is 1,000.00, the next one due on 2026-02-01.
func (p *Portfolio) Board(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, p.Owner, func(tx pgx.Tx) error {
		if err := jobs.AllowRows(ctx, queries.New(tx), jobs.EveryRow); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, boardLoans, p.Loans); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE loans l SET last_seq = 1, last_hash = t.hash
FROM transactions t WHERE t.loan_id = l.id`)
		return err
	})
	if err != nil {
		return fmt.Errorf("board loans: %w", err)
	}
	return p.settle(ctx, `VACUUM (FULL, ANALYZE) loans`, `VACUUM ANALYZE transactions`)
}

const boardLoans = `
WITH property AS (
  INSERT INTO properties (street, city, state, postal_code)
  VALUES ('1 Bench Street', 'Springfield', 'IL', '62701') RETURNING id
), boarded AS (
  INSERT INTO loans (loan_number, name, property_id, original_principal_cents, rate_ppm,
    principal_and_interest_cents, escrow_payment_cents, originated_on, maturity_on, due_day, interest_method,
    application_order, excess_policy, rounding, late_charge_grace_days, late_charge_rate_ppm,
    late_charge_minimum_cents, boarded_next_due_on, boarded_at, boarded_by, request_hash, principal_cents,
    escrow_cents, suspense_cents, late_charges_due_cents, next_due_on, as_of_on, last_seq, last_hash, updated_at)
  SELECT 'BENCH-' || n, 'Bench loan ' || n, property.id, 18750000, 35000, 84196,
    15804, '2026-01-01', '2056-01-01', 1, 'scheduled_30_360', 'conventional', 'principal', 'half_up',
    15, 50000, 0, '2026-02-01', '2026-01-01 12:00Z', 'bench:board',
    sha256(''), 18750000, 0, 0, 0, '2026-02-01', '2026-01-01', 0, decode(repeat('00', 32), 'hex'), now()
  FROM generate_series(1, $1::int) n, property
  RETURNING *
), opening AS (
  SELECT ROW(id, 1, 'boarding', '2026-01-01', boarded_at, NULL, NULL, NULL,
    0, principal_cents, 0, 0, 0, 0, 0, 0, 0, 0, -principal_cents, 'boarding', boarded_by, last_hash)::transactions AS t
  FROM boarded
)
INSERT INTO transactions
SELECT (jsonb_populate_record(t, jsonb_build_object('hash', sha256((t).hash || transaction_text(t))))).*
FROM opening`

// CheckBooks returns an error where the money is wrong. The limit's half of the loans is
// left out.
func (p *Portfolio) CheckBooks(ctx context.Context) error {
	var broken, unreconciled int
	err := p.App.QueryRow(ctx, `SELECT
  (SELECT count(*) FROM broken_seals WHERE loan_id <= $1 OR loan_id > $2),
  (SELECT count(*) FROM unreconciled_loans WHERE loan_id <= $1 OR loan_id > $2)`,
		p.Loans/2, p.Loans).Scan(&broken, &unreconciled)
	if err != nil {
		return fmt.Errorf("check the books: %w", err)
	}
	if broken+unreconciled > 0 {
		return fmt.Errorf("%d broken seals, %d loans that do not reconcile", broken, unreconciled)
	}
	return nil
}
