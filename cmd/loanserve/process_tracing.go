package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/tracing"
	"loanserve/jobs"
)

// startTracing exports spans where the standard variables name a collector.
func (p *process) startTracing(ctx context.Context) error {
	wanted, err := tracing.Wanted(os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	if !wanted {
		return nil
	}
	p.exporter, err = tracing.Start(ctx, programVersion(), p.log)
	if err == nil {
		p.log.LogAttrs(ctx, slog.LevelInfo, "spans are exported")
	}
	return err
}

// Without an exporter each of these is nothing, and nothing is made for it.

func (p *process) sqlTracer() pgx.QueryTracer {
	if p.exporter == nil {
		return nil
	}
	return tracing.SQL{}
}

func (p *process) requestTracer() trace.Tracer {
	if p.exporter == nil {
		return nil
	}
	return p.exporter.Provider().Tracer(tracing.Name)
}

func (p *process) jobTracing() *jobs.Tracing {
	if p.exporter == nil {
		return nil
	}
	return jobs.NewTracing(p.exporter.Provider())
}

func (p *process) insertPlugins() []rivertype.Plugin {
	if p.exporter == nil {
		return nil
	}
	return []rivertype.Plugin{p.jobTracing()}
}
