package ops

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

type payment struct {
	PaymentID      string     `json:"payment_id"`
	LoanID         int64      `json:"loan_id"`
	AmountCents    int64      `json:"amount_cents"`
	ReceivedOn     string     `json:"received_on"`
	ReceivedAt     *time.Time `json:"received_at"`
	Channel        string     `json:"channel"`
	Designation    string     `json:"designation"`
	ExternalRef    string     `json:"external_ref"`
	Status         string     `json:"status"`
	Reason         string     `json:"reason"`
	RequestedBy    string     `json:"requested_by"`
	CreatedAt      *time.Time `json:"created_at"`
	PostedAt       *time.Time `json:"posted_at"`
	ReversedAt     *time.Time `json:"reversed_at"`
	ReversalReason string     `json:"reversal_reason"`
	Split          *split     `json:"split"`
}

type split struct {
	Parts []splitPart `json:"parts"`
}

type splitPart struct {
	Seq             int64  `json:"seq"`
	Kind            string `json:"kind"`
	DueOn           string `json:"due_on"`
	Rule            string `json:"rule"`
	InterestCents   int64  `json:"interest_cents"`
	PrincipalCents  int64  `json:"principal_cents"`
	EscrowCents     int64  `json:"escrow_cents"`
	LateChargeCents int64  `json:"late_charge_cents"`
	FeeCents        int64  `json:"fee_cents"`
	SuspenseCents   int64  `json:"suspense_cents"`
}

type reversal struct {
	ReversalID   string     `json:"reversal_id"`
	PaymentID    string     `json:"payment_id"`
	Reverses     string     `json:"reverses"`
	Reason       string     `json:"reason"`
	Note         string     `json:"note"`
	ReturnedOn   string     `json:"returned_on"`
	Status       string     `json:"status"`
	Refusal      string     `json:"refusal"`
	RequestedBy  string     `json:"requested_by"`
	DecidedBy    string     `json:"decided_by"`
	DecisionNote string     `json:"decision_note"`
	FeeCents     int64      `json:"fee_cents"`
	CreatedAt    *time.Time `json:"created_at"`
	PostedAt     *time.Time `json:"posted_at"`
}

func (p *Pages) routePayments() {
	r := p.router
	r.Get("/payments", p.page(pageOf(p, list[payment]{
		title: "Payments", empty: "No payment has arrived yet.", api: "/v1/payments",
		filters: []filter{
			{name: "loan_number", label: "Loan number", kind: "search"},
			{name: "external_ref", label: "Reference", kind: "search"},
			{name: "status", label: "State", kind: "select", options: []string{"received", "posted", "rejected", "reversed"}},
			{
				name: "channel", label: "Channel", kind: "select",
				options: []string{"portal", "ach", "lockbox", "wire", "check", "phone", "branch"},
			},
			{name: "received_from", label: "Received from", kind: "date"},
			{name: "received_to", label: "to", kind: "date"},
		},
		columns: columns("Payment", "Loan", "State", "Received", "#Amount", "Channel", "For", "Reference", "Stored"),
		row:     p.paymentRow,
	})))
	r.Get("/payments/{payment_id}", p.page(p.payment))
	r.Get("/reversals", p.page(p.reversals))
	p.offerReversals()
}

func (p *Pages) paymentRow(m payment) []cell {
	return append([]cell{long(m.PaymentID, paymentURL(m.PaymentID)), loanCell(m.LoanID)}, p.paymentCells(m)...)
}

// paymentCells are a payment's values after its loan.
func (p *Pages) paymentCells(m payment) []cell {
	status := state(m.Status)
	status.Note = words(m.Reason)
	return []cell{
		status, text(m.ReceivedOn), money(m.AmountCents), text(m.Channel), text(words(m.Designation)), text(m.ExternalRef),
		p.instant(m.CreatedAt),
	}
}

func (p *Pages) loanPayments(r *http.Request, v *visitor, path string, l *loan) ([]section, error) {
	if !v.may("payments:read") {
		return nil, nil
	}
	const last = 10
	rows, err := some[payment](p, r, path+"/payments", last, nil)
	if err != nil {
		return nil, err
	}
	s := section{Title: "Payments", Table: table{
		Columns: columns("Payment", "State", "Received", "#Amount", "Channel", "For", "Reference", "Stored"),
		Empty:   "None has arrived yet.",
		Rows: rowsOf(rows.Data, func(m payment) []cell {
			return append([]cell{long(m.PaymentID, paymentURL(m.PaymentID))}, p.paymentCells(m)...)
		}),
	}}
	if rows.NextCursor != "" {
		s.More = link{"All payments of the loan", Root + "/payments?" + url.Values{"loan_number": {l.LoanNumber}}.Encode()}
	}
	return []section{s}, nil
}

