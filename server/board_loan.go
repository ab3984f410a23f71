package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/loanrow"
	"loanserve/mortgage"
	"loanserve/queries"
)

// boarding is what a client says of a loan that it hands over.
type boarding struct {
	LoanNumber  string       `json:"loan_number" maxLength:"40" pattern:"^[A-Za-z0-9][A-Za-z0-9._/-]*$" patternDescription:"1 to 40 letters, digits and . _ / -, a letter or digit first"`
	Name        string       `json:"name" minLength:"1" maxLength:"200"`
	Borrowers   []borrower   `json:"borrowers" minItems:"1" maxItems:"10" doc:"Exactly one of them is the primary borrower."`
	Property    property     `json:"property"`
	EscrowLines []EscrowLine `json:"escrow_lines,omitzero" maxItems:"50"`

	EscrowSettings *escrowSettings `json:"escrow_settings,omitzero" nullable:"false"`

	OriginalPrincipalCents    mortgage.Cents             `json:"original_principal_cents" minimum:"1" maximum:"100000000000"`
	RatePpm                   mortgage.Rate              `json:"rate_ppm" minimum:"0" maximum:"1000000" doc:"Annual interest in millionths: 68750 is 6.875 %."`
	PrincipalAndInterestCents mortgage.Cents             `json:"principal_and_interest_cents" minimum:"1" maximum:"100000000000" doc:"From the note; never recomputed."`
	EscrowPaymentCents        mortgage.Cents             `json:"escrow_payment_cents" minimum:"0" maximum:"10000000000" doc:"Deposited with each installment."`
	OriginatedOn              date                       `json:"originated_on"`
	MaturityOn                date                       `json:"maturity_on"`
	InterestMethod            mortgage.InterestMethod    `json:"interest_method" enum:"scheduled_30_360,daily_simple_365"`
	ApplicationOrder          mortgage.ApplicationOrder  `json:"application_order" enum:"conventional,fha"`
	ExcessPolicy              mortgage.ExcessPolicy      `json:"excess_policy" enum:"principal,next_installment,suspense"`
	Rounding                  mortgage.Rounding          `json:"rounding,omitzero" enum:"half_up,half_even" default:"half_up"`
	LateCharge                lateCharge                 `json:"late_charge"`
	ShortPayoff               mortgage.ShortPayoffPolicy `json:"short_payoff,omitzero" enum:"refuse,hold" default:"refuse" doc:"What becomes of money that was meant to pay the loan off and does not suffice."`
	DueDay                    int16                      `json:"due_day,omitzero" minimum:"1" maximum:"31" doc:"Day of the month, where the later of the days of next_due_on and maturity_on is not it: a loan due on the 31st of which both fall into shorter months."`
	ReturnedPaymentFeeCents   mortgage.Cents             `json:"returned_payment_fee_cents,omitzero" minimum:"0" maximum:"100000000" doc:"Charged when a payment comes back for want of money (R01, R09); only where the note and the state allow it."`
	ARM                       *armTerms                  `json:"arm,omitzero" nullable:"false" doc:"How the note adjusts the rate; left out where it is fixed."`

	PrincipalCents      mortgage.Cents `json:"principal_cents" minimum:"1" maximum:"100000000000" doc:"Unpaid principal as of the last paid installment."`
	EscrowCents         mortgage.Cents `json:"escrow_cents,omitzero" minimum:"0" maximum:"100000000000"`
	EscrowAdvanceCents  mortgage.Cents `json:"escrow_advance_cents,omitzero" minimum:"0" maximum:"100000000000" doc:"What the servicer has advanced for bills; only where escrow_cents is nothing."`
	SuspenseCents       mortgage.Cents `json:"suspense_cents,omitzero" minimum:"0" maximum:"100000000000"`
	LateChargesDueCents mortgage.Cents `json:"late_charges_due_cents,omitzero" minimum:"0" maximum:"100000000000"`
	FeesDueCents        mortgage.Cents `json:"fees_due_cents,omitzero" minimum:"0" maximum:"100000000000"`
	NextDueOn           date           `json:"next_due_on" doc:"Due date of the oldest unpaid installment."`

	InterestAccruedToOn  date           `json:"interest_accrued_to_on,omitzero" doc:"With daily_simple_365, and only there: the first day whose interest is not in accrued_interest_cents and was not paid. Not after today (UTC)."`
	AccruedInterestCents mortgage.Cents `json:"accrued_interest_cents,omitzero" minimum:"0" maximum:"100000000000" doc:"Interest of the days before that is unpaid."`
}

type boardLoanInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body boarding
}

type boardLoanOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body     boardedLoan
}

// boardedLoan is the answer to a boarding: only what never changes, because a
// repeated request gets the same answer for ever.
type boardedLoan struct {
	LoanID     int64     `json:"loan_id"`
	LoanNumber string    `json:"loan_number"`
	BoardedAt  time.Time `json:"boarded_at"`
}

func (s *Server) boardLoan(ctx context.Context, in *boardLoanInput) (*boardLoanOutput, error) {
	arg, err := boardingParams(ctx, in)
	if err != nil {
		return nil, err
	}
	row, replayed, err := once(
		func() (row queries.Loan, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = insertLoan(ctx, queries.New(tx), arg, &in.Body)
				return err
			})
			return row, err
		},
		func() (queries.Loan, error) {
			if arg.IdempotencyKey == nil {
				return queries.Loan{}, pgx.ErrNoRows
			}
			return s.q.GetLoanByKey(ctx, arg.BoardedBy, *arg.IdempotencyKey)
		},
		func(row queries.Loan) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return boarded(row, replayed), nil
}

func boarded(row queries.Loan, replayed string) *boardLoanOutput {
	return &boardLoanOutput{
		Location: LoanPath{LoanID: row.ID}.path(""), Replayed: replayed,
		Body: boardedLoan{LoanID: row.ID, LoanNumber: row.LoanNumber, BoardedAt: row.BoardedAt.UTC()},
	}
}

// boardingParams checks what the schema cannot and returns the row to store.
// The property is still missing.
func boardingParams(ctx context.Context, in *boardLoanInput) (queries.InsertLoanParams, error) {
	b := &in.Body
	arg := queries.InsertLoanParams{
		LoanNumber: b.LoanNumber, Name: b.Name, PropertyID: 0,
		OriginalPrincipalCents: b.OriginalPrincipalCents, RatePpm: b.RatePpm,
		PrincipalAndInterestCents: b.PrincipalAndInterestCents, EscrowPaymentCents: b.EscrowPaymentCents,
		OriginatedOn: b.OriginatedOn.Date, MaturityOn: b.MaturityOn.Date,
		DueDay:         dueDayOf(b),
		InterestMethod: b.InterestMethod, ApplicationOrder: b.ApplicationOrder, ExcessPolicy: b.ExcessPolicy,
		Rounding: b.Rounding, LateChargeGraceDays: b.LateCharge.GraceDays, LateChargeRatePpm: b.LateCharge.RatePpm,
		LateChargeMinimumCents: b.LateCharge.MinimumCents, LateChargeMaximumCents: b.LateCharge.MaximumCents,
		LateChargeExtends: b.LateCharge.ExtendToBusinessDay, ShortPayoffPolicy: b.ShortPayoff,
		NextDueOn: b.NextDueOn.Date,
		BoardedAt: time.Now().UTC().Truncate(time.Microsecond), // as PostgreSQL will keep it, and its seal
		BoardedBy: PrincipalOf(ctx).ID, IdempotencyKey: nil, RequestHash: nil,
		PrincipalCents: b.PrincipalCents, EscrowCents: b.EscrowCents, EscrowAdvanceCents: b.EscrowAdvanceCents,
		SuspenseCents:       b.SuspenseCents,
		LateChargesDueCents: b.LateChargesDueCents, FeesDueCents: b.FeesDueCents,
		ReturnedPaymentFeeCents: b.ReturnedPaymentFeeCents,
		InterestAccruedToOn:     b.InterestAccruedToOn.Date, AccruedInterestCents: b.AccruedInterestCents,
	}
	if in.Key != "" {
		key, err := parseKey(in.Key)
		if err != nil {
			return arg, err
		}
		arg.IdempotencyKey = &key
	}
	if err := checkBoarding(b, &arg); err != nil {
		return arg, err
	}
	var err error
	arg.RequestHash, err = fingerprint("board-loan", "/v1/loans", b)
	return arg, err
}

