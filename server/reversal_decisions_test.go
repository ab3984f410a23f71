package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

func withApproval(o *server.Options) { o.ReversalApproval = true }

// setupTwo is a server that demands approval, whose token may all, with a
// worker, a posted payment and a second principal who only approves.
func setupTwo(t *testing.T) (maker, checker *live, payment string) {
	t.Helper()

	maker = setupLive(t, withApproval)
	maker.work(t)
	checker = maker.as(maker.newToken(t, server.ScopePaymentsApprove, server.ScopePaymentsRead))
	return maker, checker, maker.pay(t, testdb.Loan(t, maker.db.App), receipts[0])[0]
}

const countReversalJobs = `SELECT count(*) FROM river.river_job WHERE kind = 'reverse_payment'`

// What one principal asks for waits until another approves it.
func TestReversalIsApproved(t *testing.T) {
	t.Parallel()

	maker, checker, payment := setupTwo(t)
	const body = `{"reason":"R01"}`
	asked := maker.call(http.MethodPost, payment+"/reversals", body, "Idempotency-Key", "r-1")
	got := answer(t, asked, http.StatusAccepted)
	require.Equal(t, "pending_approval", got["status"])
	require.Equal(t, "60", asked.Header().Get("Retry-After"))
	reversal := asked.Header().Get("Location")
	waiting := maker.call(http.MethodGet, reversal, "")
	require.Equal(t, "pending_approval", answer(t, waiting, 200)["status"])
	require.Equal(t, "60", waiting.Header().Get("Retry-After"))
	require.Zero(t, maker.count(t, countReversalJobs))
	refused(t, maker.ask(payment+"/reversals", body), 409, "conflict")

	// Not by who asked, although he has the scope.
	refused(t, maker.call(http.MethodPost, reversal+"/approval", ""), 403, "own-request")
	refused(t, maker.call(http.MethodPost, reversal+"/refusal", `{"note":"no"}`), 403, "own-request")
	require.Zero(t, maker.count(t, countReversalJobs))

	const note = `{"note":"seen the bank's notice"}`
	first := checker.call(http.MethodPost, reversal+"/approval", note)
	got = answer(t, first, http.StatusAccepted)
	require.Equal(t, []any{"requested", "seen the bank's notice"}, []any{got["status"], got["decision_note"]})
	require.NotEqual(t, got["requested_by"], got["decided_by"])
	require.NotEmpty(t, got["decided_at"])
	require.Equal(t, reversal, first.Header().Get("Location"))
	require.Equal(t, "1", first.Header().Get("Retry-After"))
	done := answer(t, maker.call(http.MethodGet, reversal, "", "Prefer", "wait=30"), 200)
	require.Equal(t, []any{"posted", got["decided_by"], got["decided_at"], got["decision_note"]},
		[]any{done["status"], done["decided_by"], done["decided_at"], done["decision_note"]})

	// The same decision gets the same answer, and no other decision is taken.
	again := checker.call(http.MethodPost, reversal+"/approval", note)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	refused(t, checker.call(http.MethodPost, reversal+"/approval", ""), 409, "conflict")
	refused(t, checker.call(http.MethodPost, reversal+"/refusal", note), 409, "conflict")
	third := maker.as(maker.newToken(t, server.ScopePaymentsApprove))
	refused(t, third.call(http.MethodPost, reversal+"/approval", note), 409, "conflict")
	repeated := maker.call(http.MethodPost, payment+"/reversals", body, "Idempotency-Key", "r-1")
	require.Equal(t, asked.Body.String(), repeated.Body.String())
	require.Equal(t, "60", repeated.Header().Get("Retry-After"))
	require.Equal(t, 1, maker.count(t, countReversalJobs))

	// To undo it needs the same.
	undo := answer(t, maker.ask(reversal+"/reversals", `{"reason":"mistaken"}`), http.StatusAccepted)
	require.Equal(t, "pending_approval", undo["status"])
	undoing := "/v1/payment-reversals/" + undo["reversal_id"].(string)
	refused(t, maker.call(http.MethodPost, undoing+"/approval", ""), 403, "own-request")
	answer(t, checker.call(http.MethodPost, undoing+"/approval", ""), http.StatusAccepted)
	done = answer(t, maker.call(http.MethodGet, undoing, "", "Prefer", "wait=30"), 200)
	require.Equal(t, []any{"posted", nil}, []any{done["status"], done["decision_note"]})
	require.Equal(t, "posted", answer(t, maker.call(http.MethodGet, payment, ""), 200)["status"])
	maker.requireSoundBooks(t)
}

// What is refused is over, changes nothing, and may be asked for anew.
func TestReversalIsRefused(t *testing.T) {
	t.Parallel()

	maker, checker, payment := setupTwo(t)
	reversal := maker.ask(payment+"/reversals", `{"reason":"duplicate"}`).Header().Get("Location")
	waited := make(chan *httptest.ResponseRecorder)
	go func() { waited <- maker.call(http.MethodGet, reversal, "", "Prefer", "wait=30") }()

	const note = `{"note":"these are two checks"}`
	first := checker.call(http.MethodPost, reversal+"/refusal", note)
	got := answer(t, first, 200)
	require.Equal(t, []any{"refused", "these are two checks"}, []any{got["status"], got["decision_note"]})
	over := <-waited
	require.Equal(t, "refused", answer(t, over, 200)["status"])
	require.Empty(t, over.Header().Get("Retry-After"))

	again := checker.call(http.MethodPost, reversal+"/refusal", note)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	refused(t, checker.call(http.MethodPost, reversal+"/refusal", `{"note":"another"}`), 409, "conflict")
	refused(t, checker.call(http.MethodPost, reversal+"/approval", note), 409, "conflict")
	refused(t, maker.ask(reversal+"/reversals", `{"reason":"mistaken"}`), 409, "conflict")
	require.Zero(t, maker.count(t, countReversalJobs))
	require.Equal(t, "posted", answer(t, maker.call(http.MethodGet, payment, ""), 200)["status"])

	answer(t, maker.ask(payment+"/reversals", `{"reason":"R24"}`), http.StatusAccepted)
}

