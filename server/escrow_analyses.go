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

func (s *Server) routeEscrowAnalyses() {
	register(s, ScopeEscrowAnalyze, huma.Operation{
		OperationID: "analyze-escrow", Method: http.MethodPost, Path: "/v1/loans/{loan_id}/escrow-analyses",
		Tags: []string{"escrow"}, Summary: "Analyze a loan's escrow account",
		Description: "By 12 CFR 1024.17, as of a day, from the loan's lines, its books as they were, and the policy. " +
			"Unless it is a dry run, it counts at once: the new payment changes the loan's terms from effective_on on, and " +
			"back where something is repaid. What was posted before and would have been otherwise is reversed and posted " +
			"again. The outcome is at the Location.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound},
	}, s.analyzeEscrow)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-analysis", Method: http.MethodGet, Path: "/v1/escrow-analyses/{analysis_id}",
		Tags: []string{"escrow"}, Summary: "Get an escrow analysis",
		Description: "With Prefer: wait=N the answer comes when the analysis is finished or rejected, or after N seconds, " +
			"of which 30 is the most.",
		Errors: []int{http.StatusNotFound},
	}, s.getEscrowAnalysis)
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "list-escrow-analyses", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/escrow-analyses",
		Tags: []string{"escrow"}, Summary: "List a loan's escrow analyses, the latest first",
		Errors: []int{http.StatusNotFound},
	}, s.listEscrowAnalyses)
}

type analyzeEscrowInput struct {
	LoanPath
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body analysisWish
}

type analysisWish struct {
	AsOfOn         date                       `json:"as_of_on" doc:"The day of the analysis; not after today (UTC)."`
	Kind           queries.EscrowAnalysisKind `json:"kind" enum:"annual,short_year,on_demand,initial,payoff"`
	StartOn        date                       `json:"start_on,omitzero" doc:"The first payment of the computation year that is projected, a due date of the loan. Without it: of an annual analysis, the year that is due; of an initial one, the next payment; otherwise the payment of the month after as_of_on."`
	DryRun         bool                       `json:"dry_run,omitzero" doc:"Only try: nothing changes."`
	EstablishedOn  date                       `json:"established_on,omitzero" doc:"Of an initial analysis: the day of settlement, of the account's creation, or of the transfer of servicing."`
	Transferred    bool                       `json:"transferred,omitzero" doc:"Of an initial analysis: whether another servicer handed the account over."`
	VoluntaryCents mortgage.Cents             `json:"voluntary_cents,omitzero" minimum:"0" maximum:"100000000000" doc:"The part of the balance that the borrower paid in of his own accord for bills to come: it is not a surplus."`
}

type analyzeEscrowOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       escrowAnalysis
}

// check says what the schema cannot.
func (w *analysisWish) check() error {
	var faults []fault
	wrong := func(member, detail string) { faults = append(faults, inBody("/"+member, detail)) }
	if w.AsOfOn.Date > mortgage.DateOf(time.Now()) {
		wrong("as_of_on", "must not be after today")
	}
	if w.Kind == queries.EscrowAnalysisKindPayoff && !w.StartOn.IsZero() {
		wrong("start_on", "must be left out: no year follows a payoff")
	}
	if w.Kind != queries.EscrowAnalysisKindInitial && !w.EstablishedOn.IsZero() {
		wrong("established_on", "goes with an initial analysis, and only with it")
	}
	if w.Kind != queries.EscrowAnalysisKindInitial && w.Transferred {
		wrong("transferred", "goes with an initial analysis, and only with it")
	}
	if len(faults) > 0 {
		return invalid(faults...)
	}
	return nil
}

