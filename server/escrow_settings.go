package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeEscrowSettings() {
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-settings", Method: http.MethodGet, Path: "/v1/loans/{loan_id}/escrow-settings",
		Tags: []string{"escrow"}, Summary: "Get what a loan says of its escrow account",
		Errors: []int{http.StatusNotFound},
	}, s.getEscrowSettings)
	register(s, ScopeEscrowWrite, huma.Operation{
		OperationID: "change-escrow-settings", Method: http.MethodPatch, Path: "/v1/loans/{loan_id}/escrow-settings",
		Tags: []string{"escrow"}, Summary: "Change what a loan says of its escrow account",
		Description: "What is left out stays; null takes a limit of the cushion away. If-Match must be the ETag of what " +
			"was read, so that nobody's change is lost. It counts from the next analysis or payment of a bill on.",
		Errors: []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
	}, s.changeEscrowSettings)
}

// escrowSettings is what only the loan knows of its escrow account.
type escrowSettings struct {
	YearStartsOn  date    `json:"year_starts_on,omitzero" doc:"The first payment of the computation year that runs, a due date of the loan. An analysis sets it. Without it the first year begins with the first installment that was boarded."`
	CushionMonths *int16  `json:"cushion_months,omitzero" nullable:"false" minimum:"0" maximum:"2" doc:"The most that the loan's documents or its state allow, in twelfths of a year's bills, where that is less than the law does."`
	CushionSource *string `json:"cushion_source,omitzero" nullable:"false" enum:"loan_documents,state_law" doc:"Which of them; with cushion_months."`
	InForeclosure bool    `json:"in_foreclosure,omitzero" doc:"The servicer has brought an action: no annual statement is owed."`
	InBankruptcy  bool    `json:"in_bankruptcy,omitzero" doc:"The borrower is in proceedings: no annual statement is owed."`
	Vacant        bool    `json:"vacant,omitzero" doc:"There is a reasonable basis to believe that the property is."`
}

func escrowSettingsOf(l *queries.Loan) escrowSettings {
	return escrowSettings{
		YearStartsOn: date{l.EscrowYearStartsOn}, CushionMonths: l.EscrowCushionMonths,
		CushionSource: l.EscrowCushionSource, InForeclosure: l.InForeclosure, InBankruptcy: l.InBankruptcy, Vacant: l.Vacant,
	}
}

// etag is a digest of the settings: loans have no version that only they count.
func (e *escrowSettings) etag() (string, error) {
	text, err := json.Marshal(e, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("write settings: %w", err)
	}
	sum := sha256.Sum256(text)
	return strconv.Quote(hex.EncodeToString(sum[:8])), nil
}

// check says what the schema cannot. The loan falls due on the due day.
func (e *escrowSettings) check(pointer string, dueDay int16) []fault {
	var faults []fault
	if (e.CushionMonths == nil) != (e.CushionSource == nil) {
		faults = append(faults, inBody(pointer+"/cushion_source", "goes with cushion_months, and only with it"))
	}
	if !e.YearStartsOn.IsZero() {
		on, err := e.YearStartsOn.AddMonths(0, int(dueDay))
		if err != nil || on != e.YearStartsOn.Date {
			faults = append(faults, inBody(pointer+"/year_starts_on", "must be a due date of the loan"))
		}
	}
	return faults
}

func (e *escrowSettings) params(loan int64) queries.MarkEscrowSettingsParams {
	return queries.MarkEscrowSettingsParams{
		ID: loan, EscrowYearStartsOn: e.YearStartsOn.Date, EscrowCushionMonths: e.CushionMonths,
		EscrowCushionSource: e.CushionSource, InForeclosure: e.InForeclosure, InBankruptcy: e.InBankruptcy, Vacant: e.Vacant,
	}
}

type getEscrowSettingsInput struct{ LoanPath }

type escrowSettingsOutput struct {
	ETag string `header:"Etag" doc:"For If-Match."`
	Body escrowSettings
}

func escrowSettingsAnswer(l *queries.Loan) (*escrowSettingsOutput, error) {
	shown := escrowSettingsOf(l)
	etag, err := shown.etag()
	return &escrowSettingsOutput{ETag: etag, Body: shown}, err
}

func (s *Server) getEscrowSettings(ctx context.Context, in *getEscrowSettingsInput) (*escrowSettingsOutput, error) {
	row, err := s.findLoan(ctx, in.LoanID)
	if err != nil {
		return nil, err
	}
	return escrowSettingsAnswer(&row)
}

type changeEscrowSettingsInput struct {
	LoanPath
	IfMatch string `header:"If-Match" maxLength:"100" doc:"The ETag of the settings."`
	Body    escrowSettingsPatch
}

// escrowSettingsPatch is what may change of the settings.
type escrowSettingsPatch struct {
	YearStartsOn  *date         `json:"year_starts_on,omitzero" nullable:"false"`
	CushionMonths patch[int16]  `json:"cushion_months,omitzero" minimum:"0" maximum:"2"`
	CushionSource patch[string] `json:"cushion_source,omitzero" enum:"loan_documents,state_law"`
	InForeclosure *bool         `json:"in_foreclosure,omitzero" nullable:"false"`
	InBankruptcy  *bool         `json:"in_bankruptcy,omitzero" nullable:"false"`
	Vacant        *bool         `json:"vacant,omitzero" nullable:"false"`
}

// apply returns the settings as they will be.
func (p *escrowSettingsPatch) apply(e escrowSettings) escrowSettings {
	replace(&e.YearStartsOn, p.YearStartsOn)
	p.CushionMonths.to(&e.CushionMonths)
	p.CushionSource.to(&e.CushionSource)
	replace(&e.InForeclosure, p.InForeclosure)
	replace(&e.InBankruptcy, p.InBankruptcy)
	replace(&e.Vacant, p.Vacant)
	return e
}

func (s *Server) changeEscrowSettings(
	ctx context.Context, in *changeEscrowSettingsInput,
) (*escrowSettingsOutput, error) {
	var row queries.Loan
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		loan, err := q.LockLoanEscrowSettings(ctx, in.LoanID)
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("There is no such loan.")
		}
		if err != nil {
			return fmt.Errorf("lock loan: %w", err)
		}
		was, err := escrowSettingsAnswer(&loan)
		if err != nil {
			return err
		}
		if err := matches(in.IfMatch, was.ETag); err != nil {
			return err
		}
		settings := in.Body.apply(was.Body)
		if faults := settings.check("", loan.DueDay); len(faults) > 0 {
			return invalid(faults...)
		}
		if row, err = q.MarkEscrowSettings(ctx, settings.params(loan.ID)); err != nil {
			return fmt.Errorf("change escrow settings: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return escrowSettingsAnswer(&row)
}
