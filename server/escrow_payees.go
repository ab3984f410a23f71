package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/internal/instruction"
	"loanserve/mortgage"
	"loanserve/queries"
)

// accountSavings is the kind of account that is no checking account.
const accountSavings = "savings"

func (s *Server) routeEscrowPayees() {
	tags := []string{"escrow payees"}
	register(s, ScopeEscrowPayees, huma.Operation{
		OperationID: "set-escrow-payee", Method: http.MethodPost, Path: "/v1/escrow-payees", Tags: tags,
		Summary: "Say into which account a payee is paid",
		Description: "By ACH, from the next payment file on; an account of the same name that was set before is " +
			"replaced. The name is the payee of escrow lines, exactly. What is set again as it is stays as it is.",
		DefaultStatus: http.StatusCreated,
	}, s.setEscrowPayee)
	register(s, ScopeEscrowPayees, huma.Operation{
		OperationID: "list-escrow-payees", Method: http.MethodGet, Path: "/v1/escrow-payees", Tags: tags,
		Summary: "List payees that have an account, in the order in which they were set",
	}, s.listEscrowPayees)
	register(s, ScopeEscrowPayees, huma.Operation{
		OperationID: "get-escrow-payment-policy", Method: http.MethodGet, Path: "/v1/escrow-payment-policy", Tags: tags,
		Summary: "Get the policy by which bills are paid",
	}, s.getPaymentPolicy)
	register(s, ScopeEscrowPayees, huma.Operation{
		OperationID: "set-escrow-payment-policy", Method: http.MethodPut, Path: "/v1/escrow-payment-policy", Tags: tags,
		Summary:     "Set the policy by which bills are paid",
		Description: "It counts from the next run and the next file on. What is left out is not chosen.",
	}, s.setPaymentPolicy)
}

// escrowPayee is where a payee is paid, as the API shows it.
type escrowPayee struct {
	PayeeID       int64     `json:"payee_id"`
	Name          string    `json:"name"`
	RoutingNumber string    `json:"routing_number"`
	AccountEnd    string    `json:"account_end" doc:"The last four characters of the account number."`
	AccountKind   string    `json:"account_kind" enum:"checking,savings"`
	RequestedBy   string    `json:"requested_by"`
	CreatedAt     time.Time `json:"created_at"`
}