// dueDayOf returns the day of the month on which the loan falls due.
func dueDayOf(b *boarding) int16 {
	if b.DueDay != 0 {
		return b.DueDay
	}
	return int16(mortgage.DueDay(b.NextDueOn.Date, b.MaturityOn.Date))
}

// checkBoarding refuses a loan whose parts do not fit each other.
func checkBoarding(b *boarding, arg *queries.InsertLoanParams) error {
	var faults []fault
	wrong := func(pointer, detail string) { faults = append(faults, inBody(pointer, detail)) }

	primaries := 0
	for _, person := range b.Borrowers {
		if person.Role == queries.BorrowerRolePrimary {
			primaries++
		}
	}
	if primaries != 1 {
		wrong("/borrowers", "must have exactly one primary borrower")
	}
	if b.MaturityOn.Date <= b.OriginatedOn.Date {
		wrong("/maturity_on", "must be after originated_on")
	}
	if most := b.LateCharge.MaximumCents; most != nil && *most < b.LateCharge.MinimumCents {
		wrong("/late_charge/maximum_cents", "must not be less than minimum_cents")
	}
	if b.ARM != nil && b.ARM.FloorPpm > b.ARM.LifetimeCapPpm {
		wrong("/arm/floor_ppm", "must not be more than lifetime_cap_ppm")
	}
	if b.EscrowAdvanceCents > 0 && b.EscrowCents > 0 {
		wrong("/escrow_advance_cents", "must be nothing while escrow holds money")
	}
	daily := b.InterestMethod == mortgage.DailySimpleInterest
	if !daily && !b.InterestAccruedToOn.IsZero() {
		wrong("/interest_accrued_to_on", "goes with daily_simple_365, and only with it")
	}
	if !daily && b.AccruedInterestCents != 0 {
		wrong("/accrued_interest_cents", "goes with daily_simple_365, and only with it")
	}
	for i := range b.EscrowLines {
		faults = append(faults, b.EscrowLines[i].check(fmt.Sprintf("/escrow_lines/%d", i))...)
	}
	if b.EscrowSettings != nil {
		faults = append(faults, b.EscrowSettings.check("/escrow_settings", arg.DueDay)...)
	}
	if err := checkTerms(b, arg, wrong); err != nil {
		return err
	}
	if len(faults) > 0 {
		return invalid(faults...)
	}
	return nil
}

// checkTerms says what is wrong with the loan's numbers.
func checkTerms(b *boarding, arg *queries.InsertLoanParams, wrong func(pointer, detail string)) error {
	terms := mortgage.Terms{
		Rate: b.RatePpm, PrincipalAndInterest: b.PrincipalAndInterestCents, EscrowPayment: b.EscrowPaymentCents,
		DueDay: int(arg.DueDay), MaturityOn: b.MaturityOn.Date, InterestMethod: b.InterestMethod,
		ApplicationOrder: b.ApplicationOrder, ExcessPolicy: b.ExcessPolicy, Rounding: b.Rounding,
		BoardedOn: mortgage.DateOf(arg.BoardedAt),
	}
	switch err := terms.Check(mortgage.State{
		Principal: b.PrincipalCents, NextDueOn: b.NextDueOn.Date, InterestAccruedTo: b.InterestAccruedToOn.Date,
	}); {
	case errors.Is(err, mortgage.ErrPaymentTooSmall):
		wrong("/principal_and_interest_cents", "must cover a month's interest on principal_cents")
	case errors.Is(err, mortgage.ErrNotDueDate):
		wrong("/next_due_on", "must be on the day of the month of maturity_on, or on the last of a shorter month")
	case errors.Is(err, mortgage.ErrPastMaturity):
		wrong("/next_due_on", "must not be after maturity_on")
	case errors.Is(err, mortgage.ErrAccruedTo):
		wrong("/interest_accrued_to_on", "is needed with daily_simple_365, and must not be after today")
	case err != nil:
		return fmt.Errorf("check terms: %w", err)
	}
	return nil
}

