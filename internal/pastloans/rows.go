package pastloans

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

// newLoan is a loan of 187,500.00 at 3.5 % over thirty years whose periodic payment is
// 1,000.00, as it is boarded.
func newLoan(id, property int64) queries.Loan {
	first := func(year int, month time.Month) mortgage.Date {
		return mortgage.DateOf(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC))
	}
	return queries.Loan{
		ID: id, LoanNumber: "PAST-" + strconv.FormatInt(id, 10), Name: "Past loan", PropertyID: property,
		OriginalPrincipalCents: 187_500_00, RatePpm: 35_000, PrincipalAndInterestCents: 841_96,
		EscrowPaymentCents: 158_04, OriginatedOn: first(2020, 1), MaturityOn: first(2050, 1), DueDay: 1,
		InterestMethod: mortgage.ScheduledInterest, ApplicationOrder: mortgage.ConventionalOrder,
		ExcessPolicy: mortgage.ExcessToPrincipal, Rounding: mortgage.RoundHalfUp,
		LateChargeGraceDays: 15, LateChargeRatePpm: 50_000, ShortPayoffPolicy: mortgage.RefuseShortPayoff,
		BoardedNextDueOn: first(2020, 2), BoardedAt: boardedAt,
		PrincipalCents: 187_500_00, NextDueOn: first(2020, 2), AsOfOn: mortgage.DateOf(boardedAt),
		LastHash: make([]byte, len(mortgage.Hash{})),
	}
}

// copyRows stores rows of a table by COPY.
func copyRows[T any](
	ctx context.Context, tx pgx.Tx, table string, columns []string, rows []T, values func(*T) []any,
) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		return values(&rows[i]), nil
	}))
	if err != nil {
		return fmt.Errorf("store %s: %w", table, err)
	}
	return nil
}

var loanColumns = []string{
	"id", "loan_number", "name", "property_id", "original_principal_cents", "rate_ppm", "principal_and_interest_cents",
	"escrow_payment_cents", "originated_on", "maturity_on", "due_day", "interest_method", "application_order",
	"excess_policy", "rounding", "late_charge_grace_days", "late_charge_rate_ppm", "late_charge_minimum_cents",
	"boarded_next_due_on", "boarded_at", "boarded_by", "request_hash", "principal_cents", "escrow_cents",
	"suspense_cents", "late_charges_due_cents", "next_due_on", "as_of_on", "last_effective_on", "last_receipt_id",
	"last_seq", "last_hash", "updated_at",
}

func loanValues(l *queries.Loan) []any {
	return []any{
		l.ID, l.LoanNumber, l.Name, l.PropertyID, int64(l.OriginalPrincipalCents), int64(l.RatePpm),
		int64(l.PrincipalAndInterestCents), int64(l.EscrowPaymentCents), l.OriginatedOn, l.MaturityOn, l.DueDay,
		string(l.InterestMethod), string(l.ApplicationOrder), string(l.ExcessPolicy), string(l.Rounding),
		l.LateChargeGraceDays, int64(l.LateChargeRatePpm), int64(l.LateChargeMinimumCents),
		l.BoardedNextDueOn, l.BoardedAt, by, make([]byte, len(mortgage.Hash{})),
		int64(l.PrincipalCents), int64(l.EscrowCents), int64(l.SuspenseCents), int64(l.LateChargesDueCents), l.NextDueOn,
		l.AsOfOn, orNull(l.LastEffectiveOn), l.LastReceiptID, l.LastSeq, l.LastHash, l.BoardedAt,
	}
}

var paymentColumns = []string{
	"id", "loan_id", "status", "amount_cents", "received_on", "channel", "designation", "requested_by",
	"idempotency_key", "request_hash", "created_at", "posted_at", "interest_cents", "principal_cents", "escrow_cents",
	"late_charge_cents", "suspense_cents", "first_seq", "last_seq",
}

func paymentValues(p *queries.Payment) []any {
	return []any{
		p.ID, p.LoanID, string(queries.PaymentStatusPosted), int64(p.AmountCents), p.ReceivedOn,
		string(queries.PaymentChannelAch), string(p.Designation), by, p.IdempotencyKey, make([]byte, len(mortgage.Hash{})),
		p.CreatedAt, *p.PostedAt, int64(p.InterestCents), int64(p.PrincipalCents), int64(p.EscrowCents),
		int64(p.LateChargeCents), int64(p.SuspenseCents), *p.FirstSeq, *p.LastSeq,
	}
}

var transactionColumns = []string{
	"loan_id", "seq", "kind", "effective_on", "posted_at", "due_on", "payment_id", "cash_cents", "principal_cents",
	"interest_income_cents", "escrow_cents", "suspense_cents", "late_charges_receivable_cents",
	"late_charge_income_cents", "fees_receivable_cents", "fee_income_cents", "escrow_advance_cents",
	"boarding_clearing_cents", "rule", "caused_by", "hash",
}

func transactionValues(t *queries.Transaction) []any {
	return []any{
		t.LoanID, t.Seq, string(t.Kind), t.EffectiveOn, t.PostedAt, orNull(t.DueOn), t.PaymentID, int64(t.CashCents),
		int64(t.PrincipalCents), int64(t.InterestIncomeCents), int64(t.EscrowCents), int64(t.SuspenseCents),
		int64(t.LateChargesReceivableCents), int64(t.LateChargeIncomeCents), int64(t.FeesReceivableCents),
		int64(t.FeeIncomeCents), int64(t.EscrowAdvanceCents), int64(t.BoardingClearingCents), t.Rule, t.CausedBy, t.Hash,
	}
}

// orNull is NULL for no date.
func orNull(d mortgage.Date) any {
	if d == 0 {
		return nil
	}
	return d
}
