package ops

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
)

type batch struct {
	BatchID     string                `json:"batch_id"`
	Format      string                `json:"format"`
	Status      string                `json:"status"`
	Items       int64                 `json:"items"`
	TotalCents  int64                 `json:"total_cents"`
	SHA256      string                `json:"sha256"`
	RequestedBy string                `json:"requested_by"`
	CreatedAt   *time.Time            `json:"created_at"`
	FinishedAt  *time.Time            `json:"finished_at"`
	Counts      map[string]batchCount `json:"counts"`
}

type batchCount struct {
	Items      int64 `json:"items"`
	TotalCents int64 `json:"total_cents"`
}

type batchItem struct {
	BatchID       string     `json:"batch_id"`
	Line          int64      `json:"line"`
	LoanNumber    string     `json:"loan_number"`
	LoanID        int64      `json:"loan_id"`
	AmountCents   int64      `json:"amount_cents"`
	ReceivedOn    string     `json:"received_on"`
	Channel       string     `json:"channel"`
	Designation   string     `json:"designation"`
	ExternalRef   string     `json:"external_ref"`
	Status        string     `json:"status"`
	Reason        string     `json:"reason"`
	Note          string     `json:"note"`
	PaymentID     string     `json:"payment_id"`
	ReturnCode    string     `json:"return_code"`
	OriginalTrace string     `json:"original_trace"`
	ResolvedBy    string     `json:"resolved_by"`
	ResolvedAt    *time.Time `json:"resolved_at"`
}

// itemStates are the states of the items of a file, in the order of their life.
var itemStates = []string{"stored", "posted", "rejected", "exception", "returned", "reversed", "closed"}

func (p *Pages) routeBatches() {
	r := p.router
	r.Get("/batches", p.page(pageOf(p, list[batch]{
		title: "Files", empty: "No file has arrived yet.", api: "/v1/payment-batches",
		intro: "Files of payments and of returns, the latest first.",
		filters: []filter{
			{name: "status", label: "State", kind: "select", options: []string{"received", "posting", "finished"}},
		},
		columns: columns("File", "State", "Format", "#Items", "#Total", "Sent by", "Stored", "Finished"),
		row: func(b batch) []cell {
			return []cell{
				long(b.BatchID, batchURL(b.BatchID)), state(b.Status), text(words(b.Format)), count(b.Items),
				money(b.TotalCents), text(b.RequestedBy), p.instant(b.CreatedAt), p.instant(b.FinishedAt),
			}
		},
	})))
	r.Get("/batches/{batch_id}", p.page(p.batch))
	r.Get("/batches/{batch_id}/items", p.page(p.batchItems))
	r.Get("/batches/{batch_id}/items/{line}", p.page(p.batchItem))
	r.Get("/exceptions", p.page(pageOf(p, list[batchItem]{
		title: "Exceptions", empty: "Nothing waits for a person.", api: "/v1/payment-batch-items",
		intro:   "Lines of files that a person has to decide: no loan, or no payment, was certain. The oldest come first.",
		columns: itemColumns,
		row:     p.itemRow,
	})))
	p.offer(action{
		name: "resolve-exception", label: "Resolve the exception", scope: "payments:write",
		path: "/v1/payment-batches/{batch_id}/items/{line}/resolution", done: "The exception is resolved.",
		explain: "Says what becomes of this line, once and for ever.",
		fields: []field{
			{
				name: "action", label: "What becomes of it", kind: "select",
				options: []string{"assign", "return", "reverse", "close"},
				help:    "Of a payment: assign it to a loan, or return the money. Of a return: reverse a payment, or close it.",
			},
			{
				name: "loan_id", label: "Loan to assign it to", kind: "number", optional: true,
				help: "The loan's id, as in its page's address.",
			},
			{name: "payment_id", label: "Payment to reverse", kind: "text", optional: true},
			{name: "note", label: "Note", kind: "area", optional: true, help: "Needed to return or close."},
		},
	})
}

var itemColumns = columns("File and line", "State", "Loan", "#Amount", "Received", "Channel", "Reference", "Note")

func itemURL(i batchItem) string { return batchURL(i.BatchID) + "/items/" + number0(i.Line) }

// number0 writes a number without commas, for an address.
func number0(n int64) string { return strconv.FormatInt(n, 10) }

func (p *Pages) itemRow(i batchItem) []cell {
	status := state(i.Status)
	status.Note = words(i.Reason)
	of := cell{Text: i.LoanNumber}
	if i.LoanID != 0 {
		of.URL = loanURL(i.LoanID)
	}
	return []cell{
		to("Line "+number(i.Line), itemURL(i)), status, of, money(i.AmountCents), text(i.ReceivedOn), text(i.Channel),
		text(i.ExternalRef), text(i.Note),
	}
}