// insertLoan stores the loan with all that belongs to it, and opens its books.
// It returns errKeyTaken when the idempotency key is.
func insertLoan(
	ctx context.Context, q *queries.Queries, arg queries.InsertLoanParams, b *boarding,
) (queries.Loan, error) {
	var err error
	arg.PropertyID, err = q.InsertProperty(ctx, queries.InsertPropertyParams{
		Street: b.Property.Street, City: b.Property.City, State: b.Property.State, PostalCode: b.Property.PostalCode,
	})
	if err != nil {
		return queries.Loan{}, fmt.Errorf("insert property: %w", err)
	}
	row, err := q.InsertLoan(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert loan: %w", err)
	}
	if err := openBooks(ctx, q, row); err != nil {
		return row, err
	}
	if b.ARM != nil {
		if err := q.InsertARMTerms(ctx, armParams(row.ID, b.ARM)); err != nil {
			return row, fmt.Errorf("insert adjustable-rate terms: %w", err)
		}
	}
	for _, p := range b.Borrowers {
		id, err := q.InsertBorrower(ctx, queries.InsertBorrowerParams{FullName: p.FullName, Email: p.Email, Phone: p.Phone})
		if err != nil {
			return row, fmt.Errorf("insert borrower: %w", err)
		}
		arg := queries.InsertLoanBorrowerParams{LoanID: row.ID, BorrowerID: id, Role: p.Role}
		if err := q.InsertLoanBorrower(ctx, arg); err != nil {
			return row, fmt.Errorf("insert loan borrower: %w", err)
		}
	}
	return row, insertEscrow(ctx, q, row.ID, b)
}

// insertEscrow stores what is known of the loan's escrow account.
func insertEscrow(ctx context.Context, q *queries.Queries, loan int64, b *boarding) error {
	for i := range b.EscrowLines {
		if _, err := q.InsertEscrowLine(ctx, b.EscrowLines[i].insertParams(loan)); err != nil {
			return fmt.Errorf("insert escrow line: %w", err)
		}
	}
	if b.EscrowSettings == nil {
		return nil
	}
	if _, err := q.MarkEscrowSettings(ctx, b.EscrowSettings.params(loan)); err != nil {
		return fmt.Errorf("set escrow settings: %w", err)
	}
	return nil
}

// openBooks writes the loan's first transaction, its opening balances.
func openBooks(ctx context.Context, q *queries.Queries, row queries.Loan) error {
	entry := mortgage.Boarding(loanrow.State(&row), mortgage.DateOf(row.BoardedAt))
	seal := mortgage.Transaction{
		LoanID: row.ID, Seq: 1, PostedAt: row.BoardedAt.UnixMicro(), CausedBy: row.BoardedBy, Entry: entry,
	}.Seal(mortgage.Hash{})
	err := q.OpenBooks(ctx, queries.OpenBooksParams{
		Hash: seal[:], LoanID: row.ID, EffectiveOn: entry.EffectiveOn, PostedAt: row.BoardedAt,
		PrincipalCents: entry.Principal, EscrowCents: entry.Escrow, SuspenseCents: entry.Suspense,
		LateChargesReceivableCents: entry.LateChargesReceivable, FeesReceivableCents: entry.FeesReceivable,
		EscrowAdvanceCents:    entry.EscrowAdvance,
		BoardingClearingCents: entry.BoardingClearing,
		Rule:                  string(entry.Rule), CausedBy: row.BoardedBy,
	})
	if err != nil {
		return fmt.Errorf("open books: %w", err)
	}
	return nil
}
