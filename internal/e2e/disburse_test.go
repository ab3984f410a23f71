package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// testDisburse kills the worker again and again, without warning, while two runs for
// one day pay the bills of loans in several chunks, four thousand in the long tests, and
// payments to some of them are posted. Each bill is paid once, and the books are sound.
func testDisburse(t *testing.T, p *program) {
	t.Helper()
	const payments = 100
	loans, kills := testdb.Scale(1200, 4000), testdb.Scale(3, 6)
	var boarded []queries.Loan
	err := pgx.BeginFunc(t.Context(), p.db.App, func(tx pgx.Tx) error {
		for range loans {
			loan := testdb.Loan(t, tx)
			line := testdb.EscrowLine(t, tx, loan, func(arg *queries.InsertEscrowLineParams) {
				arg.NextDueOn = testdb.Date("2026-02-10")
			})
			if loan.ID%2 == 0 { // The others' bills have not come.
				testdb.EscrowBill(t, tx, line)
			}
			boarded = append(boarded, loan)
		}
		return nil
	})
	require.NoError(t, err)
	p.makeToken("loans:read", "payments:write", "escrow:read", "escrow:disburse", "runs:read")
	serve := p.start("serve", "--workers", "0")
	var runs []string
	for i := range 2 {
		a := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, "/v1/escrow-disbursements",
			`{"as_of_on":"2026-02-10"}`, "Idempotency-Key", fmt.Sprintf("run-%d", i))
		runs = append(runs, a.header.Get("Location"))
	}
	for i := range payments {
		path := fmt.Sprintf("/v1/loans/%d/payments", boarded[i*loans/payments].ID)
		p.mustRequest(serve, http.StatusAccepted, http.MethodPost, path, paymentOf(2346_20, "2026-02-10"),
			"Idempotency-Key", fmt.Sprintf("payment-%d", i))
	}
	paid := func() int { return p.count("SELECT count(*) FROM escrow_disbursements") }

	random := rand.New(rand.NewPCG(20261124, uint64(kills))) // What the moments hit is the machine's to decide.
	for kill := range kills {
		worker := p.start("work")
		goal := paid() + random.IntN(loans/kills)
		for paid() < goal && p.unfinishedJobs() > 0 {
			time.Sleep(time.Millisecond)
		}
		worker.signal(syscall.SIGKILL)
		t.Logf("kill %d: %d paid", kill+1, paid())
	}
	p.start("work")
	require.Eventually(t, func() bool { return p.unfinishedJobs() == 0 }, patience, 50*time.Millisecond)

	for _, run := range runs {
		a := p.mustRequest(serve, http.StatusOK, http.MethodGet, run, "")
		require.Equal(t, "finished", a.field(t, "status"), a.body)
	}
	require.Equal(t, loans, paid())
	require.Equal(t, loans,
		p.count("SELECT count(DISTINCT bill_id) FROM escrow_disbursements WHERE amount_cents = 180000"))
	require.Equal(t, loans, p.count("SELECT count(*) FROM escrow_bills WHERE status = 'paid'"))
	require.Equal(t, loans,
		p.count("SELECT count(*) FROM escrow_lines WHERE next_due_on = '2026-08-10' AND version = 2"))
	require.Equal(t, loans*1800_00, p.count(`
SELECT -sum(t.cash_cents)::bigint FROM transactions t WHERE t.kind = 'escrow_disbursement'
  AND NOT EXISTS (SELECT FROM transactions r WHERE r.loan_id = t.loan_id AND r.reverses = t.seq)`))
	p.requireSoundBooks()
}
