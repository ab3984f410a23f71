package ops

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
)

type loan struct {
	LoanID                    int64      `json:"loan_id"`
	LoanNumber                string     `json:"loan_number"`
	Name                      string     `json:"name"`
	Status                    string     `json:"status"`
	OriginalPrincipalCents    int64      `json:"original_principal_cents"`
	PrincipalCents            int64      `json:"principal_cents"`
	RatePPM                   int64      `json:"rate_ppm"`
	PrincipalAndInterestCents int64      `json:"principal_and_interest_cents"`
	EscrowPaymentCents        int64      `json:"escrow_payment_cents"`
	EscrowCents               int64      `json:"escrow_cents"`
	EscrowAdvanceCents        int64      `json:"escrow_advance_cents"`
	SuspenseCents             int64      `json:"suspense_cents"`
	LateChargesDueCents       int64      `json:"late_charges_due_cents"`
	FeesDueCents              int64      `json:"fees_due_cents"`
	NextDueOn                 string     `json:"next_due_on"`
	MaturityOn                string     `json:"maturity_on"`
	OriginatedOn              string     `json:"originated_on"`
	PaidOffOn                 string     `json:"paid_off_on"`
	InterestMethod            string     `json:"interest_method"`
	ApplicationOrder          string     `json:"application_order"`
	ExcessPolicy              string     `json:"excess_policy"`
	Borrowers                 []borrower `json:"borrowers"`
	Property                  *property  `json:"property"`
	BoardedAt                 *time.Time `json:"boarded_at"`
}

type borrower struct {
	FullName string `json:"full_name"`
	Role     string `json:"role"`
	Email    string `json:"email"`
	Phone    string `json:"phone"`
}

type property struct {
	Street     string `json:"street"`
	City       string `json:"city"`
	State      string `json:"state"`
	PostalCode string `json:"postal_code"`
}

type transaction struct {
	Seq                        int64      `json:"seq"`
	Kind                       string     `json:"kind"`
	EffectiveOn                string     `json:"effective_on"`
	PostedAt                   *time.Time `json:"posted_at"`
	DueOn                      string     `json:"due_on"`
	PaymentID                  string     `json:"payment_id"`
	Reverses                   int64      `json:"reverses"`
	CashCents                  int64      `json:"cash_cents"`
	PrincipalCents             int64      `json:"principal_cents"`
	InterestIncomeCents        int64      `json:"interest_income_cents"`
	EscrowCents                int64      `json:"escrow_cents"`
	SuspenseCents              int64      `json:"suspense_cents"`
	LateChargesReceivableCents int64      `json:"late_charges_receivable_cents"`
	LateChargeIncomeCents      int64      `json:"late_charge_income_cents"`
	FeesReceivableCents        int64      `json:"fees_receivable_cents"`
	FeeIncomeCents             int64      `json:"fee_income_cents"`
	EscrowAdvanceCents         int64      `json:"escrow_advance_cents"`
	Rule                       string     `json:"rule"`
	CausedBy                   string     `json:"caused_by"`
}

func (p *Pages) routeLoans() {
	r := p.router
	r.Get("/loans", p.page(pageOf(p, list[loan]{
		title: "Loans", empty: "No loan is boarded yet.", api: "/v1/loans",
		filters: []filter{
			{
				name: "q", label: "Loan number or borrower", kind: "search",
				help: "How a loan's number or a borrower's name begins.",
			},
		},
		columns: columns("Number", "Borrower", "State", "Next due", "#Principal", "#Escrow", "#Suspense", "#Late charges"),
		row: func(l loan) []cell {
			return []cell{
				to(l.LoanNumber, loanURL(l.LoanID)), text(l.Name), state(l.Status), text(l.NextDueOn), money(l.PrincipalCents),
				money(l.EscrowCents), moneyOrNothing(l.SuspenseCents), moneyOrNothing(l.LateChargesDueCents),
			}
		},
	})))
	r.Get("/loans/{loan_id}", p.page(p.loan))
	r.Get("/loans/{loan_id}/transactions", p.page(p.loanTransactions))
	p.offerLoanActions()
}

