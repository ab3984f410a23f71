package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"riverqueue.com/riverui"

	"loanserve/ops"
	"loanserve/server"
)

// mountPages adds the operations page to the API, with the queue's own pages below it.
// Those begin to count jobs when the first of them is asked for, and until ctx ends.
func (p *process) mountPages(ctx context.Context, queue *river.Client[pgx.Tx]) error {
	jobs, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(queue, nil), Logger: p.log, Prefix: ops.Root + "/jobs",
		JobListHideArgsByDefault: true,
	})
	if err != nil {
		return fmt.Errorf("make the queue's pages: %w", err)
	}
	if err := jobs.Start(ctx); err != nil {
		return fmt.Errorf("start the queue's pages: %w", err)
	}
	pages, err := ops.New(ops.Options{
		API: p.api.Handler(), Jobs: p.api.Guard(server.ScopeJobsRead, server.ScopeJobsControl, jobs), Zone: p.timeZone,
	})
	if err != nil {
		return fmt.Errorf("make the operations page: %w", err)
	}
	p.api.Mount(ops.Root, pages.Handler())
	return nil
}
