package ops

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

type run struct {
	RunID       string       `json:"run_id"`
	Kind        string       `json:"kind"`
	AsOfOn      string       `json:"as_of_on"`
	DueMonthOn  string       `json:"due_month_on"`
	Status      string       `json:"status"`
	Total       int64        `json:"total"`
	Done        int64        `json:"done"`
	Changed     int64        `json:"changed"`
	FailedCount int64        `json:"failed_count"`
	RequestedBy string       `json:"requested_by"`
	CreatedAt   *time.Time   `json:"created_at"`
	StartedAt   *time.Time   `json:"started_at"`
	FinishedAt  *time.Time   `json:"finished_at"`
	Findings    []runFinding `json:"findings"`
	Purge       *purge       `json:"purge"`
}

type runFinding struct {
	LoanID   int64  `json:"loan_id"`
	Detail   string `json:"detail"`
	Severity string `json:"severity"`
	Object   string `json:"object"`
	Remedy   string `json:"remedy"`
}

type purge struct {
	BeforeAt  *time.Time `json:"before_at"`
	DryRun    bool       `json:"dry_run"`
	OldestAt  *time.Time `json:"oldest_at"`
	Remaining *int64     `json:"remaining"`
}

var runKinds = []string{
	"close_day", "analyze_escrow", "disburse_escrow", "check_integrity", "check_schema", "clean_up_sessions",
	"prune_login_attempts", "prune_history", "prune_webhook_messages",
}

func (p *Pages) routeRuns() {
	p.offerRuns()
	p.router.Get("/runs", p.page(pageOf(p, list[run]{
		title: "Runs", empty: "Nothing has run yet.", api: "/v1/runs",
		intro:   "Work on the whole portfolio or on a whole table, the latest first.",
		actions: []string{"close-day", "analyze-portfolio", "disburse", "check-integrity", "check-schema", "clean-sessions"},
		filters: []filter{
			{name: "kind", label: "Kind", kind: "select", options: runKinds},
			{name: "status", label: "State", kind: "select", options: []string{"requested", "running", "finished", "failed"}},
		},
		columns: columns("Run", "State", "As of", "#Done", "#Total", "#Changed", "#Failed", "Asked for by", "Stored", "Took"),
		row:     p.runRow,
	})))
	p.router.Get("/runs/{run_id}", p.page(p.run))
}

func (p *Pages) runRow(n run) []cell {
	return []cell{
		to(initial(words(n.Kind)), runURL(n.RunID)), state(n.Status), text(n.AsOfOn), count(n.Done), count(n.Total),
		count(n.Changed), count(n.FailedCount), text(n.RequestedBy), p.instant(n.CreatedAt), text(n.took()),
	}
}

// took is how long a run that is over has taken.
func (n *run) took() string {
	if n.StartedAt == nil || n.FinishedAt == nil {
		return ""
	}
	return age(n.FinishedAt.Sub(*n.StartedAt))
}

// progressOf is how much is done; nothing where it is not known of how much.
func progressOf(done, total int64, what string) *progress {
	if total <= 0 {
		return nil
	}
	const whole = 100
	return &progress{
		Done: done, Total: total, Percent: whole * done / total, Text: number(done) + " of " + number(total) + " " + what,
	}
}

// run shows one run, how far it has come, and what it found.
func (p *Pages) run(r *http.Request, _ *visitor) (*view, error) {
	n, err := get[run](p, r, "/v1/runs/"+url.PathEscape(chi.URLParam(r, "run_id")), nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{
		State: state(n.Status), Poll: n.FinishedAt == nil, Progress: progressOf(n.Done, n.Total, "done"),
		Facts: factsOf(
			fact{"As of", text(n.AsOfOn)}, fact{"For the month of", text(n.DueMonthOn)}, fact{"Done", count(n.Done)},
			fact{"Changed", count(n.Changed)}, fact{"Failed", count(n.FailedCount)},
			fact{"Asked for by", text(n.RequestedBy)}, fact{"Stored", p.instant(n.CreatedAt)},
			fact{"Started", p.instant(n.StartedAt)}, fact{"Finished", p.instant(n.FinishedAt)}, fact{"Took", text(n.took())},
		),
	}
	if n.Purge != nil {
		shown.Facts = append(shown.Facts, factsOf(
			fact{"Rows before", p.instant(n.Purge.BeforeAt)}, fact{"Oldest left", p.instant(n.Purge.OldestAt)},
		)...)
		if n.Purge.DryRun {
			shown.Lead = "It only counts, and deletes nothing."
		}
	}
	if len(n.Findings) > 0 {
		shown.Sections = []section{{Title: "Findings", Table: table{
			Columns: columns("Loan", "What", "Severity", "Object", "Remedy"),
			Rows: rowsOf(n.Findings, func(f runFinding) []cell {
				return []cell{loanCell(f.LoanID), text(f.Detail), text(f.Severity), text(f.Object), text(f.Remedy)}
			}),
		}}}
	}
	return &view{
		Template: "detail.html", Title: initial(words(n.Kind)), Body: shown, Crumbs: []link{{"Runs", Root + "/runs"}},
	}, nil
}

func (p *Pages) offerRuns() {
	day := []field{{name: "as_of_on", label: "Business date", kind: "date"}}
	p.offer(action{
		name: "close-day", label: "Close a day", scope: "loans:close", keyed: true, path: "/v1/day-closes", fields: day,
		explain: "Does what falls due up to the end of the day: held money, late charges, bills and analyses. Days that " +
			"were missed are made up; a day that is closed again brings nothing new.",
		done: "The close is asked for.", next: toRun,
	}, action{
		name: "analyze-portfolio", label: "Analyze escrow of all that are due", scope: "escrow:analyze", keyed: true,
		path: "/v1/escrow-analyses", fields: day, done: "The run is asked for.", next: toRun, danger: true,
		explain: "Analyzes every escrow account whose computation year is about to begin. Payments change.",
	}, action{
		name: "disburse", label: "Pay bills from escrow", scope: "escrow:disburse", keyed: true,
		path: "/v1/escrow-disbursements", fields: day, done: "The run is asked for.", next: toRun, danger: true,
		explain: "Pays the bills that are due up to the day, before their penalties.",
	}, action{
		name: "check-integrity", label: "Check the data", scope: "integrity:run", keyed: true, path: "/v1/integrity-checks",
		explain: "Checks register, seals, balances and payments against each other. It changes nothing.",
		done:    "The check is asked for.", next: toRun,
		fields: []field{{name: "full", label: "The arithmetic too, which takes longer", kind: "yes"}},
	}, action{
		name: "check-schema", label: "Check the schema", scope: "housekeeping:run", keyed: true, path: "/v1/schema-checks",
		explain: "Compares the live catalog with what the migrations make.", done: "The check is asked for.", next: toRun,
	}, action{
		name: "clean-sessions", label: "Delete ended sessions", scope: "housekeeping:run", keyed: true,
		path: "/v1/session-cleanups", done: "The run is asked for.", next: toRun,
		explain: "Deletes the rows of sessions that ended a day ago or earlier.",
		fields:  []field{{name: "dry_run", label: "Only count", kind: "yes"}},
	})
}
