package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// testRegZ sends the example of 12 CFR 1026, Supplement I, comment
// 41(d)(3)-1: 600, 300 and 400 against a periodic payment of 1,000.
func testRegZ(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read", "loans:write", "payments:read", "payments:write")
	serve := p.start("serve", "--workers", "4")
	loan := p.board(serve, "REGZ-1")

	for _, step := range []struct {
		cents          int
		on, key        string
		suspense, held string
		nextDueOn      string
	}{
		{600_00, "2026-01-10", "jan", "60000", "60000", "2026-01-01"},
		{300_00, "2026-02-10", "feb", "30000", "90000", "2026-01-01"},
		{400_00, "2026-03-10", "mar", "-60000", "30000", "2026-02-01"},
	} {
		accepted := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, loan+"/payments",
			paymentOf(step.cents, step.on), "Idempotency-Key", step.key)
		location := accepted.header.Get("Location")
		payment := p.mustRequest(serve, http.StatusOK, http.MethodGet, location, "", "Prefer", "wait=30")
		require.Equal(t, "posted", payment.field(t, "status"))
		require.Equal(t, step.suspense, payment.field(t, "split", "suspense_cents"), "suspense in "+step.key)
		after := p.mustRequest(serve, http.StatusOK, http.MethodGet, loan, "")
		require.Equal(t, step.held, after.field(t, "suspense_cents"), "held after "+step.key)
		require.Equal(t, step.nextDueOn, after.field(t, "next_due_on"))
	}
	march := p.mustRequest(serve, http.StatusOK, http.MethodGet, loan+"/transactions", "").body
	require.Contains(t, march, `"due_on":"2026-01-01"`)
	p.requireSoundBooks()
}

// testRefusesPendingMigrations starts the program on a database that lacks the
// newest migration.
func testRefusesPendingMigrations(t *testing.T, p *program) {
	t.Helper()
	_, err := p.db.Super.Exec(t.Context(), `
DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)`)
	require.NoError(t, err)
	for _, verb := range []string{"serve", "work"} {
		out, err := p.command(t.Context(), verb, "--admin-listen", anyPort).CombinedOutput()
		require.Error(t, err, "%s must refuse to start", verb)
		require.Contains(t, string(out), "loanserve migrate up")
	}
}
