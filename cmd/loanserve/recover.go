package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/term"

	"loanserve/recovery"
	"loanserve/server"
)

type recoverCommand struct {
	Find recoverFindCommand `cmd:"" help:"Read the archived WAL for transactions that deleted rows of loans, and say which loans are missing."`
	Rows recoverRowsCommand `cmd:"" default:"withargs" help:"Bring back what a transaction deleted, and keep all that was written since."`
}

type recoverRowsCommand struct {
	storeFlags
	keyFlags
	migrateFlags

	Loans       loanList `placeholder:"LIST" help:"Loans to bring back, by id or number: 1-16,19,LS-1004. Otherwise all that was deleted."`
	BeforeXID   uint64   `name:"before-xid" xor:"what" placeholder:"N" help:"The transaction that deleted them, as recover find or history.xid names it."`
	ToTime      moment   `name:"to-time" xor:"what" placeholder:"TIME" help:"Find the transactions that deleted loans at this time or later, and undo those: 2026-11-28T03:04:05-05:00."`
	DeletedOnly bool     `help:"Leave rows as they are that the transaction changed, and bring back only what it deleted."`
	DryRun      bool     `help:"Show what would be done, and change nothing."`
	Yes         bool     `help:"Do not ask whether to go on."`
}

// loanList is a list of loans.
type loanList struct{ recovery.Loans }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *loanList) UnmarshalText(text []byte) (err error) {
	l.Loans, err = recovery.ParseLoans(string(text))
	return err
}

var (
	errNoTransaction = errors.New("--before-xid or --to-time: say which transaction deleted them; " +
		"`loanserve recover find` lists those that did")
	errAskNobody = errors.New("--yes or --dry-run: is needed where nobody can be asked")
)

// maxTransactions is how many transactions are undone at once: each takes two restored
// servers.
const maxTransactions = 10

// Run implements the command.
func (r *recoverRowsCommand) Run(ctx context.Context, p *program, c *cli) error {
	url, err := r.url()
	if err != nil {
		return err
	}
	if r.BeforeXID == 0 && r.ToTime.IsZero() {
		return usageError{errNoTransaction}
	}
	if !r.DryRun && !r.Yes && !term.IsTerminal(int(os.Stdin.Fd())) {
		return usageError{errAskNobody}
	}
	salvage, err := recovery.Open(ctx, url) // First, because it is what fails soonest.
	if err != nil {
		return err
	}
	defer salvage.Close(ctx)
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	defer shown.clear()
	began := time.Now()
	xids, err := r.transactions(ctx, p, url, shown)
	if err != nil {
		return err
	}
	salvage.DeletedOnly = r.DeletedOnly
	salvage.Origin = recovery.Origin{Actor: server.Operator.ID, ActorName: who(), XIDs: xids}
	images, err := r.collect(ctx, p, url, salvage, xids, shown)
	defer func() {
		for _, i := range images {
			if err := i.Close(); err != nil {
				fmt.Fprintf(p.stderr, "loanserve: %v\n", err)
			}
		}
	}()
	if err == nil {
		err = salvage.Select(ctx, r.Loans.Loans)
	}
	if err != nil {
		return err
	}
	shown.clear()
	return r.merge(ctx, p, url, salvage, recovered{
		XIDs: xids, DryRun: r.DryRun, began: began, imagesMade: time.Since(began),
	})
}

