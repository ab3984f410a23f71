// Command bench measures the engine beside the raw limit of the same machine in
// the same run, and prints the ratio. Absolute figures move from machine to
// machine; the ratios are the point.
//
// It brings up its own durable PostgreSQL (or uses DATABASE_URL, where it
// creates and drops a database of its own), boards a portfolio, and runs each
// pair of limit and path in turn for several rounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are the sizes of a run.
type options struct {
	loans    int
	payments int
	items    int
	rounds   int
	clients  int
	conns    int
	only     string
	profiles string // directory for profiles of the program under load; "" for none

	purgeRows int
	// pastLoans have been paid for pastPayments months, for whatever looks at all of
	// the books.
	pastLoans, pastPayments int
	// pageCalls is how often each operations page is asked for.
	pageCalls int
	// backupMB is the size of the database whose backups are measured.
	backupMB, backupRounds int
	analyses               int
	// walCommits is how many commits are followed into the archive of WAL.
	walCommits int
}

func main() {
	var o options
	flag.IntVar(&o.loans, "loans", 100_000, "loans in the portfolio")
	flag.IntVar(&o.payments, "payments", 20_000, "payments in each measurement")
	flag.IntVar(&o.items, "items", 100_000, "items of each file")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, after one that is not counted")
	flag.IntVar(&o.clients, "clients", 16, "database clients of the raw posting limit")
	flag.IntVar(&o.conns, "connections", 64, "HTTP connections")
	flag.IntVar(&o.purgeRows, "purge-rows", 400_000, "sessions, and login attempts, of which half are purged; 0 for none")
	flag.IntVar(&o.pastLoans, "past-loans", 0, "loans with a past, to measure a check of all of them; 0 for none")
	flag.IntVar(&o.pastPayments, "past-payments", 49, "payments of each loan with a past")
	flag.IntVar(&o.pageCalls, "pages", 0, "calls of each operations page; 0 for none")
	flag.IntVar(&o.backupMB, "backup-mb", 0, "size of a database to measure backups of; 0 for none")
	flag.IntVar(&o.backupRounds, "backup-rounds", 3, "rounds of backups, after one that is not counted")
	flag.IntVar(&o.walCommits, "wal-commits", 0, "commits to follow into the archive of WAL; 0 for none")
	flag.StringVar(&o.only, "only", "", "measure only pairs whose path has this in its name")
	flag.IntVar(&o.analyses, "analyses", 10_000, "escrow analyses in each measurement")
	flag.StringVar(&o.profiles, "profiles", "", "leave CPU and allocation profiles of HTTP intake and of files here")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if flag.Arg(0) == rawCommand { // Started by rawInsert.
		if err := serveRaw(ctx, flag.Arg(1), flag.Arg(2), flag.Arg(3), flag.Arg(4)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		return
	}
	if err := run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// run measures every pair and prints the table.
func run(ctx context.Context, o options) error {
	b, err := setUp(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()

	table := newTable(pairs(o.only), o.rounds)
	for round := range o.counted() {
		fmt.Fprintf(os.Stderr, "round %d of %d%s\n", round, o.rounds, warmUp(round))
		for _, m := range b.measurements() {
			if !table.shows(m.name) {
				continue
			}
			rate, err := m.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if round > 0 {
				table.add(m.name, rate)
			}
		}
	}
	if o.rounds > 0 {
		table.print(os.Stdout)
	}
	if err := errors.Join(b.purges(ctx, os.Stdout), b.storePast(ctx)); err != nil {
		return err
	}
	return errors.Join(b.pages(ctx, os.Stdout), b.integrity(ctx, os.Stdout), b.backups(ctx, os.Stdout),
		b.walDelays(ctx, os.Stdout), b.checkBooks(ctx))
}

// counted is how many rounds there are, with the one that is not counted. None
// leaves only what has no rounds.
func (o options) counted() int {
	if o.rounds == 0 {
		return 0
	}
	return o.rounds + 1
}

func warmUp(round int) string {
	if round == 0 {
		return " (warm-up, not counted)"
	}
	return ""
}
