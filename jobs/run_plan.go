package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"loanserve/queries"
)

// runPlan says how a run is cut into chunks, each of which is a job.
type runPlan struct {
	jobs  *river.Client[pgx.Tx] // takes the chunks
	cut   func(context.Context, *queries.Queries, *queries.Run) ([]queries.RunChunk, error)
	chunk func(queries.RunChunk) river.JobArgs
	also  func(context.Context, pgx.Tx, *queries.Run) error // what else the run starts with
}

// work plans the run, once: its chunks, a job for each and what else it starts with
// are stored in one transaction.
func (p runPlan) work(ctx context.Context, db DB, id uuid.UUID) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return p.plan(ctx, tx, id) })
	if err != nil {
		return fmt.Errorf("plan run %s: %w", id, err)
	}
	return nil
}

func (p runPlan) plan(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	q := queries.New(tx)
	run, err := q.LockRunToPlan(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // An earlier attempt committed.
	}
	if err != nil {
		return fmt.Errorf("lock run: %w", err)
	}
	chunks, err := p.cut(ctx, q, &run)
	if err != nil {
		return fmt.Errorf("insert chunks: %w", err)
	}
	var total int64
	params := make([]river.InsertManyParams, len(chunks))
	for i, c := range chunks {
		total += c.Loans
		params[i] = river.InsertManyParams{Args: p.chunk(c), InsertOpts: nil}
	}
	if err := q.MarkRunPlanned(ctx, total, id); err != nil {
		return fmt.Errorf("mark run planned: %w", err)
	}
	if err := p.also(ctx, tx, &run); err != nil {
		return err
	}
	if len(params) == 0 {
		return nil
	}
	if _, err := p.jobs.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue chunks: %w", err)
	}
	return nil
}

// runCause names a run as what causes something: what it starts is requested by it.
func runCause(id uuid.UUID) string { return "run:" + id.String() }

// startRun stores a run of the kind for the same day as the run that starts it, and
// its job.
func startRun(
	ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], kind queries.RunKind, by *queries.Run,
	argsOf func(uuid.UUID) river.JobArgs,
) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make run id: %w", err)
	}
	cause := runCause(by.ID)
	hash := sha256.Sum256([]byte(cause + " " + string(kind)))
	_, err = queries.New(tx).InsertRun(ctx, queries.InsertRunParams{
		ID: id, Kind: kind, AsOfOn: by.AsOfOn, RequestedBy: cause, IdempotencyKey: string(kind), RequestHash: hash[:],
	})
	if err != nil {
		return fmt.Errorf("insert run of kind %s: %w", kind, err)
	}
	if _, err := client.InsertTx(ctx, tx, argsOf(id), nil); err != nil {
		return fmt.Errorf("enqueue run of kind %s: %w", kind, err)
	}
	return nil
}
