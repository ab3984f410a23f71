package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/internal/remittance"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

type createPaymentBatchInput struct {
	Format     remittance.Format `query:"format" required:"true" enum:"csv,bai_lockbox,nacha"`
	Items      int               `query:"items" minimum:"1" maximum:"1000000" doc:"How many items the file has. Needed for csv, which has no totals of its own."`
	TotalCents mortgage.Cents    `query:"total_cents" minimum:"1" maximum:"9007199254740991" doc:"What they sum to; goes together with items."`
	Key        string            `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
}

type createPaymentBatchOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       paymentBatch
}

// control returns what the sender says of the file outside of it.
func (in *createPaymentBatchInput) control() (*remittance.Control, error) {
	given := in.Items > 0
	if given != (in.TotalCents > 0) || !given && in.Format == remittance.FormatCSV {
		const together = "items and total_cents go together, and a csv file needs them"
		return nil, invalid(inParameter("items", together), inParameter("total_cents", together))
	}
	if !given {
		return nil, nil //nolint:nilnil // To say nothing is allowed.
	}
	return &remittance.Control{Items: in.Items, TotalCents: in.TotalCents}, nil
}

// createPaymentBatch takes a file. The same key of the same principal is the
// same file, and the same file is the same batch, whoever sends it.
func (s *Server) createPaymentBatch(
	ctx context.Context, in *createPaymentBatchInput,
) (*createPaymentBatchOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	control, err := in.control()
	if err != nil {
		return nil, err
	}
	body := ctx.Value(uploadKey{}).(upload) //nolint:forcetypeassert // registerUpload put it there.
	if err := body.check(); err != nil {
		return nil, err
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return nil, unavailable("Other files are being taken. Try again.", nil)
	}
	file, err := body.read(in.Format, control)
	if err != nil {
		return nil, err
	}
	arg, err := batchParams(ctx, in, key, file)
	if err != nil {
		return nil, err
	}
	// A client that hangs up now finds its file stored when it asks again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return s.takeBatch(ctx, arg, file)
}

func batchParams(
	ctx context.Context, in *createPaymentBatchInput, key string, file *remittance.File,
) (queries.InsertPaymentBatchParams, error) {
	arg := queries.InsertPaymentBatchParams{
		ID: uuid.Nil, Format: queries.PaymentFileFormat(in.Format), Sha256: file.SHA256[:],
		Items: int32(len(file.Items)), TotalCents: file.TotalCents,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: nil,
	}
	var err error
	if arg.ID, err = uuid.NewV7(); err != nil {
		return arg, fmt.Errorf("make batch id: %w", err)
	}
	arg.RequestHash, err = fingerprint("create-payment-batch", "/v1/payment-batches", []string{
		string(in.Format), strconv.Itoa(in.Items), strconv.FormatInt(int64(in.TotalCents), 10),
		hex.EncodeToString(file.SHA256[:]),
	})
	return arg, err
}

func (s *Server) takeBatch(
	ctx context.Context, arg queries.InsertPaymentBatchParams, file *remittance.File,
) (*createPaymentBatchOutput, error) {
	var row queries.PaymentBatch
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		row, err = s.storeBatch(ctx, tx, arg, file)
		return err
	})
	if err == nil {
		return batchAccepted(row, ""), nil
	}
	if !errors.Is(err, errKeyTaken) {
		return nil, err
	}
	first, missing := s.q.GetPaymentBatchByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
	if missing == nil {
		if !bytes.Equal(first.RequestHash, arg.RequestHash) {
			return nil, keyReused()
		}
		return batchAccepted(first, "true"), nil
	}
	if first, missing = s.q.GetPaymentBatchBySHA256(ctx, arg.Sha256); missing != nil {
		return nil, fmt.Errorf("get the batch of the file: %w", missing)
	}
	return nil, conflict("This file was taken before; Location says as what.", inBody("", "is a file that was taken")).
		with("Location", batchPath(first.ID))
}

func batchAccepted(row queries.PaymentBatch, replayed string) *createPaymentBatchOutput {
	return &createPaymentBatchOutput{
		Location: batchPath(row.ID), RetryAfter: 1, Replayed: replayed, Body: acceptedBatch(row),
	}
}

func batchPath(id uuid.UUID) string { return "/v1/payment-batches/" + id.String() }

// storeAtOnce is how many items one statement stores.
const storeAtOnce = 5_000

// storeBatch stores the batch with its items, the payments of those whose loan
// exists, and the jobs that post them: all or nothing. It returns errKeyTaken
// when the idempotency key is taken or the file was taken before.
func (s *Server) storeBatch(
	ctx context.Context, tx pgx.Tx, arg queries.InsertPaymentBatchParams, file *remittance.File,
) (queries.PaymentBatch, error) {
	q := queries.New(tx)
	row, err := q.InsertPaymentBatch(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert batch: %w", err)
	}
	var stored []int32 // lines of payments that are to be posted
	for items := range slices.Chunk(file.Items, storeAtOnce) {
		lines, err := storeItems(ctx, q, row, items)
		if err != nil {
			return row, err
		}
		stored = append(stored, lines...)
	}
	if len(stored) == 0 {
		if err := q.MarkPaymentBatch(ctx, row.ID); err != nil {
			return row, fmt.Errorf("mark batch: %w", err)
		}
		return row, nil
	}
	var chunks []river.InsertManyParams
	for lines := range slices.Chunk(stored, jobs.BatchChunkPayments) {
		chunks = append(chunks, river.InsertManyParams{Args: jobs.PostBatchChunkArgs{
			BatchID: row.ID, FirstLine: lines[0], LastLine: lines[len(lines)-1],
		}})
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, chunks); err != nil {
		return row, fmt.Errorf("enqueue postings: %w", err)
	}
	return row, nil
}
