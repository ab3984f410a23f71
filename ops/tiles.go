package ops

import "time"

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

// patienceWith is for how long a job may be due in a queue, as the alerts have it.
func patienceWith(queue string) time.Duration {
	switch queue {
	case "payments", alarmQueue:
		return 5 * time.Minute
	case "ops":
		return 6 * time.Hour // A backup of everything may be under way.
	default:
		return time.Hour
	}
}

func (g *glance) queueTiles() []tile {
	var waiting, discarded int64
	var oldest time.Duration
	paused, stalled := 0, false
	for _, q := range g.Queues {
		waiting += q.Available
		discarded += q.Discarded
		age := time.Duration(q.OldestAgeSeconds) * time.Second
		oldest, stalled = max(oldest, age), stalled || age > patienceWith(q.Queue)
		if q.PausedAt != nil {
			paused++
		}
	}
	jobs := tile{
		Name: "Jobs waiting", Figure: number(waiting), Tone: "good", Text: "Nothing waits.", URL: Root + "/queues",
	}
	if oldest > 0 {
		jobs.Text = "The oldest for " + age(oldest) + "."
	}
	switch {
	case paused > 0:
		jobs.Tone, jobs.Text = "wait", number(int64(paused))+" queues are paused."
	case stalled:
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
