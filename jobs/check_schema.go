package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"loanserve/internal/drift"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// QueueSchema is the queue of checks of the schema, so that none waits behind
	// longer work.
	QueueSchema = "schema"
	// schemaWorkers is one: two at once would see the same.
	schemaWorkers = 1
	// checkSchemaEvery is how soon a changed schema is known.
	checkSchemaEvery = 5 * time.Minute
	// checkSchemaTimeout is many times what a check takes, also where it first has to
	// make a scratch database.
	checkSchemaTimeout = time.Minute
	// checkSchemaAttempts is few: the next check is soon.
	checkSchemaAttempts = 3
	// maxSchemaFindings is how many findings are kept with a run. All are counted.
	maxSchemaFindings = 1000
)

// CheckSchemaArgs names the run that checks the schema. Without one the clock asks.
type CheckSchemaArgs struct {
	RunID uuid.UUID `json:"run_id"`
}

// Kind is stored with every job, so it never changes.
func (CheckSchemaArgs) Kind() string { return "check_schema" }

// InsertOpts implements river.JobArgsWithInsertOpts. A run is not unique, and the clock
// asks once in a period.
func (a CheckSchemaArgs) InsertOpts() river.InsertOpts {
	opts := river.InsertOpts{Queue: QueueSchema, MaxAttempts: checkSchemaAttempts}
	if a.RunID == uuid.Nil {
		opts.UniqueOpts = river.UniqueOpts{ByQueue: true, ByPeriod: checkSchemaEvery}
	}
	return opts
}

// periodicSchemaCheck asks for a check in each period, and when a worker begins to
// lead.
func periodicSchemaCheck() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(checkSchemaEvery),
		func() (river.JobArgs, *river.InsertOpts) { return CheckSchemaArgs{RunID: uuid.Nil}, nil },
		&river.PeriodicJobOpts{ID: CheckSchemaArgs{}.Kind(), RunOnStart: true})
}

// CheckSchema compares the database with what the migrations make, and leaves what it
// finds with its run.
type CheckSchema struct {
	river.WorkerDefaults[CheckSchemaArgs]

	DB      *pgxpool.Pool
	Checker *drift.Checker
}

// Timeout implements river.Worker.
func (*CheckSchema) Timeout(*river.Job[CheckSchemaArgs]) time.Duration { return checkSchemaTimeout }

// Work checks the schema for the run, once. A run that is over stays as it is.
func (w *CheckSchema) Work(ctx context.Context, job *river.Job[CheckSchemaArgs]) error {
	id := job.Args.RunID
	if id == uuid.Nil {
		var err error
		if id, err = w.ask(ctx, job.CreatedAt); err != nil {
			return fmt.Errorf("ask for a check of the schema: %w", err)
		}
	}
	err := w.check(ctx, id)
	if err != nil && job.Attempt >= job.MaxAttempts {
		// The context of the attempt may be what ended it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, fail(ctx, queries.New(w.DB), id, "it was tried too often: the log has the reason"))
	}
	return err
}

// check compares, and ends the run. That the database cannot be judged is an end, too:
// another attempt would find the same, and the next check is soon.
func (w *CheckSchema) check(ctx context.Context, id uuid.UUID) error {
	q := queries.New(w.DB)
	run, err := q.GetRun(ctx, id)
	if err != nil {
		return fmt.Errorf("get run %s: %w", id, err)
	}
	if run.FinishedAt != nil {
		return nil // By an earlier attempt, or an earlier job of the period.
	}
	began, err := q.GetNow(ctx)
	if err != nil {
		return fmt.Errorf("get time: %w", err)
	}
	found, err := w.Checker.Check(ctx)
	if errors.Is(err, drift.ErrUnjudged) || errors.Is(err, drift.ErrHistory) {
		return fail(ctx, q, id, err.Error())
	}
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	findings, err := json.Marshal(schemaFindings(found))
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	err = q.MarkSchemaCheckFinished(ctx, queries.MarkSchemaCheckFinishedParams{
		ID: id, StartedAt: &began, Found: int64(len(found)), Findings: findings,
	})
	if err != nil {
		return fmt.Errorf("finish run %s: %w", id, err)
	}
	return nil
}

// schemaFinding is a finding as its run keeps it.
type schemaFinding struct {
	Detail   string         `json:"detail"`
	Severity drift.Severity `json:"severity"`
	Kind     string         `json:"kind"`
	Object   string         `json:"object"`
	Remedy   string         `json:"remedy,omitempty"`
}

func schemaFindings(found []drift.Finding) []schemaFinding {
	kept := make([]schemaFinding, 0, min(len(found), maxSchemaFindings))
	for _, f := range found[:min(len(found), maxSchemaFindings)] {
		kept = append(kept, schemaFinding{
			Detail: f.Message, Severity: f.Severity, Kind: f.Kind, Object: f.Object, Remedy: f.Remedy,
		})
	}
	return kept
}

// ask stores the run of the period that the instant is in, once, and returns it.
func (w *CheckSchema) ask(ctx context.Context, at time.Time) (uuid.UUID, error) {
	key := "check_schema " + at.UTC().Truncate(checkSchemaEvery).Format(time.RFC3339)
	hash := sha256.Sum256([]byte(key))
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("make run id: %w", err)
	}
	q := queries.New(w.DB)
	row, err := q.InsertRun(ctx, queries.InsertRunParams{
		ID: id, Kind: queries.RunKindCheckSchema, AsOfOn: mortgage.DateOf(at),
		RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
	})
	if errors.Is(err, pgx.ErrNoRows) { // An earlier attempt, or an earlier job of the period.
		row, err = q.GetRunByKey(ctx, scheduledBy, key)
	}
	return row.ID, err
}
