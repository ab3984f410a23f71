package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/internal/localday"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	// scheduleTick is how often the schedule is looked at, and so the longest that
	// a close which is due waits.
	scheduleTick = time.Minute
	// scheduleAttempts is few: the next look does what this one could not.
	scheduleAttempts = 3
	// scheduledBy asks for what is done by itself. It cannot be a client, whose
	// names have a colon.
	scheduledBy = "schedule"
)

// DayCloseSchedule says when business days are closed by themselves. It must be
// the same in every worker: the one that leads asks, and any of them answers.
type DayCloseSchedule struct {
	Zone *time.Location
	// At is the hour, on the day after it, from which on a day is to be closed.
	At localday.Hour
}

// LastDue returns the latest day that is to be closed at the instant: yesterday,
// or the day before it as long as the clock on the wall in the zone does not show
// the hour.
func (s DayCloseSchedule) LastDue(at time.Time) mortgage.Date {
	today, hour := localday.Of(at, s.Zone)
	if hour < s.At {
		return today - 2
	}
	return today - 1
}

// periodic is the tick that looks at the schedule. The queue's own clock lives
// in the memory of the worker that leads and forgets with it, so it decides
// nothing: it ticks, also when a worker begins to lead, and our tables say what
// was asked for already.
func (s DayCloseSchedule) periodic() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(scheduleTick),
		func() (river.JobArgs, *river.InsertOpts) { return ScheduleDayCloseArgs{}, nil },
		&river.PeriodicJobOpts{ID: ScheduleDayCloseArgs{}.Kind(), RunOnStart: true})
}

// ScheduleDayCloseArgs names nothing: the moment of the job says which day is
// meant.
type ScheduleDayCloseArgs struct{}

// Kind is stored with every job, so it never changes.
func (ScheduleDayCloseArgs) Kind() string { return "schedule_day_close" }

// InsertOpts implements river.JobArgsWithInsertOpts. One job waits or runs at a
// time, however many ticks there are.
func (ScheduleDayCloseArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueCycle, MaxAttempts: scheduleAttempts,
		UniqueOpts: river.UniqueOpts{ByQueue: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

// ScheduleDayClose asks for the latest day that is due to be closed, unless that
// was done: once for each day, however many workers, ticks and restarts there
// are. Nights on which nobody worked are made up by that one run, because every
// loan is closed up to its day.
type ScheduleDayClose struct {
	river.WorkerDefaults[ScheduleDayCloseArgs]

	DB       DB
	Jobs     *river.Client[pgx.Tx] // takes the job that plans the run
	Schedule *DayCloseSchedule     // nil where days are not closed by themselves
}

// Work stores the run with its job, both or neither. It goes by the moment of
// the job: a later attempt has a later one and may ask for a later day.
func (w *ScheduleDayClose) Work(ctx context.Context, job *river.Job[ScheduleDayCloseArgs]) error {
	if w.Schedule == nil {
		return nil // Another worker, which is set up differently, has ticked.
	}
	day := w.Schedule.LastDue(job.ScheduledAt)
	err := pgx.BeginFunc(ctx, w.DB, func(tx pgx.Tx) error { return w.ask(ctx, tx, day) })
	if err != nil {
		return fmt.Errorf("ask for the close of %v: %w", day, err)
	}
	return nil
}

func (w *ScheduleDayClose) ask(ctx context.Context, tx pgx.Tx, day mortgage.Date) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make run id: %w", err)
	}
	key := "close_day " + day.String()
	hash := sha256.Sum256([]byte(key))
	run, err := queries.New(tx).InsertRun(ctx, queries.InsertRunParams{
		ID: id, Kind: queries.RunKindCloseDay, AsOfOn: day,
		RequestedBy: scheduledBy, IdempotencyKey: key, RequestHash: hash[:],
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // The day was asked for before.
	}
	if err != nil {
		return fmt.Errorf("insert run: %w", err)
	}
	if _, err := w.Jobs.InsertTx(ctx, tx, CloseDayArgs{RunID: run.ID}, nil); err != nil {
		return fmt.Errorf("enqueue run: %w", err)
	}
	return nil
}