// payment shows one payment, how it was divided, and what was done about it.
func (p *Pages) payment(r *http.Request, v *visitor) (*view, error) {
	path := "/v1/payments/" + url.PathEscape(chi.URLParam(r, "payment_id"))
	m, err := get[payment](p, r, path, nil)
	if err != nil {
		return nil, err
	}
	reversals, err := some[reversal](p, r, path+"/reversals", 0, nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{
		State: state(m.Status), Poll: m.Status == "received",
		Facts: factsOf(
			fact{"Amount", money(m.AmountCents)}, fact{"Loan", loanCell(m.LoanID)}, fact{"Received on", text(m.ReceivedOn)},
			fact{"Received at", p.instant(m.ReceivedAt)}, fact{"Channel", text(m.Channel)},
			fact{"For", text(words(m.Designation))}, fact{"Reference", text(m.ExternalRef)},
			fact{"Refused because", text(words(m.Reason))}, fact{"Reversed because", text(words(m.ReversalReason))},
			fact{"Stored", p.instant(m.CreatedAt)}, fact{"Posted", p.instant(m.PostedAt)},
			fact{"Reversed", p.instant(m.ReversedAt)}, fact{"Requested by", text(m.RequestedBy)},
		),
	}
	if m.Split != nil {
		shown.Sections = append(shown.Sections, m.Split.section())
	}
	if m.Status == "posted" {
		shown.Forms = p.forms(v, []hidden{{"payment_id", m.PaymentID}}, "reverse-payment")
	}
	for _, wish := range reversals.Data {
		shown.Poll = shown.Poll || wish.Status == "requested"
	}
	if len(reversals.Data) > 0 {
		shown.Sections = append(shown.Sections, p.reversalSections(v, reversals.Data)...)
	}
	return &view{
		Template: "detail.html", Title: "Payment of " + dollars(m.AmountCents), Body: shown,
		Crumbs: []link{{"Payments", Root + "/payments"}},
	}, nil
}

func (s *split) section() section {
	return section{
		Title: "How it was divided", Intro: "Each part has the rule that put it there.",
		Table: table{
			Columns: columns("#Seq", "What", "Due", "#Interest", "#Principal", "#Escrow", "#Late charge", "#Fee", "#Suspense",
				"Rule"),
			Rows: rowsOf(s.Parts, func(part splitPart) []cell {
				return []cell{
					count(part.Seq), text(initial(words(part.Kind))), text(part.DueOn), moneyOrNothing(part.InterestCents),
					moneyOrNothing(part.PrincipalCents), moneyOrNothing(part.EscrowCents), moneyOrNothing(part.LateChargeCents),
					moneyOrNothing(part.FeeCents), moneyOrNothing(part.SuspenseCents), text(part.Rule),
				}
			}),
		},
	}
}

var reversalColumns = columns("Reversal", "State", "Reason", "Asked for by", "Decided by", "#Fee", "Stored", "Posted")

func (p *Pages) reversalRow(w reversal) []cell {
	status := state(w.Status)
	status.Note = words(w.Refusal)
	decided := cell{Text: w.DecidedBy, Note: w.DecisionNote}
	return []cell{
		{Text: w.ReversalID, Long: true, URL: paymentURL(w.PaymentID)},
		status,
		{Text: words(w.Reason), Note: w.Note},
		text(w.RequestedBy), decided, moneyOrNothing(w.FeeCents), p.instant(w.CreatedAt), p.instant(w.PostedAt),
	}
}

// reversalSections are the reversals of a payment, and what can be decided of one
// that waits for it. Who asked for it is not the one to decide.
func (p *Pages) reversalSections(v *visitor, wishes []reversal) []section {
	s := section{Title: "Reversals", Table: table{Columns: reversalColumns, Rows: rowsOf(wishes, p.reversalRow)}}
	for _, w := range wishes {
		switch {
		case w.Status == "pending_approval" && w.RequestedBy != v.Principal:
			s.Forms = append(s.Forms,
				p.forms(v, []hidden{{"reversal_id", w.ReversalID}}, "approve-reversal", "refuse-reversal")...)
		case w.Status == "pending_approval" && v.may("payments:approve"):
			s.Intro = "You asked for it: somebody else has to approve it."
		}
	}
	return []section{s}
}

// reversals lists reversals, those first that wait for somebody.
func (p *Pages) reversals(r *http.Request, v *visitor) (*view, error) {
	return pageOf(p, list[reversal]{
		title: "Reversals", empty: "No payment was reversed yet.", api: "/v1/payment-reversals",
		intro: "A reversal that waits for approval is decided on the page of its payment.",
		filters: []filter{{
			name: "status", label: "State", kind: "select",
			options: []string{"pending_approval", "requested", "posted", "rejected", "refused"},
		}},
		columns: reversalColumns, row: p.reversalRow,
	})(r, v)
}

func (p *Pages) offerReversals() {
	p.offer(action{
		name: "reverse-payment", label: "Reverse the payment", scope: "payments:reverse", keyed: true, danger: true,
		path: "/v1/payments/{payment_id}/reversals", done: "The reversal is asked for.",
		explain: "Undoes the payment as of its day, and posts anew what came after it. Where this deployment asks for " +
			"approval, it waits until somebody else has approved it.",
		fields: []field{
			{
				name: "reason", label: "Reason", kind: "text",
				options: []string{"misapplied", "duplicate", "stop", "R01", "R02", "R03", "R09"},
				help:    "misapplied, duplicate, stop, or the code of the return, such as R01.",
			},
			{
				name: "returned_on", label: "Returned on", kind: "date", optional: true,
				help: "When it came back, where a bank returned it.",
			},
			{name: "note", label: "Note", kind: "area", optional: true},
		},
	}, action{
		name: "approve-reversal", label: "Approve the reversal", scope: "payments:approve", danger: true,
		path: "/v1/payment-reversals/{reversal_id}/approval", done: "The reversal is approved, and is being posted.",
		explain: "Posts the reversal. You answer for it together with whoever asked for it.",
		fields:  []field{{name: "note", label: "Note", kind: "area", optional: true}},
	}, action{
		name: "refuse-reversal", label: "Refuse the reversal", scope: "payments:approve",
		path: "/v1/payment-reversals/{reversal_id}/refusal", done: "The reversal is refused. The payment stays.",
		explain: "Ends the wish. The payment stays as it is.",
		fields:  []field{{name: "note", label: "Why", kind: "area"}},
	})
}

// afterPrefix is what follows the prefix, or nothing where the text begins otherwise.
func afterPrefix(text, prefix string) string {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return ""
	}
	return rest
}
