package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"loanserve/internal/localday"
	"loanserve/internal/statement"
	"loanserve/jobs"
)

// demoCommand shows the engine at work.
type demoCommand struct {
	migrateDemoFlags
	zoneFlags
	receiptFlags

	Exit        bool    `help:"End when the work is done, instead of staying up until Ctrl-C."`
	Listen      address `placeholder:"ADDRESS" setting:"LOANSERVE_LISTEN" help:"Address of the API; otherwise 127.0.0.1:8080, or a free port when that is taken."`
	AdminListen address `placeholder:"ADDRESS" setting:"LOANSERVE_ADMIN_LISTEN" help:"Address of the admin listener; otherwise 127.0.0.1:8081, or a free port."`
}

// migrateDemoFlags name the database, all of them optional.
type migrateDemoFlags struct {
	DatabaseURL        databaseURL `name:"database-url" placeholder:"URL" setting:"DATABASE_URL" secret:"" help:"PostgreSQL database that holds nothing but an earlier demo; otherwise a private one, removed at the end."`
	MigrateDatabaseURL databaseURL `name:"migrate-database-url" placeholder:"URL" setting:"MIGRATE_DATABASE_URL" secret:"" help:"The same database by a login that may become loanserve_owner; otherwise that of --database-url."`
}

const (
	// demoWorkers and demoPool suit a machine that also runs the database.
	demoWorkers = 8
	demoPool    = 12
	// demoStop is how long the demo's requests and jobs may take to end.
	demoStop = 10 * time.Second
)

// demo is one run of the demo.
type demo struct {
	*demoCommand

	program  *program
	progress *progress
	log      *slog.Logger // of the engine
	cleanups []func(context.Context) error
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context, p *program, cli *cli) (err error) {
	d := &demo{
		demoCommand: c, program: p, log: p.logger(cli, slog.LevelWarn),
		progress: newProgress(p.stderr, p.logger(cli, slog.LevelInfo)),
	}
	defer func() { err = errors.Join(err, d.cleanUp(ctx)) }()
	return d.run(ctx)
}

// later adds a step to be done at the end, before those added earlier.
func (d *demo) later(step func(context.Context) error) { d.cleanups = append(d.cleanups, step) }

func (d *demo) cleanUp(ctx context.Context) error {
	d.progress.clear()
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, step := range slices.Backward(d.cleanups) {
		errs = append(errs, step(ctx))
	}
	return errors.Join(errs...)
}

func (d *demo) run(ctx context.Context) error {
	database, err := d.openDatabase(ctx)
	if err != nil {
		return err
	}
	token, err := database.lendToken(ctx)
	if err != nil {
		return err
	}
	d.later(database.endToken)
	process, err := d.startEngine(ctx, database)
	if err != nil {
		return err
	}
	d.later(process.stop)
	password, err := d.admitPeople(ctx, database)
	if err != nil {
		return err
	}
	env := writeDemoEnv(d.program.dir, process.apiHTTP.url(), process.adminHTTP.url(), token, password)
	d.later(env.remove)

	api := newDemoClient(process.apiHTTP.url(), token)
	outcome, err := d.work(ctx, api)
	if err != nil {
		return err
	}
	books, err := database.checkBooks(ctx)
	if err != nil {
		return err
	}
	if books.integrity, err = jobs.CheckNow(ctx, process.pool, true, func(_, _ int64) {}); err != nil {
		return fmt.Errorf("check integrity: %w", err)
	}
	d.progress.clear()
	report := demoReport{
		outcomes: outcome, books: books, process: process, env: env, private: d.DatabaseURL == "", password: password,
	}
	if err := report.print(d.program.stdout, d.Exit); err != nil {
		return err
	}
	if !books.inOrder() {
		return errFinding
	}
	if d.Exit {
		return nil
	}
	select {
	case <-ctx.Done():
		d.progress.done(ctx, "stopping")
		return nil
	case err := <-process.failed:
		return err
	}
}

// admitPeople lets people log in to the operations page of a demo that stays up.
func (d *demo) admitPeople(ctx context.Context, database *demoDatabase) (password string, err error) {
	if d.Exit {
		return "", nil
	}
	d.later(database.dismissPeople)
	return database.admitPeople(ctx)
}

func (d *demo) startEngine(ctx context.Context, database *demoDatabase) (*process, error) {
	listen, err := orFree(ctx, d.Listen, "127.0.0.1:8080")
	if err != nil {
		return nil, err
	}
	admin, err := orFree(ctx, d.AdminListen, "127.0.0.1:8081")
	if err != nil {
		return nil, err
	}
	process, err := startProcess(ctx, processOptions{
		databaseURL: database.appURL, poolSize: demoPool, workers: demoWorkers,
		timeZone: d.TimeZone.Location, cutOff: localday.Hour(d.CutOff),
		closeDayAt: closeHour{at: 0, off: true}, // The demo's loans live in a month of their own.
		listen:     listen, adminListen: admin, stopTimeout: demoStop, drainDelay: 0, log: d.log,
		reversalApproval: true, // One of the demo's people approves what another asks for.
		servicer: statement.Servicer{
			Name: "LoanServe Demo Servicing", Address: "1 Demo Plaza, Springfield, IL 62701", Phone: "1-800-555-0100",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	d.progress.done(ctx, "API and workers started", slog.String("url", process.apiHTTP.url()))
	return process, nil
}

// orFree returns the address that was asked for, or else the usual one, or a
// free port where that one is taken.
func orFree(ctx context.Context, asked, usual address) (address, error) {
	if asked != "" {
		return asked, nil
	}
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", string(usual))
	if err != nil {
		return "127.0.0.1:0", nil //nolint:nilerr // Taken, for whatever reason.
	}
	if err := socket.Close(); err != nil {
		return "", fmt.Errorf("release %s: %w", usual, err)
	}
	return usual, nil
}
