package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
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
	if file.ReturnedCents > 0 {
		if err := mayReverse(ctx); err != nil {
			return nil, err
		}
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
// exists, the reversals of payments that came back, and the jobs that post
// either: all or nothing. It returns errKeyTaken when the idempotency key is
// taken or the file was taken before.
func (s *Server) storeBatch(
	ctx context.Context, tx pgx.Tx, arg queries.InsertPaymentBatchParams, file *remittance.File,
) (queries.PaymentBatch, error) {
	st := storing{q: queries.New(tx)}
	var err error
	st.batch, err = st.q.InsertPaymentBatch(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return st.batch, errKeyTaken
	}
	if err != nil {
		return st.batch, fmt.Errorf("insert batch: %w", err)
	}
	payments, returns := apart(file)
	for items := range slices.Chunk(payments, storeAtOnce) {
		if err := st.payments(ctx, items); err != nil {
			return st.batch, err
		}
	}
	for items := range slices.Chunk(returns, storeAtOnce) {
		if err := st.returns(ctx, items); err != nil {
			return st.batch, err
		}
	}
	if st.known {
		if err := jobs.RequestReversals(ctx, tx, s.jobs, st.batch.ID, 1, math.MaxInt32); err != nil {
			return st.batch, err
		}
	}
	return st.batch, s.enqueueBatch(ctx, tx, &st)
}

// apart returns the payments and the returns of a file, each in its order.
func apart(file *remittance.File) (payments, returns []remittance.Item) {
	if file.ReturnedCents == 0 {
		return file.Items, nil
	}
	for _, item := range file.Items {
		if item.Return == nil {
			payments = append(payments, item)
		} else {
			returns = append(returns, item)
		}
	}
	return payments, returns
}

// enqueueBatch stores the jobs of a file. Where there are none, nobody else will
// say how far the batch has come.
func (s *Server) enqueueBatch(ctx context.Context, tx pgx.Tx, st *storing) error {
	id := st.batch.ID
	var chunks []river.InsertManyParams
	for lines := range slices.Chunk(st.post, jobs.BatchChunkPayments) {
		chunks = append(chunks, river.InsertManyParams{Args: jobs.PostBatchChunkArgs{
			BatchID: id, FirstLine: lines[0], LastLine: lines[len(lines)-1],
		}})
	}
	for lines := range slices.Chunk(st.wait, jobs.ReturnsChunk) {
		chunks = append(chunks, river.InsertManyParams{Args: jobs.ReverseReturnsArgs{
			BatchID: id, FirstLine: lines[0], LastLine: lines[len(lines)-1],
		}})
	}
	if len(chunks) == 0 {
		if err := st.q.MarkPaymentBatch(ctx, id); err != nil {
			return fmt.Errorf("mark batch: %w", err)
		}
		return nil
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, chunks); err != nil {
		return fmt.Errorf("enqueue postings: %w", err)
	}
	return nil
}
