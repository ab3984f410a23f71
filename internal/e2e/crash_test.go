package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// testCrash kills the worker again and again, without warning and at no
// particular moment, while two thousand payments arrive and are posted; in the long
// tests it is twenty thousand, and forty kills.
func testCrash(t *testing.T, p *program) {
	t.Helper()
	const (
		loans   = 50
		clients = 8
	)
	payments, kills := testdb.Scale(2000, 20_000), testdb.Scale(8, 40)
	p.makeToken("loans:write", "payments:write")
	serve := p.start("serve", "--workers", "0")
	paths := make([]string, loans)
	for i := range paths {
		paths[i] = p.board(serve, fmt.Sprintf("CRASH-%d", i)) + "/payments"
	}

	var sent sync.WaitGroup
	for c := range clients {
		sent.Go(func() {
			for i := c; i < payments; i += clients {
				a, err := p.request(serve, http.MethodPost, paths[i%loans], paymentOf(100_00+i, "2026-01-05"),
					"Idempotency-Key", fmt.Sprintf("crash-%d", i))
				if err != nil || a.status != http.StatusAccepted {
					t.Errorf("payment %d: %d %s %v", i, a.status, a.body, err)
				}
			}
		})
	}

	// The moments are seeded; what they hit is the machine's to decide.
	random := rand.New(rand.NewPCG(20260101, uint64(kills)))
	for kill := range kills {
		worker := p.start("work")
		goal := p.posted() + 1 + random.IntN(payments*3/2/kills)
		for p.posted() < goal && p.waiting() > 0 {
			time.Sleep(time.Millisecond)
		}
		worker.signal(syscall.SIGKILL)
		t.Logf("kill %d: %d posted", kill+1, p.posted())
	}
	sent.Wait()

	p.start("work")
	done := func() bool { return p.waiting() == 0 && p.unfinishedJobs() == 0 }
	require.Eventually(t, done, patience, 50*time.Millisecond, "every payment is posted, and every job done")

	var posted int
	var cash int64
	err := p.db.Super.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM payments WHERE status = 'posted'),
  (SELECT sum(cash_cents) FROM transactions)`).Scan(&posted, &cash)
	require.NoError(t, err)
	require.Equal(t, payments, posted)
	require.EqualValues(t, payments*100_00+payments*(payments-1)/2, cash, "every cent once")
	var wrong int
	err = p.db.Super.QueryRow(t.Context(), `SELECT count(*) FROM payments p WHERE amount_cents <>
  (SELECT coalesce(sum(cash_cents), 0) FROM transactions t WHERE t.payment_id = p.id)`).Scan(&wrong)
	require.NoError(t, err)
	require.Zero(t, wrong, "payments whose transactions are not their amount")
	p.requireSoundBooks()
}

func (p *program) count(sql string) (n int) {
	p.t.Helper()
	require.NoError(p.t, p.db.Super.QueryRow(p.t.Context(), sql).Scan(&n))
	return n
}

func (p *program) posted() int {
	return p.count("SELECT count(*) FROM payments WHERE status = 'posted'")
}

func (p *program) waiting() int {
	return p.count("SELECT count(*) FROM payments WHERE status = 'received'")
}

func (p *program) unfinishedJobs() int {
	return p.count("SELECT count(*) FROM river.river_job WHERE state <> 'completed'")
}
