package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeOperations() {
	s.glance = &figures[operations]{
		read: s.readGlance, log: s.log, maxAge: glanceFor, timeout: glanceTimeout, patience: glancePatience,
	}
	s.portfolio = &figures[portfolioGlance]{
		read: s.readPortfolio, log: s.log, maxAge: portfolioFor, timeout: portfolioTimeout, patience: portfolioPatience,
	}
	register(s, ScopeOperationsRead, huma.Operation{
		OperationID: "get-operations", Method: http.MethodGet, Path: "/v1/operations", Tags: []string{"operations"},
		Summary: "See at a glance whether all is well",
		Description: "Figures of the whole database, read anew every ten seconds while somebody looks. Those of the " +
			"portfolio, which all loans or all payments of a month are read for, are read anew every five minutes, and " +
			"missing where they could not be read yet.",
	}, s.getOperations)
}

type getOperationsOutput struct{ Body operations }

// operations is what an operator sees at a glance.
type operations struct {
	AsOf      time.Time        `json:"as_of" doc:"When it was read."`
	Today     dayOfPayments    `json:"today" doc:"The payments that were stored today, where the deployment is at home."`
	Received  receivedPayments `json:"received" doc:"Those of the latest 20,000 payments that wait to be posted."`
	Waiting   []waitingWork    `json:"waiting" doc:"What waits for a person or for its day."`
	Runs      []run            `json:"runs" doc:"The last run of each kind."`
	Backups   []lastBackup     `json:"backups" doc:"The newest of each kind."`
	WAL       *walArchive      `json:"wal,omitzero" nullable:"false" doc:"Left out where no write-ahead log is archived."`
	Findings  openFindings     `json:"findings" doc:"What checks of the stored data found and still find."`
	Logins    recentLogins     `json:"logins" doc:"Attempts to log in of the last hour."`
	Queues    []jobQueue       `json:"queues"`
	Portfolio *portfolioGlance `json:"portfolio,omitzero" nullable:"false" doc:"Left out until it could be read."`
}

// receivedPayments are those that wait to be posted.
type receivedPayments struct {
	Payments         int64 `json:"payments"`
	OldestAgeSeconds int64 `json:"oldest_age_seconds"`
}

// waitingWork is one sort of what waits.
type waitingWork struct {
	What     string    `json:"what" doc:"Such as payment_exception or reversal_approval."`
	Waiting  int64     `json:"waiting"`
	OldestAt time.Time `json:"oldest_at,omitzero" doc:"Since when the oldest waits."`
}

// lastBackup is the newest backup of a kind.
type lastBackup struct {
	Kind       queries.BackupKind `json:"kind" enum:"physical,logical"`
	StoredOf   time.Time          `json:"stored_of,omitzero" doc:"The moment that the newest backup in the store holds; left out where there is none."`
	VerifiedOf time.Time          `json:"verified_of,omitzero" doc:"The same of the newest that was restored and found as it should be."`
	SizeBytes  int64              `json:"size_bytes"`
	RestoreMs  int64              `json:"restore_ms" doc:"How long it took to restore the newest verified one into a scratch server."`
}

// walArchive is how far the archive of the write-ahead log has come.
type walArchive struct {
	Active    bool  `json:"active" doc:"Whether a process archives at the moment."`
	Lost      bool  `json:"lost" doc:"Whether the server has given up keeping what is not archived: there is a gap."`
	KeptBytes int64 `json:"kept_bytes" doc:"What is not archived yet."`
}

// openFindings are how many there are.
type openFindings struct {
	Critical int64 `json:"critical"`
	Warning  int64 `json:"warning"`
	Losses   int64 `json:"losses" doc:"Those that say that loans are missing, or that nobody can tell."`
}

// recentLogins are attempts by what became of them.
type recentLogins struct {
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Throttled int64 `json:"throttled" doc:"Noted once a second and account at most."`
}

var errNoFigures = errors.New("figures were not read in time")

func (s *Server) getOperations(ctx context.Context, _ *struct{}) (*getOperationsOutput, error) {
	seen := s.glance.get(ctx)
	if seen == nil {
		return nil, unavailable("The figures could not be read in time. Try again.", errNoFigures)
	}
	shown := *seen
	shown.Portfolio = s.portfolio.get(ctx)
	return &getOperationsOutput{Body: shown}, nil
}

