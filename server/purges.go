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
	"github.com/riverqueue/river"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routePurges() {
	register(s, ScopeHousekeepingRun, huma.Operation{
		OperationID: "clean-up-sessions", Method: http.MethodPost, Path: "/v1/session-cleanups", Tags: []string{"runs"},
		Summary: "Delete ended sessions",
		Description: "Deletes sessions that expired or were revoked before the grace. Workers do the same by themselves, " +
			"every hour. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.cleanUpSessions)
	register(s, ScopeHousekeepingRun, huma.Operation{
		OperationID: "prune-login-attempts", Method: http.MethodPost, Path: "/v1/login-attempt-prunings",
		Tags: []string{"runs"}, Summary: "Delete old attempts to log in",
		Description: "Deletes attempts from before the retention, and keeps how many there were of each outcome on each " +
			"day. Workers do the same by themselves, every day. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.pruneLoginAttempts)
	register(s, ScopeHousekeepingRun, huma.Operation{
		OperationID: "prune-history", Method: http.MethodPost, Path: "/v1/history-prunings", Tags: []string{"runs"},
		Summary: "Drop old months of the history",
		Description: "Drops the months of the history that ended before the retention, and makes those that are to come. " +
			"Workers do the same by themselves, every day. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.pruneHistory)
	register(s, ScopeHousekeepingRun, huma.Operation{
		OperationID: "prune-webhook-messages", Method: http.MethodPost, Path: "/v1/webhook-message-prunings",
		Tags: []string{"runs"}, Summary: "Delete old messages of webhooks",
		Description: "Deletes messages from before the retention, with their deliveries. What waits to be sent stays, " +
			"however old it is. Workers do the same by themselves, every day. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.pruneWebhookMessages)
}

type cleanUpSessionsInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body sessionCleanup
}

type sessionCleanup struct {
	GraceHours *int32 `json:"grace_hours,omitzero" nullable:"false" minimum:"0" maximum:"87600" doc:"How long ago a session must have ended; 24 if left out."`
	DryRun     bool   `json:"dry_run,omitzero" doc:"Only count what would go."`
}

type pruneLoginAttemptsInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body attemptPruning
}

type attemptPruning struct {
	RetentionDays *int32 `json:"retention_days,omitzero" nullable:"false" minimum:"1" maximum:"3650" doc:"How long ago an attempt must have been made; 90 if left out. The throttle of logins counts back one day, so that nothing younger can go."`
	DryRun        bool   `json:"dry_run,omitzero" doc:"Only count what would go."`
}

type pruneHistoryInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body historyPruning
}

type historyPruning struct {
	RetentionDays *int32 `json:"retention_days,omitzero" nullable:"false" minimum:"90" maximum:"3650" doc:"How long ago a month must have ended; 400 if left out."`
	DryRun        bool   `json:"dry_run,omitzero" doc:"Only count what would go."`
}

type pruneWebhookMessagesInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body webhookMessagePruning
}

type webhookMessagePruning struct {
	RetentionDays *int32 `json:"retention_days,omitzero" nullable:"false" minimum:"7" maximum:"3650" doc:"How long ago what a message tells of must have happened; 30 if left out."`
	DryRun        bool   `json:"dry_run,omitzero" doc:"Only count what would go."`
}

// purgeRequest is a wish that rows be deleted.
type purgeRequest struct {
	operation, path string
	key             string
	body            any
	kind            queries.RunKind
	age             time.Duration
	dryRun          bool
	job             func(run uuid.UUID) river.JobArgs
}

func (s *Server) cleanUpSessions(ctx context.Context, in *cleanUpSessionsInput) (*runOutput, error) {
	age := jobs.DefaultSessionGrace
	if in.Body.GraceHours != nil {
		age = time.Duration(*in.Body.GraceHours) * time.Hour
	}
	return s.purge(ctx, purgeRequest{
		operation: "clean-up-sessions", path: "/v1/session-cleanups", key: in.Key, body: &in.Body,
		kind: queries.RunKindCleanUpSessions, age: age, dryRun: in.Body.DryRun,
		job: func(run uuid.UUID) river.JobArgs { return jobs.CleanUpSessionsArgs{RunID: run, AgeSeconds: 0} },
	})
}

func (s *Server) pruneLoginAttempts(ctx context.Context, in *pruneLoginAttemptsInput) (*runOutput, error) {
	const day = 24 * time.Hour
	age := jobs.DefaultAttemptRetention
	if in.Body.RetentionDays != nil {
		age = time.Duration(*in.Body.RetentionDays) * day
	}
	return s.purge(ctx, purgeRequest{
		operation: "prune-login-attempts", path: "/v1/login-attempt-prunings", key: in.Key, body: &in.Body,
		kind: queries.RunKindPruneLoginAttempts, age: age, dryRun: in.Body.DryRun,
		job: func(run uuid.UUID) river.JobArgs { return jobs.PruneLoginAttemptsArgs{RunID: run, AgeSeconds: 0} },
	})
}

func (s *Server) pruneHistory(ctx context.Context, in *pruneHistoryInput) (*runOutput, error) {
	const day = 24 * time.Hour
	age := jobs.DefaultHistoryRetention
	if in.Body.RetentionDays != nil {
		age = time.Duration(*in.Body.RetentionDays) * day
	}
	return s.purge(ctx, purgeRequest{
		operation: "prune-history", path: "/v1/history-prunings", key: in.Key, body: &in.Body,
		kind: queries.RunKindPruneHistory, age: age, dryRun: in.Body.DryRun,
		job: func(run uuid.UUID) river.JobArgs { return jobs.PruneHistoryArgs{RunID: run, AgeSeconds: 0} },
	})
}

func (s *Server) pruneWebhookMessages(ctx context.Context, in *pruneWebhookMessagesInput) (*runOutput, error) {
	const day = 24 * time.Hour
	age := jobs.DefaultWebhookRetention
	if in.Body.RetentionDays != nil {
		age = time.Duration(*in.Body.RetentionDays) * day
	}
	return s.purge(ctx, purgeRequest{
		operation: "prune-webhook-messages", path: "/v1/webhook-message-prunings", key: in.Key, body: &in.Body,
		kind: queries.RunKindPruneWebhookMessages, age: age, dryRun: in.Body.DryRun,
		job: func(run uuid.UUID) river.JobArgs { return jobs.PruneWebhookMessagesArgs{RunID: run, AgeSeconds: 0} },
	})
}

// runOutput is a run that was accepted.
type runOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       run
}

// purge stores the run and enqueues its job, once for each key.
func (s *Server) purge(ctx context.Context, req purgeRequest) (*runOutput, error) {
	key, err := parseKey(req.key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make run id: %w", err)
	}
	hash, err := fingerprint(req.operation, req.path, req.body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertRunParams{
		ID: id, Kind: req.kind, AsOfOn: mortgage.DateOf(time.Now()),
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Run, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptPurge(ctx, tx, arg, req)
				return err
			})
			return row, err
		},
		func() (queries.Run, error) { return s.q.GetRunByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Run) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &runOutput{
		Location: "/v1/runs/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: requestedRun(row),
	}, nil
}

// acceptPurge stores the run with what it is told, and enqueues its job. It
// returns errKeyTaken, and stores nothing, when the idempotency key is taken.
func (s *Server) acceptPurge(
	ctx context.Context, tx pgx.Tx, arg queries.InsertRunParams, req purgeRequest,
) (queries.Run, error) {
	q := queries.New(tx)
	row, err := q.InsertRun(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert run: %w", err)
	}
	_, err = q.InsertRunPurge(ctx, queries.InsertRunPurgeParams{
		RunID: row.ID, AgeSeconds: int32(req.age.Seconds()), DryRun: req.dryRun,
	})
	if err != nil {
		return row, fmt.Errorf("insert purge: %w", err)
	}
	if _, err := s.jobs.InsertTx(ctx, tx, req.job(row.ID), nil); err != nil {
		return row, fmt.Errorf("enqueue run: %w", err)
	}
	return row, nil
}

// runPurge is what a run that deletes rows was told, and what it left.
type runPurge struct {
	BeforeAt  time.Time `json:"before_at" doc:"What ended or happened before it goes."`
	DryRun    bool      `json:"dry_run"`
	Remaining *int64    `json:"remaining,omitzero" nullable:"false" doc:"Rows that it found and did not delete; once it is over."`
	OldestAt  time.Time `json:"oldest_at,omitzero" doc:"Of the oldest row that is left: when the session expires, the attempt was made, the month of history began, or what the message tells of happened."`
}

// showPurge adds to a run what only those have that delete rows.
func (s *Server) showPurge(ctx context.Context, shown *run) error {
	if shown.Kind != queries.RunKindCleanUpSessions && shown.Kind != queries.RunKindPruneLoginAttempts &&
		shown.Kind != queries.RunKindPruneHistory && shown.Kind != queries.RunKindPruneWebhookMessages {
		return nil
	}
	row, err := s.q.GetRunPurge(ctx, shown.RunID)
	if err != nil {
		return fmt.Errorf("get purge: %w", err)
	}
	shown.Purge = &runPurge{BeforeAt: row.BeforeAt.UTC(), DryRun: row.DryRun, Remaining: row.Remaining}
	if row.OldestAt != nil {
		shown.Purge.OldestAt = row.OldestAt.UTC()
	}
	return nil
}
