package ops

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

type analysis struct {
	AnalysisID            string     `json:"analysis_id"`
	LoanID                int64      `json:"loan_id"`
	Kind                  string     `json:"kind"`
	Status                string     `json:"status"`
	DryRun                bool       `json:"dry_run"`
	AsOfOn                string     `json:"as_of_on"`
	StartOn               string     `json:"start_on"`
	Refusal               string     `json:"refusal"`
	RequestedBy           string     `json:"requested_by"`
	RunID                 string     `json:"run_id"`
	CreatedAt             *time.Time `json:"created_at"`
	FinishedAt            *time.Time `json:"finished_at"`
	BasePaymentCents      int64      `json:"base_payment_cents"`
	CushionCents          int64      `json:"cushion_cents"`
	RequiredStartCents    int64      `json:"required_start_cents"`
	StartBalanceCents     int64      `json:"start_balance_cents"`
	SurplusCents          int64      `json:"surplus_cents"`
	ShortageCents         int64      `json:"shortage_cents"`
	DeficiencyCents       int64      `json:"deficiency_cents"`
	NewEscrowPaymentCents int64      `json:"new_escrow_payment_cents"`
	EffectiveOn           string     `json:"effective_on"`
	StatementDueOn        string     `json:"statement_due_on"`
	Exemption             string     `json:"exemption"`
	Surplus               *handling  `json:"surplus"`
	Shortage              *handling  `json:"shortage"`
	Deficiency            *handling  `json:"deficiency"`
	Months                []month    `json:"months"`
	Rules                 []reason   `json:"rules"`
	Bills                 []bill     `json:"bills"`
}

type handling struct {
	Action       string `json:"action"`
	Months       int64  `json:"months"`
	MonthlyCents int64  `json:"monthly_cents"`
	DueOn        string `json:"due_on"`
	Rule         string `json:"rule"`
}

type month struct {
	MonthOn           string `json:"month_on"`
	DepositCents      int64  `json:"deposit_cents"`
	DisbursementCents int64  `json:"disbursement_cents"`
	TargetCents       int64  `json:"target_cents"`
	ProjectedCents    int64  `json:"projected_cents"`
	PaymentCents      int64  `json:"payment_cents"`
	ExpectedCents     int64  `json:"expected_cents"`
}

type reason struct {
	Name        string `json:"name"`
	AmountCents int64  `json:"amount_cents"`
	Rule        string `json:"rule"`
}

type bill struct {
	Kind        string `json:"kind"`
	Payee       string `json:"payee"`
	PayOn       string `json:"pay_on"`
	AmountCents int64  `json:"amount_cents"`
	Basis       string `json:"basis"`
}

var analysisColumns = columns("Analysis", "Loan", "State", "Kind", "As of", "#Surplus", "#Shortage",
	"#Deficiency", "#New payment", "From", "Stored")

func (p *Pages) routeEscrow() {
	r := p.router
	r.Get("/analyses", p.page(pageOf(p, list[analysis]{
		title: "Escrow analyses", empty: "No escrow account was analyzed yet.", api: "/v1/escrow-analyses",
		filters: []filter{
			{name: "loan_number", label: "Loan number", kind: "search"},
			{name: "status", label: "State", kind: "select", options: []string{"requested", "finished", "rejected"}},
		},
		columns: analysisColumns, row: p.analysisRow,
	})))
	r.Get("/analyses/{analysis_id}", p.page(p.analysis))
	p.routeDisbursements()
}

func (p *Pages) analysisRow(a analysis) []cell {
	status := state(a.Status)
	status.Note = words(a.Refusal)
	if a.DryRun {
		status.Note = "only tried"
	}
	return []cell{
		long(a.AnalysisID, analysisURL(a.AnalysisID)), loanCell(a.LoanID), status, text(words(a.Kind)), text(a.AsOfOn),
		moneyOrNothing(a.SurplusCents), moneyOrNothing(a.ShortageCents), moneyOrNothing(a.DeficiencyCents),
		moneyOrNothing(a.NewEscrowPaymentCents), text(a.EffectiveOn), p.instant(a.CreatedAt),
	}
}

