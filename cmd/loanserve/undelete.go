package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/queries"
	"loanserve/server"
)

type undeleteCommand struct {
	migrateFlags

	XID    uint64 `name:"xid" required:"" placeholder:"N" help:"The transaction, as the history has it (history.xid)."`
	DryRun bool   `help:"Do it, print what was done, and take it back."`
}

// errDryRun takes back what was done to see whether it can be done.
var errDryRun = errors.New("dry run")

// Run implements the command.
func (u *undeleteCommand) Run(ctx context.Context, p *program) error {
	url, err := u.url()
	if err != nil {
		return err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	config.RuntimeParams["role"] = "loanserve_owner"
	config.RuntimeParams["application_name"] = "loanserve undelete"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var steps []string
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		steps, err = u.undelete(ctx, queries.New(tx))
		if err == nil && u.DryRun {
			err = errDryRun
		}
		return err
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return refusalOf(err)
	}
	return u.print(p, steps)
}

// undelete puts back what was deleted, and tells the audit trail of it.
func (u *undeleteCommand) undelete(ctx context.Context, q *queries.Queries) ([]string, error) {
	xid := strconv.FormatUint(u.XID, 10)
	steps, err := q.InsertDeleted(ctx, xid)
	if err != nil || len(steps) == 0 {
		return nil, err
	}
	details, err := json.Marshal(map[string]any{"xid": xid, "steps": steps})
	if err != nil {
		return nil, fmt.Errorf("write details of event: %w", err)
	}
	err = q.InsertAuthEvent(ctx, queries.InsertAuthEventParams{
		Kind: "rows_undeleted", Actor: server.Operator.ID, ActorName: server.Operator.Name, ActorUserID: nil,
		Target: nil, TargetName: nil, TargetUserID: nil, Ip: nil, RequestID: nil, Details: details,
	})
	if err != nil {
		return nil, fmt.Errorf("tell the audit trail: %w", err)
	}
	return steps, nil
}

func (u *undeleteCommand) print(p *program, steps []string) error {
	if u.JSON {
		return printJSON(p.stdout, map[string]any{"xid": u.XID, "dry_run": u.DryRun, "steps": notNil(steps)})
	}
	for _, step := range steps {
		fmt.Fprintln(p.stdout, step)
	}
	switch {
	case len(steps) == 0:
		fmt.Fprintln(p.stdout, "nothing to do: what this transaction deleted was put back before")
	case u.DryRun:
		fmt.Fprintln(p.stdout, "dry run: nothing was changed")
	}
	return nil
}

// refusalOf says why the database refuses, with what to do, in place of its code.
func refusalOf(err error) error {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || refusal.Code != "23001" {
		return fmt.Errorf("undelete: %w", err)
	}
	return fmt.Errorf("undelete: %s. %s", refusal.Message, refusal.Hint)
}
