package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

const waiverBody = `{"due_on":"2026-02-01","reason":"courtesy"}`

// Where the deployment demands it, a change waits until another principal than
// asked for it decides: approved it is carried out, refused it never is.
func TestLoanChangeIsDecided(t *testing.T) {
	t.Parallel()

	maker := setupLive(t, func(o *server.Options) { o.ChangeApproval = true })
	checker := maker.as(maker.newToken(t, server.ScopeLoansApprove, server.ScopeLoansRead))
	path := fmt.Sprintf("/v1/loans/%d/late-charge-waivers", testdb.Loan(t, maker.db.App).ID)
	asked := maker.call(http.MethodPost, path, waiverBody, "Idempotency-Key", "w-1")
	require.Equal(t, "pending_approval", answer(t, asked, http.StatusAccepted)["status"])
	require.Equal(t, "60", asked.Header().Get("Retry-After"))
	change := asked.Header().Get("Location")
	other := maker.call(http.MethodPost, path, waiverBody, "Idempotency-Key", "w-2").Header().Get("Location")
	require.Zero(t, maker.count(t, `SELECT count(*) FROM river.river_job`))
	waiting := answer(t, checker.call(http.MethodGet, "/v1/loan-changes?status=pending_approval&limit=1", ""), 200)
	require.Len(t, waiting["data"], 1)
	require.NotEmpty(t, waiting["next_cursor"])

	refused(t, maker.call(http.MethodPost, change+"/approval", ""), 403, "own-request")
	refused(t, maker.call(http.MethodPost, change+"/refusal", `{"note":"n"}`), 403, "own-request")
	refused(t, checker.call(http.MethodPost, change+"/refusal", `{}`), 422, "invalid")
	refused(t, checker.call(http.MethodPost, path, waiverBody, "Idempotency-Key", "w-3"), 403, "forbidden")

	first := checker.call(http.MethodPost, change+"/approval", `{"note":"agreed by phone"}`)
	got := answer(t, first, http.StatusAccepted)
	require.Equal(t, []any{"requested", "agreed by phone"}, []any{got["status"], got["decision_note"]})
	again := checker.call(http.MethodPost, change+"/approval", `{"note":"agreed by phone"}`)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	refused(t, checker.call(http.MethodPost, change+"/refusal", `{"note":"n"}`), 409, "conflict")
	replay := maker.call(http.MethodPost, path, waiverBody, "Idempotency-Key", "w-1")
	require.Equal(t, asked.Body.String(), replay.Body.String(), "the first answer again")

	maker.work(t)
	done := answer(t, maker.call(http.MethodGet, change, "", "Prefer", "wait=30"), 200)
	require.Equal(t, []any{"posted", got["decided_by"]}, []any{done["status"], done["decided_by"]})
	answer(t, checker.call(http.MethodPost, other+"/refusal", `{"note":"not twice"}`), 200)
	require.Equal(t, "refused", answer(t, maker.call(http.MethodGet, other, ""), 200)["status"])
	require.Equal(t, 1, maker.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'change_loan'`))

	// The database holds to it, whatever the program does.
	for _, attack := range []string{
		`UPDATE loan_changes SET decided_by = requested_by WHERE status = 'posted'`,
		`UPDATE loan_changes SET status = 'requested', decided_by = NULL, decided_at = NULL WHERE status = 'refused'`,
		`UPDATE loan_changes SET approval_required = false WHERE status = 'posted'`,
	} {
		_, err := maker.db.App.Exec(t.Context(), attack)
		require.Error(t, err, attack)
	}
}
