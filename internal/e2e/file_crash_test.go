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

// testFileCrash kills the program while it takes a file, and then again and
// again while it posts it: a thousand debits, of which some come back in the
// same file and some in another. In the long tests it is twenty thousand,
// and thirty kills.
func testFileCrash(t *testing.T, p *program) {
	t.Helper()
	const loans = 40
	debits, kills := testdb.Scale(1000, 20_000), testdb.Scale(4, 30)
	p.makeToken("loans:write", "payments:read", "payments:write", "payments:reverse")
	serve := p.start("serve", "--workers", "0")
	for i := range loans {
		p.board(serve, fmt.Sprintf("FILE-%d", i))
	}
	first, second := filesOf(debits, loans)
	random := rand.New(rand.NewPCG(20260102, uint64(kills)))

	// The sender does not know what became of a file whose answer never came, and
	// sends it again.
	locations := make([]string, 2)
	for i, file := range []string{first.String(), second.String()} {
		done := make(chan struct{})
		go func() {
			_, _ = p.sendACH(serve, i, file)
			close(done)
		}()
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // Into its arrival, its storing or its answer.
		serve.signal(syscall.SIGKILL)
		<-done
		serve = p.start("serve", "--workers", "0")
		a, err := p.sendACH(serve, i, file)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, a.status, a.body)
		locations[i] = a.header.Get("Location")
	}
	require.Equal(t, debits, p.waiting(), "each payment is stored once")

	items := debits + len(first.Returns) + len(second.Returns)
	for kill := range kills {
		worker := p.start("work")
		goal := p.over() + 1 + random.IntN(items*3/2/kills)
		for p.over() < goal && p.unfinishedBatches() > 0 {
			time.Sleep(time.Millisecond)
		}
		worker.signal(syscall.SIGKILL)
		t.Logf("kill %d: %d of %d items over", kill+1, p.over(), items)
	}
	p.start("work")
	done := func() bool { return p.unfinishedBatches() == 0 && p.unfinishedJobs() == 0 }
	require.Eventually(t, done, patience, 50*time.Millisecond, "every file is finished, and every job done")

	for i, returns := range []int{len(first.Returns), len(second.Returns)} {
		batch := p.mustRequest(serve, http.StatusOK, http.MethodGet, locations[i], "")
		require.Equal(t, fmt.Sprint(returns), batch.field(t, "counts", "reversed", "items"))
		require.Equal(t, fmt.Sprint([]int{debits, 0}[i]), batch.field(t, "counts", "posted", "items"))
	}
	p.requireEachItemOnce(debits, len(first.Returns)+len(second.Returns))
}

// filesOf returns a file of debits of which every tenth comes back in the same
// file, and every eleventh in the second.
func filesOf(debits, loans int) (first, second testdb.ACH) {
	first = testdb.ACH{CreatedOn: "2026-01-20", DebitedOn: "2026-01-15"}
	second = testdb.ACH{CreatedOn: "2026-01-21"}
	for i := range debits {
		debit := testdb.ACHEntry{Trace: i, Loan: fmt.Sprintf("FILE-%d", i%loans), Cents: int64(100_00 + i)}
		first.Debits = append(first.Debits, debit)
		back := debit
		back.Trace, back.Original, back.Code = 1_000_000+i, i, "R01"
		if i%10 == 0 {
			first.Returns = append(first.Returns, back)
		} else if i%11 == 0 {
			second.Returns = append(second.Returns, back)
		}
	}
	return first, second
}

func (p *program) sendACH(proc *process, key int, file string) (answer, error) {
	return p.request(proc, http.MethodPost, "/v1/payment-batches?format=nacha", file,
		"Content-Type", "application/octet-stream", "Idempotency-Key", fmt.Sprintf("file-%d", key))
}

// over is how many items of files wait no longer.
func (p *program) over() int {
	return p.count("SELECT count(*) FROM payment_batch_items WHERE status <> 'stored'")
}

func (p *program) unfinishedBatches() int {
	return p.count("SELECT count(*) FROM payment_batches WHERE status <> 'finished'")
}

// requireEachItemOnce checks the ledger against the items: what was debited is
// in it once, and what came back is out of it once.
func (p *program) requireEachItemOnce(debits, returns int) {
	p.t.Helper()
	require.Equal(p.t, debits, p.count("SELECT count(*) FROM payments"))
	require.Equal(p.t, returns, p.count("SELECT count(*) FROM payments WHERE status = 'reversed'"))
	require.Equal(p.t, debits-returns, p.count("SELECT count(*) FROM payments WHERE status = 'posted'"))
	require.Equal(p.t, returns, p.count("SELECT count(*) FROM payment_reversals"))
	require.Zero(p.t, p.count(`SELECT count(*) FROM payments p
WHERE CASE status WHEN 'posted' THEN amount_cents ELSE 0 END <>
  (SELECT coalesce(sum(cash_cents), 0) FROM transactions t WHERE t.payment_id = p.id)`),
		"payments whose transactions are not their amount")
	require.Zero(p.t, p.count(`SELECT count(*) FROM payment_batch_items i JOIN payment_batch_items r
  ON r.return_code IS NOT NULL AND r.returned_payment_id = i.payment_id
WHERE (r.status, r.amount_cents) IS DISTINCT FROM ('reversed', i.amount_cents) OR i.status <> 'posted'`))
	p.requireSoundBooks()
}
