package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/queries"
)

// orphanInterval is how often a worker looks for jobs whose worker died. It is
// the longest a payment waits because of a crash.
const orphanInterval = 5 * time.Second

// orphanKinds are the kinds whose jobs are given back at once when their worker
// dies: those that are harmless to run twice at the same time, because the
// worker that seems dead may only have lost its connection.
func orphanKinds() []string {
	return []string{
		PostPaymentArgs{}.Kind(), PostPaymentChunkArgs{}.Kind(), ReversePaymentArgs{}.Kind(), PostBatchChunkArgs{}.Kind(),
		ReverseReturnsArgs{}.Kind(), ChangeLoanArgs{}.Kind(), CloseDayArgs{}.Kind(), CloseDayChunkArgs{}.Kind(),
		CleanUpSessionsArgs{}.Kind(), PruneLoginAttemptsArgs{}.Kind(), PruneHistoryArgs{}.Kind(), CheckSchemaArgs{}.Kind(),
		ScheduleDayCloseArgs{}.Kind(),
		DisburseEscrowArgs{}.Kind(), DisburseEscrowChunkArgs{}.Kind(), ReturnDisbursementArgs{}.Kind(),
		AnalyzeEscrowArgs{}.Kind(), AnalyzePortfolioArgs{}.Kind(), AnalyzeEscrowChunkArgs{}.Kind(),
		MakeEscrowStatementArgs{}.Kind(),
		ScheduleBackupsArgs{}.Kind(), BackUpDatabaseArgs{}.Kind(), VerifyBackupArgs{}.Kind(), PruneBackupsArgs{}.Kind(),
		CheckIntegrityArgs{}.Kind(), CheckIntegrityChunkArgs{}.Kind(), WatchLoansArgs{}.Kind(),
		DeliverWebhookArgs{}.Kind(), PruneWebhookMessagesArgs{}.Kind(),
	}
}

// aliveness shows others that this worker lives, by a lock that its database
// connection holds and that a crash of either side drops, and gives back the
// jobs of those that do not. River alone would leave them for minutes. It also
// ends the runs that lost their jobs for good.
type aliveness struct {
	name    string
	pool    *pgxpool.Pool
	log     *slog.Logger
	metrics *Metrics
	ender   *ender
	done    chan struct{}
}

// start takes the lock within ctx, and keeps it and looks around until run ends.
func (a *aliveness) start(ctx, run context.Context) error {
	conn, err := a.lock(ctx)
	if err != nil {
		return err
	}
	a.done = make(chan struct{})
	go a.loop(run, conn)
	return nil
}

// wait returns once the lock is given up, after run has ended.
func (a *aliveness) wait() { <-a.done }

// lock takes the worker's lock on a connection of its own. A pool's connection
// would be closed at the end of its lifetime, and the lock with it.
func (a *aliveness) lock(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, a.pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect for the worker's lock: %w", err)
	}
	if err := queries.New(conn).LockWorkerName(ctx, a.name); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("take the worker's lock: %w", err)
	}
	return conn, nil
}

func (a *aliveness) loop(run context.Context, conn *pgx.Conn) {
	defer close(a.done)
	tick := time.NewTicker(orphanInterval)
	defer tick.Stop()
	for {
		conn = a.look(run, conn)
		select {
		case <-tick.C:
		case <-run.Done():
			if conn != nil {
				_ = conn.Close(context.WithoutCancel(run))
			}
			return
		}
	}
}

// look renews the lock where the connection was lost, gives back orphaned jobs,
// and ends runs that have lost theirs. It returns the connection, or nil while
// there is none.
func (a *aliveness) look(run context.Context, conn *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(run, orphanInterval)
	defer cancel()
	if conn == nil || conn.IsClosed() {
		var err error
		if conn, err = a.lock(ctx); err != nil {
			a.warn(run, err)
			return nil
		}
	}
	jobs, err := queries.New(conn).MarkOrphanedJobsAvailable(ctx, orphanKinds(), a.name)
	if err != nil {
		a.warn(run, fmt.Errorf("give back orphaned jobs: %w", err))
		return conn
	}
	for _, job := range jobs {
		a.metrics.rescued.WithLabelValues(job.Kind, kinds()[job.Kind]).Inc()
	}
	if len(jobs) > 0 {
		a.log.WarnContext(run, "gave back the jobs of a dead worker",
			slog.Int("jobs", len(jobs)), slog.String("worker", jobs[0].Worker))
	}
	if err := a.ender.look(ctx); err != nil {
		a.warn(run, err)
	}
	return conn
}

func (a *aliveness) warn(run context.Context, err error) {
	if run.Err() == nil {
		a.log.WarnContext(run, "cannot look for what dead workers and jobs have left", slog.Any("error", err))
	}
}
