package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

// storePayments stores payments and enqueues their posting, in one transaction
// and with one job. A payment that it cannot store with the others gets
// errStoreAlone and is nobody else's misfortune.
func (s *Server) storePayments(ctx context.Context, set []queries.InsertPaymentParams) []stored {
	if len(set) == 1 {
		row, err := s.storePayment(ctx, set[0])
		return []stored{{row: row, err: err}}
	}
	var rows []queries.InsertPaymentsRow
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		rows, err = s.acceptPayments(ctx, tx, set)
		return err
	})
	if isOfOneRequest(err) {
		return allOf(set, errStoreAlone)
	}
	if err != nil {
		return allOf(set, fmt.Errorf("store %d payments: %w", len(set), err))
	}
	answers := allOf(set, errStoreAlone)
	place := make(map[uuid.UUID]int, len(set))
	for i := range set {
		place[set[i].ID] = i
	}
	for _, row := range rows {
		n := place[row.ID]
		answers[n] = stored{row: receivedPayment(&set[n], row.CreatedAt), err: nil}
	}
	return answers
}

// receivedPayment is the row of a payment as it is stored when it is received.
func receivedPayment(p *queries.InsertPaymentParams, createdAt time.Time) queries.Payment {
	return queries.Payment{
		ID: p.ID, LoanID: p.LoanID, Status: queries.PaymentStatusReceived, AmountCents: p.AmountCents,
		ReceivedOn: p.ReceivedOn, ReceivedAt: p.ReceivedAt, Channel: p.Channel, Designation: p.Designation,
		ExternalRef: p.ExternalRef, RequestedBy: p.RequestedBy, IdempotencyKey: p.IdempotencyKey,
		RequestHash: p.RequestHash, CreatedAt: createdAt,
	}
}

// storePayment stores one payment and enqueues its posting, in one transaction.
// It returns errKeyTaken, and stores nothing, when the idempotency key is taken.
func (s *Server) storePayment(ctx context.Context, arg queries.InsertPaymentParams) (row queries.Payment, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		row, err = s.acceptPayment(ctx, tx, arg)
		return err
	})
	return row, err
}

func (s *Server) acceptPayment(
	ctx context.Context, tx pgx.Tx, arg queries.InsertPaymentParams,
) (queries.Payment, error) {
	row, err := queries.New(tx).InsertPayment(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert payment: %w", err)
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.PostPaymentArgs{PaymentID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue posting: %w", err)
	}
	return row, nil
}

// acceptPayments stores those of the payments that nothing stands against, and
// returns them.
func (s *Server) acceptPayments(
	ctx context.Context, tx pgx.Tx, set []queries.InsertPaymentParams,
) ([]queries.InsertPaymentsRow, error) {
	rows, err := queries.New(tx).InsertPayments(ctx, columnsOf(set))
	if err != nil {
		return nil, fmt.Errorf("insert payments: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	chunk := jobs.PostPaymentChunkArgs{PaymentIDs: make([]uuid.UUID, len(rows))}
	for i := range rows {
		chunk.PaymentIDs[i] = rows[i].ID
	}
	if _, err := s.jobs.InsertTx(ctx, tx, chunk, nil); err != nil {
		return nil, fmt.Errorf("enqueue posting: %w", err)
	}
	return rows, nil
}

// columnsOf turns payments into columns.
func columnsOf(set []queries.InsertPaymentParams) queries.InsertPaymentsParams {
	n := len(set)
	c := queries.InsertPaymentsParams{
		ID: make([]uuid.UUID, n), LoanID: make([]int64, n), AmountCents: make([]int64, n),
		ReceivedOn: make([]mortgage.Date, n), ReceivedAt: make([]time.Time, n), Channel: make([]string, n),
		Designation: make([]string, n), ExternalRef: make([]string, n), RequestedBy: make([]string, n),
		IdempotencyKey: make([]string, n), RequestHash: make([][]byte, n),
	}
	for i := range set {
		p := &set[i]
		c.ID[i], c.LoanID[i], c.AmountCents[i] = p.ID, p.LoanID, int64(p.AmountCents)
		c.ReceivedOn[i], c.Channel[i], c.Designation[i] = p.ReceivedOn, string(p.Channel), string(p.Designation)
		if p.ReceivedAt != nil {
			c.ReceivedAt[i] = *p.ReceivedAt
		}
		if p.ExternalRef != nil {
			c.ExternalRef[i] = *p.ExternalRef
		}
		c.RequestedBy[i], c.IdempotencyKey[i], c.RequestHash[i] = p.RequestedBy, p.IdempotencyKey, p.RequestHash
	}
	return c
}

// isOfOneRequest says whether an error of a set comes from what one request of
// it holds: its row cannot be stored. With a deadlock over references, which have
// no order, it is the same.
func isOfOneRequest(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == deadlockDetected || sqlClass(pg) == "22" || sqlClass(pg) == "23")
}
