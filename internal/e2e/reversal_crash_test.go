package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// testReversalCrash takes payments back and counts them again, one
// principal asking and another approving, while the worker is killed again and
// again: each happens once.
func testReversalCrash(t *testing.T, p *program) {
	t.Helper()
	const cents = 1000_00
	loans := testdb.Scale(36, 100)
	p.makeToken("payments:read", "payments:approve")
	checker := p.token
	p.makeToken("loans:write", "payments:read", "payments:write", "payments:reverse", "payments:approve")
	maker := p.token
	serve := p.start("serve", "--workers", "0", "--reversal-approval")
	paths := make([]string, loans)
	for i := range paths {
		loan := p.board(serve, fmt.Sprintf("BACK-%d", i))
		accepted := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, loan+"/payments",
			paymentOf(cents, "2026-01-05"), "Idempotency-Key", fmt.Sprint("pay-", i))
		paths[i] = accepted.header.Get("Location")
	}
	worker := p.start("work")
	require.Eventually(t, func() bool { return p.waiting() == 0 }, patience, 10*time.Millisecond)
	worker.signal(syscall.SIGTERM)

	random := rand.New(rand.NewPCG(20260105, uint64(loans)))
	for round, body := range []string{`{"reason":"R01"}`, `{"reason":"mistaken"}`, `{"reason":"R01"}`} {
		for i, path := range paths {
			asked := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, path+"/reversals", body,
				"Idempotency-Key", fmt.Sprintf("round-%d-%d", round, i))
			require.Equal(t, "pending_approval", asked.field(t, "status"))
			at := asked.header.Get("Location")
			p.mustRequest(serve, http.StatusForbidden, http.MethodPost, at+"/approval", "")
			p.token = checker
			p.mustRequest(serve, http.StatusAccepted, http.MethodPost, at+"/approval", "")
			p.token = maker
			if paths[i] = at; round%2 == 1 { // What was put back is reversed itself.
				paths[i] = "/v1/payments/" + asked.field(t, "payment_id")
			}
		}
		open := func() int { return p.count(`SELECT count(*) FROM payment_reversals WHERE status = 'requested'`) }
		require.Equal(t, loans, open())
		for range 3 {
			worker := p.start("work")
			goal := open() - 1 - random.IntN(loans/3)
			for open() > max(goal, 0) {
				time.Sleep(time.Millisecond)
			}
			worker.signal(syscall.SIGKILL)
			t.Logf("round %d: %d open", round, open())
		}
		worker := p.start("work")
		done := func() bool { return open() == 0 && p.unfinishedJobs() == 0 }
		require.Eventually(t, done, patience, 10*time.Millisecond, "every reversal is over, and every job done")
		worker.signal(syscall.SIGTERM)

		want := loans * (round % 2) // payments that count
		require.Equal(t, want, p.posted())
		require.Equal(t, want*cents, p.count(`SELECT coalesce(sum(cash_cents), 0) FROM transactions`))
		require.Equal(t, loans*(round+1), p.count(`SELECT count(*) FROM payment_reversals WHERE status = 'posted'`))
		require.Equal(t, loans*(round+2), p.count(`SELECT count(*) FROM transactions WHERE kind <> 'boarding'`),
			"each reversal is one transaction")
		p.requireSoundBooks()
	}
}
