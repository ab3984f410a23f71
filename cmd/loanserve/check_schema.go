package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"loanserve/internal/database"
	"loanserve/internal/drift"
)

type checkSchemaCommand struct {
	databaseFlags

	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (s *checkSchemaCommand) Run(ctx context.Context, p *program, _ *cli) error {
	pool, err := database.Open(ctx, string(s.DatabaseURL), database.Options{
		Role: database.RoleApp, MaxConns: 1, ApplicationName: "loanserve check",
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	findings, err := drift.NewChecker(pool, string(s.DatabaseURL)).Check(ctx)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	if err := s.print(p, findings); err != nil {
		return err
	}
	if len(findings) > 0 {
		return errFinding
	}
	return nil
}

func (s *checkSchemaCommand) print(p *program, findings []drift.Finding) error {
	if s.JSON {
		return printJSON(p.stdout, map[string]any{"drift": len(findings) > 0, "findings": notNil(findings)})
	}
	for _, f := range findings {
		fmt.Fprintf(p.stdout, "%s: %s\n", f.Severity, f.Message)
		for line := range strings.Lines(f.Remedy) {
			fmt.Fprintf(p.stdout, "    %s", line)
		}
		fmt.Fprintln(p.stdout)
	}
	if len(findings) == 0 {
		fmt.Fprintln(p.stdout, "the database is what the migrations make")
		return nil
	}
	fmt.Fprintf(p.stderr, "%s; nothing was changed\n", counted(findings))
	return nil
}

// counted says how many findings there are of each severity.
func counted(findings []drift.Finding) string {
	counts := drift.Count(findings)
	var parts []string
	for _, s := range drift.Severities() {
		parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
	}
	return "the database differs from what the migrations make: " + strings.Join(parts, ", ")
}

// maxRefused is how many findings a refusal to start names; `loanserve check schema`
// prints all.
const maxRefused = 10

// checkDrift returns an error where the database differs from what the migrations
// make, unless that is allowed. What only is there besides is told and allowed. It
// says whether there is a difference that was allowed.
func checkDrift(ctx context.Context, checker *drift.Checker, allow bool, log *slog.Logger) (allowed bool, err error) {
	findings, err := checker.Check(ctx)
	if errors.Is(err, drift.ErrUnjudged) {
		log.LogAttrs(ctx, slog.LevelWarn, "the schema was not checked", slog.Any("error", err))
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check schema: %w", err)
	}
	if !drift.Refuses(findings) || allow {
		for _, f := range findings {
			log.LogAttrs(ctx, slog.LevelWarn, "schema drift", slog.String("severity", string(f.Severity)),
				slog.String("object", f.Object), slog.String("detail", f.Message))
		}
		allowed = drift.Refuses(findings)
		if allowed {
			log.LogAttrs(ctx, slog.LevelWarn, "starting on a drifted schema, because --allow-drift says so",
				slog.Int("findings", len(findings)))
		}
		return allowed, nil
	}
	var said []string
	for _, f := range findings[:min(len(findings), maxRefused)] {
		if f.Severity != drift.Extra {
			said = append(said, f.Message)
		}
	}
	return false, fmt.Errorf("%s; `loanserve check schema` shows what would mend it, "+
		"and --allow-drift starts anyway:\n  %s", counted(findings), strings.Join(said, "\n  "))
}