func (s *Server) analyzeEscrow(ctx context.Context, in *analyzeEscrowInput) (*analyzeEscrowOutput, error) {
	b := &in.Body
	if err := b.check(); err != nil {
		return nil, err
	}
	arg := queries.InsertEscrowAnalysisParams{
		ID: uuid.Nil, LoanID: in.LoanID, Kind: b.Kind, DryRun: b.DryRun, AsOfOn: b.AsOfOn.Date, StartOn: b.StartOn.Date,
		EstablishedOn: b.EstablishedOn.Date, Transferred: b.Transferred, VoluntaryCents: b.VoluntaryCents,
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: "", RequestHash: nil,
	}
	var err error
	if arg.IdempotencyKey, err = parseKey(in.Key); err != nil {
		return nil, err
	}
	if arg.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make analysis id: %w", err)
	}
	if arg.RequestHash, err = fingerprint("analyze-escrow", in.path(""), b); err != nil {
		return nil, err
	}
	row, replayed, err := once(
		func() (row queries.EscrowAnalysis, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptAnalysis(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.EscrowAnalysis, error) {
			return s.q.GetEscrowAnalysisByKey(ctx, arg.RequestedBy, arg.IdempotencyKey)
		},
		func(row queries.EscrowAnalysis) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &analyzeEscrowOutput{
		Location: "/v1/escrow-analyses/" + row.ID.String(), RetryAfter: 1, Replayed: replayed,
		Body: requestedAnalysis(&row, arg.StartOn),
	}, nil
}

// acceptAnalysis stores the wish and enqueues its work. It returns errKeyTaken, and
// stores nothing, when the idempotency key is taken.
func (s *Server) acceptAnalysis(
	ctx context.Context, tx pgx.Tx, arg queries.InsertEscrowAnalysisParams,
) (queries.EscrowAnalysis, error) {
	q := queries.New(tx)
	loan, err := q.GetLoan(ctx, arg.LoanID)
	if errors.Is(err, pgx.ErrNoRows) {
		return queries.EscrowAnalysis{}, notFound("There is no such loan.")
	}
	if err != nil {
		return queries.EscrowAnalysis{}, fmt.Errorf("get loan: %w", err)
	}
	row, err := q.InsertEscrowAnalysis(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert escrow analysis: %w", err)
	}
	if !arg.StartOn.IsZero() {
		if on, err := arg.StartOn.AddMonths(0, int(loan.DueDay)); err != nil || on != arg.StartOn {
			return row, invalid(inBody("/start_on", "must be a due date of the loan"))
		}
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.AnalyzeEscrowArgs{AnalysisID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue escrow analysis: %w", err)
	}
	return row, nil
}

type getEscrowAnalysisInput struct {
	AnalysisID uuid.UUID `path:"analysis_id" format:"uuid"`
	Prefer     string    `header:"Prefer" maxLength:"200" doc:"wait=N: wait up to N seconds for the outcome (RFC 7240)."`
}

type getEscrowAnalysisOutput struct {
	Applied    string `header:"Preference-Applied"`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it is requested."`
	Body       escrowAnalysis
}

func (s *Server) getEscrowAnalysis(
	ctx context.Context, in *getEscrowAnalysisInput,
) (*getEscrowAnalysisOutput, error) {
	row, err := s.findEscrowAnalysis(ctx, in.AnalysisID)
	if err != nil {
		return nil, err
	}
	atMost, applied := waitPreference(in.Prefer)
	if row.Status == queries.EscrowAnalysisStatusRequested && atMost > 0 {
		s.analyses.wait(ctx, row.ID, atMost)
		if row, err = s.findEscrowAnalysis(ctx, in.AnalysisID); err != nil {
			return nil, err
		}
	}
	out := &getEscrowAnalysisOutput{Applied: applied, RetryAfter: "", Body: escrowAnalysisOf(&row, true)}
	if row.Status == queries.EscrowAnalysisStatusRequested {
		out.RetryAfter = "1"
	}
	return out, nil
}

func (s *Server) findEscrowAnalysis(ctx context.Context, id uuid.UUID) (queries.EscrowAnalysis, error) {
	row, err := s.q.GetEscrowAnalysis(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, notFound("There is no such escrow analysis.")
	}
	if err != nil {
		return row, fmt.Errorf("get escrow analysis: %w", err)
	}
	return row, nil
}

type listEscrowAnalysesInput struct {
	LoanPath
	Page
}

type listEscrowAnalysesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body escrowAnalysisPage
}

type escrowAnalysisPage struct {
	Data       []escrowAnalysis `json:"data"`
	NextCursor string           `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listEscrowAnalyses(
	ctx context.Context, in *listEscrowAnalysesInput,
) (*listEscrowAnalysesOutput, error) {
	before := uuid.Max // above every id
	key, ok, err := in.after()
	if err != nil {
		return nil, err
	}
	if ok {
		if before, err = uuid.Parse(key); err != nil {
			return nil, badCursor()
		}
	}
	rows, err := s.q.ListEscrowAnalyses(ctx, queries.ListEscrowAnalysesParams{
		LoanID: in.LoanID, BeforeID: before, RowLimit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list escrow analyses: %w", err)
	}
	if len(rows) == 0 {
		if _, err := s.findLoan(ctx, in.LoanID); err != nil {
			return nil, err
		}
	}
	rows, next := cut(rows, in.Limit, func(row queries.EscrowAnalysis) string { return row.ID.String() })
	out := &listEscrowAnalysesOutput{Body: escrowAnalysisPage{Data: []escrowAnalysis{}}}
	for i := range rows {
		out.Body.Data = append(out.Body.Data, escrowAnalysisOf(&rows[i], false))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext(in.path("/escrow-analyses"), next, nil)
	}
	return out, nil
}
