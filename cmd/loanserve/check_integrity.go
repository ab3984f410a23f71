package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"loanserve/jobs"
	"loanserve/queries"
)

type checkIntegrityCommand struct {
	databaseFlags

	Full bool `help:"Check all loans; otherwise those that changed since a check found them in order."`
	JSON bool `name:"json" help:"Print JSON."`
}

// checkedIntegrity is a check as it is printed.
type checkedIntegrity struct {
	CheckID     string             `json:"check_id"`
	Full        bool               `json:"full"`
	Loans       int64              `json:"loans"`
	Unchecked   int64              `json:"unchecked"`
	TookSeconds float64            `json:"took_seconds"`
	Findings    []integrityFinding `json:"findings"`
}

// integrityFinding is a finding as it is printed.
type integrityFinding struct {
	FindingID       int64                     `json:"finding_id"`
	Kind            queries.IntegrityKind     `json:"kind"`
	Severity        queries.IntegritySeverity `json:"severity"`
	LoanID          *int64                    `json:"loan_id,omitempty"`
	Subject         string                    `json:"subject,omitempty"`
	Details         json.RawMessage           `json:"details"`
	SuggestedAction string                    `json:"suggested_action"`
	FirstSeenAt     time.Time                 `json:"first_seen_at"`
}

// Run implements the command.
func (c *checkIntegrityCommand) Run(ctx context.Context, p *program, cli *cli) error {
	pool, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	progress, start := newProgress(p.stderr, p.logger(cli, slog.LevelInfo)), time.Now()
	report, err := jobs.CheckNow(ctx, pool, c.Full, func(done, total int64) {
		progress.count("checking loans", int(done), int(total))
	})
	progress.clear()
	if err != nil {
		return fmt.Errorf("check integrity: %w", err)
	}
	checked := checkedIntegrity{
		CheckID: report.Check.ID.String(), Full: report.Check.Complete, Loans: report.Check.Loans,
		Unchecked: report.Unchecked, TookSeconds: time.Since(start).Round(time.Millisecond).Seconds(),
		Findings: make([]integrityFinding, len(report.Findings)),
	}
	for i, f := range report.Findings {
		checked.Findings[i] = integrityFinding{
			FindingID: f.ID, Kind: f.Kind, Severity: f.Severity, LoanID: f.LoanID, Subject: f.Subject,
			Details: f.Details, SuggestedAction: f.SuggestedAction, FirstSeenAt: f.FirstSeenAt.UTC(),
		}
	}
	if err := checked.print(p, c.JSON); err != nil {
		return err
	}
	if len(checked.Findings) > 0 || checked.Unchecked > 0 {
		return errFinding
	}
	return nil
}

func (c *checkedIntegrity) print(p *program, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, c)
	}
	if len(c.Findings) > 0 {
		t := newTable(" ID", "SEVERITY", "KIND", " LOAN", "OF", "DETAILS", "WHAT TO DO")
		for _, f := range c.Findings {
			loan := "-"
			if f.LoanID != nil {
				loan = strconv.FormatInt(*f.LoanID, 10)
			}
			t.add(strconv.FormatInt(f.FindingID, 10), string(f.Severity), string(f.Kind), loan, f.Subject,
				string(f.Details), f.SuggestedAction)
		}
		if err := t.print(p.stdout); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(p.stdout, c.summary())
	return err
}

// summary is the check in one sentence.
func (c *checkedIntegrity) summary() string {
	which, found := "loans that changed", "nothing is out of order"
	if c.Full {
		which = "loans"
	}
	switch n := len(c.Findings); n {
	case 0:
	case 1:
		found = "1 finding"
	default:
		found = fmt.Sprintf("%d findings", n)
	}
	if c.Unchecked > 0 {
		found += fmt.Sprintf("; %d loans could not be checked", c.Unchecked)
	}
	return fmt.Sprintf("%d %s checked in %.1f s: %s", c.Loans, which, c.TookSeconds, found)
}
