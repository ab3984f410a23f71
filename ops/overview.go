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

func (g *glance) paymentTiles() []tile {
	today := tile{
		Name: "Payments today", Figure: number(g.Today.Posted), URL: Root + "/payments",
		Text: dollars(g.Today.PostedCents) + " posted, " + number(g.Today.Rejected) + " rejected",
	}
	waiting := tile{
		Name: "Waiting to be posted", Figure: number(g.Received.Payments), Tone: "good", Text: "Nothing waits.",
		URL: Root + "/payments?status=received",
	}
	if g.Received.Payments > 0 {
		oldest := time.Duration(g.Received.OldestAgeSeconds) * time.Second
		waiting.Text, waiting.Tone = "The oldest for "+age(oldest)+".", ""
		const slow, stuck = time.Minute, 5 * time.Minute
		switch {
		case oldest > stuck:
			waiting.Tone = "bad"
		case oldest > slow:
			waiting.Tone = "wait"
		}
	}
	return []tile{today, waiting}
}

func (g *glance) heldTiles() []tile {
	if g.Portfolio == nil {
		return []tile{{Name: "Suspense", Figure: "…", Text: "Being counted."}}
	}
	t := tile{
		Name: "Suspense", Figure: dollars(g.Portfolio.SuspenseCents),
		Text: "No loan holds any.",
	}
	if held := g.Portfolio.LongestHeld; held != nil {
		t.Text = "On " + number(g.Portfolio.SuspenseLoans) + " loans, the longest on " + held.LoanNumber + " since " +
			held.SinceOn + "."
		t.URL = loanURL(held.LoanID)
	}
	return []tile{t}
}

// waitingNames are the tiles of what waits for a person or for its day.
var waitingNames = map[string]struct{ name, url string }{
	"payment_exception":    {"Exceptions to resolve", Root + "/exceptions"},
	"reversal_approval":    {"Reversals to approve", Root + "/reversals?status=pending_approval"},
	"loan_change_approval": {"Changes to approve", Root + "/changes"},
}

func (g *glance) waitingTiles() []tile {
	var tiles []tile
	for _, w := range g.Waiting {
		of, ok := waitingNames[w.What]
		if !ok {
			continue
		}
		t := tile{Name: of.name, Figure: number(w.Waiting), URL: of.url, Text: "None waits.", Tone: "good"}
		if w.Waiting > 0 && w.OldestAt != nil && g.AsOf != nil {
			t.Text, t.Tone = "The oldest for "+age(g.AsOf.Sub(*w.OldestAt))+".", "wait"
		}
		tiles = append(tiles, t)
	}
	return tiles
}

func (g *glance) escrowTiles() []tile {
	var tiles []tile
	if f := g.Portfolio; f != nil {
		tiles = append(tiles, tile{
			Name: "Shortages", Figure: number(f.ShortageLoans), URL: Root + "/analyses",
			Text: dollars(f.ShortageCents) + " in all, by the latest analyses; " + number(f.DeficiencyLoans) + " deficiencies",
		}, tile{
			Name: "Analyses due", Figure: number(f.AnalysesDue), URL: Root + "/analyses",
			Text: "Made by the close of the day.",
		})
	}
	for _, w := range g.Waiting {
		switch w.What {
		case "bill_to_pay":
			tiles = append(tiles, tile{Name: "Bills to pay", Figure: number(w.Waiting), Text: "Open or held."})
		case "disbursement_to_send":
			tiles = append(tiles, tile{
				Name: "Disbursements to send", Figure: number(w.Waiting), Text: "In no payment file yet.",
				URL: Root + "/disbursements?status=scheduled",
			})
		}
	}
	return tiles
}

func (g *glance) lossTiles() []tile {
	losses := tile{Name: "Loans missing", Figure: "None", Tone: "good", Text: "Every registered loan is there."}
	if g.Findings.Losses > 0 {
		losses = tile{
			Name: "Loans missing", Figure: number(g.Findings.Losses), Tone: "bad", URL: Root + "/findings",
			Text: "Stop what changes data, and follow docs/recovery.md.",
		}
	}
	open := tile{Name: "Findings", Figure: "None", Tone: "good", Text: "The checks find nothing.", URL: Root + "/findings"}
	if g.Findings.Critical+g.Findings.Warning > 0 {
		open.Figure, open.Text = number(g.Findings.Critical+g.Findings.Warning), number(g.Findings.Critical)+" critical"
		open.Tone = "wait"
		if g.Findings.Critical > 0 {
			open.Tone = "bad"
		}
	}
	return []tile{losses, open}
}

// backupAge is after which a verified backup is too old, as its alert has it.
const backupAge = 26 * time.Hour

func (g *glance) backupTiles() []tile {
	t := tile{
		Name: "Last verified backup", Figure: "Never", Tone: "bad", Text: "No backup was proven yet.",
		URL: Root + "/backups",
	}
	for _, b := range g.Backups {
		if b.VerifiedOf == nil || g.AsOf == nil {
			continue
		}
		old := g.AsOf.Sub(*b.VerifiedOf)
		if t.Figure == "Never" || old < backupAge {
			t.Figure, t.Text, t.Tone = age(old)+" ago", "A "+b.Kind+" one.", "good"
		}
		if old >= backupAge {
			t.Tone = "bad"
		}
	}
	if g.WAL == nil {
		return []tile{t, {Name: "WAL archive", Figure: "Off", Text: "Only nightly backups can be restored."}}
	}
	wal := tile{Name: "WAL archive", Figure: size(g.WAL.KeptBytes), Text: "Not archived yet.", Tone: "good"}
	switch {
	case g.WAL.Lost:
		wal.Tone, wal.Text = "bad", "There is a gap: the server has given up keeping what was not archived."
	case !g.WAL.Active:
		wal.Tone, wal.Text = "bad", "Not archived, and no process archives."
	}
	return []tile{t, wal}
}

