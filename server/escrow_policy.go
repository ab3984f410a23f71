package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeEscrowPolicy() {
	register(s, ScopeEscrowRead, huma.Operation{
		OperationID: "get-escrow-policy", Method: http.MethodGet, Path: "/v1/escrow-policy",
		Tags: []string{"escrow"}, Summary: "Get the policy that escrow analyses follow",
		Description: "What 12 CFR 1024.17 leaves to the servicer. Without policy_id it is the default one.",
	}, s.getEscrowPolicy)
	register(s, ScopeEscrowPolicy, huma.Operation{
		OperationID: "add-escrow-policy", Method: http.MethodPost, Path: "/v1/escrow-policies",
		Tags: []string{"escrow"}, Summary: "Set the policy that escrow analyses follow from now on",
		Description: "What is left out has its default. A policy that the regulation does not allow is refused: the answer " +
			"names the member, and the rule that it breaks. The policy before stays on record.",
		DefaultStatus: http.StatusCreated,
	}, s.addEscrowPolicy)
}

// escrowPolicy is what the regulation leaves to the servicer. The schema's bounds
// are wider than the regulation's, so that the arithmetic can name the rule.
type escrowPolicy struct {
	CPIChangePpm          mortgage.Rate           `json:"cpi_change_ppm,omitzero" minimum:"-1000000" maximum:"1000000" default:"0" doc:"The most recent year's change in the CPI-U, all items, in millionths."`
	CushionMonths         int                     `json:"cushion_months,omitzero" minimum:"-1000" maximum:"1000" default:"2" doc:"The cushion in twelfths of a year's bills, 0 to 2."`
	PaymentRounding       mortgage.EscrowRounding `json:"payment_rounding,omitzero" enum:"half_up,down" default:"half_up" doc:"How the twelfth becomes whole cents."`
	EstimateChangePpm     mortgage.Rate           `json:"estimate_change_ppm,omitzero" minimum:"-1000000" maximum:"1000000" default:"0" doc:"Modifies last year's charge where the new one is unknown, in millionths: between zero and cpi_change_ppm."`
	RefundFromCents       mortgage.Cents          `json:"refund_from_cents,omitzero" minimum:"-10000000000" maximum:"10000000000" default:"5000" doc:"The smallest surplus that is refunded, 1 to 5000; a smaller one is credited."`
	CreditMonths          int                     `json:"credit_months,omitzero" minimum:"-1000" maximum:"1000" default:"12" doc:"Over how many payments a smaller surplus is credited, 1 to 12."`
	RefundWhenNotCurrent  bool                    `json:"refund_when_not_current,omitzero" doc:"Whether a surplus is refunded or credited also while the borrower is not current."`
	SmallShortage         mortgage.EscrowAction   `json:"small_shortage,omitzero" enum:"leave,within_30_days,spread" default:"spread" doc:"What is done about a shortage below one month's payment."`
	Shortage              mortgage.EscrowAction   `json:"shortage,omitzero" enum:"leave,within_30_days,spread" default:"spread" doc:"The same for one month's payment or more: leave or spread."`
	ShortageMonths        int                     `json:"shortage_months,omitzero" minimum:"-1000" maximum:"1000" default:"12" doc:"Over how many payments a shortage is spread, 12 to 60."`
	SmallDeficiency       mortgage.EscrowAction   `json:"small_deficiency,omitzero" enum:"leave,within_30_days,spread" default:"spread" doc:"What is done about a deficiency below one month's payment."`
	Deficiency            mortgage.EscrowAction   `json:"deficiency,omitzero" enum:"leave,within_30_days,spread" default:"spread" doc:"The same for one month's payment or more: leave or spread."`
	DeficiencyMonths      int                     `json:"deficiency_months,omitzero" minimum:"-1000" maximum:"1000" default:"12" doc:"Over how many payments a deficiency is spread, 2 to 60."`
	CollectWhenNotCurrent bool                    `json:"collect_when_not_current,omitzero" doc:"Whether a deficiency is asked for also while the borrower is not current."`
	LeadDays              int                     `json:"lead_days,omitzero" minimum:"-1000" maximum:"1000" default:"0" doc:"How many days before its deadline a bill is paid, 0 to 30."`
	NoticeDays            int                     `json:"notice_days,omitzero" minimum:"-1000" maximum:"1000" default:"0" doc:"How many days lie between an analysis and the first payment that it changes, at least, 0 to 60. Annual analyses are made so many days before the computation year is over."`
}

