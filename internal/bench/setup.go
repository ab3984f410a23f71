package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/internal/database"
	"loanserve/internal/pgcluster"
	"loanserve/internal/postingrate"
	"loanserve/jobs"
	"loanserve/migrations"
)

// bench is a migrated database of its own with a boarded portfolio.
type bench struct {
	options
	url  string        // as a login that may become any role
	pool *pgxpool.Pool // as the application

	portfolio *postingrate.Portfolio

	log    *slog.Logger
	api    *api
	stored float64 // items a second, of the file that was posted last
	close  func()

	escrowSets int // boarded until now
}

// measurement returns how many payments a second went its way.
type measurement struct {
	name    string
	measure func(ctx context.Context) (perSecond float64, err error)
}

func (b *bench) measurements() []measurement {
	return []measurement{
		{rawPosting, func(ctx context.Context) (float64, error) { return b.portfolio.Raw(ctx, b.payments, b.clients) }},
		{jobPath, func(ctx context.Context) (float64, error) { return b.portfolio.Jobs(ctx, b.payments, workers) }},
		{rawInsert, b.rawInsert},
		{httpIntake, b.httpIntake},
		{httpToBooks, b.httpToBooks},
		{rawCopy, b.rawCopy},
		{rawSets, b.rawSets},
		{filePosted, b.filePosted},
		{fileStored, b.fileStored},
		{fileToBooks, b.fileToBooks},
		{escrowRaw, b.escrowRaw},
		{escrowPure, b.escrowPure},
		{escrowRun, b.escrowRun},
	}
}

func setUp(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{options: o, log: slog.New(slog.DiscardHandler), close: func() {}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := b.database(ctx); err != nil {
		return nil, err
	}
	if _, err := migrations.Up(ctx, b.url, b.log); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(b.url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	config.ConnConfig.RuntimeParams["role"] = "loanserve_app"
	config.MaxConns, config.AfterConnect = int32(o.clients), database.RegisterTypes
	if b.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	b.onClose(b.pool.Close)
	fmt.Fprintf(os.Stderr, "boarding %d loans\n", o.loans)
	owner, err := database.Open(ctx, b.url, database.Options{MaxConns: 2, ApplicationName: "loanserve bench"})
	if err != nil {
		return nil, err
	}
	b.onClose(owner.Close)
	b.portfolio = &postingrate.Portfolio{App: b.pool, Owner: owner, Loans: b.loans, Checkpoint: true, Log: b.log}
	if err := b.portfolio.Board(ctx); err != nil {
		return nil, err
	}
	if b.api, err = startAPI(ctx, b.url); err != nil {
		return nil, err
	}
	b.onClose(b.api.stop)
	return b, nil
}

// onClose adds a step before those that were added earlier.
func (b *bench) onClose(step func()) {
	before := b.close
	b.close = func() { step(); before() }
}

// database makes b.url a new, empty database, durable as production's is.
func (b *bench) database(ctx context.Context) error {
	server := os.Getenv("DATABASE_URL")
	if server == "" {
		binaries, err := pgcluster.Provision(ctx, func(s string) { fmt.Fprintln(os.Stderr, s) })
		if err != nil {
			return err
		}
		cluster, err := pgcluster.Start(ctx, pgcluster.Options{Binaries: binaries, Durable: true})
		if err != nil {
			return err
		}
		b.onClose(func() { _ = cluster.Stop() })
		server = cluster.URL("postgres")
	}
	name := "loanserve_bench_" + uuid.NewString()[:8]
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		return err
	}
	b.onClose(func() { _ = execute(context.WithoutCancel(ctx), server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	u.Path = "/" + name
	b.url = u.String()
	return nil
}

func execute(ctx context.Context, url, sql string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	config.RuntimeParams["loanserve.max_rows"] = strconv.Itoa(jobs.EveryRow)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%.40s: %w", sql, err)
	}
	return nil
}

// each executes statements one by one, as a login that may do anything.
func (b *bench) each(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if err := execute(ctx, b.url, sql); err != nil {
			return err
		}
	}
	return nil
}

// checkBooks refuses a fast run that got the money wrong.
func (b *bench) checkBooks(ctx context.Context) error {
	if err := b.portfolio.CheckBooks(ctx); err != nil {
		return err
	}
	fmt.Println("books checked: every seal intact, every loan equals its ledger")
	return nil
}
