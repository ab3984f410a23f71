package alerts_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
)

// Payments come in at this pace, for so many loans in turn.
const (
	paymentsEvery = 200 * time.Millisecond
	payingLoans   = 4
)

// load is payments that come in by HTTP from its start until it is stopped, whatever
// happens to the workers meanwhile.
type load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	// accepted and refused are written until done.
	accepted int
	refused  []string
}

// startLoad boards loans, and has payments of ten dollars come in for them.
func startLoad(t *testing.T, l *live) *load {
	t.Helper()
	token := l.output("token", "create", "--name", "payments", "--scope", "payments:write")
	var loans []int64
	for range payingLoans {
		loans = append(loans, testdb.Loan(t, l.db.App).ID)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := &load{cancel: cancel}
	p.done.Go(func() {
		ticker := time.NewTicker(paymentsEvery)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.pay(l.serve.API, token, loans[n%len(loans)], n)
			}
		}
	})
	t.Cleanup(func() { cancel(); p.done.Wait() })
	return p
}

// pay sends one payment, and sees it to its answer even when the load is stopped.
func (p *load) pay(api, token string, loan int64, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/v1/loans/%d/payments", api, loan),
		strings.NewReader(`{"amount_cents":1000,"received_on":"2026-02-01","channel":"ach"}`))
	if err != nil {
		p.refused = append(p.refused, err.Error())
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", fmt.Sprintf(`"payment-%d"`, n))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.refused = append(p.refused, err.Error())
		return
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		p.refused = append(p.refused, res.Status)
		return
	}
	p.accepted++
}

// posted counts the payments that are in the books.
func (l *live) posted(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, l.db.Super.QueryRow(t.Context(),
		`SELECT count(*) FROM payments WHERE status = 'posted'`).Scan(&n))
	return n
}

// Not one of the payments that came in between the faults was refused, or is not in the
// books, and the books are in order.
func testPayments(t *testing.T, l *live, p *load) {
	t.Helper()
	p.cancel()
	p.done.Wait()
	require.Empty(t, p.refused)
	require.Positive(t, p.accepted)
	posted := 0
	all := func() bool { posted = l.posted(t); return posted == p.accepted }
	require.True(t, eventually(all), "%d of %d payments are posted", posted, p.accepted)
	l.output("check", "integrity", "--full")
	for _, name := range []string{
		"LoanServePaymentsStalled", "LoanServeRequestsFailing", "LoanServeIntegrityFinding", "LoanServeLoansMissing",
	} {
		require.Nil(t, l.firing(name), name)
	}
	t.Logf("%d payments were accepted and posted", posted)
}