// checkTiles are what the clock does.
func (g *glance) checkTiles() []tile {
	named := map[string]string{"close_day": "Day close", "check_schema": "Schema", "check_integrity": "Integrity check"}
	var tiles []tile
	for _, n := range g.Runs {
		name := named[n.Kind]
		if name == "" {
			continue
		}
		t := tile{Name: name, Figure: initial(words(n.Status)), URL: runURL(n.RunID), Text: "For " + n.AsOfOn + "."}
		switch {
		case n.Status == "failed" || n.FailedCount > 0:
			t.Tone = "bad"
		case n.Status == "finished" && n.Kind == "check_schema":
			t.Figure, t.Tone = "As it should be", "good"
			if n.Total > 0 {
				t.Figure, t.Tone = number(n.Total)+" differences", "bad"
			}
		case n.Status == "finished":
			t.Tone = "good"
		default:
			t.Tone = "wait"
		}
		if n.FinishedAt != nil && g.AsOf != nil {
			t.Text += " " + initial(age(g.AsOf.Sub(*n.FinishedAt))) + " ago."
		}
		tiles = append(tiles, t)
	}
	return tiles
}

func (g *glance) queueTiles() []tile {
	var waiting, discarded int64
	var oldest time.Duration
	paused := 0
	for _, q := range g.Queues {
		waiting += q.Available
		discarded += q.Discarded
		oldest = max(oldest, time.Duration(q.OldestAgeSeconds)*time.Second)
		if q.PausedAt != nil {
			paused++
		}
	}
	const stalled = 5 * time.Minute
	jobs := tile{
		Name: "Jobs waiting", Figure: number(waiting), Tone: "good", Text: "Nothing waits.", URL: Root + "/queues",
	}
	if oldest > 0 {
		jobs.Text = "The oldest for " + age(oldest) + "."
	}
	switch {
	case paused > 0:
		jobs.Tone, jobs.Text = "wait", number(int64(paused))+" queues are paused."
	case oldest > stalled:
		jobs.Tone = "bad"
	}
	lost := tile{Name: "Jobs given up", Figure: number(discarded), Tone: "good", Text: "None.", URL: Root + "/queues/jobs"}
	if discarded > 0 {
		lost.Tone, lost.Text = "bad", "They failed for the last time, and wait for a person."
	}
	return []tile{jobs, lost}
}

func (g *glance) loginTiles() []tile {
	t := tile{
		Name: "Logins in the last hour", Figure: number(g.Logins.Succeeded), URL: Root + "/audit",
		Text: number(g.Logins.Failed) + " failed, " + number(g.Logins.Throttled) + " throttled",
	}
	if g.Logins.Throttled > 0 {
		t.Tone = "wait"
	}
	return []tile{t}
}

// trendDays is how many days the trends show.
const trendDays = 30

// everyDay adds the days without payments up to the last one that there is.
func everyDay(days []dayOfPayments) []dayOfPayments {
	const day = 24 * 60 * 60
	found := map[int64]dayOfPayments{}
	for _, d := range days {
		found[daySeconds(d.DayOn)] = d
	}
	last := daySeconds(days[len(days)-1].DayOn)
	var all []dayOfPayments
	for at := last - (trendDays-1)*day; at <= last; at += day {
		d, ok := found[at]
		if !ok {
			d.DayOn = time.Unix(at, 0).UTC().Format(time.DateOnly)
		}
		all = append(all, d)
	}
	return all
}

// charts are the trends.
func (f *portfolio) charts() []section {
	if len(f.PaymentsByDay) == 0 {
		return nil
	}
	days := everyDay(f.PaymentsByDay)
	x, posted, cents := make([]int64, len(days)), make([]int64, len(days)), make([]int64, len(days))
	rejected := make([]int64, len(days))
	for i, d := range days {
		x[i], posted[i], cents[i], rejected[i] = daySeconds(d.DayOn), d.Posted, d.PostedCents, d.Rejected
	}
	byDay := table{
		Columns: columns("Day", "#Stored", "#Posted", "#Posted amount", "#Rejected", "#Reversed"),
		Rows: rowsOf(days, func(d dayOfPayments) []cell {
			return []cell{
				text(d.DayOn), count(d.Payments), count(d.Posted), money(d.PostedCents), count(d.Rejected), count(d.Reversed),
			}
		}),
	}
	return []section{{
		Title: "Money posted by day", Table: byDay, Chart: &chart{
			Label: "Amount of the payments that were posted, by day", Kind: "bars", Unit: "cents", X: x,
			Series: []series{{"Posted", cents}},
		},
	}, {
		Title: "Payments by day", Table: byDay, Chart: &chart{
			Label: "Payments that were posted and rejected, by day", Kind: "line", Unit: "count", X: x,
			Series: []series{{"Posted", posted}, {"Rejected", rejected}},
		},
	}}
}
