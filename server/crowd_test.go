package server_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/queries"
	"loanserve/server"
)

// hold takes an idempotency key in a transaction that is not over, so that
// whoever stores a payment with the key waits, until release.
func (l *live) hold(t *testing.T, loan queries.Loan, key string) (release func()) {
	t.Helper()

	tx, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	var principal string
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT 'token:' || max(id) FROM api_tokens`).Scan(&principal))
	testdb.Payment(t, tx, loan, func(p *queries.InsertPaymentParams) {
		p.RequestedBy, p.IdempotencyKey = principal, key
	})
	return sync.OnceFunc(func() { require.NoError(t, tx.Rollback(t.Context())) })
}

// untilBlocked returns when so many sessions wait for another transaction.
func (l *live) untilBlocked(t *testing.T, want int) {
	t.Helper()

	require.Eventually(t, func() bool {
		return l.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) == want
	}, patience, time.Millisecond)
}

// crowd sends payments that arrive together.
type crowd struct {
	*live

	loan     queries.Loan
	releases []func()
	all      sync.WaitGroup
	plugs    []*sent
	sent     int // of those that are not plugs
}

// sent is a request and, once the crowd has been answered, its answer.
type sent struct {
	*httptest.ResponseRecorder

	hangUp context.CancelFunc
}

// gatherCrowd makes both flushers wait, so that what is sent from now on goes
// together in the first transaction after release.
func gatherCrowd(t *testing.T, l *live) *crowd {
	t.Helper()

	c := &crowd{live: l, loan: testdb.Loan(t, l.db.App)}
	for n := range server.IntakeFlushers {
		key := fmt.Sprint("plug-", n)
		c.releases = append(c.releases, l.hold(t, c.loan, key))
		c.plugs = append(c.plugs, c.send(t, c.path(), paymentBody, key))
		l.untilBlocked(t, n+1)
	}
	c.sent = 0
	return c
}

func (c *crowd) path() string { return fmt.Sprintf("/v1/loans/%d/payments", c.loan.ID) }

func (c *crowd) send(t *testing.T, path, body, key string) *sent {
	t.Helper()

	ctx, hangUp := context.WithCancel(t.Context())
	s := &sent{ResponseRecorder: httptest.NewRecorder(), hangUp: hangUp}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	c.sent++
	c.all.Go(func() { c.Handler().ServeHTTP(s, r) })
	return s
}

// untilGathered returns when all that was sent waits.
func (c *crowd) untilGathered(t *testing.T) {
	t.Helper()

	untilWaiting(t, server.IntakeOf(c.Server), c.sent)
}

// answered lets the flushers go on and returns when everybody is answered.
func (c *crowd) answered(t *testing.T) {
	t.Helper()

	for _, release := range c.releases {
		release()
	}
	c.all.Wait()
	for _, p := range c.plugs {
		require.Equal(t, http.StatusAccepted, p.Code, p.Body.String())
	}
}

func withRef(ref string) string {
	return strings.TrimSuffix(paymentBody, "}") + `,"external_ref":"` + ref + `"}`
}

var otherBody = strings.Replace(paymentBody, "154901", "154902", 1)

// oneOf checks that one of two was stored, and returns it and the other.
func oneOf(t *testing.T, pair [2]*sent) (first, second *sent) {
	t.Helper()

	fresh := func(s *sent) bool {
		return s.Code == http.StatusAccepted && s.Header().Get("Idempotent-Replayed") == ""
	}
	first, second = pair[0], pair[1]
	if !fresh(first) {
		first, second = second, first
	}
	require.True(t, fresh(first), "%s %s", first.Body, second.Body)
	require.False(t, fresh(second), "%s %s", first.Body, second.Body)
	return first, second
}

const countChunks = `SELECT count(*) FROM river.river_job WHERE kind = 'post_payment_chunk'`

// requireOneJobEach checks that each payment is named by one job, and nothing
// else is.
func (l *live) requireOneJobEach(t *testing.T) {
	t.Helper()

	const named = `WITH named AS (
		SELECT jsonb_array_elements_text(coalesce(args->'payment_ids', jsonb_build_array(args->'payment_id')))::uuid AS id
		FROM river.river_job)
	SELECT (SELECT count(*) FROM payments p WHERE (SELECT count(*) FROM named n WHERE n.id = p.id) <> 1)
	  + (SELECT count(*) FROM named n WHERE NOT EXISTS (SELECT FROM payments p WHERE p.id = n.id))`
	require.Zero(t, l.count(t, named), "payments without a job of their own, and jobs without a payment")
}

func sampleParams(loan queries.Loan, key string) queries.InsertPaymentParams {
	hash := sha256.Sum256([]byte(key))
	return queries.InsertPaymentParams{
		ID: uuid.Must(uuid.NewV7()), LoanID: loan.ID, AmountCents: 1_00, ReceivedOn: loan.NextDueOn,
		Channel: queries.PaymentChannelAch, Designation: mortgage.ForPeriodic, RequestedBy: "test",
		IdempotencyKey: key, RequestHash: hash[:],
	}
}
