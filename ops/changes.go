package ops

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

type loanChange struct {
	ChangeID                  string     `json:"change_id"`
	LoanID                    int64      `json:"loan_id"`
	Kind                      string     `json:"kind"`
	Status                    string     `json:"status"`
	DueOn                     string     `json:"due_on"`
	RatePPM                   int64      `json:"rate_ppm"`
	PrincipalAndInterestCents int64      `json:"principal_and_interest_cents"`
	EscrowPaymentCents        int64      `json:"escrow_payment_cents"`
	Reason                    string     `json:"reason"`
	Refusal                   string     `json:"refusal"`
	RequestedBy               string     `json:"requested_by"`
	DecidedBy                 string     `json:"decided_by"`
	DecisionNote              string     `json:"decision_note"`
	CreatedAt                 *time.Time `json:"created_at"`
	PostedAt                  *time.Time `json:"posted_at"`
}

var changeColumns = columns("Change", "Loan", "State", "From", "#Rate", "#Principal and interest", "#Escrow", "Reason",
	"Asked for by", "Stored")

func changeURL(id string) string { return Root + "/changes/" + url.PathEscape(id) }

func (p *Pages) changeRow(c loanChange) []cell {
	status := state(c.Status)
	status.Note = words(c.Refusal)
	rate := cell{}
	if c.RatePPM != 0 {
		rate = text(percent(c.RatePPM))
	}
	return []cell{
		to(initial(words(c.Kind)), changeURL(c.ChangeID)), loanCell(c.LoanID), status, text(c.DueOn), rate,
		moneyOrNothing(c.PrincipalAndInterestCents), moneyOrNothing(c.EscrowPaymentCents), text(c.Reason),
		text(c.RequestedBy), p.instant(c.CreatedAt),
	}
}

// loanChanges are the changes of a loan's terms.
func (p *Pages) loanChanges(r *http.Request, _ *visitor, path string, _ *loan) ([]section, error) {
	const last = 10
	rows, err := some[loanChange](p, r, path+"/changes", last, nil)
	if err != nil || len(rows.Data) == 0 {
		return nil, err
	}
	return []section{{Title: "Changes", Table: table{Columns: changeColumns, Rows: rowsOf(rows.Data, p.changeRow)}}}, nil
}

// routeLoanChanges has the changes that wait for somebody.
func (p *Pages) routeLoanChanges() {
	p.router.Get("/changes", p.page(p.changes))
	p.router.Get("/changes/{change_id}", p.page(p.change))
	p.offer(action{
		name: "approve-change", label: "Approve the change", scope: "loans:approve", danger: true,
		path: "/v1/loan-changes/{change_id}/approval", done: "The change is approved, and is being posted.",
		explain: "Posts the change. You answer for it together with whoever asked for it.",
		fields:  []field{{name: "note", label: "Note", kind: "area", optional: true}},
	}, action{
		name: "refuse-change", label: "Refuse the change", scope: "loans:approve",
		path: "/v1/loan-changes/{change_id}/refusal", done: "The change is refused. The loan stays as it is.",
		explain: "Ends the wish. The loan stays as it is.",
		fields:  []field{{name: "note", label: "Why", kind: "area"}},
	})
}

// changes lists changes of one state; those that wait for approval unless another is
// asked for.
func (p *Pages) changes(r *http.Request, v *visitor) (*view, error) {
	if query := r.URL.Query(); query.Get("status") == "" {
		query.Set("status", "pending_approval")
		asked := *r.URL
		asked.RawQuery = query.Encode()
		r = r.Clone(r.Context())
		r.URL = &asked
	}
	return pageOf(p, list[loanChange]{
		title: "Changes of loans", empty: "No loan's terms were changed yet.", api: "/v1/loan-changes",
		filters: []filter{{
			name: "status", label: "State", kind: "select", usual: "pending_approval",
			options: []string{"pending_approval", "requested", "posted", "rejected", "refused"},
		}},
		columns: changeColumns, row: p.changeRow,
	})(r, v)
}

func (p *Pages) change(r *http.Request, v *visitor) (*view, error) {
	c, err := get[loanChange](p, r, "/v1/loan-changes/"+url.PathEscape(chi.URLParam(r, "change_id")), nil)
	if err != nil {
		return nil, err
	}
	row := p.changeRow(c)
	shown := &detail{State: state(c.Status), Poll: c.Status == "requested", Facts: factsOf(
		fact{"Loan", loanCell(c.LoanID)}, fact{"From the installment due", text(c.DueOn)}, fact{"Rate", row[4]},
		fact{"Principal and interest", row[5]}, fact{"Escrow", row[6]}, fact{"Reason", text(c.Reason)},
		fact{"Refused because", text(words(c.Refusal))}, fact{"Asked for by", text(c.RequestedBy)},
		fact{"Decided by", cell{Text: c.DecidedBy, Note: c.DecisionNote}}, fact{"Stored", p.instant(c.CreatedAt)},
		fact{"Posted", p.instant(c.PostedAt)},
	)}
	switch {
	case c.Status == "pending_approval" && c.RequestedBy != v.Principal:
		shown.Forms = p.forms(v, []hidden{{"change_id", c.ChangeID}}, "approve-change", "refuse-change")
	case c.Status == "pending_approval" && v.may("loans:approve"):
		shown.Lead = "You asked for it: somebody else has to approve it."
	}
	return &view{
		Template: "detail.html", Title: initial(words(c.Kind)), Body: shown, Crumbs: []link{{"Changes", Root + "/changes"}},
	}, nil
}

type document struct {
	DocumentID string     `json:"document_id"`
	Kind       string     `json:"kind"`
	Title      string     `json:"title"`
	MediaType  string     `json:"media_type"`
	SizeBytes  int64      `json:"size_bytes"`
	SHA256     string     `json:"sha256"`
	CreatedAt  *time.Time `json:"created_at"`
}

// loanDocuments are what is kept for a loan.
func (p *Pages) loanDocuments(r *http.Request, _ *visitor, path string, _ *loan) ([]section, error) {
	const last = 10
	rows, err := some[document](p, r, path+"/documents", last, nil)
	if err != nil {
		return nil, err
	}
	return []section{{Title: "Documents", Table: table{
		Columns: columns("Document", "Kind", "Form", "#Size", "Made", "SHA-256"), Empty: "None is kept.",
		Rows: rowsOf(rows.Data, func(d document) []cell {
			return []cell{
				text(d.Title), text(words(d.Kind)), text(d.MediaType), text(size(d.SizeBytes)), p.instant(d.CreatedAt),
				{Text: d.SHA256, Long: true},
			}
		}),
	}}}, nil
}
