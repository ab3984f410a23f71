package ops

import (
	"net/url"
	"strconv"
	"time"
)

// cell is one value on a page.
type cell struct {
	Text string
	Note string // said below it, smaller
	URL  string // leads there
	Tone string // good, bad, wait or quiet: shown as a label of that color
	At   string // the instant in the text, for machines
	Long bool   // An identifier that may be cut where there is no room.
}

// column is what a table has in a column.
type column struct {
	Name    string
	Numeric bool
}

// table is rows below names of columns.
type table struct {
	Caption string // for those who cannot see where it stands
	Columns []column
	Rows    [][]cell
	Empty   string // said where there are no rows
}

// columns names columns, those with an # in front of them numeric.
func columns(names ...string) []column {
	made := make([]column, len(names))
	for i, name := range names {
		if name[0] == '#' {
			made[i] = column{Name: name[1:], Numeric: true}
			continue
		}
		made[i] = column{Name: name}
	}
	return made
}

func text(s string) cell         { return cell{Text: s} }
func money(cents int64) cell     { return cell{Text: dollars(cents)} }
func count(n int64) cell         { return cell{Text: number(n)} }
func to(s, target string) cell   { return cell{Text: s, URL: target} }
func long(s, target string) cell { return cell{Text: s, URL: target, Long: true} }

// moneyOrNothing leaves out a zero, which says nothing in a wide table.
func moneyOrNothing(cents int64) cell {
	if cents == 0 {
		return cell{}
	}
	return money(cents)
}

// tones are the colors of states.
var tones = map[string]string{
	"posted": "good", "finished": "good", "verified": "good", "completed": "good", "active": "good", "confirmed": "good",
	"resolved": "good", "delivered": "good",
	"rejected": "bad", "failed": "bad", "discarded": "bad", "exception": "bad", "returned": "bad", "critical": "bad",
	"error": "bad", "refused": "bad", "open": "bad",
	"received": "wait", "running": "wait", "requested": "wait", "stored": "wait",
	"retryable": "wait", "available": "wait", "held": "wait", "pending_approval": "wait",
	"paused": "wait", "warning": "wait", "sent": "wait", "planned": "wait", "scheduled": "wait", "verifying": "wait",
}

// state is a status, with its color.
func state(status string) cell {
	tone := tones[status]
	if tone == "" {
		tone = "quiet"
	}
	return cell{Text: words(status), Tone: tone}
}

// instant shows when, in the deployment's zone.
func (p *Pages) instant(at *time.Time) cell {
	if at == nil || at.IsZero() {
		return cell{}
	}
	return cell{Text: at.In(p.zone).Format("2006-01-02 15:04:05"), At: at.UTC().Format(time.RFC3339)}
}

// loanCell leads to a loan.
func loanCell(id int64) cell {
	if id == 0 {
		return cell{}
	}
	return to(strconv.FormatInt(id, 10), loanURL(id))
}

func loanURL(id int64) string      { return Root + "/loans/" + strconv.FormatInt(id, 10) }
func paymentURL(id string) string  { return Root + "/payments/" + url.PathEscape(id) }
func runURL(id string) string      { return Root + "/runs/" + url.PathEscape(id) }
func batchURL(id string) string    { return Root + "/batches/" + url.PathEscape(id) }
func analysisURL(id string) string { return Root + "/analyses/" + url.PathEscape(id) }
func backupURL(id string) string   { return Root + "/backups/" + url.PathEscape(id) }
