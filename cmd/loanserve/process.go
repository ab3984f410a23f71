package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/database"
	"loanserve/internal/drift"
	"loanserve/internal/localday"
	"loanserve/internal/statement"
	"loanserve/internal/tracing"
	"loanserve/jobs"
	"loanserve/migrations"
	"loanserve/server"
)

var errNoWorkers = errors.New("--workers: must be 1 or more ($LOANSERVE_WORKERS)")

// processOptions say what a process does.
type processOptions struct {
	databaseURL string
	poolSize    int
	listen      address // "" serves no API
	// trustedProxies are those whose X-Forwarded-For is believed.
	trustedProxies []netip.Prefix
	// oidc is the provider whose access tokens the API takes, if any.
	oidc        server.OIDC
	adminListen address
	workers     int // 0 works no jobs
	timeZone    *time.Location
	cutOff      localday.Hour // of the API
	closeDayAt  closeHour     // of the workers
	// housekeeping is how long what is purged by itself stays; nil purges nothing.
	housekeeping *jobs.Housekeeping
	// checks says whether the workers check the stored data by themselves.
	checks bool
	// checkSchema refuses to start on a drifted schema, unless drift is allowed, and
	// lets the workers look for drift by themselves.
	checkSchema, allowDrift bool

	// backups says where and when workers make backups; nil makes none.
	backups *jobs.Backups
	// webhookNetworks are not public, and webhooks may be sent to them.
	webhookNetworks []netip.Prefix
	servicer        statement.Servicer
	stopTimeout     time.Duration
	drainDelay      time.Duration
	log             *slog.Logger

	reversalApproval bool // of the API
	changeApproval   bool // of the API
}

// process is the API, the workers, or both, beside an admin listener.
type process struct {
	processOptions

	pool     *pgxpool.Pool
	exporter *tracing.Exporter // nil where no collector is named
	checker  *drift.Checker
	drifted  bool // It started on a schema that has drifted.
	registry *prometheus.Registry
	metrics  *jobs.Metrics
	api      *server.Server   // nil where there is none
	worker   *jobs.Worker     // nil where there is none
	wal      *jobs.WALArchive // nil where it archives none

	apiHTTP, adminHTTP *listener // apiHTTP is nil where there is no API
	started, stopping  atomic.Bool
	failed             chan error
	heapReserve        []byte
}

// startProcess returns once everything works: the schema is this program's,
// the addresses are bound, and jobs are taken. What it had started when it
// fails, it stops.
func startProcess(ctx context.Context, o processOptions) (_ *process, err error) {
	p := &process{processOptions: o, failed: make(chan error, 1), heapReserve: reserveHeap(os.LookupEnv)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	if err := p.startTracing(ctx); err != nil {
		return nil, err
	}
	if err := p.openDatabase(ctx); err != nil {
		return nil, err
	}
	p.registry = newRegistry(p.pool)
	p.registry.MustRegister(driftGauge(p.drifted))
	p.registry.MustRegister(databaseCollectors(p.pool, p.log)...)
	p.metrics = jobs.NewMetrics(p.registry, p.log)
	if err := p.startAdmin(ctx); err != nil {
		return nil, err
	}
	if err := p.startWorker(ctx); err != nil {
		return nil, err
	}
	if err := p.startAPI(ctx); err != nil {
		return nil, err
	}
	if err := p.startWALArchive(ctx); err != nil {
		return nil, err
	}
	p.started.Store(true)
	p.log.LogAttrs(ctx, slog.LevelInfo, "started", p.attrs()...)
	return p, nil
}

func (p *process) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("version", programVersion()), slog.Int("workers", p.workers),
		slog.String("time_zone", p.timeZone.String()),
	}
	if p.worker != nil {
		attrs = append(attrs, slog.String("close_day_at", p.closeDayAt.String()))
	}
	if p.apiHTTP != nil {
		attrs = append(attrs, slog.String("api", p.apiHTTP.url()), slog.String("cut_off", p.cutOff.String()))
	}
	return append(attrs, slog.String("admin", p.adminHTTP.url()))
}

// openDatabase connects and makes sure that the program can work on the schema: it is
// the one that it was built with, or one that the next release has made of it. Migrating
// is for an operator to decide, and needs rights that this process does not have.
func (p *process) openDatabase(ctx context.Context) (err error) {
	p.pool, err = database.Open(ctx, p.databaseURL, database.Options{
		Role: database.RoleApp, MaxConns: p.poolSize, ApplicationName: "loanserve", Tracer: p.sqlTracer(),
	})
	if err != nil {
		return err
	}
	newer, err := migrations.Newer(ctx, p.pool)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	if newer > 0 {
		p.log.LogAttrs(ctx, slog.LevelWarn, "the database is newer than this program, which goes on working",
			slog.Int("migrations_unknown", newer))
	}
	if p.checkSchema {
		p.checker = drift.NewChecker(p.pool, p.databaseURL)
		p.drifted, err = checkDrift(ctx, p.checker, p.allowDrift, p.log)
	}
	return err
}