func (p *Pages) offerLoanActions() {
	p.offer(action{
		name: "submit-payment", label: "Submit a payment", scope: "payments:write", keyed: true,
		path: "/v1/loans/{loan_id}/payments", done: "The payment is stored, and is being posted.",
		explain: "Stores a payment that arrived. It is posted at once, as of the day on which it was received.",
		fields: []field{
			{name: "amount_cents", label: "Amount in dollars", kind: "cents"},
			{name: "received_on", label: "Received on", kind: "date"},
			{
				name: "channel", label: "Channel", kind: "select",
				options: []string{"check", "lockbox", "ach", "wire", "phone", "branch", "portal"},
			},
			{
				name: "designation", label: "For", kind: "select",
				options: []string{"periodic", "principal", "escrow", "late_charge", "payoff"}, usual: "periodic",
			},
			{name: "external_ref", label: "Reference", kind: "text", optional: true, help: "Such as a check's number."},
		},
		next: func(a *answer) string { return paymentURL(afterPrefix(a.header.Get("Location"), "/v1/payments/")) },
	}, action{
		name: "analyze-loan", label: "Analyze escrow", scope: "escrow:analyze", keyed: true,
		path: "/v1/loans/{loan_id}/escrow-analyses", done: "The analysis is being made.",
		explain: "Computes what the escrow account needs. Unless it is only tried, the payment changes and a statement " +
			"is made.",
		fields: []field{
			{name: "as_of_on", label: "As of", kind: "date"},
			{
				name: "kind", label: "Kind", kind: "select", options: []string{"on_demand", "annual", "short_year"},
				usual: "on_demand",
			},
			{name: "dry_run", label: "Only try it: nothing changes", kind: "yes"},
		},
		next: func(a *answer) string {
			return analysisURL(afterPrefix(a.header.Get("Location"), "/v1/escrow-analyses/"))
		},
	})
}

