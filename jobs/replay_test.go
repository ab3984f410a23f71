package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/loanrow"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

const (
	replayMonths = 60
	replaySeed   = 20_261_124
)

// Loans live for sixty months, a thousand of them in the long tests: payments early, late, short, long,
// designated, found late, returned, returned by mistake; late charges, fees, waivers, changes of rate,
// payment and escrow; bills paid from escrow, in time and late, and returned; scheduled
// and daily interest. At the end each loan's stored
// balances and the transactions that stand are those of a rebuild, by the
// arithmetic alone, from its boarded state and what happened to it.
func TestBooksEqualTheirRebuild(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	loans := testdb.Scale(120, 1_000)
	lives := make([]*life, loans)
	for i := range lives {
		lives[i] = newLife(t, db.App, i)
	}
	var halves errgroup.Group // Two workers, as in a process.
	for half := range slices.Chunk(lives, loans/2) {
		halves.Go(func() error {
			for month := range replayMonths {
				if err := liveAMonth(t, db.App, half, month); err != nil {
					return fmt.Errorf("seed %d, month %d: %w", replaySeed, month, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, halves.Wait())

	var happened [kinds]int
	for _, l := range lives {
		l.requireRebuilt(t, db.App)
		for kind, n := range l.happened {
			happened[kind] += n
		}
	}
	for kind, n := range happened {
		require.Greater(t, n, loans/10, "too little happened of kind %d", kind)
	}
	for _, view := range []string{"broken_seals", "unreconciled_loans"} {
		var n int
		require.NoError(t, db.App.QueryRow(t.Context(), "SELECT count(*) FROM "+view).Scan(&n))
		require.Zero(t, n, view)
	}
	requireInOrder(t, db)
	t.Logf("payments, found late, reversals, changes, undone, bills paid, bills returned: %v", happened)
}

// What a life counts.
const (
	paid = iota
	foundLate
	returned
	restored
	changed
	billPaid
	billReturned
	kinds
)

// life is a loan and all that happens to it, as whoever makes it up knows it.
type life struct {
	loan     queries.Loan
	terms    mortgage.Terms
	boarded  mortgage.State
	receipts map[uuid.UUID]mortgage.Receipt // that count
	back     []takenBack
	fees     []mortgage.Fee
	through  mortgage.Date
	random   *rand.Rand
	happened [kinds]int
}

func newLife(t *testing.T, db *pgxpool.Pool, i int) *life {
	t.Helper()
	random := rand.New(rand.NewPCG(replaySeed, uint64(i)))
	loan := testdb.Loan(t, db, func(p *queries.InsertLoanParams) { drawTerms(t, p, random) })
	if random.IntN(4) == 0 {
		testdb.ARMTerms(t, db, loan)
	}
	if i%3 == 0 {
		testdb.EscrowLine(t, db, loan, func(p *queries.InsertEscrowLineParams) {
			p.AmountCents, p.EveryMonths = mortgage.Cents(1+random.Int64N(5_000_00)), 12
			p.NextDueOn = testdb.Date("2026-02-15") + mortgage.Date(random.IntN(365))
		})
	}
	opening, err := queries.New(db).GetBoarding(t.Context(), loan.ID)
	require.NoError(t, err)
	return &life{
		loan: loan, terms: loanrow.Terms(&loan), boarded: loanrow.Boarded(&loan, &opening),
		receipts: map[uuid.UUID]mortgage.Receipt{}, through: mortgage.DateOf(loan.BoardedAt), random: random,
	}
}

// drawTerms makes the sample loan another one.
func drawTerms(t *testing.T, p *queries.InsertLoanParams, random *rand.Rand) {
	t.Helper()
	months := 24 + random.IntN(330) // Some are paid in full while they are watched.
	dueDay := 1 + random.IntN(31)
	nextDueOn, err := testdb.Date("2026-02-01").AddMonths(0, dueDay)
	require.NoError(t, err)
	p.DueDay, p.NextDueOn = int16(dueDay), nextDueOn
	p.MaturityOn, err = nextDueOn.AddMonths(months-1, dueDay)
	require.NoError(t, err)
	p.PrincipalCents = mortgage.Cents(20_000_00 + random.Int64N(600_000_00))
	p.OriginalPrincipalCents, p.RatePpm = p.PrincipalCents, mortgage.Rate(random.Int64N(90_000))
	p.PrincipalAndInterestCents, err = mortgage.LevelPayment(p.PrincipalCents, p.RatePpm, months, mortgage.RoundHalfUp)
	require.NoError(t, err)
	p.EscrowPaymentCents = mortgage.Cents(random.Int64N(900_00))
	p.SuspenseCents, p.LateChargesDueCents = mortgage.Cents(random.Int64N(300_00)), mortgage.Cents(random.Int64N(90_00))
	p.ApplicationOrder = pick(random, mortgage.ConventionalOrder, mortgage.FHAOrder)
	p.ExcessPolicy = pick(random, mortgage.ExcessToPrincipal, mortgage.ExcessToNextInstallment, mortgage.ExcessToSuspense)
	p.Rounding = pick(random, mortgage.RoundHalfUp, mortgage.RoundHalfEven)
	p.LateChargeGraceDays = int16(random.IntN(20))
	p.ReturnedPaymentFeeCents = pick(random, 0, mortgage.Cents(25_00))
	if random.IntN(3) == 0 {
		p.InterestMethod = mortgage.DailySimpleInterest
		p.InterestAccruedToOn = testdb.Date("2026-01-01") + mortgage.Date(random.IntN(15))
		p.AccruedInterestCents = mortgage.Cents(random.Int64N(50_00))
	}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// liveAMonth lets a month pass for some loans: payments in one transaction, what
// comes back, what changes, and the close of a day.
func liveAMonth(t *testing.T, db *pgxpool.Pool, lives []*life, month int) error {
	t.Helper()
	if err := payAMonth(t, db, lives, month); err != nil {
		return err
	}
	for _, l := range lives {
		var err error
		switch l.random.IntN(100) {
		case 0, 1, 2:
			err = l.sendBack(t, db)
		case 3, 4:
			err = l.change(t, db, month)
		case 5, 6, 7, 8, 9, 10:
			err = l.countAgain(t, db)
		case 11, 12:
			err = l.returnBill(t, db)
		}
		if err != nil {
			return fmt.Errorf("loan %d: %w", l.loan.ID, err)
		}
	}
	on, err := testdb.Date("2026-02-25").AddMonths(month, 25)
	if err != nil {
		return err
	}
	if month%2 == 0 { // Before the close, and behind many payments.
		if err := payBills(t, db, lives, on-10); err != nil {
			return err
		}
		return closeFor(t, db, lives, on)
	}
	if err := closeFor(t, db, lives, on); err != nil {
		return err
	}
	return payBills(t, db, lives, on)
}

// payAMonth stores what the borrowers send for a month, and posts it.
func payAMonth(t *testing.T, db *pgxpool.Pool, lives []*life, month int) error {
	t.Helper()
	var arg queries.InsertPaymentsParams
	sent := map[uuid.UUID]*life{}
	for _, l := range lives {
		for range pick(l.random, 0, 1, 1, 1, 1, 1, 1, 1, 2) {
			r, err := l.drawReceipt(month)
			if err != nil {
				return err
			}
			id := uuid.Must(uuid.NewV7())
			r.Ref = id.String()
			l.receipts[id], sent[id] = r, l
			arg.ID, arg.LoanID = append(arg.ID, id), append(arg.LoanID, l.loan.ID)
			arg.AmountCents, arg.ReceivedOn = append(arg.AmountCents, int64(r.Amount)), append(arg.ReceivedOn, r.ReceivedOn)
			arg.Channel, arg.Designation = append(arg.Channel, "ach"), append(arg.Designation, string(r.Designation))
			arg.ExternalRef, arg.RequestedBy = append(arg.ExternalRef, ""), append(arg.RequestedBy, "replay")
			arg.IdempotencyKey, arg.RequestHash = append(arg.IdempotencyKey, r.Ref), append(arg.RequestHash, make([]byte, 32))
		}
	}
	q := queries.New(db)
	if _, err := q.InsertPayments(t.Context(), arg); err != nil {
		return err
	}
	worker := &jobs.PostPaymentChunk{DB: db, Metrics: newMetrics()}
	job := &river.Job[jobs.PostPaymentChunkArgs]{Args: jobs.PostPaymentChunkArgs{PaymentIDs: arg.ID}}
	if err := worker.Work(t.Context(), job); err != nil {
		return err
	}
	rejected, err := db.Query(t.Context(), "SELECT id FROM payments WHERE id = ANY($1) AND status = 'rejected'", arg.ID)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rejected, pgx.RowTo[uuid.UUID])
	for _, id := range ids { // Only a loan that is paid off refuses money here.
		delete(sent[id].receipts, id)
	}
	return err
}

// drawReceipt draws what a borrower sends for a month, most often its
// installment, and sometimes money of months ago that is found now.
func (l *life) drawReceipt(month int) (mortgage.Receipt, error) {
	if l.random.IntN(25) == 0 {
		month = max(0, month-1-l.random.IntN(4))
		l.happened[foundLate]++
	}
	dueOn, err := l.boarded.NextDueOn.AddMonths(month, l.terms.DueDay)
	if err != nil {
		return mortgage.Receipt{}, err
	}
	l.happened[paid]++
	whole := l.terms.PrincipalAndInterestFor(dueOn) + l.terms.EscrowPaymentFor(dueOn)
	amount := pick(l.random, whole, whole, whole, whole, whole, whole, whole/2, whole-1, 2*whole, whole+100_00,
		1+mortgage.Cents(l.random.Int64N(int64(2*whole))))
	return mortgage.Receipt{
		Amount: amount, ReceivedOn: dueOn + mortgage.Date(l.random.IntN(30)-10),
		Designation: pick(l.random, mortgage.ForPeriodic, mortgage.ForPeriodic, mortgage.ForPeriodic, mortgage.ForPeriodic,
			mortgage.ForPeriodic, mortgage.ForPeriodic, mortgage.ForPrincipal, mortgage.ForEscrow, mortgage.ForLateCharge),
	}, nil
}
