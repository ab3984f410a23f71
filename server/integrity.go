package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeIntegrity() {
	register(s, ScopeIntegrityRun, huma.Operation{
		OperationID: "check-integrity", Method: http.MethodPost, Path: "/v1/integrity-checks", Tags: []string{"integrity"},
		Summary: "Check the stored data",
		Description: "Looks at the loans that changed since a check found them in order, or at all of them and at the " +
			"whole portfolio: seals and places of their transactions, balances, what the payments lead to by the arithmetic, " +
			"documents, and the register of loans. Workers do the same by themselves, every day and every week. Nothing of " +
			"a loan is changed or locked. How far it has come is at the Location; what it finds is at /v1/integrity-findings.",
		DefaultStatus: http.StatusAccepted,
	}, s.checkIntegrity)
	register(s, ScopeIntegrityRead, huma.Operation{
		OperationID: "list-integrity-findings", Method: http.MethodGet, Path: "/v1/integrity-findings",
		Tags: []string{"integrity"}, Summary: "List findings of checks, the latest first",
	}, s.listIntegrityFindings)
}

type checkIntegrityInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body integrityCheck
}

type integrityCheck struct {
	Full bool `json:"full,omitzero" doc:"Check all loans; otherwise those that changed since a check found them in order."`
}

// checkIntegrity stores the run and enqueues its planning, once for each key.
func (s *Server) checkIntegrity(ctx context.Context, in *checkIntegrityInput) (*runOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make run id: %w", err)
	}
	hash, err := fingerprint("check-integrity", "/v1/integrity-checks", &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertRunParams{
		ID: id, Kind: queries.RunKindCheckIntegrity, AsOfOn: s.receiving.today(time.Now()),
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Run, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptCheck(ctx, tx, arg, in.Body.Full)
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

// acceptCheck stores the run and enqueues its planning. It returns errKeyTaken, and
// stores nothing, when the idempotency key is taken.
func (s *Server) acceptCheck(
	ctx context.Context, tx pgx.Tx, arg queries.InsertRunParams, full bool,
) (queries.Run, error) {
	row, err := jobs.InsertCheck(ctx, tx, arg, full)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, err
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.CheckIntegrityArgs{RunID: row.ID, Complete: false}, nil); err != nil {
		return row, fmt.Errorf("enqueue run: %w", err)
	}
	return row, nil
}

type listIntegrityFindingsInput struct {
	Page

	State    string `query:"state" enum:"open,resolved,all" default:"open" doc:"open: the last check that looked still found it."`
	Kind     string `query:"kind" enum:"loan_missing,loan_unregistered,register_broken,register_cut,loan_terms_changed,chain_broken,chain_gap,chain_head,chain_cut,balance_mismatch,terms_mismatch,replay_mismatch,payment_without_transactions,transaction_without_payment,payment_split_mismatch,document_changed,orphan,trial_balance,control_total"`
	Severity string `query:"severity" enum:"warning,critical"`
	LoanID   int64  `query:"loan_id" minimum:"1" maximum:"9223372036854775807"`
}

type listIntegrityFindingsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body integrityFindingPage
}

type integrityFindingPage struct {
	Data       []integrityFinding `json:"data"`
	NextCursor string             `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

// integrityFinding is something that is not in order, or was not, as the API shows it.
type integrityFinding struct {
	FindingID       int64                     `json:"finding_id"`
	Kind            queries.IntegrityKind     `json:"kind" doc:"docs/integrity.md says what each means."`
	Severity        queries.IntegritySeverity `json:"severity" enum:"warning,critical"`
	LoanID          int64                     `json:"loan_id,omitzero" doc:"Left out where it is about no single loan."`
	Subject         string                    `json:"subject,omitzero" doc:"What of the loan, or of the portfolio, it is about."`
	Details         map[string]any            `json:"details"`
	SuggestedAction string                    `json:"suggested_action"`
	FirstSeenAt     time.Time                 `json:"first_seen_at"`
	LastSeenAt      time.Time                 `json:"last_seen_at"`
	ResolvedAt      time.Time                 `json:"resolved_at,omitzero" doc:"When a check looked and did not find it any more."`
}

func (s *Server) listIntegrityFindings(
	ctx context.Context, in *listIntegrityFindingsInput,
) (*listIntegrityFindingsOutput, error) {
	before, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	arg := queries.ListIntegrityFindingsParams{
		BeforeID: before, Open: nil, Kind: nil, Severity: nil, LoanID: nil, RowLimit: in.Limit + 1,
	}
	more := url.Values{"state": {in.State}}
	if in.State != "all" {
		open := in.State == "open"
		arg.Open = &open
	}
	if in.Kind != "" {
		kind := queries.IntegrityKind(in.Kind)
		arg.Kind = &kind
		more.Set("kind", in.Kind)
	}
	if in.Severity != "" {
		severity := queries.IntegritySeverity(in.Severity)
		arg.Severity = &severity
		more.Set("severity", in.Severity)
	}
	if in.LoanID != 0 {
		arg.LoanID = &in.LoanID
		more.Set("loan_id", strconv.FormatInt(in.LoanID, 10))
	}
	rows, err := s.q.ListIntegrityFindings(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", err)
	}
	return findingPage(rows, in, more)
}

func findingPage(
	rows []queries.IntegrityFinding, in *listIntegrityFindingsInput, more url.Values,
) (*listIntegrityFindingsOutput, error) {
	rows, next := cut(rows, in.Limit, func(f queries.IntegrityFinding) string { return strconv.FormatInt(f.ID, 10) })
	out := &listIntegrityFindingsOutput{Body: integrityFindingPage{Data: make([]integrityFinding, len(rows))}}
	for i, row := range rows {
		f := integrityFinding{
			FindingID: row.ID, Kind: row.Kind, Severity: row.Severity, Subject: row.Subject,
			SuggestedAction: row.SuggestedAction, FirstSeenAt: row.FirstSeenAt.UTC(), LastSeenAt: row.LastSeenAt.UTC(),
		}
		if err := json.Unmarshal(row.Details, &f.Details); err != nil {
			return nil, fmt.Errorf("read details of finding %d: %w", row.ID, err)
		}
		if row.LoanID != nil {
			f.LoanID = *row.LoanID
		}
		if row.ResolvedAt != nil {
			f.ResolvedAt = row.ResolvedAt.UTC()
		}
		out.Body.Data[i] = f
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/integrity-findings", next, more)
	}
	return out, nil
}
