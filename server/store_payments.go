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
	var rows []queries.Payment
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
		answers[place[row.ID]] = stored{row: row, err: nil}
	}
	return answers
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
) ([]queries.Payment, error) {
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

// columnsOf turns payments into columns. Of those with one reference only the
// first is among them: the second would fail the statement.
func columnsOf(set []queries.InsertPaymentParams) queries.InsertPaymentsParams {
	type reference struct {
		loan    int64
		channel queries.PaymentChannel
		ref     string
	}
	seen := map[reference]bool{}
	var c queries.InsertPaymentsParams
	for i := range set {
		p := &set[i]
		ref := ""
		if p.ExternalRef != nil {
			ref = *p.ExternalRef
			key := reference{loan: p.LoanID, channel: p.Channel, ref: ref}
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		c.ID = append(c.ID, p.ID)
		c.LoanID = append(c.LoanID, p.LoanID)
		c.AmountCents = append(c.AmountCents, int64(p.AmountCents))
		c.ReceivedOn = append(c.ReceivedOn, p.ReceivedOn)
		c.ReceivedAt = append(c.ReceivedAt, orZero(p.ReceivedAt))
		c.Channel = append(c.Channel, string(p.Channel))
		c.Designation = append(c.Designation, string(p.Designation))
		c.ExternalRef = append(c.ExternalRef, ref)
		c.RequestedBy = append(c.RequestedBy, p.RequestedBy)
		c.IdempotencyKey = append(c.IdempotencyKey, p.IdempotencyKey)
		c.RequestHash = append(c.RequestHash, p.RequestHash)
	}
	return c
}

func orZero(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

// isOfOneRequest says whether an error of a set comes from what one request of
// it holds: others were storing the same reference at the same moment, or a row
// cannot be stored. With a deadlock over references it is the same.
func isOfOneRequest(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == deadlockDetected || sqlClass(pg) == "22" || sqlClass(pg) == "23")
}
