// Package pastloans stores loans that have been paid for years, and is fast at it: for
// measurements and tests.
//
// Inside: loans of the same terms whose books the arithmetic has made and sealed, as if
// each payment had been posted on its day. Not inside: anything a deployment would use.
//
// The idea to hold: what is stored here cannot be told from what the program stores.
package pastloans

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// perTransaction is how many loans are stored in one transaction.
	perTransaction = 500
	by             = "bench:past"
	payment        = mortgage.Cents(1000_00)
)

var boardedAt = time.Date(2020, time.January, 15, 12, 0, 0, 0, time.UTC)

// Store stores loans with so many payments each, one a month, and returns the ids of the
// first and the last. conn acts as a login that may switch off the checks of foreign
// keys, which cost more than all the rest, and knows the types of package database.
func Store(ctx context.Context, conn *pgx.Conn, loans, payments int) (first, last int64, err error) {
	_, err = conn.Exec(ctx, "SET session_replication_role = replica")
	if err != nil {
		return 0, 0, fmt.Errorf("switch off foreign keys: %w", err)
	}
	var property int64
	err = conn.QueryRow(ctx, `INSERT INTO properties (street, city, state, postal_code)
VALUES ('1 Past Street', 'Springfield', 'IL', '62701') RETURNING id`).Scan(&property)
	if err != nil {
		return 0, 0, fmt.Errorf("store property: %w", err)
	}
	for stored := 0; stored < loans; stored += perTransaction {
		n := min(perTransaction, loans-stored)
		b := batch{property: property, payments: payments}
		if err := b.store(ctx, conn, n); err != nil {
			return 0, 0, err
		}
		if first == 0 {
			first = b.loans[0].ID
		}
		last = b.loans[n-1].ID
	}
	if _, err := conn.Exec(ctx, "RESET session_replication_role"); err != nil {
		return 0, 0, fmt.Errorf("switch on foreign keys: %w", err)
	}
	return first, last, nil
}

// batch is what one transaction stores.
type batch struct {
	property int64
	payments int

	loans  []queries.Loan
	money  []queries.Payment
	ledger []queries.Transaction
}

func (b *batch) store(ctx context.Context, conn *pgx.Conn, loans int) error {
	rows, err := conn.Query(ctx,
		`SELECT nextval(pg_get_serial_sequence('loans', 'id')) FROM generate_series(1, $1)`, loans)
	if err != nil {
		return fmt.Errorf("number loans: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("number loans: %w", err)
	}
	for _, id := range ids {
		if err := b.live(id); err != nil {
			return fmt.Errorf("loan %d: %w", id, err)
		}
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := copyRows(ctx, tx, "loans", loanColumns, b.loans, loanValues); err != nil {
			return err
		}
		if err := copyRows(ctx, tx, "payments", paymentColumns, b.money, paymentValues); err != nil {
			return err
		}
		return copyRows(ctx, tx, "transactions", transactionColumns, b.ledger, transactionValues)
	})
}

// live makes a loan's whole past.
func (b *batch) live(id int64) error {
	row := newLoan(id, b.property)
	opening := mortgage.Boarding(loanrow.State(&row), mortgage.DateOf(boardedAt))
	b.seal(&row, opening, boardedAt)
	h := mortgage.History{Boarded: loanrow.State(&row), Through: row.AsOfOn}
	for month := range b.payments {
		on, err := row.NextDueOn.AddMonths(month, int(row.DueDay))
		if err != nil {
			return fmt.Errorf("due date: %w", err)
		}
		h.Receipts = append(h.Receipts, mortgage.Receipt{
			Ref: uuid.Must(uuid.NewV7()).String(), Amount: payment, ReceivedOn: on, Designation: mortgage.ForPeriodic,
		})
		h.Through = on
	}
	state, entries, err := loanrow.Terms(&row).Books(h)
	if err != nil {
		return fmt.Errorf("books: %w", err)
	}
	for _, e := range entries {
		b.seal(&row, e, instant(e.EffectiveOn))
	}
	for _, r := range h.Receipts {
		b.money = append(b.money, posted(id, r, b.ledger[len(b.ledger)-len(entries):]))
	}
	b.loans = append(b.loans, after(row, state, h.Receipts))
	return nil
}

// seal gives an entry its place in the loan's books.
func (b *batch) seal(row *queries.Loan, e mortgage.Entry, at time.Time) {
	row.LastSeq++
	hash := mortgage.Transaction{
		LoanID: row.ID, Seq: row.LastSeq, PostedAt: at.UnixMicro(), CausedBy: by, Entry: e,
	}.Seal(mortgage.Hash(row.LastHash))
	row.LastHash = hash[:]
	t := queries.Transaction{
		LoanID: row.ID, Seq: row.LastSeq, Kind: e.Kind, EffectiveOn: e.EffectiveOn, PostedAt: at, DueOn: e.DueOn,
		CashCents: e.Cash, PrincipalCents: e.Principal, InterestIncomeCents: e.InterestIncome, EscrowCents: e.Escrow,
		SuspenseCents: e.Suspense, LateChargesReceivableCents: e.LateChargesReceivable,
		LateChargeIncomeCents: e.LateChargeIncome, FeesReceivableCents: e.FeesReceivable, FeeIncomeCents: e.FeeIncome,
		EscrowAdvanceCents: e.EscrowAdvance, BoardingClearingCents: e.BoardingClearing,
		Rule: string(e.Rule), CausedBy: by, Hash: hash[:],
	}
	if e.Ref != "" {
		id := uuid.MustParse(e.Ref)
		t.PaymentID = &id
	}
	b.ledger = append(b.ledger, t)
}

// instant is noon of a day.
func instant(on mortgage.Date) time.Time {
	year, month, day := on.Civil()
	return time.Date(year, time.Month(month), day, 12, 0, 0, 0, time.UTC)
}

// posted is a receipt as its loan's transactions have made it.
func posted(loan int64, r mortgage.Receipt, ledger []queries.Transaction) queries.Payment {
	at := instant(r.ReceivedOn)
	p := queries.Payment{
		ID: uuid.MustParse(r.Ref), LoanID: loan, AmountCents: r.Amount, ReceivedOn: r.ReceivedOn,
		Designation: r.Designation, IdempotencyKey: r.Ref, CreatedAt: at, PostedAt: &at,
	}
	for i := range ledger {
		t := &ledger[i]
		if t.PaymentID == nil || *t.PaymentID != p.ID {
			continue
		}
		if p.FirstSeq == nil {
			p.FirstSeq = &t.Seq
		}
		p.LastSeq = &t.Seq
		p.InterestCents -= t.InterestIncomeCents
		p.PrincipalCents -= t.PrincipalCents
		p.EscrowCents -= t.EscrowCents
		p.LateChargeCents -= t.LateChargesReceivableCents
		p.SuspenseCents -= t.SuspenseCents
	}
	return p
}

// after is the loan at the end of its past.
func after(row queries.Loan, s mortgage.State, receipts []mortgage.Receipt) queries.Loan {
	row.PrincipalCents, row.EscrowCents, row.SuspenseCents = s.Principal, s.Escrow, s.Suspense
	row.LateChargesDueCents, row.NextDueOn, row.AsOfOn = s.LateChargesDue, s.NextDueOn, s.AsOf
	if n := len(receipts); n > 0 {
		last := uuid.MustParse(receipts[n-1].Ref)
		row.LastReceiptID, row.LastEffectiveOn = &last, receipts[n-1].ReceivedOn
	}
	return row
}
