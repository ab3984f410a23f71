package ops

import (
	"net/http"
	"slices"
	"time"
)

// glance is what the API says of the state of things.
type glance struct {
	AsOf     *time.Time    `json:"as_of"`
	Today    dayOfPayments `json:"today"`
	Received struct {
		Payments         int64 `json:"payments"`
		OldestAgeSeconds int64 `json:"oldest_age_seconds"`
	} `json:"received"`
	Waiting []struct {
		What     string     `json:"what"`
		Waiting  int64      `json:"waiting"`
		OldestAt *time.Time `json:"oldest_at"`
	} `json:"waiting"`
	Runs    []run `json:"runs"`
	Backups []struct {
		Kind       string     `json:"kind"`
		StoredOf   *time.Time `json:"stored_of"`
		VerifiedOf *time.Time `json:"verified_of"`
	} `json:"backups"`
	WAL *struct {
		Active    bool  `json:"active"`
		Lost      bool  `json:"lost"`
		KeptBytes int64 `json:"kept_bytes"`
	} `json:"wal"`
	Findings struct {
		Critical int64 `json:"critical"`
		Warning  int64 `json:"warning"`
		Losses   int64 `json:"losses"`
	} `json:"findings"`
	Logins struct {
		Succeeded int64 `json:"succeeded"`
		Failed    int64 `json:"failed"`
		Throttled int64 `json:"throttled"`
	} `json:"logins"`
	Queues    []queue    `json:"queues"`
	Portfolio *portfolio `json:"portfolio"`
}

type dayOfPayments struct {
	DayOn       string `json:"day_on"`
	Payments    int64  `json:"payments"`
	AmountCents int64  `json:"amount_cents"`
	Posted      int64  `json:"posted"`
	PostedCents int64  `json:"posted_cents"`
	Rejected    int64  `json:"rejected"`
	Reversed    int64  `json:"reversed"`
	ByChannel   []struct {
		Channel     string `json:"channel"`
		Payments    int64  `json:"payments"`
		AmountCents int64  `json:"amount_cents"`
	} `json:"by_channel"`
}

type portfolio struct {
	AsOf          *time.Time `json:"as_of"`
	SuspenseCents int64      `json:"suspense_cents"`
	SuspenseLoans int64      `json:"suspense_loans"`
	LongestHeld   *struct {
		LoanID     int64  `json:"loan_id"`
		LoanNumber string `json:"loan_number"`
		SinceOn    string `json:"since_on"`
	} `json:"longest_held"`
	ShortageLoans   int64           `json:"shortage_loans"`
	ShortageCents   int64           `json:"shortage_cents"`
	DeficiencyLoans int64           `json:"deficiency_loans"`
	AnalysesDue     int64           `json:"analyses_due"`
	PaymentsByDay   []dayOfPayments `json:"payments_by_day"`
}

// tileGroup is tiles that belong together.
type tileGroup struct {
	Name  string
	Tiles []tile
}

// tile is one figure, which leads to what it counts.
type tile struct {
	Name, Figure, Text, URL string
	Tone                    string // good, wait, bad, or none
}

// overviewPage is what the first page shows.
type overviewPage struct {
	AsOf   cell
	Groups []tileGroup
	Charts []section
}

// overview shows at a glance whether money moves, whether backups are proven, and
// whether schema and data are whole.
func (p *Pages) overview(r *http.Request, v *visitor) (*view, error) {
	if !v.may("operations:read") {
		return &view{Template: "nothing.html", Title: "Overview", Body: v}, nil
	}
	g, err := get[glance](p, r, "/v1/operations", nil)
	if err != nil {
		return nil, err
	}
	shown := &overviewPage{AsOf: p.instant(g.AsOf), Groups: []tileGroup{
		{"Money", slices.Concat(g.paymentTiles(), g.heldTiles(), g.waitingTiles())},
		{"Escrow", g.escrowTiles()},
		{"Safety", slices.Concat(g.lossTiles(), g.backupTiles(), g.checkTiles())},
		{"Operation", slices.Concat(g.queueTiles(), g.loginTiles())},
	}}
	if g.Portfolio != nil {
		shown.Charts = g.Portfolio.charts()
	}
	return &view{Template: "overview.html", Title: "Overview", Body: shown}, nil
}

// unlink takes away what leads to pages that the visitor may not see.
func (o *overviewPage) unlink(v *visitor) {
	for i := range o.Groups {
		for j := range o.Groups[i].Tiles {
			if t := &o.Groups[i].Tiles[j]; !v.sees(t.URL) {
				t.URL = ""
			}
		}
	}
}
