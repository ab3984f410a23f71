package main

import (
	"context"
	"errors"
	"fmt"
)

// checkCommand is every check. A new one is a command here, and one line in checks.
type checkCommand struct {
	All    checkAllCommand    `cmd:"" default:"withargs" help:"Run every check; exit code 1 when one of them finds something. This is what check alone does."`
	Schema checkSchemaCommand `cmd:"" help:"Compare the database with what this program's migrations make; exit code 1 when they differ."`
}

// checks are all that check alone runs, in order.
func checks(f databaseFlags) []namedCheck {
	return []namedCheck{
		{"schema", (&checkSchemaCommand{databaseFlags: f, JSON: false}).Run},
	}
}

// namedCheck is a check that says what it found and returns errFinding if that is
// anything.
type namedCheck struct {
	name string
	run  func(ctx context.Context, p *program, c *cli) error
}

type checkAllCommand struct{ databaseFlags }

// Run implements the command. A check that fails keeps none of the others from
// running.
func (a *checkAllCommand) Run(ctx context.Context, p *program, c *cli) error {
	found := false
	var failed error
	for _, check := range checks(a.databaseFlags) {
		fmt.Fprintf(p.stdout, "== %s\n", check.name)
		err := check.run(ctx, p, c)
		switch {
		case errors.Is(err, errFinding):
			found = true
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", check.name, err))
		}
	}
	if failed == nil && found {
		return errFinding
	}
	return failed
}
