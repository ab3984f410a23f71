package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testCurtailment sends Fannie Mae's example of a curtailment (Loan Delivery job
// aids, scenarios 5 and 6), and then takes its first payment back.
func testCurtailment(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read", "loans:write", "payments:read", "payments:write", "payments:reverse")
	serve := p.start("serve", "--workers", "4")
	body := strings.Replace(regZLoan("CURTAIL-1"), `"escrow_payment_cents":15804`, `"escrow_payment_cents":0`, 1)
	loan := p.mustRequest(serve, http.StatusCreated, http.MethodPost, "/v1/loans", body).header.Get("Location")

	extra := strings.Replace(paymentOf(1000_00, "2026-01-10"), "periodic", "principal", 1)
	var first string
	for _, step := range []struct {
		key, body, principal, nextDueOn string
	}{
		{"one", paymentOf(841_96, "2026-01-01"), "18720492", "2026-02-01"},
		{"curtailment", extra, "18620492", "2026-02-01"},
		{"two", paymentOf(841_96, "2026-01-20"), "18590606", "2026-03-01"},
	} {
		accepted := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, loan+"/payments", step.body,
			"Idempotency-Key", step.key)
		location := accepted.header.Get("Location")
		payment := p.mustRequest(serve, http.StatusOK, http.MethodGet, location, "", "Prefer", "wait=30")
		require.Equal(t, "posted", payment.field(t, "status"), step.key)
		after := p.mustRequest(serve, http.StatusOK, http.MethodGet, loan, "")
		require.Equal(t, step.principal, after.field(t, "principal_cents"), step.key)
		require.Equal(t, step.nextDueOn, after.field(t, "next_due_on"), step.key)
		if first == "" {
			first = location
		}
	}

	const reason = `{"reason":"R01"}`
	undo := func(status int, key string) answer {
		return p.mustRequest(serve, status, http.MethodPost, first+"/reversals", reason, "Idempotency-Key", key)
	}
	accepted := undo(http.StatusAccepted, "r")
	location := accepted.header.Get("Location")
	reversal := p.mustRequest(serve, http.StatusOK, http.MethodGet, location, "", "Prefer", "wait=30")
	require.Equal(t, "posted", reversal.field(t, "status"))
	require.Equal(t, accepted.body, undo(http.StatusAccepted, "r").body)
	undo(http.StatusConflict, "other")
	payment := p.mustRequest(serve, http.StatusOK, http.MethodGet, first, "")
	require.Equal(t, "reversed", payment.field(t, "status"))

	// Without the first payment the curtailment comes while January is due: it
	// satisfies that and repays 158.04, and the last payment satisfies February.
	after := p.mustRequest(serve, http.StatusOK, http.MethodGet, loan, "")
	require.Equal(t, "2026-03-01", after.field(t, "next_due_on"))
	p.requireSoundBooks()
}
