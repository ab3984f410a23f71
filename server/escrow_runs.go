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
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeEscrowRuns() {
	register(s, ScopeEscrowAnalyze, huma.Operation{
		OperationID: "analyze-portfolio", Method: http.MethodPost, Path: "/v1/escrow-analyses", Tags: []string{"runs"},
		Summary: "Analyze the escrow accounts whose computation year is over",
		Description: "Of every active loan with an escrow account whose next year is still to be analyzed: when its year " +
			"is over, less the policy's days of notice; or, with due_month_on, when the next one begins in that month. Each " +
			"is analyzed once: a run that is repeated finds nothing to do. The close of a day starts such a run by itself. " +
			"How far it has come, and which loans could not be analyzed, is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.analyzePortfolio)
}

type analyzePortfolioInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body portfolioAnalysis
}

type portfolioAnalysis struct {
	AsOfOn     date `json:"as_of_on" doc:"The day of the analyses; not after today (UTC)."`
	DueMonthOn date `json:"due_month_on,omitzero" doc:"The first day of a month: analyze the loans whose computation year begins in it, even before their year is over. It is at most two months after that of as_of_on. Without it, all that are due."`
}

// check says what the schema cannot.
func (b *portfolioAnalysis) check() error {
	if b.AsOfOn.Date > mortgage.DateOf(time.Now()) {
		return invalid(inBody("/as_of_on", "must not be after today"))
	}
	if b.DueMonthOn.IsZero() {
		return nil
	}
	const most = mortgage.MaxEscrowNoticeDays
	month := mortgage.MonthNumber(b.DueMonthOn.Date)
	_, _, day := b.DueMonthOn.Civil()
	if day != 1 || month > mortgage.LastEscrowMonth(b.AsOfOn.Date, most) ||
		month <= mortgage.MonthNumber(b.AsOfOn.Date)-12 {
		return invalid(inBody("/due_month_on",
			"must be the first day of a month, from eleven before that of as_of_on to two after"))
	}
	return nil
}

type analyzePortfolioOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       run
}

func (s *Server) analyzePortfolio(
	ctx context.Context, in *analyzePortfolioInput,
) (*analyzePortfolioOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make run id: %w", err)
	}
	hash, err := fingerprint("analyze-portfolio", "/v1/escrow-analyses", &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertEscrowRunParams{
		ID: id, AsOfOn: in.Body.AsOfOn.Date, DueMonthOn: in.Body.DueMonthOn.Date,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Run, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptEscrowRun(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.Run, error) { return s.q.GetRunByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Run) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &analyzePortfolioOutput{
		Location: "/v1/runs/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: requestedRun(row),
	}, nil
}

// acceptEscrowRun stores the run and enqueues its planning. It returns errKeyTaken,
// and stores nothing, when the idempotency key is taken.
func (s *Server) acceptEscrowRun(
	ctx context.Context, tx pgx.Tx, arg queries.InsertEscrowRunParams,
) (queries.Run, error) {
	row, err := queries.New(tx).InsertEscrowRun(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert run: %w", err)
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.AnalyzePortfolioArgs{RunID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue run: %w", err)
	}
	return row, nil
}
