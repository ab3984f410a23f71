package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/database"
	"loanserve/internal/pastloans"
	"loanserve/internal/postingrate"
	"loanserve/jobs"
)

// looks is how often the loss alarm looks, for its median.
const looks = 9

// storePast stores loans that have been paid for years.
func (b *bench) storePast(ctx context.Context) error {
	if b.pastLoans == 0 {
		return nil
	}
	fmt.Fprintf(os.Stderr, "storing %d loans with %d payments each\n", b.pastLoans, b.pastPayments)
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := database.RegisterTypes(ctx, conn); err != nil {
		return err
	}
	if _, _, err := pastloans.Store(ctx, conn, b.pastLoans, b.pastPayments); err != nil {
		return err
	}
	return b.each(ctx, "VACUUM ANALYZE loans", "VACUUM ANALYZE payments", "VACUUM ANALYZE transactions",
		"VACUUM ANALYZE loan_register", "CHECKPOINT")
}

// integrity measures a check of everything that is stored beside one statement
// that only recomputes the seals, and what payments notice of it. Where pages are
// measured the loans with a past are for them.
func (b *bench) integrity(ctx context.Context, out io.Writer) error {
	if b.pastLoans == 0 || b.pageCalls > 0 {
		return nil
	}
	look, err := b.look(ctx)
	if err != nil {
		return err
	}
	raw, err := b.rawSeals(ctx)
	if err != nil {
		return err
	}
	c, err := b.api.start(ctx, workers)
	if err != nil {
		return err
	}
	defer func() { _ = c.stop() }()
	// A worker that begins to lead checks everything, unless that was done this week.
	if err := b.untilChecked(ctx); err != nil {
		return err
	}
	quiet, err := b.checkAll(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "payments alone, then with the check")
	alone, err := b.payFor(ctx, c.base, paymentsAlone)
	if err != nil {
		return err
	}
	var busy fullCheck
	beside, err := b.payWhile(ctx, c.base, func(ctx context.Context) (err error) {
		busy, err = b.checkAll(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return printIntegrity(out, quiet, busy, raw, look, alone, beside)
}

// fullCheck is a check of everything, made by the program in a process of its own.
type fullCheck struct {
	loans, transactions int64
	took                time.Duration
	peak                int64 // bytes of memory at most
}

func printIntegrity(out io.Writer, quiet, busy fullCheck, raw, look time.Duration, alone, beside flow) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "check of %d loans, %d transactions\tseconds\tloans/s\ttransactions/s\tmemory peak MiB\t"+
		"seals in one statement, s\tratio\n", quiet.loans, quiet.transactions)
	for name, check := range map[string]fullCheck{"alone": quiet, "with payments": busy} {
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.0f\t%d\t%.1f\t%.2f\n", name, check.took.Seconds(),
			float64(check.loans)/check.took.Seconds(), float64(check.transactions)/check.took.Seconds(), check.peak/mebi,
			raw.Seconds(), raw.Seconds()/check.took.Seconds())
	}
	fmt.Fprintf(w, "\nlook of the loss alarm, median of %d\t%v\n", looks, look.Round(100*time.Microsecond))
	printFlows(w, "with the check", alone, beside)
	return w.Flush()
}

// printFlows prints what payments at the steady rate noticed of something.
func printFlows(w io.Writer, name string, alone, beside flow) {
	fmt.Fprintf(w, "\n%d payments a second\tn\tanswered p50\tp99\tratio to alone\tposted p50\tp99\tratio to alone\n",
		paymentsPerSecond)
	print := func(name string, f flow) {
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%.2f\t%v\t%v\t%.2f\n", name, len(f.answered.took),
			f.answered.quantile(50), f.answered.quantile(99), f.answered.ratioTo(alone.answered, 99),
			f.posted.quantile(50), f.posted.quantile(99), f.posted.ratioTo(alone.posted, 99))
	}
	print("alone", alone)
	print(name, beside)
}

// payFor has payments come in for so long.
func (b *bench) payFor(ctx context.Context, base string, long time.Duration) (flow, error) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	return b.pay(ctx, base)
}

// payWhile has payments come in while something is done.
func (b *bench) payWhile(ctx context.Context, base string, do func(ctx context.Context) error) (f flow, err error) {
	paying, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- do(ctx)
	}()
	f, err = b.pay(paying, base)
	return f, errors.Join(err, <-done)
}

// look has the loss alarm look at everything, again and again.
func (b *bench) look(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range looks {
		start := time.Now()
		seen, err := jobs.Watch(ctx, b.pool)
		if err != nil {
			return 0, err
		}
		if seen.Missing+seen.Unregistered+seen.EntriesMissing > 0 {
			return 0, fmt.Errorf("loans are missing: %+v", seen)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[looks/2], nil
}

// rawSeals is the limit: every seal computed again where the rows are, and nothing
// else looked at.
func (b *bench) rawSeals(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	var broken int64
	if err := b.pool.QueryRow(ctx, `SELECT count(*) FROM broken_seals`).Scan(&broken); err != nil {
		return 0, fmt.Errorf("check seals: %w", err)
	}
	if broken > 0 {
		return 0, fmt.Errorf("%d seals are broken", broken)
	}
	return time.Since(start), nil
}

// untilChecked returns once no run is under way.
func (b *bench) untilChecked(ctx context.Context) error {
	return postingrate.Until(ctx, func() (none bool, err error) {
		err = b.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM river.river_job
  WHERE state IN ('available', 'running', 'retryable') AND queue IN ('integrity', 'alarm'))
  AND EXISTS (SELECT FROM runs WHERE kind = 'check_integrity' AND finished_at IS NOT NULL)`).Scan(&none)
		return none, err
	})
}

// checkAll checks everything in a process of its own.
func (b *bench) checkAll(ctx context.Context) (c fullCheck, err error) {
	err = b.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM loans), (SELECT count(*) FROM transactions)`).
		Scan(&c.loans, &c.transactions)
	if err != nil {
		return c, fmt.Errorf("count: %w", err)
	}
	cmd := b.api.command(ctx, "check", "integrity", "--full", "--json")
	start := time.Now()
	said, err := cmd.Output()
	c.took = time.Since(start)
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		return c, fmt.Errorf("check integrity: %w\n%s", err, said)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		const kibi = 1024
		c.peak = usage.Maxrss * kibi
	}
	return c, nil
}
