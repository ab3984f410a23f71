package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"loanserve/internal/database"
	"loanserve/internal/drift"
	"loanserve/recovery"
)

// recovered is a recovery as it is printed.
type recovered struct {
	XIDs   []string       `json:"xids"`
	DryRun bool           `json:"dry_run"`
	Merged bool           `json:"merged"`
	Plan   *recovery.Plan `json:"plan"`
	// ImagesSeconds are for restoring the images and comparing them.
	ImagesSeconds float64 `json:"images_seconds"`
	MergeSeconds  float64 `json:"merge_seconds"`
	TookSeconds   float64 `json:"took_seconds"`

	began             time.Time
	imagesMade, merge time.Duration
}

// printPlan prints what would be done, table by table, and what stands in the way.
func (r *recovered) printPlan(w io.Writer) error {
	p := r.Plan
	if len(p.Loans) > 0 {
		numbers := make([]string, len(p.Loans))
		for i, l := range p.Loans {
			numbers[i] = fmt.Sprintf("%s (%d)", l.Number, l.ID)
		}
		fmt.Fprintf(w, "%d loans come back: %s\n", len(p.Loans), strings.Join(numbers, ", "))
	}
	t := newTable("TABLE", " INSERT", " SET BACK", " THERE AGAIN", " KEPT", " NOT ASKED FOR", " ADDED", "COLUMNS SET BACK")
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	for _, of := range p.Tables {
		t.add(of.Table, n(of.Insert), n(of.SetBack), n(of.Present), n(of.Kept), n(of.Left), n(of.Added),
			strings.Join(of.Columns, ", "))
	}
	if len(p.Tables) > 0 {
		if err := t.print(w); err != nil {
			return err
		}
	}
	for _, l := range p.LeftAlone {
		fmt.Fprintf(w, "%s is left alone: %s\n", l.Table, l.Reason)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(w, "conflict (%s): %d rows of %s: %s", c.Kind, c.Count, c.Table, c.What)
		if len(c.Keys) > 0 {
			fmt.Fprintf(w, ": %s", strings.Join(c.Keys, "; "))
		}
		fmt.Fprintln(w)
	}
	return nil
}

// sentence says what came of it.
func (r *recovered) sentence() string {
	inserted, setBack := r.Plan.Rows()
	switch {
	case len(r.Plan.Conflicts) > 0:
		return "something stands in the way, and nothing was changed: " +
			"decide about those rows first, or name loans without them"
	case r.Plan.RecoveredAt != nil:
		return "nothing to do: this was brought back on " + r.Plan.RecoveredAt.Format(time.RFC3339)
	case r.Plan.Empty():
		return "nothing to do: the transaction took nothing of what was asked for that is not there"
	case r.DryRun:
		return "dry run: nothing was changed"
	case !r.Merged:
		return "nothing was changed"
	}
	return fmt.Sprintf("%d loans are back: %d rows inserted and %d set back in %.1f s, and compared with the image; "+
		"the books of the loans are in order", len(r.Plan.Loans), inserted, setBack, r.MergeSeconds)
}

// warnOfGuards says where guards are off: whoever deleted what came back may have
// switched them off.
func warnOfGuards(ctx context.Context, p *program, url string) error {
	pool, err := database.Open(ctx, url, database.Options{
		Role: recovery.OwnerRole, MaxConns: 1, ApplicationName: "loanserve recover",
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	findings, err := drift.NewChecker(pool, url).Check(ctx)
	if err != nil {
		fmt.Fprintf(p.stderr, "loanserve: the guards were not looked at: %v\n", err)
		return nil
	}
	if !drift.Refuses(findings) {
		return nil
	}
	fmt.Fprintf(p.stderr, "loanserve: %s. Guards may be off: `loanserve migrate up` enables the event triggers again, "+
		"and `loanserve check schema` names all else with the statement that mends it\n", counted(findings))
	return nil
}