// transactions returns what to undo, the newest first.
func (r *recoverRowsCommand) transactions(ctx context.Context, p *program, url string, shown *progress,
) ([]string, error) {
	if r.BeforeXID != 0 {
		return []string{strconv.FormatUint(r.BeforeXID, 10)}, nil
	}
	s, err := r.open(ctx, p)
	if err != nil {
		return nil, err
	}
	options, err := r.options(s)
	if err != nil {
		return nil, err
	}
	shown.show("read the archived WAL")
	found, err := recovery.Find(ctx, options, url, r.ToTime.Time)
	if err != nil {
		return nil, err
	}
	if found.Gap != "" {
		return nil, errors.New(found.Gap)
	}
	if found.From.After(r.ToTime.Time) {
		fmt.Fprintf(p.stderr, "loanserve: the oldest physical backup began at %s, and what was deleted before is not found\n",
			found.From.Format(time.RFC3339))
	}
	var xids []string
	for _, t := range found.Takings {
		if t.TookLoans() {
			xids = append(xids, strconv.FormatUint(t.XID, 10))
		}
	}
	if len(xids) == 0 {
		return nil, fmt.Errorf("no transaction deleted loans at %s or later, as far as WAL is archived; "+
			"one that emptied or dropped tables is named by --before-xid", r.ToTime.Format(time.RFC3339))
	}
	if len(xids) > maxTransactions {
		return nil, fmt.Errorf("%d transactions deleted loans, which is more than %d: "+
			"undo them one by one with --before-xid, the newest first: %s", len(xids), maxTransactions, strings.Join(xids, " "))
	}
	return xids, nil
}

// collect restores images of each transaction and compares them. The first pair stays
// up for the merge, which looks into it once more.
func (r *recoverRowsCommand) collect(ctx context.Context, p *program, url string, salvage *recovery.Salvage,
	xids []string, shown *progress,
) (up []*recovery.Images, err error) {
	s, err := r.open(ctx, p)
	if err != nil {
		return nil, err
	}
	options, err := r.options(s)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	for n, xid := range xids {
		number, err := strconv.ParseUint(xid, 10, 64)
		if err != nil {
			return up, err
		}
		options.Progress = watchBytes(shown, "restore images of before and after transaction "+xid)
		images, err := recovery.MakeImages(ctx, options, number)
		if err != nil {
			return up, err
		}
		before, after := images.URLs(config.Database)
		err = salvage.Collect(ctx, before, after, func(table string, done, total int) {
			shown.count("compare tables ("+table+")", done, total)
		})
		if n == 0 {
			up = append(up, images)
		} else {
			err = errors.Join(err, images.Close())
		}
		if err != nil {
			return up, err
		}
	}
	return up, nil
}

// merge shows the plan, asks, and puts back.
func (r *recoverRowsCommand) merge(
	ctx context.Context, p *program, url string, salvage *recovery.Salvage, done recovered,
) error {
	plan, err := salvage.Plan(ctx)
	if err != nil {
		return err
	}
	done.Plan = plan
	if !r.JSON {
		if err := done.printPlan(p.stdout); err != nil {
			return err
		}
	}
	if len(plan.Conflicts) > 0 || plan.Empty() || r.DryRun {
		return r.end(p, &done)
	}
	if !r.Yes && !agreed(p, "Type yes to put this back: ") {
		return r.end(p, &done)
	}
	began := time.Now()
	done.Plan, err = salvage.Merge(ctx)
	if errors.Is(err, recovery.ErrConflicts) { // Of something that was written while the plan was read.
		return errors.Join(done.printPlan(p.stderr), err)
	}
	if err != nil {
		return err
	}
	done.Merged, done.merge = true, time.Since(began)
	if err := r.end(p, &done); err != nil {
		return err
	}
	return warnOfGuards(ctx, p, url)
}

// end prints what came of it.
func (r *recoverRowsCommand) end(p *program, done *recovered) error {
	done.TookSeconds = time.Since(done.began).Round(time.Millisecond).Seconds()
	done.ImagesSeconds = done.imagesMade.Round(time.Millisecond).Seconds()
	done.MergeSeconds = done.merge.Round(time.Millisecond).Seconds()
	var err error
	if r.JSON {
		err = printJSON(p.stdout, done)
	} else {
		_, err = fmt.Fprintln(p.stdout, done.sentence())
	}
	if err == nil && len(done.Plan.Conflicts) > 0 {
		err = errFinding
	}
	return err
}

// agreed reads an answer from the terminal, and says whether it is yes.
func agreed(p *program, question string) bool {
	fmt.Fprint(p.stderr, question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.TrimSpace(answer) == "yes"
}

// who names the person at the command line, as far as the system knows him.
func who() string {
	name := server.Operator.Name
	if u, err := user.Current(); err == nil {
		name += " (" + u.Username + ")"
	}
	return name
}