// Where nobody has to approve, nobody may.
func TestReversalThatDoesNotWait(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	reversal := l.reverse(t, l.pay(t, testdb.Loan(t, l.db.App), receipts[0])[0], `{"reason":"R01"}`)
	checker := l.as(l.newToken(t, server.ScopePaymentsApprove))
	refused(t, checker.call(http.MethodPost, reversal+"/approval", ""), 409, "conflict")
	refused(t, checker.call(http.MethodPost, reversal+"/refusal", `{"note":"x"}`), 409, "conflict")
}

// Eight principals decide at once, some this way and some that: one decides.
func TestDecisionsThatRace(t *testing.T) {
	t.Parallel()

	maker, _, payment := setupTwo(t)
	checkers := make([]*live, 8)
	for i := range checkers {
		checkers[i] = maker.as(maker.newToken(t, server.ScopePaymentsApprove))
	}
	approved := 0
	for range 10 {
		asked := maker.ask(payment+"/reversals", `{"reason":"R01"}`)
		require.Equal(t, http.StatusAccepted, asked.Code, asked.Body.String())
		reversal := asked.Header().Get("Location")
		answers := make([]*httptest.ResponseRecorder, len(checkers))
		var all sync.WaitGroup
		for i, c := range checkers {
			all.Go(func() {
				verb := []string{"/approval", "/refusal"}[i%2]
				answers[i] = c.call(http.MethodPost, reversal+verb, `{"note":"x"}`)
			})
		}
		all.Wait()
		decided := 0
		for _, w := range answers {
			if w.Code >= 400 {
				refused(t, w, 409, "conflict")
				continue
			}
			decided++
		}
		require.Equal(t, 1, decided)
		done := answer(t, maker.call(http.MethodGet, reversal, "", "Prefer", "wait=30"), 200)
		if done["status"] == "refused" {
			continue
		}
		require.Equal(t, "posted", done["status"])
		approved++
		undo := maker.ask(reversal+"/reversals", `{"reason":"mistaken"}`).Header().Get("Location")
		answer(t, checkers[0].call(http.MethodPost, undo+"/approval", ""), http.StatusAccepted)
		undone := answer(t, maker.call(http.MethodGet, undo, "", "Prefer", "wait=30"), 200)
		require.Equal(t, "posted", undone["status"])
	}
	require.Equal(t, 2*approved, maker.count(t, countReversalJobs))
	maker.requireSoundBooks(t)
}

// Whoever approves sees what waits.
func TestListOfWhatWaits(t *testing.T) {
	t.Parallel()

	maker, checker, payment := setupTwo(t)
	var asked []string
	for range 5 {
		next := maker.pay(t, testdb.Loan(t, maker.db.App), receipts[0])[0]
		got := answer(t, maker.ask(next+"/reversals", `{"reason":"R01","note":"n"}`), http.StatusAccepted)
		asked = append([]string{got["reversal_id"].(string)}, asked...)
	}
	refusedOne := maker.ask(payment+"/reversals", `{"reason":"R01"}`).Header().Get("Location")
	answer(t, checker.call(http.MethodPost, refusedOne+"/refusal", `{"note":"x"}`), 200)

	list := func(query string) (ids []string) {
		for next := "/v1/payment-reversals" + query; next != ""; {
			w := checker.call(http.MethodGet, next, "")
			for _, item := range answer(t, w, 200)["data"].([]any) {
				ids = append(ids, item.(map[string]any)["reversal_id"].(string))
			}
			next = nextPage(w)
		}
		return ids
	}
	require.Equal(t, asked, list("?status=pending_approval&limit=2"), "the latest first")
	require.Len(t, list("?limit=2"), 6)
	require.Len(t, list("?status=refused"), 1)
	require.Empty(t, list("?status=posted"))

	answer(t, checker.call(http.MethodPost, fmt.Sprint("/v1/payment-reversals/", asked[1], "/approval"), ""), 202)
	require.Equal(t, append(asked[:1:1], asked[2:]...), list("?status=pending_approval"))
}

// When the queue cannot take the job, nothing was decided either.
func TestApprovalAndJobAreOne(t *testing.T) {
	t.Parallel()

	maker, checker, payment := setupTwo(t)
	reversal := maker.ask(payment+"/reversals", `{"reason":"R01"}`).Header().Get("Location")
	_, err := maker.db.Super.Exec(t.Context(), `REVOKE INSERT ON river.river_job FROM loanserve_app`)
	require.NoError(t, err)
	refused(t, checker.call(http.MethodPost, reversal+"/approval", ""), 500, "internal")
	require.Equal(t, "pending_approval", answer(t, maker.call(http.MethodGet, reversal, ""), 200)["status"])

	_, err = maker.db.Super.Exec(t.Context(), `GRANT INSERT ON river.river_job TO loanserve_app`)
	require.NoError(t, err)
	w := checker.call(http.MethodPost, reversal+"/approval", "")
	answer(t, w, http.StatusAccepted)
	require.Empty(t, w.Header().Get("Idempotent-Replayed"))
}