// readGlance reads all but the portfolio: rows that are few, by index.
func (s *Server) readGlance(ctx context.Context) (operations, error) {
	now := time.Now()
	shown := operations{AsOf: now.UTC(), Waiting: []waitingWork{}, Runs: []run{}, Backups: []lastBackup{}}
	for _, part := range []func(context.Context, time.Time, *operations) error{
		s.glanceAtPayments, s.glanceAtWaiting, s.glanceAtRuns, s.glanceAtBackups, s.glanceAtFindings, s.glanceAtLogins,
	} {
		if err := part(ctx, now, &shown); err != nil {
			return shown, err
		}
	}
	var err error
	shown.Queues, err = s.readQueues(ctx)
	return shown, err
}

// idFrom is the first id that is made at the moment or later: ids of version 7 begin
// with their time, in milliseconds.
func idFrom(at time.Time) uuid.UUID {
	var id uuid.UUID
	ms := uint64(max(0, at.UnixMilli()))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

func (s *Server) glanceAtPayments(ctx context.Context, now time.Time, shown *operations) error {
	today := s.receiving.today(now)
	days, err := s.countPayments(ctx, s.startOf(today), now.Add(time.Minute))
	if err != nil {
		return err
	}
	shown.Today = dayOfPayments{DayOn: date{today}, ByChannel: []channelPayments{}}
	for _, d := range days {
		if d.DayOn.Date == today {
			shown.Today = d
		}
	}
	from, err := s.q.GetPaymentWindow(ctx, uuid.Max, searchWindow-1)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("get window: %w", err)
	}
	waiting, err := s.q.GetReceivedPayments(ctx, from)
	if err != nil {
		return fmt.Errorf("count received payments: %w", err)
	}
	shown.Received = receivedPayments{
		Payments: waiting.Payments, OldestAgeSeconds: int64(max(0, now.Sub(waiting.OldestAt)).Seconds()),
	}
	return nil
}

func (s *Server) glanceAtWaiting(ctx context.Context, _ time.Time, shown *operations) error {
	rows, err := s.q.ListWaiting(ctx)
	if err != nil {
		return fmt.Errorf("list waiting: %w", err)
	}
	for _, row := range rows {
		shown.Waiting = append(shown.Waiting,
			waitingWork{What: row.What, Waiting: row.Waiting, OldestAt: fromEpoch(row.OldestEpoch)})
	}
	return nil
}

// fromEpoch is a moment in seconds since 1970; none where they are 0.
func fromEpoch(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

func (s *Server) glanceAtRuns(ctx context.Context, _ time.Time, shown *operations) error {
	rows, err := s.q.ListRecentRuns(ctx)
	if err != nil {
		return fmt.Errorf("list recent runs: %w", err)
	}
	for _, row := range rows {
		shown.Runs = append(shown.Runs, runOf(row))
	}
	return nil
}

func (s *Server) glanceAtBackups(ctx context.Context, _ time.Time, shown *operations) error {
	rows, err := s.q.ListBackupStates(ctx)
	if err != nil {
		return fmt.Errorf("list backup states: %w", err)
	}
	for _, row := range rows {
		shown.Backups = append(shown.Backups, lastBackup{
			Kind: row.Kind, StoredOf: fromEpoch(row.StoredEpoch), VerifiedOf: fromEpoch(row.VerifiedEpoch),
			SizeBytes: row.SizeBytes, RestoreMs: row.RestoreMs,
		})
	}
	slot, err := s.q.GetArchiveSlot(ctx, jobs.ArchiveSlot)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get archive slot: %w", err)
	}
	shown.WAL = &walArchive{Active: slot.Active, Lost: slot.Lost, KeptBytes: slot.KeptBytes}
	return nil
}

func (s *Server) glanceAtFindings(ctx context.Context, _ time.Time, shown *operations) error {
	rows, err := s.q.CountOpenFindings(ctx)
	if err != nil {
		return fmt.Errorf("count findings: %w", err)
	}
	for _, row := range rows {
		if row.Severity == queries.IntegritySeverityCritical {
			shown.Findings.Critical += row.Findings
		} else {
			shown.Findings.Warning += row.Findings
		}
	}
	if shown.Findings.Losses, err = s.q.CountOpenLosses(ctx); err != nil {
		return fmt.Errorf("count losses: %w", err)
	}
	return nil
}

func (s *Server) glanceAtLogins(ctx context.Context, _ time.Time, shown *operations) error {
	rows, err := s.q.CountRecentLoginAttempts(ctx, int32(time.Hour.Seconds()))
	if err != nil {
		return fmt.Errorf("count login attempts: %w", err)
	}
	for _, row := range rows {
		switch row.Outcome {
		case queries.LoginOutcomeSucceeded:
			shown.Logins.Succeeded += row.Attempts
		case queries.LoginOutcomeThrottled:
			shown.Logins.Throttled += row.Attempts
		default:
			shown.Logins.Failed += row.Attempts
		}
	}
	return nil
}
