package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// QueueIntegrity is the queue of checks of the stored data.
	QueueIntegrity = "integrity"
	// integrityWorkers is one: nobody waits for a check, and payments are not to wait
	// for the database because of one.
	integrityWorkers = 1
	// integrityTimeout is many times what a part of a check takes, and shorter than
	// what River takes for a worker that is stuck.
	integrityTimeout = 4 * time.Minute
	// integrityTick is how often the clock asks whether a check of the day or of the
	// week is to be started.
	integrityTick = time.Hour

	checkEvery         = 24 * time.Hour
	checkCompleteEvery = 7 * 24 * time.Hour
)

// CheckIntegrityArgs names the run that checks the stored data. Without one the clock
// asks for it: for one of all loans, or of those that changed since they were checked.
type CheckIntegrityArgs struct {
	RunID    uuid.UUID `json:"run_id"`
	Complete bool      `json:"complete,omitempty"`
}

// Kind is stored with every job, so it never changes.
func (CheckIntegrityArgs) Kind() string { return "check_integrity" }

// InsertOpts implements river.JobArgsWithInsertOpts. A run is not unique, and the clock
// asks once in a tick; its run says whether that was in this day or week already.
func (a CheckIntegrityArgs) InsertOpts() river.InsertOpts {
	opts := river.InsertOpts{Queue: QueueIntegrity, MaxAttempts: postPaymentAttempts}
	if a.RunID == uuid.Nil {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByQueue: true, ByPeriod: integrityTick}
	}
	return opts
}

// CheckIntegrity looks at what only the whole portfolio can tell, one step after the
// other, each of which is done once; then it cuts the loans into chunks and enqueues a
// job for each.
type CheckIntegrity struct {
	river.WorkerDefaults[CheckIntegrityArgs]

	DB   *pgxpool.Pool
	Jobs *river.Client[pgx.Tx] // takes the chunks
}

// Timeout implements river.Worker.
func (*CheckIntegrity) Timeout(*river.Job[CheckIntegrityArgs]) time.Duration { return integrityTimeout }

// Work does the steps that are left, and plans the run, once.
func (w *CheckIntegrity) Work(ctx context.Context, job *river.Job[CheckIntegrityArgs]) error {
	id := job.Args.RunID
	if id == uuid.Nil {
		var err error
		id, err = w.ask(ctx, job.CreatedAt, job.Args.Complete)
		if err != nil {
			return fmt.Errorf("ask for a check: %w", err)
		}
		if id == uuid.Nil {
			return nil
		}
	}
	q := queries.New(w.DB)
	run, err := q.GetRun(ctx, id)
	if err != nil {
		return fmt.Errorf("get run %s: %w", id, err)
	}
	if run.Status != queries.RunStatusRequested {
		return nil // An earlier attempt committed, or an earlier job of the period.
	}
	check, err := q.GetIntegrityCheck(ctx, id)
	if err != nil {
		return fmt.Errorf("get check %s: %w", id, err)
	}
	if err := w.checkPortfolio(ctx, q, &check); err != nil {
		return fmt.Errorf("check %s: %w", id, err)
	}
	plan := runPlan{jobs: w.Jobs, cut: cutToCheck, chunk: func(c queries.RunChunk) river.JobArgs {
		return CheckIntegrityChunkArgs{RunID: c.RunID, FirstLoanID: c.FirstLoanID, LastLoanID: c.LastLoanID}
	}, also: func(ctx context.Context, tx pgx.Tx, run *queries.Run) error {
		return endCheck(ctx, queries.New(tx), run.ID)
	}}
	return plan.work(ctx, w.DB, id)
}

// checkKey is the key of the run of the day or of the week that the instant is in.
func checkKey(at time.Time, complete bool) string {
	if complete {
		return "check_integrity week " + at.UTC().Truncate(checkCompleteEvery).Format(time.DateOnly)
	}
	return "check_integrity day " + at.UTC().Truncate(checkEvery).Format(time.DateOnly)
}

