package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// webhookRequest is a wish that makes nothing that keeps its key for good.
type webhookRequest struct {
	operation, path string
	key             string // as it was sent
	body            any
}

// onceForWebhooks does what is asked for in one transaction with a record of it, which do
// completes: once for each key. A repeated request finds the record, whatever has become
// of the subscription since.
func (s *Server) onceForWebhooks(
	ctx context.Context, req webhookRequest, do func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) error,
) (row queries.WebhookRequest, replayed string, err error) {
	key, err := parseKey(req.key)
	if err != nil {
		return row, "", err
	}
	hash, err := fingerprint(req.operation, req.path, req.body)
	if err != nil {
		return row, "", err
	}
	by := PrincipalOf(ctx).ID
	record := queries.InsertWebhookRequestParams{
		RequestedBy: by, IdempotencyKey: key, RequestHash: hash, SubscriptionID: uuid.Nil, Replayed: nil, LastAt: nil,
	}
	return once(
		func() (row queries.WebhookRequest, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = recordOnce(ctx, tx, record, do)
				return err
			})
			return row, err
		},
		func() (queries.WebhookRequest, error) { return s.q.GetWebhookRequest(ctx, by, key) },
		func(row queries.WebhookRequest) []byte { return row.RequestHash }, hash)
}

// recordOnce does what is asked for and records it. It returns errKeyTaken where that was
// done before, or by somebody else meanwhile; then the transaction is to be rolled back.
func recordOnce(
	ctx context.Context, tx pgx.Tx, record queries.InsertWebhookRequestParams,
	do func(tx pgx.Tx, record *queries.InsertWebhookRequestParams) error,
) (queries.WebhookRequest, error) {
	q := queries.New(tx)
	row, err := q.GetWebhookRequest(ctx, record.RequestedBy, record.IdempotencyKey)
	if err == nil {
		return row, errKeyTaken
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return row, fmt.Errorf("get request: %w", err)
	}
	if err := do(tx, &record); err != nil {
		return row, err
	}
	row, err = q.InsertWebhookRequest(ctx, record)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert request: %w", err)
	}
	return row, nil
}
