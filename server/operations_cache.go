package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/mortgage"
)

const (
	// portfolioFor is how old the figures of the portfolio may be.
	portfolioFor = 5 * time.Minute
	// portfolioTimeout bounds the reading of them, for which nobody waits long.
	portfolioTimeout = 30 * time.Second
	// portfolioPatience is how long a request waits for the first of them.
	portfolioPatience = time.Second
	// glanceFor, glanceTimeout and glancePatience are the same of what is seen at a
	// glance: many look at it at once.
	glanceFor      = 10 * time.Second
	glanceTimeout  = 10 * time.Second
	glancePatience = 5 * time.Second
	// trendDays is how many days of payments are shown.
	trendDays = 30
)

// portfolioGlance is what all loans, or a month's payments, are read for.
type portfolioGlance struct {
	AsOf            time.Time       `json:"as_of" doc:"When it was read."`
	SuspenseCents   mortgage.Cents  `json:"suspense_cents" doc:"What all loans hold in suspense."`
	SuspenseLoans   int64           `json:"suspense_loans"`
	LongestHeld     *heldLoan       `json:"longest_held,omitzero" nullable:"false" doc:"Of those the one whose books have rested longest."`
	ShortageLoans   int64           `json:"shortage_loans" doc:"Loans whose latest escrow analysis, within thirteen months, found a shortage."`
	ShortageCents   mortgage.Cents  `json:"shortage_cents"`
	DeficiencyLoans int64           `json:"deficiency_loans"`
	DeficiencyCents mortgage.Cents  `json:"deficiency_cents"`
	AnalysesDue     int64           `json:"analyses_due" doc:"Loans whose next computation year is to be analyzed by now."`
	PaymentsByDay   []dayOfPayments `json:"payments_by_day" doc:"The last thirty days, those without payments left out."`
}

// heldLoan is a loan that holds money in suspense.
type heldLoan struct {
	LoanID        int64          `json:"loan_id"`
	LoanNumber    string         `json:"loan_number"`
	SuspenseCents mortgage.Cents `json:"suspense_cents"`
	SinceOn       date           `json:"since_on" doc:"The day of the last entry in its books."`
}

// figures keeps what costs something to read. It is read behind the requests' backs:
// whoever asks gets what there is, a little old as it may be, while it is read anew.
// Only where there is nothing yet, or what there is is far too old, a request waits.
type figures[T any] struct {
	read     func(context.Context) (T, error)
	log      *slog.Logger
	maxAge   time.Duration // after which it is read anew
	timeout  time.Duration // of reading
	patience time.Duration // of a request that has to wait

	mu      sync.Mutex
	seen    *T
	seenAt  time.Time     // when what is seen was read
	readAt  time.Time     // when reading last began
	running chan struct{} // closed when the reading under way is over; nil where none is
	work    sync.WaitGroup
}

// get returns the figures, or nil where there are none in time.
func (f *figures[T]) get(ctx context.Context) *T {
	f.mu.Lock()
	if f.running == nil && time.Since(f.readAt) >= f.maxAge {
		f.running, f.readAt = make(chan struct{}), time.Now()
		f.work.Go(func() { f.refresh(context.WithoutCancel(ctx)) })
	}
	const tooOld = 6
	seen, running := f.seen, f.running
	enough := seen != nil && time.Since(f.seenAt) < tooOld*f.maxAge
	f.mu.Unlock()
	if enough || running == nil {
		return seen
	}
	patience := time.NewTimer(f.patience)
	defer patience.Stop()
	select {
	case <-running:
	case <-patience.C:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func (f *figures[T]) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	seen, err := f.read(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.running)
	f.running = nil
	if err != nil {
		f.readAt = time.Time{} // The next who asks tries again.
		f.log.LogAttrs(ctx, slog.LevelWarn, "cannot read figures for operators", causeAttr(err))
		return
	}
	f.seen, f.seenAt = &seen, time.Now()
}

// close waits for the reading under way.
func (f *figures[T]) close() { f.work.Wait() }

func (s *Server) readPortfolio(ctx context.Context) (portfolioGlance, error) {
	now := time.Now()
	shown := portfolioGlance{AsOf: now.UTC(), PaymentsByDay: []dayOfPayments{}}
	held, err := s.q.GetHeldMoney(ctx)
	if err != nil {
		return shown, fmt.Errorf("get held money: %w", err)
	}
	shown.SuspenseCents, shown.SuspenseLoans = mortgage.Cents(held.Cents), held.Loans
	longest, err := s.q.GetLongestHeldLoan(ctx)
	switch {
	case err == nil:
		shown.LongestHeld = &heldLoan{
			LoanID: longest.ID, LoanNumber: longest.LoanNumber, SuspenseCents: longest.SuspenseCents,
			SinceOn: date{longest.LastEffectiveOn},
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return shown, fmt.Errorf("get longest held loan: %w", err)
	}
	found, err := s.q.CountEscrowAttention(ctx)
	if err != nil {
		return shown, fmt.Errorf("count shortages: %w", err)
	}
	shown.ShortageLoans, shown.ShortageCents = found.ShortageLoans, mortgage.Cents(found.ShortageCents)
	shown.DeficiencyLoans, shown.DeficiencyCents = found.DeficiencyLoans, mortgage.Cents(found.DeficiencyCents)
	today := s.receiving.today(now)
	if shown.AnalysesDue, err = jobs.CountAnalysesDue(ctx, s.q, now, today); err != nil {
		return shown, fmt.Errorf("count analyses due: %w", err)
	}
	days, err := s.countPayments(ctx, s.startOf(today-trendDays+1), now.Add(time.Minute))
	shown.PaymentsByDay = append(shown.PaymentsByDay, days...)
	return shown, err
}