// batch shows one file: how far it has come, and what waits for a person.
func (p *Pages) batch(r *http.Request, _ *visitor) (*view, error) {
	path := "/v1/payment-batches/" + url.PathEscape(chi.URLParam(r, "batch_id"))
	b, err := get[batch](p, r, path, nil)
	if err != nil {
		return nil, err
	}
	const most = 20
	open, err := some[batchItem](p, r, path+"/items", most, url.Values{"status": {"exception"}})
	if err != nil {
		return nil, err
	}
	waiting := b.Counts["stored"].Items
	shown := &detail{
		State: state(b.Status), Poll: b.Status != "finished",
		Progress: progressOf(b.Items-waiting, b.Items, "items"),
		Facts: factsOf(
			fact{"Format", text(words(b.Format))}, fact{"Items", count(b.Items)}, fact{"Total", money(b.TotalCents)},
			fact{"Sent by", text(b.RequestedBy)}, fact{"Stored", p.instant(b.CreatedAt)},
			fact{"Finished", p.instant(b.FinishedAt)}, fact{"SHA-256", cell{Text: b.SHA256, Long: true}},
		),
	}
	counts := section{Title: "What became of it", Table: table{Columns: columns("State", "#Items", "#Amount")}}
	for _, name := range itemStates {
		if n := b.Counts[name]; n.Items > 0 {
			status := state(name)
			status.URL = batchURL(b.BatchID) + "/items?status=" + name
			counts.Table.Rows = append(counts.Table.Rows, []cell{status, count(n.Items), money(n.TotalCents)})
		}
	}
	shown.Sections = []section{counts}
	if len(open.Data) > 0 {
		shown.Sections = append(shown.Sections, section{
			Title: "Exceptions", Table: table{Columns: itemColumns, Rows: rowsOf(open.Data, p.itemRow)},
			More: link{"All exceptions of the file", batchURL(b.BatchID) + "/items?status=exception"},
		})
	}
	return &view{
		Template: "detail.html", Title: "File of " + number(b.Items) + " items", Body: shown,
		Crumbs: []link{{"Files", Root + "/batches"}},
	}, nil
}

// batchItems lists the items of one file.
func (p *Pages) batchItems(r *http.Request, v *visitor) (*view, error) {
	id := chi.URLParam(r, "batch_id")
	shown, err := pageOf(p, list[batchItem]{
		title: "Items of the file", empty: "It has none.", api: "/v1/payment-batches/" + url.PathEscape(id) + "/items",
		filters: []filter{{name: "status", label: "State", kind: "select", options: itemStates}},
		columns: itemColumns, row: p.itemRow,
	})(r, v)
	if err != nil {
		return nil, err
	}
	shown.Crumbs = []link{{"Files", Root + "/batches"}, {"File", batchURL(id)}}
	return shown, nil
}

// batchItem shows one line of a file, and lets a person decide about it.
func (p *Pages) batchItem(r *http.Request, v *visitor) (*view, error) {
	id, line := chi.URLParam(r, "batch_id"), chi.URLParam(r, "line")
	n, err := strconv.ParseInt(line, 10, 32)
	if err != nil || n < 1 {
		return nil, noPage()
	}
	path := "/v1/payment-batches/" + url.PathEscape(id) + "/items/" + url.PathEscape(line)
	i, err := get[batchItem](p, r, path, nil)
	if err != nil {
		return nil, err
	}
	payment := cell{Text: i.PaymentID, Long: true}
	if i.PaymentID != "" {
		payment.URL = paymentURL(i.PaymentID)
	}
	of := loanCell(i.LoanID)
	of.Note = i.LoanNumber
	if i.LoanID == 0 {
		of = text(i.LoanNumber)
	}
	shown := &detail{
		State: state(i.Status), Facts: factsOf(
			fact{"Loan", of}, fact{"Amount", money(i.AmountCents)}, fact{"Received on", text(i.ReceivedOn)},
			fact{"Channel", text(i.Channel)}, fact{"For", text(words(i.Designation))},
			fact{"Reference", text(i.ExternalRef)}, fact{"Why", text(words(i.Reason))}, fact{"Payment", payment},
			fact{"Return code", text(i.ReturnCode)}, fact{"Original trace", text(i.OriginalTrace)},
			fact{"Note", text(i.Note)}, fact{"Resolved by", text(i.ResolvedBy)}, fact{"Resolved", p.instant(i.ResolvedAt)},
		),
	}
	if i.Status == "exception" {
		shown.Forms = p.forms(v, []hidden{{"batch_id", id}, {"line", line}}, "resolve-exception")
	}
	return &view{
		Template: "detail.html", Title: "Line " + number(i.Line) + " of a file", Body: shown,
		Crumbs: []link{{"Files", Root + "/batches"}, {"File", batchURL(id)}},
	}, nil
}