// storedPolicy is a policy as the API shows it.
type storedPolicy struct {
	PolicyID int64 `json:"policy_id,omitzero" doc:"Left out for the default policy."`

	ShownPolicy

	RequestedBy string    `json:"requested_by,omitzero"`
	CreatedAt   time.Time `json:"created_at,omitzero"`
}

// ShownPolicy is a policy of which every member is shown.
type ShownPolicy struct {
	mortgage.EscrowPolicy

	CPIChangePpm mortgage.Rate `json:"cpi_change_ppm"`
}

func (p *escrowPolicy) policy() mortgage.EscrowPolicy {
	return mortgage.EscrowPolicy{
		CushionMonths: p.CushionMonths, PaymentRounding: p.PaymentRounding, EstimateChange: p.EstimateChangePpm,
		RefundFrom: p.RefundFromCents, CreditMonths: p.CreditMonths, RefundWhenNotCurrent: p.RefundWhenNotCurrent,
		SmallShortage: p.SmallShortage, Shortage: p.Shortage, ShortageMonths: p.ShortageMonths,
		SmallDeficiency: p.SmallDeficiency, Deficiency: p.Deficiency, DeficiencyMonths: p.DeficiencyMonths,
		CollectWhenNotCurrent: p.CollectWhenNotCurrent, LeadDays: p.LeadDays, NoticeDays: p.NoticeDays,
	}
}

type escrowPolicyOutput struct{ Body storedPolicy }

func escrowPolicyAnswer(row *queries.EscrowPolicy) *escrowPolicyOutput {
	return &escrowPolicyOutput{Body: storedPolicy{
		PolicyID:    row.ID,
		ShownPolicy: ShownPolicy{EscrowPolicy: row.Policy, CPIChangePpm: row.CpiChangePpm},
		RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}}
}

func (s *Server) getEscrowPolicy(ctx context.Context, _ *struct{}) (*escrowPolicyOutput, error) {
	row, err := s.q.GetEscrowPolicy(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return &escrowPolicyOutput{Body: storedPolicy{
			ShownPolicy: ShownPolicy{EscrowPolicy: mortgage.DefaultEscrowPolicy(), CPIChangePpm: 0},
		}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get escrow policy: %w", err)
	}
	return escrowPolicyAnswer(&row), nil
}

type addEscrowPolicyInput struct{ Body escrowPolicy }

func (s *Server) addEscrowPolicy(ctx context.Context, in *addEscrowPolicyInput) (*escrowPolicyOutput, error) {
	policy := in.Body.policy()
	if err := policy.CheckFor(in.Body.CPIChangePpm); err != nil {
		return nil, escrowFieldProblem(err)
	}
	row, err := s.q.InsertEscrowPolicy(ctx, queries.InsertEscrowPolicyParams{
		Policy: policy, CpiChangePpm: in.Body.CPIChangePpm, RequestedBy: PrincipalOf(ctx).ID,
	})
	if err != nil {
		return nil, fmt.Errorf("insert escrow policy: %w", err)
	}
	return escrowPolicyAnswer(&row), nil
}

// escrowFieldProblem names the member that the arithmetic refuses, and its rule.
func escrowFieldProblem(err error) error {
	wrong, ok := errors.AsType[*mortgage.EscrowFieldError](err)
	if !ok {
		return err
	}
	detail := "must be " + wrong.Want
	if wrong.Rule != "" {
		detail += " (" + string(wrong.Rule) + ")"
	}
	return invalid(inBody("/"+wrong.Field, detail))
}
