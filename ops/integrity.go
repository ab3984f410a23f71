package ops

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

type finding struct {
	FindingID       int64           `json:"finding_id"`
	Kind            string          `json:"kind"`
	Severity        string          `json:"severity"`
	LoanID          int64           `json:"loan_id"`
	Subject         string          `json:"subject"`
	Details         json.RawMessage `json:"details"`
	SuggestedAction string          `json:"suggested_action"`
	FirstSeenAt     *time.Time      `json:"first_seen_at"`
	LastSeenAt      *time.Time      `json:"last_seen_at"`
	ResolvedAt      *time.Time      `json:"resolved_at"`
}

var findingColumns = columns("What", "Severity", "Loan", "Details", "What to do", "First seen", "Last seen", "Resolved")

func (p *Pages) findingRow(f finding) []cell {
	return []cell{
		{Text: initial(words(f.Kind)), Note: f.Subject},
		state(f.Severity), loanCell(f.LoanID), text(string(f.Details)),
		text(f.SuggestedAction), p.instant(f.FirstSeenAt), p.instant(f.LastSeenAt), p.instant(f.ResolvedAt),
	}
}

func (p *Pages) routeIntegrity() {
	p.router.Get("/findings", p.page(pageOf(p, list[finding]{
		title: "Findings", empty: "The checks have found nothing.", api: "/v1/integrity-findings",
		intro:   "What checks of the stored data have found, and what to do about it.",
		actions: []string{"check-integrity"},
		filters: []filter{
			{name: "state", label: "State", kind: "select", usual: "open", options: []string{"open", "resolved", "all"}},
			{name: "severity", label: "Severity", kind: "select", options: []string{"critical", "warning"}},
		},
		columns: findingColumns, row: p.findingRow,
	})))
}

// loanFindings are what is the matter with a loan.
func (p *Pages) loanFindings(r *http.Request, v *visitor, _ string, l *loan) ([]section, error) {
	if !v.may("integrity:read") {
		return nil, nil
	}
	rows, err := some[finding](p, r, "/v1/integrity-findings", 0, url.Values{"loan_id": {strconv.FormatInt(l.LoanID, 10)}})
	if err != nil || len(rows.Data) == 0 {
		return nil, err
	}
	found := table{Columns: findingColumns, Rows: rowsOf(rows.Data, p.findingRow)}
	return []section{{Title: "Findings", Table: found}}, nil
}