func (p *process) startAdmin(ctx context.Context) (err error) {
	checks := []server.Check{
		{Name: "process", Run: p.checkLife},
		{Name: "database", Run: p.pool.Ping},
		{Name: "schema", Run: func(ctx context.Context) error { return migrations.Check(ctx, p.pool) }},
	}
	p.adminHTTP, err = listen(ctx, p.adminListen, server.NewAdmin(p.log, p.registry, checks), p.log, p.fail)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

var (
	errStarting = errors.New("the process is still starting")
	errStopping = errors.New("the process is about to stop")
)

// checkLife is what makes /readyz wait for the API's own listener, and fail
// before that is closed.
func (p *process) checkLife(context.Context) error {
	switch {
	case p.stopping.Load():
		return errStopping
	case !p.started.Load():
		return errStarting
	default:
		return nil
	}
}

func (p *process) startWorker(ctx context.Context) error {
	if p.workers == 0 {
		return nil
	}
	if p.servicer.Name == "" {
		p.log.LogAttrs(ctx, slog.LevelWarn, "no servicer is named: this process makes no statements for borrowers")
	}
	worker, err := jobs.NewWorker(p.pool, jobs.Config{
		PaymentWorkers: p.workers, DayCloses: p.dayCloses(), Housekeeping: p.housekeeping, Servicer: p.servicer,
		Checks:  p.checks,
		Schema:  p.checker,
		Backups: p.backups, WebhookNetworks: p.webhookNetworks,
		Metrics: p.metrics, Tracing: p.jobTracing(), Log: p.log,
	})
	if err != nil {
		return err
	}
	if err := worker.Start(ctx); err != nil {
		return err
	}
	p.worker = worker
	return nil
}

// startWALArchive archives the server's WAL, in processes that work no jobs as well.
func (p *process) startWALArchive(ctx context.Context) error {
	if p.backups == nil || !p.backups.WAL {
		return nil
	}
	inserter, err := jobs.NewInserter(p.pool, p.metrics, p.log, p.insertPlugins()...)
	if err != nil {
		return err
	}
	p.wal = jobs.StartWALArchive(ctx, p.pool, inserter, p.backups, p.metrics, p.log)
	return nil
}

// dayCloses is when the workers close days, or nil for never.
func (o *processOptions) dayCloses() *jobs.DayCloseSchedule {
	if o.closeDayAt.off {
		return nil
	}
	return &jobs.DayCloseSchedule{Zone: o.timeZone, At: o.closeDayAt.at}
}

func (p *process) startAPI(ctx context.Context) (err error) {
	if p.listen == "" {
		return nil
	}
	inserter, err := jobs.NewInserter(p.pool, p.metrics, p.log, p.insertPlugins()...)
	if err != nil {
		return err
	}
	p.api, err = server.New(server.Options{
		DB: p.pool, Jobs: inserter, Log: p.log, Registerer: p.registry, TrustedProxies: p.trustedProxies,
		ReversalApproval: p.reversalApproval, ChangeApproval: p.changeApproval,
		TimeZone: p.timeZone, CutOff: p.cutOff, OIDC: p.oidc, WebhookNetworks: p.webhookNetworks,
		Tracer: p.requestTracer(),
	})
	if err != nil {
		return fmt.Errorf("make API: %w", err)
	}
	if err := p.mountPages(ctx, inserter); err != nil {
		return err
	}
	p.apiHTTP, err = listen(ctx, p.listen, p.api.Handler(), p.log, p.fail)
	if err != nil {
		return fmt.Errorf("API listener: %w", err)
	}
	return nil
}

// fail ends the process because of an error that happened by itself.
func (p *process) fail(err error) {
	select {
	case p.failed <- err:
	default: // It already ends.
	}
}

// wait returns when ctx has ended, or a part of the process has failed, and
// everything is stopped.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return p.stop(ctx)
	case err := <-p.failed:
		return errors.Join(err, p.stop(ctx))
	}
}

// stop ends the process gently: first it is no longer ready, then requests and
// jobs finish side by side, and what has not by the end of the stop timeout is
// cut off. Nothing is lost by that: an unanswered request was stored or not, and
// a cancelled job rolls back. The admin listener goes last, to be watched.
func (p *process) stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	p.stopping.Store(true)
	if p.started.Load() && p.apiHTTP != nil {
		time.Sleep(p.drainDelay)
	}
	soft, cancel := context.WithTimeout(ctx, p.stopTimeout)
	defer cancel()

	var parts errgroup.Group
	parts.Go(func() error {
		if p.api != nil {
			p.api.StopWaiting()
		}
		err := p.apiHTTP.stop(soft)
		if p.api != nil {
			p.api.Close()
		}
		return err
	})
	parts.Go(func() error {
		if p.worker == nil {
			return nil
		}
		return p.worker.Stop(soft)
	})
	err := parts.Wait()
	if p.wal != nil { // After them, so that most of what they wrote is stored; the rest another process stores.
		p.wal.Stop()
	}
	err = errors.Join(err, p.adminHTTP.stop(soft))
	if p.pool != nil {
		p.pool.Close()
	}
	if p.exporter != nil {
		err = errors.Join(err, p.exporter.Stop(ctx))
	}
	if p.started.Load() {
		p.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	}
	return err
}
