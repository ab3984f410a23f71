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
	"loanserve/queries"
)

func (s *Server) routeDayCloses() {
	register(s, ScopeLoansClose, huma.Operation{
		OperationID: "close-day", Method: http.MethodPost, Path: "/v1/day-closes", Tags: []string{"runs"},
		Summary: "Close a business day",
		Description: "Lets time pass for every active loan up to and including the day: money held in suspense satisfies " +
			"installments on their due dates, and late charges are assessed on the day after grace ends. Days that were " +
			"missed are made up in order. Then what is due from escrow is paid, by a run of its own. A day that is closed " +
			"already may be closed again: its loans get nothing new. How far it has come is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.closeDay)
}

type closeDayInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body dayClose
}

type dayClose struct {
	AsOfOn date `json:"as_of_on" doc:"The business date to close; not after today where the deployment is."`
}

type closeDayOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       run
}

func (s *Server) closeDay(ctx context.Context, in *closeDayInput) (*closeDayOutput, error) {
	return s.requestRun(ctx, runWish{
		kind: queries.RunKindCloseDay, operation: "close-day", path: "/v1/day-closes", key: in.Key, body: in.Body,
		job: func(id uuid.UUID) river.JobArgs { return jobs.CloseDayArgs{RunID: id} },
	})
}

// runWish is a request that work be done on the portfolio for a business date.
type runWish struct {
	kind            queries.RunKind
	operation, path string
	key             string
	body            dayClose
	job             func(id uuid.UUID) river.JobArgs
}

// requestRun stores a run and enqueues its planning. The same key of the same
// principal is the same run.
func (s *Server) requestRun(ctx context.Context, wish runWish) (*closeDayOutput, error) {
	key, err := parseKey(wish.key)
	if err != nil {
		return nil, err
	}
	if wish.body.AsOfOn.Date > s.receiving.today(time.Now()) {
		return nil, invalid(inBody("/as_of_on", "must not be after today"))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make run id: %w", err)
	}
	hash, err := fingerprint(wish.operation, wish.path, &wish.body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertRunParams{
		ID: id, Kind: wish.kind, AsOfOn: wish.body.AsOfOn.Date,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Run, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptRun(ctx, tx, arg, wish.job(id))
				return err
			})
			return row, err
		},
		func() (queries.Run, error) { return s.q.GetRunByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Run) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &closeDayOutput{
		Location: "/v1/runs/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: requestedRun(row),
	}, nil
}

// acceptRun stores the run and enqueues its planning. It returns errKeyTaken, and
// stores nothing, when the idempotency key is taken.
func (s *Server) acceptRun(
	ctx context.Context, tx pgx.Tx, arg queries.InsertRunParams, job river.JobArgs,
) (queries.Run, error) {
	row, err := queries.New(tx).InsertRun(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert run: %w", err)
	}
	if _, err := s.jobs.InsertTx(ctx, tx, job, nil); err != nil {
		return row, fmt.Errorf("enqueue run: %w", err)
	}
	return row, nil
}