// ask stores the run of the day or of the week that the instant is in, once, and returns
// it. On the day on which the week's was asked for, the day's is not.
func (w *CheckIntegrity) ask(ctx context.Context, at time.Time, complete bool) (run uuid.UUID, err error) {
	if !complete {
		week, err := queries.New(w.DB).GetRunByKey(ctx, scheduledBy, checkKey(at, true))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return uuid.Nil, fmt.Errorf("get the week's run: %w", err)
		}
		if err == nil && mortgage.DateOf(week.CreatedAt) == mortgage.DateOf(at) {
			return uuid.Nil, nil
		}
	}
	key := checkKey(at, complete)
	hash := sha256.Sum256([]byte(key))
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("make run id: %w", err)
	}
	err = pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error {
		row, err := InsertCheck(ctx, tx, queries.InsertRunParams{
			ID: id, Kind: queries.RunKindCheckIntegrity, AsOfOn: mortgage.DateOf(at),
			RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
		}, complete)
		if errors.Is(err, pgx.ErrNoRows) {
			row, err = queries.New(tx).GetRunByKey(ctx, scheduledBy, key)
		}
		run = row.ID
		return err
	})
	return run, err
}

// InsertCheck stores a run that checks the stored data. It returns pgx.ErrNoRows when the
// key is taken.
func InsertCheck(ctx context.Context, tx pgx.Tx, arg queries.InsertRunParams, complete bool) (queries.Run, error) {
	q := queries.New(tx)
	run, err := q.InsertRun(ctx, arg)
	if err != nil {
		return run, fmt.Errorf("insert run: %w", err)
	}
	_, err = q.InsertIntegrityCheck(ctx, queries.InsertIntegrityCheckParams{
		ID: run.ID, RunID: &run.ID, Complete: complete,
	})
	if err != nil {
		return run, fmt.Errorf("insert check: %w", err)
	}
	return run, nil
}

// checkPortfolio does the steps that are left. Each counts once, whatever happens to the
// job in the next one.
func (w *CheckIntegrity) checkPortfolio(ctx context.Context, q *queries.Queries, check *queries.IntegrityCheck) error {
	steps, err := stepsOf(ctx, q, check.Complete)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if slices.Contains(check.Steps, s.name) {
			continue
		}
		_, err := s.work(ctx, w.DB, func(ctx context.Context, q *queries.Queries) error {
			return q.MarkIntegrityStepDone(ctx, s.name, check.ID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cutToCheck cuts the loans into chunks of about as many transactions each.
func cutToCheck(ctx context.Context, q *queries.Queries, run *queries.Run) ([]queries.RunChunk, error) {
	check, err := q.GetIntegrityCheck(ctx, run.ID)
	if err != nil {
		return nil, fmt.Errorf("get check: %w", err)
	}
	ranges, err := rangesToCheck(ctx, q, check.Complete)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertRunChunksParams{RunID: run.ID, FirstLoanID: nil, LastLoanID: nil, Loans: nil}
	for _, r := range ranges {
		arg.FirstLoanID, arg.LastLoanID = append(arg.FirstLoanID, r.FirstLoanID), append(arg.LastLoanID, r.LastLoanID)
		arg.Loans = append(arg.Loans, r.Loans)
	}
	return q.InsertRunChunks(ctx, arg)
}

func rangesToCheck(ctx context.Context, q *queries.Queries, complete bool) ([]queries.ListIntegrityRangesRow, error) {
	return q.ListIntegrityRanges(ctx, queries.ListIntegrityRangesParams{
		LeastWeight:       checkChunkTransactions / checkChunkLoans,
		ChunkTransactions: checkChunkTransactions, Complete: complete,
	})
}

// endCheck says that a check is over, if it is, and remembers how far the register
// reached.
func endCheck(ctx context.Context, q *queries.Queries, id uuid.UUID) error {
	if err := q.MarkIntegrityCheckFinished(ctx, id); err != nil {
		return fmt.Errorf("finish check: %w", err)
	}
	if err := q.InsertRegisterAnchors(ctx); err != nil {
		return fmt.Errorf("insert anchors of the register: %w", err)
	}
	return nil
}

// periodicChecks is what is checked by the clock: whether a loan is lost every minute, the
// loans that changed every day, and all of them every week. All of them are asked for
// when a worker begins to lead, too, so that what was missed is made up.
func periodicChecks() []*river.PeriodicJob {
	every := func(period time.Duration, id string, args river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(period),
			func() (river.JobArgs, *river.InsertOpts) { return args, nil },
			&river.PeriodicJobOpts{ID: id, RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(watchEvery, "watch_loans", WatchLoansArgs{}),
		every(integrityTick, "check_integrity_week", CheckIntegrityArgs{RunID: uuid.Nil, Complete: true}),
		every(integrityTick, "check_integrity_day", CheckIntegrityArgs{RunID: uuid.Nil, Complete: false}),
	}
}