// analysis shows one analysis: what it found, and the year that it projects.
func (p *Pages) analysis(r *http.Request, _ *visitor) (*view, error) {
	a, err := get[analysis](p, r, "/v1/escrow-analyses/"+url.PathEscape(chi.URLParam(r, "analysis_id")), nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{State: state(a.Status), Poll: a.Status == "requested", Facts: a.facts(p)}
	if a.DryRun {
		shown.Lead = "It was only tried: nothing has changed."
	}
	if a.Status == "finished" {
		if !a.DryRun && a.Exemption == "" {
			statement := "/v1/escrow-analyses/" + url.PathEscape(a.AnalysisID) + "/statement?format="
			shown.Links = []link{{"Statement", statement + "html"}, {"Statement as PDF", statement + "pdf"}}
		}
		shown.Sections = append(shown.Sections, a.sections()...)
	}
	return &view{
		Template: "detail.html", Title: "Escrow analysis of " + a.AsOfOn, Body: shown,
		Crumbs: []link{{"Analyses", Root + "/analyses"}},
	}, nil
}

func (a *analysis) facts(p *Pages) []fact {
	facts := []fact{
		{"Loan", loanCell(a.LoanID)},
		{"Kind", text(words(a.Kind))},
		{"As of", text(a.AsOfOn)},
		{"Year begins", text(a.StartOn)},
		{"Refused because", text(words(a.Refusal))},
	}
	if a.Status == "finished" {
		facts = append(facts,
			fact{"Base payment", money(a.BasePaymentCents)}, fact{"Cushion", money(a.CushionCents)},
			fact{"Should hold at the start", money(a.RequiredStartCents)}, fact{"Holds then", money(a.StartBalanceCents)},
			fact{"Surplus", a.Surplus.cell(a.SurplusCents)}, fact{"Shortage", a.Shortage.cell(a.ShortageCents)},
			fact{"Deficiency", a.Deficiency.cell(a.DeficiencyCents)},
			fact{"New escrow payment", cell{Text: dollars(a.NewEscrowPaymentCents), Note: "from " + a.EffectiveOn}},
			fact{"Statement due", text(a.StatementDueOn)}, fact{"No statement because of", text(a.Exemption)},
		)
	}
	ofRun := cell{Text: a.RunID, Long: true}
	if a.RunID != "" {
		ofRun.URL = runURL(a.RunID)
	}
	return factsOf(append(facts, fact{"Run", ofRun}, fact{"Requested by", text(a.RequestedBy)},
		fact{"Stored", p.instant(a.CreatedAt)}, fact{"Finished", p.instant(a.FinishedAt)})...)
}

// cell shows an amount with what is done about it.
func (h *handling) cell(cents int64) cell {
	if cents == 0 || h == nil {
		return moneyOrNothing(cents)
	}
	note := words(h.Action)
	if h.Months > 0 {
		note += " over " + number(h.Months) + " months, " + dollars(h.MonthlyCents) + " each"
	}
	return cell{Text: dollars(cents), Note: note + " (" + h.Rule + ")"}
}

func (a *analysis) sections() []section {
	return []section{
		a.year(), {
			Title: "Bills that are expected", Table: table{
				Columns: columns("Paid on", "What", "Payee", "#Amount", "Amount from"), Empty: "None is expected.",
				Rows: rowsOf(a.Bills, func(b bill) []cell {
					return []cell{text(b.PayOn), text(words(b.Kind)), text(b.Payee), money(b.AmountCents), text(words(b.Basis))}
				}),
			},
		}, {
			Title: "Rules", Table: table{
				Columns: columns("Amount of", "#Amount", "Rule"),
				Rows: rowsOf(a.Rules, func(of reason) []cell {
					return []cell{text(initial(words(of.Name))), money(of.AmountCents), text(of.Rule)}
				}),
			},
		},
	}
}

// year is the projected year: what the account should hold, what it will hold with
// the twelfth alone, and with all that the analysis says.
func (a *analysis) year() section {
	target, projected, expected := make([]int64, len(a.Months)), make([]int64, len(a.Months)), make([]int64, len(a.Months))
	x := make([]int64, len(a.Months))
	for i, m := range a.Months {
		x[i], target[i], projected[i], expected[i] = daySeconds(m.MonthOn), m.TargetCents, m.ProjectedCents, m.ExpectedCents
	}
	return section{
		Title: "The coming year",
		Intro: "What the account should hold at the end of each month, beside what it will hold.",
		Chart: &chart{
			Kind: "line", Unit: "cents", X: x, Label: "Target, projected and expected balance by month",
			Series: []series{{"Target", target}, {"Projected", projected}, {"With the new payment", expected}},
		},
		Table: table{
			Columns: columns("Month", "#Deposit", "#Disbursement", "#Target", "#Projected", "#Payment", "#With the new payment"),
			Rows: rowsOf(a.Months, func(m month) []cell {
				return []cell{
					text(m.MonthOn[:len("2006-01")]), money(m.DepositCents), moneyOrNothing(m.DisbursementCents), money(m.TargetCents),
					money(m.ProjectedCents), money(m.PaymentCents), money(m.ExpectedCents),
				}
			}),
		},
	}
}

// daySeconds is a day as seconds since 1970, for pictures; 0 where it cannot be read.
func daySeconds(on string) int64 {
	day, err := time.Parse(time.DateOnly, on)
	if err != nil {
		return 0
	}
	return day.Unix()
}

type escrowLine struct {
	LineID      int64  `json:"line_id"`
	Kind        string `json:"kind"`
	Payee       string `json:"payee"`
	AmountCents int64  `json:"amount_cents"`
	EveryMonths int64  `json:"every_months"`
	NextDueOn   string `json:"next_due_on"`
	EndedAt     string `json:"ended_at"`
}

// loanEscrow is a loan's escrow account: its lines, its analyses, and the picture of
// the latest one.
func (p *Pages) loanEscrow(r *http.Request, v *visitor, path string, _ *loan) ([]section, error) {
	if !v.may("escrow:read") {
		return nil, nil
	}
	const most = 50
	lines, err := some[escrowLine](p, r, path+"/escrow-lines", most, nil)
	if err != nil {
		return nil, err
	}
	const last = 5
	analyses, err := some[analysis](p, r, path+"/escrow-analyses", last, nil)
	if err != nil {
		return nil, err
	}
	sections := []section{{
		Title: "Escrow lines", Table: table{
			Columns: columns("What", "Payee", "#Amount", "#Every … months", "Next due"), Empty: "Nothing is paid from escrow.",
			Rows: rowsOf(lines.Data, func(l escrowLine) []cell {
				return []cell{
					text(initial(words(l.Kind))), text(l.Payee), money(l.AmountCents), count(l.EveryMonths), text(l.NextDueOn),
				}
			}),
		},
	}, {
		Title: "Escrow analyses", Table: table{
			Columns: analysisColumns, Rows: rowsOf(analyses.Data, p.analysisRow), Empty: "None was made yet.",
		},
	}}
	for _, latest := range analyses.Data {
		if latest.Status != "finished" || latest.DryRun {
			continue
		}
		whole, err := get[analysis](p, r, "/v1/escrow-analyses/"+url.PathEscape(latest.AnalysisID), nil)
		if err != nil {
			return nil, err
		}
		year := whole.year()
		year.Title = "Escrow, projected against target"
		return append(sections, year), nil
	}
	return sections, nil
}

type disbursement struct {
	DisbursementID string     `json:"disbursement_id"`
	LoanID         int64      `json:"loan_id"`
	Kind           string     `json:"kind"`
	Status         string     `json:"status"`
	Payee          string     `json:"payee"`
	AmountCents    int64      `json:"amount_cents"`
	AdvancedCents  int64      `json:"advanced_cents"`
	DueOn          string     `json:"due_on"`
	PaidOn         string     `json:"paid_on"`
	ReturnReason   string     `json:"return_reason"`
	Rule           string     `json:"rule"`
	SentAt         *time.Time `json:"sent_at"`
}

func (p *Pages) routeDisbursements() {
	p.router.Get("/disbursements", p.page(pageOf(p, list[disbursement]{
		title: "Disbursements from escrow", empty: "Nothing was paid from escrow yet.", api: "/v1/escrow-disbursements",
		filters: []filter{
			{
				name: "status", label: "State", kind: "select",
				options: []string{"scheduled", "sent", "confirmed", "returned", "stale"},
			},
			{name: "kind", label: "Kind", kind: "select", options: []string{"bill", "surplus_refund", "payoff_refund"}},
		},
		columns: columns("Payee", "Loan", "State", "Kind", "#Amount", "#Advanced", "Due", "Paid", "Sent", "Rule"),
		row: func(d disbursement) []cell {
			status := state(d.Status)
			status.Note = d.ReturnReason
			return []cell{
				text(d.Payee), loanCell(d.LoanID), status, text(words(d.Kind)), money(d.AmountCents),
				moneyOrNothing(d.AdvancedCents), text(d.DueOn), text(d.PaidOn), p.instant(d.SentAt), text(d.Rule),
			}
		},
	})))
}