func escrowPayeeOf(row queries.EscrowPayee) escrowPayee {
	const shown = 4
	return escrowPayee{
		PayeeID: row.ID, Name: row.Name, RoutingNumber: row.RoutingNumber,
		AccountEnd:  row.AccountNumber[max(0, len(row.AccountNumber)-shown):],
		AccountKind: row.AccountKind, RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

type setEscrowPayeeInput struct{ Body payeeAccount }

type payeeAccount struct {
	Name          string `json:"name" minLength:"1" maxLength:"200"`
	RoutingNumber string `json:"routing_number" minLength:"9" maxLength:"9" pattern:"^[0-9]{9}$" patternDescription:"nine digits"`
	AccountNumber string `json:"account_number" minLength:"1" maxLength:"17" pattern:"^[0-9A-Za-z-]{1,17}$" patternDescription:"1 to 17 digits, letters or hyphens"`
	AccountKind   string `json:"account_kind" enum:"checking,savings"`
}

type setEscrowPayeeOutput struct{ Body escrowPayee }

func (s *Server) setEscrowPayee(ctx context.Context, in *setEscrowPayeeInput) (*setEscrowPayeeOutput, error) {
	b := &in.Body
	if !instruction.ValidRouting(b.RoutingNumber) {
		return nil, invalid(inBody("/routing_number", "its last digit does not check the others"))
	}
	var row queries.EscrowPayee
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
		q := queries.New(tx)
		row, err = q.GetEscrowPayee(ctx, b.Name)
		same := err == nil && row.RoutingNumber == b.RoutingNumber && row.AccountNumber == b.AccountNumber &&
			row.AccountKind == b.AccountKind
		if same {
			return nil
		}
		if err := q.MarkEscrowPayeeReplaced(ctx, b.Name); err != nil {
			return fmt.Errorf("mark payee replaced: %w", err)
		}
		row, err = q.InsertEscrowPayee(ctx, queries.InsertEscrowPayeeParams{
			Name: b.Name, RoutingNumber: b.RoutingNumber, AccountNumber: b.AccountNumber, AccountKind: b.AccountKind,
			RequestedBy: PrincipalOf(ctx).ID,
		})
		if err != nil {
			return fmt.Errorf("insert payee: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &setEscrowPayeeOutput{Body: escrowPayeeOf(row)}, nil
}

type listEscrowPayeesInput struct{ Page }

type listEscrowPayeesOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body escrowPayeePage
}

type escrowPayeePage struct {
	Data       []escrowPayee `json:"data"`
	NextCursor string        `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listEscrowPayees(ctx context.Context, in *listEscrowPayeesInput) (*listEscrowPayeesOutput, error) {
	after, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListEscrowPayees(ctx, after, in.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list payees: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(p queries.EscrowPayee) string { return strconv.FormatInt(p.ID, 10) })
	out := &listEscrowPayeesOutput{Body: escrowPayeePage{Data: []escrowPayee{}}}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, escrowPayeeOf(row))
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/escrow-payees", next, nil)
	}
	return out, nil
}

// paymentPolicy is what the servicer chooses about paying bills.
type paymentPolicy struct {
	Overdue        mortgage.OverduePolicy `json:"overdue" enum:"advance,from_escrow,hold" doc:"What is done with bills that need not be paid, because the borrower is more than 30 days overdue: paid, with the servicer's money if need be; paid while escrow suffices; held. Hazard insurance is not among them (12 CFR 1024.17(k)(5))."`
	StaleAfterDays int16                  `json:"stale_after_days" minimum:"1" maximum:"180" doc:"After how many days money that was sent and not confirmed is stale."`
	ACH            *achOriginator         `json:"ach,omitzero" nullable:"false" doc:"Who the servicer is to its bank; without it nothing goes by ACH."`
}

type achOriginator struct {
	BankRouting string `json:"bank_routing" minLength:"9" maxLength:"9" pattern:"^[0-9]{9}$" patternDescription:"nine digits" doc:"Of the bank that takes the files."`
	BankName    string `json:"bank_name" minLength:"1" maxLength:"23" pattern:"^[ -~]{1,23}$" patternDescription:"1 to 23 printable ASCII characters"`
	CompanyID   string `json:"company_id" minLength:"10" maxLength:"10" pattern:"^[0-9A-Za-z]{10}$" patternDescription:"ten letters or digits" doc:"As the bank has assigned it."`
	CompanyName string `json:"company_name" minLength:"1" maxLength:"16" pattern:"^[ -~]{1,16}$" patternDescription:"1 to 16 printable ASCII characters"`
}

type paymentPolicyOutput struct{ Body paymentPolicy }

type getPaymentPolicyInput struct{}

func (s *Server) getPaymentPolicy(ctx context.Context, _ *getPaymentPolicyInput) (*paymentPolicyOutput, error) {
	row, err := s.q.GetEscrowPaymentPolicy(ctx)
	if err != nil {
		return nil, fmt.Errorf("get payment policy: %w", err)
	}
	out := &paymentPolicyOutput{Body: paymentPolicy{
		Overdue: mortgage.OverduePolicy(row.Overdue), StaleAfterDays: int16(row.StaleAfterDays),
	}}
	if row.BankRouting != "" {
		out.Body.ACH = &achOriginator{
			BankRouting: row.BankRouting, BankName: row.BankName, CompanyID: row.CompanyID, CompanyName: row.CompanyName,
		}
	}
	return out, nil
}

type setPaymentPolicyInput struct{ Body paymentPolicy }

func (s *Server) setPaymentPolicy(ctx context.Context, in *setPaymentPolicyInput) (*paymentPolicyOutput, error) {
	arg := queries.InsertEscrowPaymentPolicyParams{
		Overdue: string(in.Body.Overdue), StaleAfterDays: in.Body.StaleAfterDays,
		BankRouting: "", BankName: "", CompanyID: "", CompanyName: "", RequestedBy: PrincipalOf(ctx).ID,
	}
	if ach := in.Body.ACH; ach != nil {
		if !instruction.ValidRouting(ach.BankRouting) {
			return nil, invalid(inBody("/ach/bank_routing", "its last digit does not check the others"))
		}
		arg.BankRouting, arg.BankName = ach.BankRouting, ach.BankName
		arg.CompanyID, arg.CompanyName = ach.CompanyID, ach.CompanyName
	}
	if err := s.q.InsertEscrowPaymentPolicy(ctx, arg); err != nil {
		return nil, fmt.Errorf("insert payment policy: %w", err)
	}
	return &paymentPolicyOutput{Body: in.Body}, nil
}
