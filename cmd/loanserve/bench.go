package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"loanserve/internal/postingrate"
)

// benchCommand measures an operator's own machine. It makes a database of its own on
// the server and sees no other.
type benchCommand struct {
	databaseFlags

	MigrateDatabaseURL databaseURL `name:"migrate-database-url" placeholder:"URL" setting:"MIGRATE_DATABASE_URL" secret:"" help:"The same server by a login that may create databases and become loanserve_owner; otherwise that of --database-url."`
	Payments           int         `default:"5000" placeholder:"N" help:"Payments to post each way, up to 100000; 5000 otherwise."`
	Seconds            int         `default:"3" placeholder:"N" help:"How long to measure round trips, and then commits, up to 600; 3 otherwise."`
	JSON               bool        `name:"json" help:"Print JSON."`
}

const (
	maxBenchPayments = 100_000
	maxBenchSeconds  = 600
	// benchPool is what --pool-size is where nobody says anything else.
	benchPool = 20
	// benchClients post the raw limit, and benchWorkers the payments, as many as in the
	// figures of docs/performance.md.
	benchClients, benchWorkers = 16, 200
)

// Validate implements kong.Validatable.
func (b *benchCommand) Validate() error {
	if b.Payments < 1 || b.Payments > maxBenchPayments {
		return fmt.Errorf("--payments: must be a whole number from 1 to %d", maxBenchPayments)
	}
	if b.Seconds < 1 || b.Seconds > maxBenchSeconds {
		return fmt.Errorf("--seconds: must be a whole number from 1 to %d", maxBenchSeconds)
	}
	return nil
}

// Run implements the command.
func (b *benchCommand) Run(ctx context.Context, p *program, c *cli) error {
	say := newProgress(p.stderr, p.logger(c, slog.LevelInfo))
	figures, err := b.measureThere(ctx, p, c, say)
	say.clear()
	if ctx.Err() != nil {
		return ctx.Err() // Whatever failed, failed because of that.
	}
	if err != nil {
		return err
	}
	return b.print(p, figures)
}

// measureThere makes the database, measures, and drops the database, also when ctx has
// ended. Where that is not possible it says so, and how.
func (b *benchCommand) measureThere(
	ctx context.Context, p *program, c *cli, say *progress,
) (f benchFigures, err error) {
	say.show("creating a database")
	db, err := b.createDatabase(ctx)
	if err != nil {
		return f, err
	}
	say.clear()
	fmt.Fprintf(p.stderr, "measuring in the database %s, which is dropped at the end\n", db.name)
	defer func() {
		say.show("dropping the database")
		if dropErr := db.drop(ctx); dropErr != nil {
			say.clear()
			fmt.Fprintf(p.stderr, "the database %s is still there: DROP DATABASE %s WITH (FORCE) removes it\n", db.name, db.name)
			err = errors.Join(err, dropErr)
		}
	}()
	say.show("migrating")
	log := p.logger(c, slog.LevelWarn)
	if err := db.open(ctx, log); err != nil {
		return f, err
	}
	return b.measure(ctx, db, say, log)
}

// benchFigures is what was measured.
type benchFigures struct {
	Server    benchServer    `json:"server"`
	RoundTrip benchLatencies `json:"round_trip"`
	Commit    benchLatencies `json:"commit"`
	// Payments were posted each way, so many in a second by the bare database and by
	// this program.
	Payments        int     `json:"payments"`
	RawPerSecond    float64 `json:"raw_per_second"`
	PostedPerSecond float64 `json:"posted_per_second"`
	Ratio           float64 `json:"ratio"`
}

// benchServer is what the figures depend on, of the server.
type benchServer struct {
	Version           string `json:"version"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
}

// durable says whether a commit is on the disk before it is answered.
func (s benchServer) durable() bool { return s.Fsync == "on" && s.SynchronousCommit != "off" }

func (b *benchCommand) measure(
	ctx context.Context, db *benchDatabase, say *progress, log *slog.Logger,
) (f benchFigures, err error) {
	err = db.app.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'),
  current_setting('synchronous_commit')`).Scan(&f.Server.Version, &f.Server.Fsync, &f.Server.SynchronousCommit)
	if err != nil {
		return f, fmt.Errorf("read settings: %w", err)
	}
	enough := time.Duration(b.Seconds) * time.Second
	say.show("measuring round trips")
	if f.RoundTrip, err = latencies(ctx, db.app, `SELECT 1`, enough); err != nil {
		return f, fmt.Errorf("round trips: %w", err)
	}
	say.show("measuring commits")
	if f.Commit, err = latencies(ctx, db.owner, `INSERT INTO `+benchTable+` VALUES (1)`, enough); err != nil {
		return f, fmt.Errorf("commits: %w", err)
	}
	loans := &postingrate.Portfolio{
		App: db.app, Owner: db.owner, Loans: postingrate.LoansFor(b.Payments),
		Checkpoint: false, // It would be the whole server's.
		Log:        log,
	}
	say.show("boarding loans")
	if err := loans.Board(ctx); err != nil {
		return f, err
	}
	// The first time is not counted: connections are made, and plans.
	for _, n := range []int{max(b.Payments/10, 1), b.Payments} {
		say.show("posting payments by the bare database")
		if f.RawPerSecond, err = loans.Raw(ctx, n, benchClients); err != nil {
			return f, fmt.Errorf("raw limit: %w", err)
		}
		say.show("posting payments by this program")
		if f.PostedPerSecond, err = loans.Jobs(ctx, n, benchWorkers); err != nil {
			return f, fmt.Errorf("post payments: %w", err)
		}
	}
	f.Payments, f.Ratio = b.Payments, f.PostedPerSecond/f.RawPerSecond
	say.show("checking the books")
	return f, loans.CheckBooks(ctx)
}

func (b *benchCommand) print(p *program, f benchFigures) error {
	if b.JSON {
		return printJSON(p.stdout, f)
	}
	t := newTable("MEASURED", " PER SECOND", " P50 MS", " P99 MS")
	t.add("round trip to the database", "", fmt.Sprintf("%.3f", f.RoundTrip.P50), fmt.Sprintf("%.3f", f.RoundTrip.P99))
	t.add("commit of one row", "", fmt.Sprintf("%.3f", f.Commit.P50), fmt.Sprintf("%.3f", f.Commit.P99))
	t.add("payments posted, one in a transaction, by the bare database", fmt.Sprintf("%.0f", f.RawPerSecond), "", "")
	t.add("payments posted by this program", fmt.Sprintf("%.0f", f.PostedPerSecond), "", "")
	if err := t.print(p.stdout); err != nil {
		return err
	}
	if !f.Server.durable() {
		fmt.Fprintln(p.stdout, "\nA commit waits for no disk here, so that a crash can lose what was committed. "+
			"This is\nno server for the books, and these are not the figures of one.")
	}
	_, err := fmt.Fprintf(p.stdout, `
This program posts %.2f times as many as the bare database. %d payments
were posted each way. PostgreSQL %s, fsync %s,
synchronous_commit %s.

A round trip is the network and the server's answer; much more than 1 ms means that
the program should run nearer to the database. A commit is a round trip and the wait
for the disk: what it takes longer is the disk. The bare database writes the same rows
by %d clients, one payment in each transaction, without arithmetic or a queue. Absolute
figures move with the machine and with what else it does; compare the ratio.
`, f.Ratio, f.Payments, f.Server.Version, f.Server.Fsync, f.Server.SynchronousCommit, benchClients)
	return err
}
