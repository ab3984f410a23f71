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

// glanceCache keeps what is seen at a glance, so that many who look read it once.
type glanceCache struct {
	read func(context.Context) (operations, error)

	mu     sync.Mutex
	readAt time.Time
	seen   operations
}

// get returns what was read within the last seconds, or reads it.
func (c *glanceCache) get(ctx context.Context) (operations, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.readAt) < glanceFor {
		return c.seen, nil
	}
	seen, err := c.read(ctx)
	if err == nil {
		c.seen, c.readAt = seen, time.Now()
	}
	return seen, err
}

const (
	// portfolioFor is how old the figures of the portfolio may be.
	portfolioFor = 5 * time.Minute
	// portfolioTimeout bounds the reading of them, for which nobody waits long.
	portfolioTimeout = 30 * time.Second
	// portfolioPatience is how long a request waits for the first of them.
	portfolioPatience = time.Second
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

// portfolioFigures keeps the figures of the portfolio. They are read behind the
// request's back: whoever asks gets what there is, and only the first waits a moment.
type portfolioFigures struct {
	read func(context.Context) (*portfolioGlance, error)
	log  *slog.Logger

	mu      sync.Mutex
	seen    *portfolioGlance
	readAt  time.Time     // when reading last began
	running chan struct{} // closed when the reading under way is over; nil where none is
	work    sync.WaitGroup
}

// get returns the figures, or nil where there are none yet.
func (f *portfolioFigures) get(ctx context.Context) *portfolioGlance {
	f.mu.Lock()
	if f.running == nil && time.Since(f.readAt) >= portfolioFor {
		f.running, f.readAt = make(chan struct{}), time.Now()
		f.work.Go(func() { f.refresh(context.WithoutCancel(ctx)) })
	}
	seen, running := f.seen, f.running
	f.mu.Unlock()
	if seen != nil || running == nil {
		return seen
	}
	patience := time.NewTimer(portfolioPatience)
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

func (f *portfolioFigures) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, portfolioTimeout)
	defer cancel()
	seen, err := f.read(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.running)
	f.running = nil
	if err != nil {
		f.log.LogAttrs(ctx, slog.LevelWarn, "cannot read the figures of the portfolio", causeAttr(err))
		return
	}
	f.seen = seen
}

// close waits for the reading under way.
func (f *portfolioFigures) close() { f.work.Wait() }

func (s *Server) readPortfolio(ctx context.Context) (*portfolioGlance, error) {
	now := time.Now()
	shown := &portfolioGlance{AsOf: now.UTC(), PaymentsByDay: []dayOfPayments{}}
	held, err := s.q.GetHeldMoney(ctx)
	if err != nil {
		return nil, fmt.Errorf("get held money: %w", err)
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
		return nil, fmt.Errorf("get longest held loan: %w", err)
	}
	found, err := s.q.CountEscrowAttention(ctx)
	if err != nil {
		return nil, fmt.Errorf("count shortages: %w", err)
	}
	shown.ShortageLoans, shown.ShortageCents = found.ShortageLoans, mortgage.Cents(found.ShortageCents)
	shown.DeficiencyLoans, shown.DeficiencyCents = found.DeficiencyLoans, mortgage.Cents(found.DeficiencyCents)
	today := s.receiving.today(now)
	if shown.AnalysesDue, err = jobs.CountAnalysesDue(ctx, s.q, now, today); err != nil {
		return nil, fmt.Errorf("count analyses due: %w", err)
	}
	days, err := s.countPayments(ctx, s.startOf(today-trendDays+1), now.Add(time.Minute))
	shown.PaymentsByDay = append(shown.PaymentsByDay, days...)
	return shown, err
}