// loan shows one loan: its balances, its history, what is coming, its payments and
// its escrow account.
func (p *Pages) loan(r *http.Request, v *visitor) (*view, error) {
	path := "/v1/loans/" + url.PathEscape(chi.URLParam(r, "loan_id"))
	l, err := get[loan](p, r, path, nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{
		State: state(l.Status), Lead: l.Name, Facts: l.facts(p),
		Forms: p.forms(v, []hidden{{"loan_id", strconv.FormatInt(l.LoanID, 10)}}, "submit-payment", "analyze-loan"),
	}
	parts := []func(*http.Request, *visitor, string, *loan) ([]section, error){
		p.lastTransactions, p.comingInstallments, p.loanPayments, p.loanEscrow, p.loanChanges, p.loanDocuments,
		p.loanFindings,
	}
	for _, part := range parts {
		sections, err := part(r, v, path, &l)
		if err != nil {
			return nil, err
		}
		shown.Sections = append(shown.Sections, sections...)
	}
	return &view{
		Template: "detail.html", Title: "Loan " + l.LoanNumber, Body: shown,
		Crumbs: []link{{"Loans", Root + "/loans"}},
	}, nil
}

func (l *loan) facts(p *Pages) []fact {
	facts := factsOf(
		fact{"Principal", money(l.PrincipalCents)}, fact{"Escrow", money(l.EscrowCents)},
		fact{"Suspense", money(l.SuspenseCents)}, fact{"Late charges due", money(l.LateChargesDueCents)},
		fact{"Fees due", money(l.FeesDueCents)}, fact{"Advanced for escrow", moneyOrNothing(l.EscrowAdvanceCents)},
		fact{"Next due", text(l.NextDueOn)},
		fact{"Payment", cell{
			Text: dollars(l.PrincipalAndInterestCents + l.EscrowPaymentCents),
			Note: dollars(l.PrincipalAndInterestCents) + " principal and interest, " + dollars(l.EscrowPaymentCents) + " escrow",
		}},
		fact{"Rate", text(percent(l.RatePPM))}, fact{"Paid off on", text(l.PaidOffOn)},
		fact{"Interest", text(words(l.InterestMethod))}, fact{"Order of application", text(words(l.ApplicationOrder))},
		fact{"Excess goes to", text(words(l.ExcessPolicy))},
		fact{"Original principal", cell{Text: dollars(l.OriginalPrincipalCents), Note: "on " + l.OriginatedOn}},
		fact{"Maturity", text(l.MaturityOn)}, fact{"Boarded", p.instant(l.BoardedAt)},
	)
	if l.Property != nil {
		facts = append(facts, fact{"Property", cell{
			Text: l.Property.Street, Note: l.Property.City + ", " + l.Property.State + " " + l.Property.PostalCode,
		}})
	}
	for _, b := range l.Borrowers {
		facts = append(facts, fact{initial(words(b.Role)) + " borrower", text(b.FullName)})
	}
	return facts
}

// transactionColumns are the accounts of the books, debits positive.
var transactionColumns = columns("#Seq", "What", "Effective", "#Cash", "#Principal", "#Interest", "#Escrow",
	"#Suspense", "#Late charges", "#Fees", "Rule", "Caused by")

// transactionRow shows amounts as the borrower sees them: what reduces his debt, or
// is held for him, is positive.
func transactionRow(t transaction) []cell {
	what := cell{Text: initial(words(t.Kind))}
	switch {
	case t.Reverses != 0:
		what.Note = "undoes " + number(t.Reverses)
	case t.DueOn != "":
		what.Note = "due " + t.DueOn
	}
	if t.PaymentID != "" {
		what.URL = paymentURL(t.PaymentID)
	}
	return []cell{
		count(t.Seq), what, text(t.EffectiveOn), moneyOrNothing(t.CashCents), moneyOrNothing(-t.PrincipalCents),
		moneyOrNothing(-t.InterestIncomeCents), moneyOrNothing(-t.EscrowCents), moneyOrNothing(-t.SuspenseCents),
		moneyOrNothing(-t.LateChargesReceivableCents), moneyOrNothing(-t.FeesReceivableCents), text(t.Rule),
		{Text: t.CausedBy, URL: causeURL(t.CausedBy), Long: true},
	}
}

// causeURL leads to what caused a transaction, where there is a page of it.
func causeURL(cause string) string {
	if id := afterPrefix(cause, "run:"); id != "" {
		return runURL(id)
	}
	return ""
}

const historyIntro = "Positive amounts reduce the debt or are held for the borrower. Each has the rule that put it " +
	"there."

func (p *Pages) lastTransactions(r *http.Request, _ *visitor, path string, l *loan) ([]section, error) {
	const last = 15
	rows, err := some[transaction](p, r, path+"/transactions", last, url.Values{"order": {"newest"}})
	if err != nil {
		return nil, err
	}
	s := section{Title: "History", Intro: historyIntro, Table: table{
		Columns: transactionColumns, Rows: rowsOf(rows.Data, transactionRow), Empty: "Nothing has been posted yet.",
	}}
	if rows.NextCursor != "" {
		s.More = link{"The whole history", loanURL(l.LoanID) + "/transactions"}
	}
	return []section{s}, nil
}

// loanTransactions is a loan's whole history.
func (p *Pages) loanTransactions(r *http.Request, v *visitor) (*view, error) {
	id := chi.URLParam(r, "loan_id")
	shown, err := pageOf(p, list[transaction]{
		title: "History of the loan", intro: historyIntro, empty: "Nothing has been posted yet.",
		api: "/v1/loans/" + url.PathEscape(id) + "/transactions", columns: transactionColumns, row: transactionRow,
		filters: []filter{
			{name: "order", label: "Order", kind: "select", usual: "oldest", options: []string{"oldest", "newest"}},
		},
	})(r, v)
	if err != nil {
		return nil, err
	}
	shown.Crumbs = []link{{"Loans", Root + "/loans"}, {"Loan", Root + "/loans/" + url.PathEscape(id)}}
	return shown, nil
}

type installment struct {
	DueOn               string `json:"due_on"`
	InterestCents       int64  `json:"interest_cents"`
	PrincipalCents      int64  `json:"principal_cents"`
	EscrowCents         int64  `json:"escrow_cents"`
	TotalCents          int64  `json:"total_cents"`
	PrincipalAfterCents int64  `json:"principal_after_cents"`
}

func (p *Pages) comingInstallments(r *http.Request, _ *visitor, path string, l *loan) ([]section, error) {
	if l.Status != "active" {
		return nil, nil
	}
	rows, err := get[page[installment]](p, r, path+"/schedule", url.Values{"count": {"12"}})
	if err != nil {
		return nil, err
	}
	return []section{{
		Title: "Schedule", Intro: "The coming installments, if each is paid when it is due and nothing else happens.",
		Table: table{
			Columns: columns("Due", "#Interest", "#Principal", "#Escrow", "#Total", "#Principal then"),
			Rows: rowsOf(rows.Data, func(i installment) []cell {
				return []cell{
					text(i.DueOn), money(i.InterestCents), money(i.PrincipalCents), money(i.EscrowCents), money(i.TotalCents),
					money(i.PrincipalAfterCents),
				}
			}),
		},
	}}, nil
}
